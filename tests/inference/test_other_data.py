"""A finished run on labelled images that it was not trained on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pets import make, picture
from PIL import Image

QUICK = ("--preset", "supervised", "--width", 2, "--batch-size", 2, "--steps", 1)

Does = Callable[..., str]


@pytest.fixture
def here(tmp_path: Path, does: Does) -> Path:
    """The current folder: in it `run`, trained on `pets`, three classes of grey 8 x 8 images."""
    make(tmp_path, {"pets/cat": 4, "pets/dog": 4, "pets/fox": 4, "pets/test/cat": 2, "pets/test/fox": 2})
    does("train", *QUICK, "--data-dir", "pets", "--run", "run")
    return tmp_path


def other(does: Does, *arguments: object) -> dict[str, object]:
    return json.loads(does("eval", "--run", "run", "--json", *arguments))


def files(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_the_figures_are_those_of_predict_and_nothing_of_the_run_changes(here: Path, does: Does) -> None:
    for name, count in (("fox", 3), ("dog", 2)):
        (here / "new" / name).mkdir(parents=True)
        for index in range(count):
            picture(100 + index, "RGB", (10, 12)).save(here / "new" / name / f"{name}{index}.png")
    before = files(here / "run")
    found = other(does, "--data-dir", "new")
    predicted = json.loads(does("predict", "--run", "run", "--format", "json", "new"))
    correct = [row["class"] == Path(row["image"]).parent.name for row in predicted]
    assert found["other_data"] == "new" and found["other_accuracy"] == np.mean(correct)
    assert not {"train_accuracy", "test_accuracy"} & found.keys()
    assert np.sum(found["confusion"], axis=1).tolist() == [0, 2, 3]  # cat, dog, fox
    missed = [row["image"] for row, hit in zip(predicted, correct, strict=True) if not hit]
    wrong = [Path(path).relative_to("new").as_posix() for path in missed]
    assert sorted(mistake["file"] for mistake in found["mistakes"]) == sorted(wrong) and wrong
    after = files(here / "run")
    (drawn,) = after.keys() - before.keys()
    assert Path(drawn).match("eval/step_1-new-????????-confusion.png")
    assert {name: after[name] for name in before} == before
    printed = does("eval", "--run", "run", "--data-dir", "new")
    assert printed.startswith("*** other data than the run was trained on: new ***\nOther Accuracy: ")
    assert "Train" not in printed and printed.endswith(f"{Path(drawn).name}\n")


def test_one_class_labels_in_a_table_and_arrays_will_do(here: Path, does: Does) -> None:
    make(here, {"one/dog": 2, "flat": 2, "flat/labels.csv": "file,label\n0.png,fox\n1.png,\n"})
    assert np.sum(other(does, "--data-dir", "one")["confusion"], axis=1).tolist() == [0, 2, 0]
    assert np.sum(other(does, "--data-dir", "flat")["confusion"], axis=1).tolist() == [0, 0, 1]
    images = np.stack([np.asarray(picture(index, "L")) for index in range(3)])
    np.savez(here / "new.npz", x_train=images, y_train=np.array(["fox", "cat", ""]))
    assert np.sum(other(does, "--data-dir", "new.npz")["confusion"], axis=1).tolist() == [1, 0, 1]


def test_the_images_of_the_run_are_its_own_wherever_they_lie(here: Path, does: Does) -> None:
    was = other(does)
    (here / "pets").rename(here / "moved")
    assert other(does, "--data-dir", "moved") == was and was["other_data"] is None
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(here / "moved" / "cat" / "0.png")
    assert other(does, "--data-dir", "moved")["other_data"] == "moved"


def test_classes_that_the_run_does_not_have_are_named(here: Path, fails: Does) -> None:
    make(here, {"new/dog": 1, "new/owl": 1, "none/dog": 0})
    message = fails("eval", "--run", "run", "--data-dir", "new")
    assert message == "--data-dir new: owl: no class of run, whose classes are cat, dog, fox"
    message = fails("eval", "--run", "run", "--data-dir", "none")
    assert message == "--data-dir none: no image with a label can be used"
    assert fails("eval", "--run", "run", "--data-dir", "gone").startswith("--data-dir gone: does not exist; expected")

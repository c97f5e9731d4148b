"""Custom images, from the folder to the prediction: small networks on pictures that are easy to tell apart."""

import csv
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from outer import call, metrics, sha256, succeed
from rooms import RUN, SIZE, TINY, picture, rooms, trained

from sgan_jax.cli.eval import Eval
from sgan_jax.cli.predict import Predict
from sgan_jax.errors import UserError
from sgan_jax.inference.evaluate import evaluate
from sgan_jax.runs.opened import open_run

Does = Callable[..., str]
Sgan = Callable[..., tuple[object, str, str]]


def test_check_counts_the_images_and_names_files_that_are_left_out(does: Does) -> None:
    printed = does("data", "check", rooms())
    assert "floor              5       10\nsky                3       10\nunlabelled        40\n" in printed
    assert "left out: 1 file\n  sky/bad.png: no image that Pillow reads\n" in printed


def test_training_takes_all_labels_and_learns_the_classes() -> None:
    here, printed = trained()
    record = json.loads((here / RUN / "config.json").read_text())
    assert record["config"]["data"]["labels"] == 8
    assert record["dataset"]["class_names"] == ["floor", "sky"] and record["dataset"]["image_shape"] == [SIZE, SIZE, 3]
    result = json.loads((here / RUN / "result.json").read_text())
    assert (result["dataset"], result["labels"], result["step"]) == ("rooms", 8, 40)
    assert result["train_accuracy"] == result["test_accuracy"] == 1.0
    assert f"finished: {RUN}\n" in printed


def test_the_same_command_resumes_and_other_images_are_refused(does: Does, sgan: Sgan, tmp_path: Path) -> None:
    shutil.copytree(trained()[0] / RUN, tmp_path / "run")
    train = ("train", *TINY, "--epochs", 2, "--data-dir", rooms(), "--run", "run")
    assert "finished at step 40" in does(*train)
    status, _, error = sgan(*train, "--image-size", 16)
    assert status == 2 and "dataset was rooms (" in error


def test_the_same_images_with_other_names_of_classes_are_refused(tmp_path: Path, sgan: Sgan) -> None:
    images, run = tmp_path / "rooms", tmp_path / "run"
    shutil.copytree(rooms(), images)
    shutil.copytree(trained()[0] / RUN, run)
    assert evaluate(open_run(run), str(images)).class_names == ("floor", "sky")
    for folder in (images, images / "test"):
        (folder / "sky").rename(folder / "stars")
    with pytest.raises(UserError, match=r"rooms: stars: no class of .*run, whose classes are floor, sky$"):
        evaluate(open_run(run), str(images))
    status, _, error = sgan("train", *TINY, "--epochs", 2, "--data-dir", images, "--run", run)
    assert status == 2 and "classes were floor, sky, now floor, stars" in error


# --- without test images ---


@pytest.fixture
def untested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: in it `rooms` without test images."""
    for name in ("floor", "sky", "unlabelled"):
        (tmp_path / "rooms" / name).mkdir(parents=True)
        for path in (rooms() / name).glob("*.png"):
            (tmp_path / "rooms" / name / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


# One step of the preset that compiles quickest.
QUICKEST = ("--preset", "supervised", "--width", 8, "--batch-size", 8, "--steps", 1, "--data-dir", "rooms", "--run")


def test_without_test_images_labels_may_be_withheld_for_validation(untested: Path, does: Does, capsys) -> None:
    printed = does("train", *QUICKEST, "run", "--validation", 3)
    assert "validation accuracy" in printed and "test accuracy" not in printed
    (line,) = metrics(untested / "run")
    assert {"train_accuracy", "validation_accuracy", "ema_validation_accuracy"} <= line.keys()
    assert "test_accuracy" not in line
    assert Eval(run=Path("run"))() == 0
    evaluated = capsys.readouterr().out
    assert "Validation Accuracy: " in evaluated and "Test" not in evaluated
    assert Eval(run=Path("run"), json=True)() == 0
    evaluated = json.loads(capsys.readouterr().out)
    wrong = np.array(evaluated["confusion"]).sum() - np.array(evaluated["confusion"]).trace()
    assert len(evaluated["mistakes"]) == wrong
    for mistake in evaluated["mistakes"]:
        assert (untested / "rooms" / mistake["file"]).exists() and mistake["file"].startswith(f"{mistake['true']}/")


@pytest.mark.usefixtures("untested")
def test_without_test_and_validation_images_those_for_training_are_evaluated(does: Does, sgan: Sgan, capsys) -> None:
    printed = does("train", *QUICKEST, "run")
    assert "train accuracy" in printed and "validation" not in printed and "test accuracy" not in printed
    assert "8 labelled, 20 unlabelled, none for the test\nlabelled: floor 5, sky 3\n" in printed
    assert Eval(run=Path("run"))() == 0
    evaluated = capsys.readouterr().out
    assert "Train Accuracy: " in evaluated and "Validation" not in evaluated and "Test" not in evaluated
    status, _, error = sgan("sweep", "--labels", 4, "--draws", 1, "--data-dir", "rooms")
    assert status == 2
    assert error.splitlines()[-1] == "sgan: error: rooms: no test images; a sweep compares errors on them"


# --- predictions ---


def predicted(capsys: pytest.CaptureFixture[str], *images: Path, **settings: object) -> str:
    """What `predict` prints with the run of `trained`, where no file is left out."""
    assert Predict(images=images, run=trained()[0] / RUN, **settings)() == 0
    return capsys.readouterr().out


def test_predictions_of_files_and_folders_as_text_csv_and_json(tmp_path: Path, capsys) -> None:
    picture("sky", 900).resize((30, 20)).convert("RGBA").save(tmp_path / "wide.png")
    printed = predicted(capsys, tmp_path / "wide.png", rooms() / "test" / "floor").splitlines()
    assert len(printed) == 11
    label, percent, path = printed[0].split()
    assert (label, path) == ("sky", str(tmp_path / "wide.png")) and 50 < float(percent.removesuffix("%")) <= 100
    assert {line.split()[0] for line in printed[1:]} == {"floor"}

    rows = list(csv.reader(predicted(capsys, tmp_path, format="csv").splitlines()))
    assert rows[0] == ["image", "class", "probability", "floor", "sky"]
    assert rows[1][:2] == [str(tmp_path / "wide.png"), "sky"]
    assert float(rows[1][2]) == float(rows[1][4]) == pytest.approx(1 - float(rows[1][3]), abs=2e-6)

    out = tmp_path / "out" / "predictions.json"
    assert predicted(capsys, tmp_path, format="json", out=out, averaged=True) == f"{out}\n"
    (row,) = json.loads(out.read_text())
    assert set(row) == {"image", "class", "probability", "probabilities"} and row["class"] == "sky"
    assert set(row["probabilities"]) == {"floor", "sky"}


def test_prediction_needs_no_data_and_names_files_that_are_left_out(tmp_path: Path, capsys) -> None:
    run, bad = tmp_path / "elsewhere", rooms() / "sky" / "bad.png"
    shutil.copytree(trained()[0] / RUN, run)
    record = json.loads((run / "config.json").read_text())
    record["config"]["data"]["data_dir"] = str(tmp_path / "gone")
    (run / "config.json").write_text(json.dumps(record))
    done = call("predict", "--run", "elsewhere", rooms() / "sky", cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 3)
    warning = f"sgan: warning: {bad}: left out (no image that Pillow reads)\n"
    assert done.stderr == warning
    with pytest.raises(UserError, match="^the file cannot be used as an image$"):
        Predict(images=(bad,), run=run)()
    assert capsys.readouterr().err == warning
    with pytest.raises(UserError, match="^nowhere.png: no such file; name image files, or folders of them$"):
        Predict(images=(Path("nowhere.png"),), run=run)()
    with pytest.raises(UserError, match="^--format: xml; choose one of text, csv, json, labels$"):
        Predict(images=(bad,), run=run, format="xml")()


def test_a_name_that_is_not_text_does_not_cost_the_others(tmp_path: Path) -> None:
    here, _ = trained()
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb") as file:
        picture("sky", 5).save(file, "png")
    succeed("predict", "--format", "csv", "--out", tmp_path / "f.csv", os.fsdecode(odd), rooms() / "test", cwd=here)
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 22


# --- streams and errors ---


@pytest.mark.slow
def test_a_folder_that_is_streamed_trains_and_resumes_to_the_bit(tmp_path: Path, capsys) -> None:
    arguments = ("--preset", "joint", *TINY[2:], "--data-dir", rooms(), "--stream", "True")  # uses unlabelled images
    done = call("train", *arguments, "--epochs", 2, "--run", "whole", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unlabelled images are read from disk when a step needs them (--stream)" in done.stderr
    record = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert (record["dataset"]["train"], record["dataset"]["streamed"]) == (8, 48)
    assert record["config"]["data"]["stream"] is True
    for epochs in (1, 2):
        succeed("train", *arguments, "--epochs", epochs, "--run", "parts", cwd=tmp_path)
    assert sha256(tmp_path / "parts", 40) == sha256(tmp_path / "whole", 40)
    assert json.loads((tmp_path / "whole" / "result.json").read_text())["test_accuracy"] == 1.0
    assert Eval(run=tmp_path / "whole")() == 0
    assert "Test Accuracy: 100" in capsys.readouterr().out


def test_wrong_files_and_sizes_are_one_line(tmp_path: Path) -> None:
    content = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**7, 10**3, 10**3)}
    np.lib.format.write_array_header_1_0(content, header)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x_train.npy", content.getvalue())
        archive.writestr("y_train.npy", content.getvalue())
    for arguments, message in (
        (("data", "check", tmp_path / "huge.npz"), "out of memory; give a smaller --image-size"),
        (("data", "check", rooms(), "--image-size", -5), "--image-size: -5 x -5; must be between 8 and 512"),
        (("predict", "--out", ".", rooms() / "test"), ".: Is a directory"),
    ):
        done = call(*arguments, cwd=trained()[0])
        assert done.returncode == 2, arguments
        assert done.stderr.splitlines()[-1].startswith(f"sgan: error: {message}"), done.stderr

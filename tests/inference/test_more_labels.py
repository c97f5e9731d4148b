"""More labels later: a file of labels, a run that begins from another one, and the images that are worth a label."""

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pets import make

import sgan_jax
from sgan_jax.data.load import load
from sgan_jax.errors import UserError
from sgan_jax.runs.directory import RunDir

# One step of the preset that compiles quickest.
QUICK = ("--preset", "supervised", "--width", 2, "--batch-size", 2, "--steps", 1)
FLAT = "file,label\n0.png,cat\n3.png,dog\n1.png,\n"


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "config.json").read_text())


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The current folder: in it six images in `pets` and labels of two of them in `pets.csv`."""
    make(tmp_path, {"pets": 6, "pets.csv": FLAT})
    return tmp_path


# --- a file of labels ---


@pytest.mark.slow
def test_a_run_names_the_file_of_labels_and_resumes_with_it(here: Path, does: Callable[..., str]) -> None:
    train = ("train", *QUICK, "--data-dir", "pets", "--labels-file", "pets.csv", "--run", "run")
    assert does(*train).startswith("labels from pets.csv\n")
    of_run = record(here / "run")
    assert of_run["config"]["data"]["labels_file"] == of_run["dataset"]["labels_file"] == str(here / "pets.csv")
    assert of_run["dataset"]["class_names"] == ["cat", "dog"] and of_run["config"]["data"]["labels"] == 2
    assert "finished at step 1" in does(*train)
    assert RunDir(here / "run").record().dataset.labels_file == str(here / "pets.csv")
    assert "finished at step 1" in does("train", "--run", "run")
    assert "Train Accuracy" in does("eval", "--run", "run")


def test_a_labels_csv_that_is_found_is_named_and_may_move_with_the_images(
    here: Path, does: Callable[..., str], fails: Callable[..., str]
) -> None:
    (here / "pets.csv").rename(here / "pets" / "labels.csv")
    assert "labels from pets/labels.csv\n" in does("train", *QUICK, "--data-dir", "pets", "--run", "run")
    of_run = record(here / "run")
    assert of_run["config"]["data"]["labels_file"] is None
    assert of_run["dataset"]["labels_file"] == str(here / "pets" / "labels.csv")
    (here / "pets").rename(here / "moved")
    assert "Train Accuracy" in does("eval", "--run", "run", "--data-dir", "moved")
    (here / "moved" / "labels.csv").rename(here / "elsewhere.csv")
    evaluation = ("eval", "--run", "run", "--data-dir", "moved", "--labels-file")
    assert "Train Accuracy" in does(*evaluation, "elsewhere.csv")
    assert fails(*evaluation, "gone.csv").startswith("--labels-file gone.csv: no such file; expected a CSV file")


def test_a_named_file_inside_the_folder_moves_with_it(here: Path, does: Callable[..., str]) -> None:
    (here / "pets.csv").rename(here / "pets" / "mine.csv")
    does("train", *QUICK, "--data-dir", "pets", "--labels-file", "pets/mine.csv", "--run", "run")
    (here / "pets").rename(here / "moved")
    assert "Train Accuracy" in does("eval", "--run", "run", "--data-dir", "moved")


def test_other_labels_are_other_data_for_a_resume(
    here: Path, does: Callable[..., str], fails: Callable[..., str]
) -> None:
    train = ("train", *QUICK, "--data-dir", "pets", "--labels-file", "pets.csv", "--run", "run")
    does(*train)
    (here / "pets.csv").write_text(FLAT.replace("3.png", "4.png"))
    assert "holds a run of other settings (dataset was pets (" in fails(*train)
    (here / "pets.csv").write_text(FLAT.replace("dog", "fox"))
    assert "classes were cat, dog, now cat, fox" in fails(*train)


def test_data_check_takes_a_file_of_labels_and_passes_it_on(here: Path, does: Callable[..., str]) -> None:
    printed = does("data", "check", "pets", "--labels-file", "pets.csv")
    assert "\nlabels from pets.csv\n" in printed
    assert "train on them: sgan train --preset consistency --data-dir pets --labels-file pets.csv\n" in printed


def test_a_file_of_labels_needs_a_folder_of_images(here: Path, fails: Callable[..., str]) -> None:
    for images in ((), ("--dataset", "mnist-5k")):
        message = "--labels-file pets.csv: labels of a folder of images; name the folder with --data-dir"
        assert fails("train", *QUICK, *images, "--labels-file", "pets.csv").endswith(message)
    assert fails("train", *QUICK, "--data-dir", "none", "--labels-file", "pets.csv").startswith("--data-dir none: ")
    assert not (here / "runs").exists()


# --- what to label next ---


@pytest.fixture
def run(here: Path, does: Callable[..., str]) -> Path:
    """A run of the current folder's `pets`, of which two are labelled by `pets.csv`."""
    does("train", *QUICK, "--data-dir", "pets", "--labels-file", "pets.csv", "--seed", 3, "--run", "run")
    return here / "run"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_uncertain_images_are_a_file_to_fill_in_that_train_reads(run: Path, does: Callable[..., str]) -> None:
    printed = does("predict", "--run", "run", "--uncertain", 2, "--out", "next.csv")
    again = f"--init-from run --data-dir {run.parent}/pets --labels-file next.csv --run NEW\n"
    assert printed.startswith("next.csv\nfill in its column label, then train on it: sgan train --preset supervised ")
    assert printed.endswith(again) and "--width 2" in printed and "--labels " not in printed
    first, second, *known = rows((run.parent / "next.csv").read_text())
    assert first.keys() == {"file", "label", "prediction", "confidence"}
    assert {first["file"], second["file"]} < {"1.png", "2.png", "4.png", "5.png"}
    assert first["label"] == second["label"] == "" and first["prediction"] in ("cat", "dog")
    assert 0.5 <= float(first["confidence"]) <= float(second["confidence"]) <= 1
    assert [list(row.values()) for row in known] == [["0.png", "cat", "", ""], ["3.png", "dog", "", ""]]

    text = (run.parent / "next.csv").read_text()
    filled = text.replace(f"{first['file']},,", f"{first['file']},bird,").replace(",", ";")
    (run.parent / "next.csv").write_text(f"\ufeff{filled}", encoding="utf-8")  # as a spreadsheet saves it
    words = shlex.split(printed.partition("sgan train ")[2].replace("NEW", "new"))
    assert "classes kept: cat, dog; new: bird\n" in does("train", *words)
    of_run = record(run.parent / "new")
    assert of_run["config"]["data"]["labels"] == 3 and of_run["config"]["seed"] == 3
    assert of_run["dataset"]["class_names"] == ["bird", "cat", "dog"]
    asked = {row["file"] for row in rows(does("predict", "--run", "new", "--uncertain", 9)) if not row["label"]}
    assert asked == {"1.png", "2.png", "4.png", "5.png"} - {first["file"]}


def test_pseudo_labels_are_a_file_of_labels_from_a_confidence_on(
    run: Path, does: Callable[..., str], fails: Callable[..., str]
) -> None:
    labels = ("predict", "--run", "run", "--format", "labels")
    all_of_them = rows(does(*labels))
    assert len(all_of_them) == 6 and all(row["label"] == row["prediction"] for row in all_of_them[:4])
    confidences = sorted(float(row["confidence"]) for row in all_of_them[:4])
    threshold = (confidences[1] + confidences[2]) / 2
    confident = rows(does(*labels, "--threshold", threshold, "pets"))
    assert [row for row in all_of_them if not row["confidence"] or float(row["confidence"]) > threshold] == confident
    does(*labels, "--threshold", threshold, "--out", "pseudo.csv")
    assert load(data_dir="pets", labels_file="pseudo.csv").known.sum() == 4
    assert len(does("predict", "--run", "run", "--threshold", threshold, "pets").splitlines()) <= 4
    message = "--threshold: 1.0; no class is that probable, the most probable one is 0."
    assert fails(*labels, "--threshold", 1).startswith(message)
    assert fails(*labels, "--threshold", 1.5) == "--threshold: 1.5; must be between 0 and 1"


def test_images_of_another_folder_may_be_chosen(run: Path, sgan: Callable[..., tuple[object, str, str]]) -> None:
    make(run.parent / "more", {".": 2, "deep": 1, "bad.png": "no image", "labels.csv": "file,label\n0.png,fox\n"})
    status, printed, notes = sgan("predict", "--run", "run", "--uncertain", 5, "more")
    assert (status, notes) == (1, "sgan: warning: more/bad.png: left out (no image that Pillow reads)\n")
    *chosen, known = rows(printed)
    assert {row["file"] for row in chosen} == {"1.png", "deep/0.png"}
    assert (known["file"], known["label"]) == ("0.png", "fox")


def test_of_folders_of_classes_the_unlabelled_images_are_chosen(here: Path, does: Callable[..., str]) -> None:
    folder = make(here / "classes", {"cat": 2, "dog": 2, "unlabelled/a": 2, "unlabelled/b": 2, "test/cat": 1})
    does("train", *QUICK, "--data-dir", "classes", "--run", "run")
    chosen = rows(does("predict", "--run", "run", "--uncertain", 9))
    assert {row["file"] for row in chosen} == {f"unlabelled/{name}/{n}.png" for name in "ab" for n in (0, 1)}
    part = rows(does("predict", "--run", "run", "--uncertain", 9, "classes/unlabelled/a"))
    assert {row["file"] for row in part} == {"unlabelled/a/0.png", "unlabelled/a/1.png"}, "names are those of the whole"
    does("predict", "--run", "run", "--format", "labels", "--out", "pseudo.csv")
    more = load(data_dir=folder, labels_file="pseudo.csv")
    assert (more.known.sum(), more.class_names, len(more.test_labels)) == (8, ("cat", "dog"), 1)


def test_what_no_file_of_labels_can_be_made_of_is_one_line(run: Path, fails: Callable[..., str]) -> None:
    for arguments, message in (
        (("--uncertain", 0), "--uncertain: 0; must be between 1 and 5000"),
        (("--uncertain", 2, "--threshold", 0.5), "--uncertain: chooses images to label by hand; leave --threshold out"),
        (("--uncertain", 2, "--format", "json"), "--uncertain: chooses images to label by hand; leave --format out"),
        (("--uncertain", 2, "pets", "pets"), "a file of labels is for the images of one folder; name one, or none for"),
        (("--uncertain", 2, "pets/0.png"), "pets/0.png: expected a folder; names in a file of labels are relative to"),
        (("--uncertain", 2, "none"), "none: expected a folder"),
        (("--format", "labels", "run/checkpoints"), "none of "),
    ):
        assert fails("predict", "--run", "run", *arguments).startswith(message), arguments
    (run.parent / "pets").rename(run.parent / "moved")
    assert "pets, which is not a folder of images now; name a folder of images" in fails(
        "predict", "--run", "run", "--uncertain", 2
    )


def test_from_python_indices_of_arrays_are_chosen(run: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
    images[20:] = images[7]  # copies
    opened = sgan_jax.load(run)
    chosen = opened.uncertain(images, 3)
    margin = np.abs(np.diff(opened.classify(images).probabilities)[:, 0])
    assert chosen[0] == margin.argmin() and len(chosen) == 3
    assert sum(index >= 20 or index == 7 for index in chosen) <= 1, "no two that are the same"
    assert sorted(opened.uncertain(images, 99).tolist()) == list(range(30))
    with pytest.raises(UserError, match="^count: 0; must be at least 1$"):
        opened.uncertain(images, 0)

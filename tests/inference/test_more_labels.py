"""More labels later: a file of labels, a run that begins from another one, and the images that are worth a label."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pets import make

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
    assert printed.startswith("labels from pets.csv\n")
    assert "bin/train --preset best --data-dir pets --labels-file pets.csv\n" in printed


def test_a_file_of_labels_needs_a_folder_of_images(here: Path, fails: Callable[..., str]) -> None:
    for images in ((), ("--dataset", "mnist-5k")):
        message = "--labels-file pets.csv: labels of a folder of images; name the folder with --data-dir"
        assert fails("train", *QUICK, *images, "--labels-file", "pets.csv").endswith(message)
    assert fails("train", *QUICK, "--data-dir", "none", "--labels-file", "pets.csv").startswith("--data-dir none: ")
    assert not (here / "runs").exists()

"""The baseline of a run: the same classifier on the labels alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from outer import sha256
from pets import write

from sgan_jax.config import flatten
from sgan_jax.data.stream import Files
from sgan_jax.errors import UserError
from sgan_jax.presets import PRESETS
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.training.baseline import labels_alone

Does = Callable[..., str]
SIZES = ("--dataset", "mnist-5k", "--labels", 20, "--model.width", 2, "--batch-size", 2, "--steps", 1)


@pytest.mark.parametrize("name", sorted(name for name in PRESETS if not name.startswith("supervised")))
def test_only_the_unlabelled_images_are_taken_away(name: str) -> None:
    was, alone = flatten(PRESETS[name]), flatten(labels_alone(PRESETS[name]))
    differing = {place for place in was if was[place] != alone[place]}
    assert {"objective.name", "consistency.weight"} & differing
    assert differing <= {"objective.name", "consistency.weight", "propagation.neighbours"}


def test_labels_alone_have_no_baseline() -> None:
    with pytest.raises(UserError, match="preset supervised uses the labels alone already"):
        labels_alone(PRESETS["supervised"])


@pytest.mark.slow
def test_a_run_and_its_baseline_are_trained_compared_and_resumed(tmp_path: Path, does: Does) -> None:
    train = ("train", "--preset", "fast", *SIZES, "--run", "run", "--baseline")
    printed = does(*train)
    run, baseline = tmp_path / "run", tmp_path / "run-baseline"
    accuracies = [json.loads((path / "result.json").read_text())["test_accuracy"] for path in (run, baseline)]
    ours, theirs = (f"{100 * value:.1f} %" for value in accuracies)  # of 1,000 images
    last = f"test accuracy: {ours} with unlabelled images, {theirs} with the labels alone"
    assert printed.splitlines()[-1] == last
    assert (tmp_path / "runs/latest").resolve() == run
    assert f"<li>test accuracy with the labels alone<b>{theirs}</b>" in render(RunDir(run))
    assert "labels alone" not in render(RunDir(baseline))
    again = does(*train)
    assert "run: finished at step 1" in again and "run-baseline: finished at step 1" in again
    assert again.splitlines()[-1] == last
    alone = ("--objective.name", "supervised", "--run", "own")
    does("train", "--preset", "fast", *SIZES, *alone)
    assert sha256(tmp_path / "own", 1) == sha256(baseline, 1)
    assert RunDir(run).labelled().tolist() == RunDir(baseline).labelled().tolist()


@pytest.mark.slow
def test_a_baseline_reads_no_unlabelled_images_from_disk(tmp_path: Path, does: Does, monkeypatch) -> None:
    pets, reads = write(tmp_path / "pets"), list[int]()
    monkeypatch.setattr(Files, "__getitem__", lambda self, index: reads.append(index))
    sizes = ("--model.width", 2, "--batch-size", 2, "--steps", 1, "--validation", 2)
    does("train", "--preset", "supervised", "--data-dir", pets, "--stream", True, *sizes, "--run", "streamed")
    assert reads == []
    does("train", "--preset", "supervised", "--data-dir", pets, *sizes, "--run", "whole")
    assert sha256(tmp_path / "streamed", 1) == sha256(tmp_path / "whole", 1)

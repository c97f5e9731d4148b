"""Warnings during training: each by the smallest case that has it, and by the nearest that has not."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from outer import metrics

from sgan_jax.cli.terminal import Terminal
from sgan_jax.metrics.diversity import distance
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.training.events import Epoch
from sgan_jax.training.symptoms import CHECKS, Observed

Does = Callable[..., str]
NAMES = ("cat", "dog", "fox")


def found(**seen: object) -> dict[str, str]:
    observed = Observed(NAMES, **({"settled": True} | seen))
    return {name: text for name, check in CHECKS.items() if (text := check(observed))}


def test_nothing_is_said_of_an_epoch_in_which_nothing_was_observed() -> None:
    assert found() == {}


def test_distance_is_the_root_mean_square_over_all_pairs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    pairs = [(one.astype(float) - other) ** 2 for one, other in itertools.combinations(images, 2)]
    assert distance(images) == pytest.approx(np.sqrt(np.mean(pairs)), rel=1e-5)
    assert distance(np.repeat(images[:1], 5, axis=0)) == distance(images[:1]) == 0


def test_a_term_that_was_zero_all_the_time_is_named() -> None:
    expected = "d/consistency: 0 in every step of an epoch; unlabelled images had no effect there"
    assert found(zero_terms=("d/consistency",)) == {"unlabelled_term_zero": expected}
    assert found(zero_terms=()) == {}


def test_classes_with_images_that_are_never_predicted_are_named_after_the_first_epoch() -> None:
    never = np.array([[3, 0, 1], [2, 0, 0], [0, 0, 2]])
    assert found(confusion=never) == {"class_never_predicted": "class dog is never predicted, of 8 images"}
    assert found(confusion=never, settled=False) == {}
    without_images = np.array([[3, 0, 1], [0, 0, 0], [0, 0, 2]])
    assert found(confusion=without_images) == {}
    only_cat = np.array([[3, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert found(confusion=only_cat)["class_never_predicted"].startswith("classes dog, fox are never")


def test_pseudo_labels_of_one_class_are_many_and_all_the_same() -> None:
    expected = {"pseudo_labels_of_one_class": "all pseudo-labels, of 40 images, are of class fox"}
    assert found(pseudo_labels=np.full(40, 2)) == expected
    assert found(pseudo_labels=np.array([2] * 39 + [0])) == {}
    assert found(pseudo_labels=np.full(9, 2)) == {} == found(pseudo_labels=np.zeros(0, int))


def test_a_generator_of_one_shape_is_measured_by_the_distance_of_real_images() -> None:
    text = found(generated=0.031)["generator_collapsed"]
    assert "differ by 3.1 % of what two real ones do" in text and "below 10 %" in text
    assert found(generated=0.1) == {} == found(generated=0.0, settled=False)


def test_validation_falls_in_each_of_five_epochs() -> None:
    falling = (0.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    expected = {"validation_falling": "validation accuracy has fallen for 5 epochs, from 90.0 to 40.0 %"}
    assert found(validation=falling) == expected
    assert found(validation=falling[1:]) == expected
    assert found(validation=falling[2:]) == {} == found(validation=(*falling[:-1], 0.5))


# --- in runs ---

SMALL = ("--dataset", "mnist-5k", "--labels", 10, "--model.width", 2, "--batch-size", 2, "--steps-per-epoch", 2)
CONSISTENCY = ("--preset", "consistency", *SMALL, "--unlabelled", 2, "--objective.unsupervised-weight", 0)


@pytest.mark.slow
def test_a_warning_is_printed_once_recorded_and_shown_also_after_a_resume(tmp_path: Path, does: Does) -> None:
    train = ("train", *CONSISTENCY, "--consistency.threshold", 1.0, "--run", "run")
    first = does(*train, "--epochs", 1, "--adam.schedule", "constant")
    text = "d/consistency and d/real: 0 in every step of an epoch; unlabelled images had no effect there"
    assert f"warning: {text}\n" in first
    longer = does(*train, "--epochs", 3, "--adam.schedule", "constant")
    assert text not in longer
    by_line = [line.get("warnings", {}) for line in metrics(tmp_path / "run")]
    assert by_line[0]["unlabelled_term_zero"] == text
    names = [name for line in by_line for name in line]
    assert len(names) == len(set(names))
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["warnings"] == {name: text for line in by_line for name, text in line.items()}
    assert f"Warning after step 2: {text}." in render(RunDir(tmp_path / "run"))


@pytest.mark.slow
def test_a_run_resumed_between_has_the_warnings_of_an_undisturbed_one(tmp_path: Path, does: Does) -> None:
    settings = ("--preset", "fast", *SMALL, "--validation", 0)
    for epochs in (1, 2, 4):
        does("train", *settings, "--epochs", epochs, "--run", "parts")
    does("train", *settings, "--epochs", 4, "--run", "whole")
    parts, whole = (RunDir(tmp_path / name).warnings() for name in ("parts", "whole"))
    # A run of one epoch is judged by it, so that the first part may be earlier.
    assert {warning.name for warning in whole} == {warning.name for warning in parts}
    assert all(warning.step > 2 for warning in whole)


@pytest.mark.slow
def test_the_teacher_decides_where_no_labels_are_propagated(tmp_path: Path, does: Does) -> None:
    does("train", *CONSISTENCY, "--consistency.threshold", 0.0, "--epochs", 1, "--run", "run")
    warned = {warning.name: warning.text for warning in RunDir(tmp_path / "run").warnings()}
    assert "unlabelled_term_zero" in warned  # d/real, whose weight is 0; consistency counts all images
    assert "d/consistency" not in warned["unlabelled_term_zero"]


def test_the_terminal_prints_warnings_after_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    from sgan_jax.training.events import Span

    with Terminal().steps(Span(2, 0, 2, "")) as steps:
        steps.epoch(Epoch(2, {}, {}, "", ("one", "two")))
    assert capsys.readouterr().out.endswith("step_2: no classifier\nwarning: one\nwarning: two\n")

"""A loss that is NaN or infinite: the run stops and says where, which and what to do; or it resumes from before."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from outer import DIGITS, SMALL, copy_of_finished_run, metrics

from sgan_jax.errors import UserError
from sgan_jax.metrics import table
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import dispatch, loop, recorder, resume
from sgan_jax.training.dispatch import Diverged, _check_finite
from sgan_jax.training.start import Options
from sgan_jax.types import Metrics


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A copy of the finished run, which has taken 8 steps, two an epoch."""
    monkeypatch.chdir(tmp_path)
    return RunDir(copy_of_finished_run(tmp_path))


def longer(run: RunDir, epochs: int, on_nan: str = "stop") -> loop.Result:
    """Makes the run longer."""
    return loop.train(dataclasses.replace(run.record().config, epochs=epochs), Options(run.path, on_nan=on_nan))


def test_the_first_step_of_a_dispatch_with_nan_or_infinity_is_named_with_its_term() -> None:
    good = {"d/real": np.array([1.0, 2.0, 3.0]), "g/fool": np.array([0.0, 0.0, 0.0])}
    watch = {"d/accuracy": np.array([0.5, 0.5, 0.5])}
    _check_finite(10, Metrics(good, watch))
    bad = {"d/real": np.array([1, 2, np.nan]), "g/fool": np.array([0, np.inf, np.nan])}
    with pytest.raises(Diverged, match="^step 12: g/fool is inf$"):
        _check_finite(10, Metrics(good | bad, watch))
    with pytest.raises(Diverged, match="^step 11: d/accuracy is nan$"):
        _check_finite(10, Metrics(good, {"d/accuracy": np.array([np.nan, 0, 0])}))


def test_a_run_that_diverges_stops_with_the_step_the_term_and_the_last_good_checkpoint(sgan, fails, tmp_path) -> None:
    wild = (
        *DIGITS,
        *SMALL[:4],
        "--objective.name",
        "supervised",
        "--learning-rate",
        "1e37",
        "--steps-per-epoch",
        50,
        "--run",
        "run",
    )
    line = fails("train", *wild)
    assert line.startswith("run: step ") and " is nan; there is no checkpoint yet: " in line
    assert "--on-nan rollback resumes from it with other randomness; a smaller --learning-rate may help" in line
    assert not list((tmp_path / "run" / "checkpoints").glob("step_*"))

    status, printed, error = sgan("train", *wild, "--on-nan", "rollback")
    assert status == 2
    assert printed.count("resumes from step 0 with other randomness") == resume.MAX_ROLLBACKS
    assert ", after 10 rollbacks; " in error.splitlines()[-1]

    assert fails("train", *DIGITS, "--on-nan", "ignore") == "--on-nan: ignore; choose one of stop, rollback"


@pytest.mark.slow
def test_a_run_goes_back_to_its_last_checkpoint_and_on_with_other_randomness(run, tmp_path, monkeypatch) -> None:
    before = {line["step"]: line for line in metrics(run.path)}
    undisturbed = RunDir(copy_of_finished_run(tmp_path / "other"))
    real, diverged = dispatch._check_finite, []

    def once_nan(taken: int, columns: Metrics) -> None:
        if taken == 9 and not diverged:
            diverged.append(taken)
            raise Diverged(10, "d/real", np.nan)
        real(taken, columns)

    monkeypatch.setattr(dispatch, "_check_finite", once_nan)
    assert longer(run, 6, "rollback").finished
    assert run.record().rollbacks == ("step 10: d/real is nan",)
    after = {line["step"]: line for line in metrics(run.path)}
    assert sorted(after) == [2, 4, 6, 8, 10, 12] and [after[step] for step in before] == list(before.values())
    assert json.loads(run.result_file.read_text())["step"] == 12
    assert longer(undisturbed, 6).finished
    losses = {line["step"]: line["d/real"] for line in metrics(undisturbed.path)}
    same = {step for step in after if after[step]["d/real"] == losses[step]}
    assert same == {2, 4, 6, 8}, "later steps have other randomness"


def test_a_checkpoint_never_has_a_parameter_that_is_nan(run, monkeypatch) -> None:
    real = recorder.local

    def spoiled(state):
        state = real(state)
        params = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), state.params)
        return state._replace(params=params)

    monkeypatch.setattr(recorder, "local", spoiled)
    with pytest.raises(UserError, match=r"step 10: a parameter is nan; the last good checkpoint is step_8"):
        longer(run, 5)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step_2", "step_4", "step_6", "step_8"]
    assert not list(run.path.glob("*/step_10*")) and "step 8" in render(run), "nor is anything else of the step there"


def test_a_classifier_whose_logits_are_nan_or_infinite_has_diverged(run, monkeypatch) -> None:
    real = table.class_logits
    monkeypatch.setattr(table, "class_logits", lambda *given: real(*given) * np.float32(np.inf))
    with pytest.raises(UserError, match=r"step 10: a class logit is nan; the last good checkpoint is step_8"):
        longer(run, 5)
    assert not list(run.path.glob("*/step_10*"))

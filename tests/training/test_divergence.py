"""A loss that is no number any more: the run stops at once, and says where, what and what to do; or it goes back."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from outer import DIGITS, SMALL, call, copy_of_finished_run, metrics

from sgan_jax.errors import UserError
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import dispatch, loop, recorder
from sgan_jax.training.dispatch import Diverged, _refuse_divergence


def test_the_first_step_of_a_dispatch_that_is_no_number_is_named_with_its_term() -> None:
    good = {"d/real": np.array([1.0, 2.0, 3.0]), "g/fool": np.array([0.0, 0.0, 0.0])}
    _refuse_divergence(10, good)
    with pytest.raises(Diverged, match="^step 12: g/fool is inf$"):
        _refuse_divergence(10, good | {"d/real": np.array([1, 2, np.nan]), "g/fool": np.array([0, np.inf, np.nan])})


def test_a_run_that_diverges_stops_with_the_step_the_term_and_the_last_good_checkpoint(tmp_path: Path) -> None:
    wild = ("--learning-rate", "1e37", "--steps-per-epoch", 50, "--run", "run")
    done = call("train", *DIGITS, *SMALL[:4], *wild, cwd=tmp_path)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert line.startswith("sgan: error: run: step ") and " is nan; there is no checkpoint yet: " in line
    assert "--on-nan rollback goes on from it with other randomness; a smaller --learning-rate may help" in line
    assert not list((tmp_path / "run" / "checkpoints").glob("step_*"))

    done = call("train", *DIGITS, *SMALL[:4], *wild, "--on-nan", "rollback", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.count("goes on from step 0 with other randomness") == loop.MAX_ROLLBACKS
    assert ", after 10 rollbacks; " in done.stderr.splitlines()[-1]

    odd = call("train", *DIGITS, "--on-nan", "ignore", cwd=tmp_path)
    assert odd.stderr == "sgan: error: --on-nan: ignore; choose one of stop, rollback\n"


def test_a_run_goes_back_to_its_last_checkpoint_and_on_with_other_randomness(tmp_path: Path, monkeypatch) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    monkeypatch.chdir(tmp_path)
    before = {line["step"]: line for line in metrics(run.path)}
    real, asked = dispatch._to_host, []

    def once_nan(values):
        found = real(values)
        asked.append(0)
        return found | {"d/real": np.array([np.nan])} if len(asked) == 2 else found  # step 10, the second after step 8

    monkeypatch.setattr(dispatch, "_to_host", once_nan)
    config = run.config()
    longer = dataclasses.replace(config, epochs=6)
    assert loop.train(longer, on_nan="rollback") == 0
    assert run.rollbacks() == ["step 10: d/real is nan"]
    after = {line["step"]: line for line in metrics(run.path)}
    assert sorted(after) == [2, 4, 6, 8, 10, 12] and [after[step] for step in before] == list(before.values())
    assert json.loads(run.result_file.read_text())["step"] == 12
    undisturbed = RunDir(copy_of_finished_run(tmp_path / "other"))
    monkeypatch.setattr(dispatch, "_to_host", real)
    assert loop.train(longer, undisturbed.path) == 0
    losses = {line["step"]: line["d/real"] for line in metrics(undisturbed.path)}
    assert {step for step in after if after[step]["d/real"] == losses[step]} == {2, 4, 6, 8}, "the rest is drawn anew"


def test_a_checkpoint_never_holds_what_is_no_number(tmp_path: Path, monkeypatch) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    monkeypatch.chdir(tmp_path)
    real = recorder.local

    def spoiled(state):
        state = real(state)
        params = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), state.params)
        return state._replace(params=params)

    monkeypatch.setattr(recorder, "local", spoiled)
    with pytest.raises(UserError, match=r"step 10: a parameter is nan; the last good checkpoint is step_8"):
        loop.train(dataclasses.replace(run.config(), epochs=5))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step_2", "step_4", "step_6", "step_8"]
    assert not list(run.path.glob("*/step_10*")) and "step 8" in render(run), "nor does anything else of the step"


def test_a_classifier_whose_answer_is_no_number_has_diverged(tmp_path: Path, monkeypatch) -> None:
    run = RunDir(copy_of_finished_run(tmp_path))
    monkeypatch.chdir(tmp_path)
    real = recorder.class_logits
    monkeypatch.setattr(recorder, "class_logits", lambda *given: real(*given) * np.float32(np.inf))
    with pytest.raises(UserError, match=r"step 10: a class logit is nan; the last good checkpoint is step_8"):
        loop.train(dataclasses.replace(run.config(), epochs=5))
    assert not list(run.path.glob("*/step_10*"))

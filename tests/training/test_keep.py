"""A run keeps some of its checkpoints, and may end early: both by validation, with the bits of a run that does not."""

import json
import logging
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kills import KILLED
from outer import DIGITS, EPOCHS, RUN, SMALL, environment, finished_run, metrics, sha256, succeed

from sgan_jax.config import Config, DataConfig, ModelConfig, ObjectiveConfig, changed
from sgan_jax.data.load import load_embedded
from sgan_jax.errors import UserError
from sgan_jax.inference.library import load
from sgan_jax.metrics.measure import Measure
from sgan_jax.metrics.table import EVALUATORS, Evaluated, Evaluator, Subject
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.retention import best
from sgan_jax.training import disk, loop
from sgan_jax.training.events import Listener
from sgan_jax.training.signals import Stop
from sgan_jax.training.start import Options
from sgan_jax.types import TrainState

TINY = Config(
    batch_size=2,
    steps_per_epoch=2,
    epochs=6,
    data=DataConfig("mnist-5k", labels=40, validation=20),
    model=ModelConfig(width=2),
    objective=ObjectiveConfig("supervised"),
)
VALIDATION = (0.3, 0.5, 0.8, 0.6, 0.7, 0.8)  # by epoch, in tests that need to know it


class Notes(Listener):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Has validation accuracies be `VALIDATION`; returns whether the run ended with each evaluation."""
    ends: list[bool] = []

    def of_script(subject: Subject) -> Evaluator:
        def of(state: TrainState, last: bool) -> Evaluated:
            ends.append(last)
            figure = VALIDATION[(int(state.step) // 2 - 1) % len(VALIDATION)]
            return Evaluated({"validation_accuracy": Measure(figure, "%"), "test_accuracy": Measure(1 - figure, "%")})

        return of

    monkeypatch.setitem(EVALUATORS, "accuracy", of_script)
    return ends


def train(path: Path, values: dict[str, object] | None = None, listener: Listener | None = None) -> loop.Result:
    return loop.train(changed(TINY, values or {}), Options(path), listener=listener)


def saved(run: Path) -> list[int]:
    return checkpoint.steps(run / "checkpoints")


class After(Stop):
    """Asks a run to end after so many dispatches."""

    def __init__(self, steps: int):
        self.left = steps

    def anywhere(self, group: object, at_its_end: bool = False) -> bool:
        if self.left == 0:
            self.by = signal.SIGTERM
        self.left -= 1
        return at_its_end or self.by is not None


def stopped_after(path: Path, steps: int, values: dict[str, object]) -> loop.Result:
    return loop.train(changed(TINY, values), Options(path, stopping=lambda: nullcontext(After(steps))))


# --- keeping ---


def test_a_checkpoint_each_epoch_is_kept_by_default(tmp_path: Path) -> None:
    train(tmp_path / "run")
    assert saved(tmp_path / "run") == [2, 4, 6, 8, 10, 12]


@pytest.mark.usefixtures("scripted")
def test_a_run_keeps_the_last_others_spread_over_it_and_the_best_with_the_same_bits(tmp_path: Path) -> None:
    train(tmp_path / "all")
    for keep, steps in ((1, [12]), (3, [4, 8, 12])):
        run = tmp_path / f"{keep}"
        train(run, {"keep": keep})
        assert saved(run) == steps
        assert all(sha256(run, step) == sha256(tmp_path / "all", step) for step in steps)
        assert metrics(run) == metrics(tmp_path / "all")
    train(tmp_path / "five", {"keep": 1, "epochs": 5})
    assert saved(tmp_path / "five") == [6, 10], "the best and the last"
    assert load(tmp_path / "five", "best").step == 6
    assert not [entry for entry in (tmp_path / "five/checkpoints").iterdir() if "tmp" in entry.name]


@pytest.mark.usefixtures("scripted")
def test_at_no_moment_is_there_less_than_the_newest_whole_checkpoint_and_the_best(tmp_path: Path, monkeypatch) -> None:
    real, seen = checkpoint.shutil.rmtree, []
    run = tmp_path / "run"

    def watched(path: Path) -> None:
        steps = saved(run)
        assert int(path.name.split(".")[0].removeprefix("step_")) < steps[-1]
        assert best(RunDir(run).metrics(), range(steps[-1] + 1)) in steps
        assert load(run, f"step_{steps[-1]}").step == steps[-1], "whole"
        seen.append(path)
        real(path)

    monkeypatch.setattr(checkpoint.shutil, "rmtree", watched)
    train(run, {"keep": 1, "epochs": 5})
    assert len(seen) == 3


@pytest.mark.usefixtures("scripted")
def test_a_run_that_was_stopped_keeps_the_same_checkpoints_in_the_end(tmp_path: Path) -> None:
    for name in ("whole", "stopped"):
        if name == "stopped":
            for steps in (3, 4):  # within the second and the fourth epoch
                assert stopped_after(tmp_path / name, steps, {"keep": 2}).stopped is signal.SIGTERM
            assert saved(tmp_path / name)[-1] == 7
        train(tmp_path / name, {"keep": 2})
    assert saved(tmp_path / "whole") == saved(tmp_path / "stopped")
    for step in saved(tmp_path / "whole"):
        assert sha256(tmp_path / "whole", step) == sha256(tmp_path / "stopped", step)


def test_a_finished_run_is_thinned_out_on_request_and_may_be_made_longer(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(run, {"data.validation": 0, "data.labels": 20})
    result = (run / "result.json").read_bytes()
    train(run, {"data.validation": 0, "data.labels": 20, "keep": 2})
    assert len(saved(run)) == 2 and (run / "result.json").read_bytes() == result
    train(run, {"data.validation": 0, "data.labels": 20, "epochs": 7})
    assert len(saved(run)) == 3, "all of the new ones"


MOMENTS = (  # of a run that keeps one checkpoint
    ("os.rename", "step_2.orbax-checkpoint-tmp', -1"),  # before the first one is removed
    ("shutil.rmtree", "step_4.orbax-checkpoint-tmp"),  # while the second one is
    ("os.rename", "/step_8', -1"),  # before the last one is whole
)


@pytest.mark.slow
def test_killed_around_the_removal_of_a_checkpoint_a_run_ends_as_if_undisturbed(tmp_path: Path) -> None:
    arguments = ["train", *DIGITS, *SMALL, *EPOCHS, "--keep", "1", "--run"]
    for event, text in MOMENTS:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, event, text, *arguments, "run"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert killed.returncode == -signal.SIGKILL, (event, text, killed.stdout, killed.stderr)
        assert saved(tmp_path / "run"), "there is a whole one"
    succeed(*arguments, "run", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == ["step_8"]
    whole = finished_run()[0] / RUN  # which keeps all
    assert sha256(tmp_path / "run", 8) == sha256(whole, 8)
    assert metrics(tmp_path / "run") == metrics(whole)


# --- the early end ---


def test_a_run_ends_early_and_says_why_with_the_bits_of_a_longer_one(tmp_path: Path, scripted, does) -> None:
    train(tmp_path / "whole")
    scripted.clear()
    run, why = tmp_path / "run", "validation accuracy has not risen above 80.00%, of step 6, for 2 epochs"
    result = train(run, {"patience": 2})
    assert (result.step, result.early, result.finished, result.stopped) == (10, True, True, None)
    assert scripted[-1], "all training images are evaluated, as after any last step"
    assert metrics(run) == metrics(tmp_path / "whole")[:5]
    for step in saved(run):
        assert sha256(run, step) == sha256(tmp_path / "whole", step)
    end = json.loads((run / "result.json").read_text())
    assert end["early_end"] == f"ended early at step 10 of 12: {why}" and end["step"] == 10
    assert "early_end" not in json.loads((tmp_path / "whole/result.json").read_text())
    printed = does("train", "--run", run, "--patience", 1)
    assert "for 1 epoch; more patience resumes it" in printed


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_run_that_ended_early_is_not_resumed_except_with_more_patience(tmp_path: Path) -> None:
    run, notes = tmp_path / "run", Notes()
    train(run, {"patience": 1})
    assert saved(run)[-1] == 8
    (run / "result.json").unlink()  # as a kill leaves it
    assert train(run, {"patience": 1}, notes) == loop.Result(run, 8, 12, None, True)
    assert notes.lines[-1].endswith("for 1 epoch; more patience resumes it")
    assert json.loads((run / "result.json").read_text())["step"] == 8
    result = train(run, {"patience": 3})
    assert (result.step, result.early) == (12, False)
    train(tmp_path / "whole", {"patience": 3})
    assert metrics(run) == metrics(tmp_path / "whole")
    assert sha256(run, 12) == sha256(tmp_path / "whole", 12)


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_run_that_was_stopped_ends_early_at_the_same_step(tmp_path: Path) -> None:
    train(tmp_path / "whole", {"patience": 2})
    for steps in (1, 5, 9):
        run = tmp_path / f"{steps}"
        stopped_after(run, steps, {"patience": 2})
        result = train(run, {"patience": 2})
        assert (result.step, result.early) == (10, True)
        assert metrics(run) == metrics(tmp_path / "whole")
        assert sha256(run, 10) == sha256(tmp_path / "whole", 10)


def test_early_end_without_what_it_is_decided_by_is_an_error(fails) -> None:
    assert fails("train", *DIGITS, "--patience", 3) == (
        "--patience: 3; counts epochs by validation accuracy; give --validation, too"
    )
    without = ("--validation", 10, "--evaluators", "")
    assert "expected accuracy in --evaluators" in fails("train", *DIGITS, "--patience", 3, *without)
    plain = ("--validation", 10, "--head", "real_fake", "--objective.name", "tutorial")
    assert fails("train", *DIGITS, "--patience", 3, *plain).startswith("--patience: 3; head 'real_fake' has no acc")
    assert fails("train", *DIGITS, "--keep", -1) == "--keep: -1; must be at least 0"


# --- what decides ---


def test_test_labels_choose_nothing(tmp_path: Path) -> None:
    digits = load_embedded()
    other = replace(digits, test_labels=np.roll(digits.test_labels, 1))
    values = {"keep": 1, "patience": 2, "adam.learning_rate": 0.01}
    for name, dataset in (("run", digits), ("other", other)):
        loop.train(changed(TINY, values), Options(tmp_path / name), dataset)
    run, altered = (RunDir(tmp_path / name) for name in ("run", "other"))
    tests, validations = (
        [[line[figure] for line in one.metrics()] for one in (run, altered)]
        for figure in ("test_accuracy", "validation_accuracy")
    )
    assert tests[0] != tests[1] and validations[0] == validations[1]
    assert len(set(validations[0])) > 1
    assert saved(run.path) == saved(altered.path)
    assert load(run.path, "best").step == load(altered.path, "best").step
    assert sha256(run.path, saved(run.path)[-1]) == sha256(altered.path, saved(altered.path)[-1])


# --- the disk ---


@pytest.mark.slow
def test_the_disk_that_a_run_takes_is_stated_before_it_starts(tmp_path: Path) -> None:
    notes = Notes()
    train(tmp_path / "run", {"model.width": 16, "epochs": 2}, notes)
    line = next(line for line in notes.lines if line.startswith("checkpoints: "))
    number, of, size, unit = line.removeprefix("checkpoints: ").replace(",", "").split()[:4]
    assert (number, of) == ("2", "of")
    files = [file for file in (tmp_path / "run/checkpoints").rglob("*") if file.is_file()]
    taken = sum(file.stat().st_size for file in files) / 2
    assert float(size) * {"kB": 1e3, "MB": 1e6}[unit] == pytest.approx(taken, rel=0.2)


class Stated(Notes):
    """Ends a run when it has stated what disk its checkpoints take."""

    class Ended(Exception):
        pass

    def note(self, text: str) -> None:
        super().note(text)
        if text.startswith("checkpoints: "):
            raise self.Ended


def test_checkpoints_that_are_not_kept_take_no_disk(tmp_path: Path) -> None:
    stated = Stated()
    with pytest.raises(Stated.Ended):
        train(tmp_path / "few", {"keep": 2}, stated)
    assert stated.lines[-1].startswith("checkpoints: 3 of 6, of "), "two, and the best"


def test_a_disk_with_less_room_is_one_warning(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with caplog.at_level(logging.WARNING):
        train(tmp_path / "run", {"epochs": 1})
    (warning,) = [record.getMessage() for record in caplog.records if "disk" in record.getMessage()]
    assert warning.startswith(f"{tmp_path / 'run'}: 1.0 kB of disk are free; the checkpoints to come need ")
    assert warning.endswith(" kB; ‹keep› keeps fewer")


def test_a_run_without_validation_has_no_best_checkpoint_whatever_the_command(tmp_path: Path, fails) -> None:
    train(tmp_path / "run", {"epochs": 1, "data.validation": 0, "data.labels": 20})
    for command in (("eval",), ("sample",), ("export",), ("predict", "photo.png")):
        message = fails(*command, "--run", tmp_path / "run", "--ckpt", "best")
        assert "has no validation images to choose the best checkpoint by; train with --validation" in message
    with pytest.raises(UserError, match="has no validation images"):
        load(tmp_path / "run", "best")

"""Facts about sweeps: each trial once, whatever ends them; figures worked by hand; errors, and when they come."""

import json
import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tyro
from kills import KILLED
from outer import DIGITS, NOTICE, SMALL, call, command, environment, metrics, shared, succeed, write_images

from sgan_jax.cli.sweep import Sweep, shown
from sgan_jax.config import Config, ModelConfig, changed, to_json
from sgan_jax.data.load import Dataset, load_embedded
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.metrics.features import FIGURES, About, Basis
from sgan_jax.metrics.measure import PERCENT, Measure
from sgan_jax.models.pixels import scale
from sgan_jax.runs import checkpoint, predictions
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.record import Images
from sgan_jax.sweep import table, trial
from sgan_jax.sweep.directory import Key, Record, SweepDir, key
from sgan_jax.sweep.published import PUBLISHED
from sgan_jax.sweep.sweep import Options, Result, sweep
from sgan_jax.sweep.trial import Shared
from sgan_jax.training.events import Listener
from sgan_jax.training.signals import Stop, stop_on_signal

GRID = ("--preset", "supervised", "--labels", "10,20", "--draws", 2)
ARGUMENTS = (*DIGITS, *SMALL, *GRID, "--steps", 4, "--out", "out")
TRIALS = ["supervised-10-s0", "supervised-20-s0", "supervised-10-s1", "supervised-20-s1"]


@cache
def finished_sweep() -> tuple[Path, str]:
    """A folder in which a user has made the sweep of ARGUMENTS, and what that printed."""
    return shared("swept", lambda folder: succeed("sweep", *ARGUMENTS, cwd=folder))


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished sweep, as `out` in the test's own directory."""
    shutil.copytree(finished_sweep()[0] / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


class Calls:
    """A listener that remembers how it was called."""

    training = None

    def __init__(self) -> None:
        self.started_trials: list[str] = []
        self.finished_trials: list[str] = []
        self.notes: list[str] = []

    def started(self, trial: trial.Trial) -> None:
        self.started_trials.append(str(trial.key))

    def finished(self, trial: trial.Trial) -> None:
        self.finished_trials.append(str(trial.key))

    def note(self, text: str) -> None:
        self.notes.append(text)


def configs(**changes: object) -> list[Config]:
    """The configurations of the finished sweep with other settings."""
    settings = {"dataset": "mnist-5k", "width": 8, "batch_size": 2, "steps_per_epoch": 2, "steps": 4, "draws": 2}
    settings |= {"preset": "supervised", "labels": "10,20"} | changes
    arguments = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    return tyro.cli(Sweep, args=arguments).configs()


def again(out: Path = Path("out"), on_nan: str = "stop", listener: Calls | None = None, **changes: object) -> Result:
    """The call of the finished sweep with other settings, in this process."""
    return sweep(configs(**changes), Options(out, on_nan=on_nan, stopping=stop_on_signal), listener)


def trained_by(monkeypatch: pytest.MonkeyPatch, train: Callable[..., bool]) -> None:
    """Has trials trained by another function, which may call the real one."""
    monkeypatch.setattr(trial, "train", train)


def name_of(record: Record) -> str:
    return f"{record['preset']}-{record['labels']}-s{record['draw']}"


def lines(path: Path) -> list[Record]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def untimed(path: Path) -> list[Record]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in lines(path)]


def a_record(**changes: object) -> Record:
    """A record as results.jsonl has it."""
    config = Config()
    record = {"preset": "tutorial", "labels": 100, "draw": 0, "head": "stacked", "dataset": "mnist", "notice": ""}
    record |= {"digest": "0" * 64, "steps": config.total_steps, "seconds": 60.0, "config": to_json(config)}
    return record | {"test_accuracy": 0.9, "ema_test_accuracy": 0.95} | changes


def sweep_of(path: Path, *records: Record, tail: str = "") -> SweepDir:
    path.mkdir(exist_ok=True)
    (path / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return SweepDir(path)


# --- the grid


def test_every_trial_of_the_grid_is_trained_once_and_recorded_in_its_turn():
    folder, printed = finished_sweep()
    starts = [line for line in printed.splitlines() if line.startswith("trial ")]
    assert starts == [f"trial {number} of 4: {name}" for number, name in enumerate(TRIALS, 1)]
    assert list(map(name_of, lines(folder / "out/results.jsonl"))) == TRIALS
    assert sorted(path.name for path in (folder / "out/runs").iterdir()) == sorted(TRIALS)


def test_a_record_holds_the_results_of_its_run_and_what_decided_them():
    folder, _ = finished_sweep()
    for record, name in zip(lines(folder / "out/results.jsonl"), TRIALS, strict=True):
        run = folder / "out/runs" / name
        result, made = (json.loads((run / file).read_text()) for file in ("result.json", "config.json"))
        assert record["steps"] == result.pop("step") == 4
        assert {name: record[name] for name in result} == result
        assert record["notice"] == NOTICE
        assert record["config"] == made["config"]
        assert (record["versions"], record["digest"]) == (made["versions"], made["dataset"]["digest"])
        assert record["commit"] == made["commit"]
        accuracies = [line["test_accuracy"] for line in metrics(run)]
        assert len(accuracies) == 2
        assert record["fall"] == max(accuracies) - accuracies[-1] >= 0


def test_of_a_draw_the_few_labelled_images_are_among_the_many_and_another_draw_has_others():
    runs = finished_sweep()[0] / "out/runs"
    labelled = {name: json.loads((runs / name / "labels.json").read_text())["indices"] for name in TRIALS}
    for draw in "01":
        assert labelled[f"supervised-10-s{draw}"] == labelled[f"supervised-20-s{draw}"][:10]
    assert not set(labelled["supervised-20-s0"]) & set(labelled["supervised-20-s1"])


def test_draws_are_the_outermost_and_each_has_its_seeds_whatever_the_preset():
    asked = configs(labels="20,10,20", draws=2, preset="joint, fast")
    seeds = {(config.seed, config.data.label_seed) for config in asked}
    assert seeds == {(0, 0), (1, 1)}
    first = [Key("joint", 20, 0), Key("fast", 20, 0), Key("joint", 10, 0), Key("fast", 10, 0)]
    assert list(map(key, asked)) == [*first, *(one._replace(draw=1) for one in first)]


def test_runs_on_one_draw_have_the_same_labels_and_seeds_of_their_own():
    asked = configs(labels="10", draws=2, preset="fast", ensemble=2)
    assert [(config.seed, config.data.label_seed) for config in asked] == [(0, 0), (10_000, 0), (1, 1), (10_001, 1)]
    assert [str(key(config)) for config in asked] == ["fast-10-s0", "fast-10-s0-m1", "fast-10-s1", "fast-10-s1-m1"]


@pytest.mark.slow
def test_an_ensemble_adds_its_runs_to_a_sweep_and_averages_their_probabilities(out):
    # As a command: the steps have been compiled for the finished sweep.
    printed = succeed("sweep", *ARGUMENTS, "--labels", 10, "--draws", 1, "--ensemble", 2, cwd=out.parent)
    assert printed.startswith("out: 1 of 2 trials are there\ntrial 2 of 2: supervised-10-s0-m1\n")
    *_, second, averaged = lines(out / "results.jsonl")
    assert (second["draw"], second["member"]) == (0, 1)
    assert (averaged["together"], averaged["draw"], averaged["labels"]) == (2, 0, 10)
    runs = [RunDir(out / "runs" / name) for name in ("supervised-10-s0", "supervised-10-s0-m1")]
    assert len({run.labels_file.read_text() for run in runs}) == 1
    stored = [predictions.load(run.predictions_file(4)) for run in runs]
    assert averaged["test_accuracy"] == mean_is_correct([one.probabilities for one in stored], stored[0].labels)
    data, system = load_embedded(), build(runs[0].record().config, (28, 28, 1), 10)
    states = [checkpoint.restore(run.checkpoints / "step_4", system.abstract_state()) for run in runs]
    logits = [np.asarray(system.disc.apply(one.ema["d"], scale(data.test_images), None).class_logits) for one in states]
    softmax = [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in logits]
    assert averaged["ema_test_accuracy"] == mean_is_correct(softmax, data.test_labels)
    # The same call has nothing left to do, and the table has both, with one run a draw in the plain line.
    before = (out / "results.jsonl").read_bytes()
    assert again(labels="10", draws=1, ensemble=2).trained == []
    assert (out / "results.jsonl").read_bytes() == before
    text = (out / "table.md").read_text()
    assert "| supervised | 10 | 2 |" in text and "| supervised, 2 together | 10 | 1 |" in text


def mean_is_correct(probabilities: list[np.ndarray], labels: np.ndarray) -> float:
    """The accuracy of the mean of several classifiers' probabilities."""
    return pytest.approx((sum(probabilities).argmax(axis=1) == labels).mean(), abs=1e-9)


def test_flags_change_every_preset():
    for config in configs(labels="10", draws=1, preset="joint,fast", head="separate", width=8):
        assert (config.model.head, config.model.width) == ("separate", 8)


# --- resuming


def test_the_same_call_trains_nothing_twice(out):
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    results = (out / "results.jsonl").read_bytes()
    calls = Calls()
    result = again(listener=calls)
    assert (result.trained, result.failed, result.total, result.stopped_by) == ([], [], 4, None)
    assert (calls.notes, calls.started_trials) == (["out: 4 of 4 trials are there"], [])
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before
    assert (out / "results.jsonl").read_bytes() == results


@pytest.mark.slow
def test_killed_in_its_second_trial_a_sweep_ends_as_if_undisturbed(out):
    for name in TRIALS[1:]:
        shutil.rmtree(out / "runs" / name)
    (out / "results.jsonl").write_text((out / "results.jsonl").read_text().partition("\n")[0] + "\n")
    arguments = [*map(str, ARGUMENTS), "--draws", "1"]
    moment = ["os.rename", "supervised-20-s0/checkpoints/step_4', -1"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *moment, "sweep", *arguments],
        cwd=out.parent,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert len(lines(out / "results.jsonl")) == 1
    printed = succeed("sweep", *arguments, cwd=out.parent)
    assert printed.startswith("out: 1 of 2 trials are there\ntrial 2 of 2: supervised-20-s0\n")
    assert "out/runs/supervised-20-s0: from step 2, to step 4\n" in printed
    assert untimed(out / "results.jsonl") == untimed(finished_sweep()[0] / "out/results.jsonl")[:2]


@pytest.mark.parametrize("left", [1, 200, -1], ids=["its first byte", "its beginning", "all but its end of line"])
def test_a_line_that_a_kill_cut_off_is_written_again(left, out):
    whole = (out / "results.jsonl").read_text()
    first, last = whole.splitlines(keepends=True)[:3], whole.splitlines(keepends=True)[3]
    (out / "results.jsonl").write_text("".join(first) + last[:left])
    calls = Calls()
    result = again(listener=calls)
    assert list(map(str, result.trained)) == calls.started_trials == calls.finished_trials
    assert calls.started_trials == ([] if left == -1 else [TRIALS[3]])
    assert (out / "results.jsonl").read_text() == whole, "of the run that had ended, not of another"


def test_a_signal_in_the_last_moments_of_a_run_stops_the_sweep_after_it(tmp_path, monkeypatch):
    def train(config: Config, path: Path, shared: Shared, stop: Stop, listener: Listener | None = None) -> bool:
        shutil.copytree(finished_sweep()[0] / "out/runs" / path.name, path)
        signal.raise_signal(signal.SIGTERM)
        return True

    finished_sweep()
    monkeypatch.chdir(tmp_path)
    trained_by(monkeypatch, train)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    result = again()
    assert (result.stopped_by, result.report) == (signal.SIGTERM, None)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert list(map(str, result.trained)) == list(map(name_of, lines(tmp_path / "out/results.jsonl"))) == [TRIALS[0]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_run_stops_the_sweep_and_the_same_command_resumes_it(number, tmp_path):
    arguments = (*DIGITS, *SMALL[:4], "--steps-per-epoch", 400, "--steps", 400, "--labels", 10, "--draws", 2)
    stopped = subprocess.Popen(
        command("sweep", *arguments, "--out", "out"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    )
    with stopped:
        assert stopped.stdout is not None
        printed = ""
        for line in stopped.stdout:
            printed += line
            if line.startswith("epoch 1/1") and "out/runs/fast-10-s1: new run" in printed:
                stopped.send_signal(number)
    assert stopped.returncode == 128 + number
    assert printed.endswith(f"stopped by {number.name}; the same command resumes from there\n")
    assert len(lines(tmp_path / "out/results.jsonl")) == 1
    printed = succeed("sweep", *arguments, "--out", "out", cwd=tmp_path)
    assert "trial 2 of 2: fast-10-s1\n" in printed
    assert "out/runs/fast-10-s1: from step " in printed
    succeed("sweep", *arguments, "--out", "whole", cwd=tmp_path)
    assert untimed(tmp_path / "out/results.jsonl") == untimed(tmp_path / "whole/results.jsonl")


def test_a_second_sweep_in_the_directory_is_one_line(out):
    from sgan_jax.files import locked

    with (
        locked(out, "--out"),
        pytest.raises(UserError, match=r"^out: another process trains in it; .* another out$"),
    ):
        again()


def test_the_data_of_a_sweep_that_began_with_auto_is_what_auto_found_then(out, monkeypatch, tmp_path):
    from sgan_jax.data import cache

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    images, labels = np.zeros((20, 28, 28, 1), np.uint8), np.arange(20, dtype=np.int32) % 10
    cache.write(Dataset("mnist", images, labels, images, labels, tuple("0123456789")))  # what auto finds now
    calls = Calls()
    again(dataset="auto", listener=calls)
    assert calls.notes == ["out: 4 of 4 trials are there"]
    (out / "results.jsonl").unlink()  # a kill in the first trial leaves none either
    assert SweepDir(out).dataset() == "mnist-5k"
    assert SweepDir(tmp_path / "new").dataset() is None


def test_a_trial_that_cannot_be_trained_is_a_warning_and_the_others_are_trained(out, monkeypatch, caplog):
    (out / "results.jsonl").write_text("")
    real, asked = trial.train, []

    def train(config: Config, path: Path, shared: Shared, stop: Stop, listener: Listener | None = None) -> bool:
        asked.append((path.name, shared.on_nan))
        if path.name == "supervised-20-s0":
            raise UserError("out/runs/supervised-20-s0: step 3: d/real is nan; a smaller ‹adam.learning_rate› may help")
        return real(config, path, shared, stop)

    trained_by(monkeypatch, train)
    result = again(on_nan="rollback")
    assert list(map(str, result.failed)) == ["supervised-20-s0"]
    assert list(map(str, result.trained)) == [TRIALS[0], *TRIALS[2:]]
    assert asked == [(name, "rollback") for name in TRIALS]
    assert list(map(name_of, lines(out / "results.jsonl"))) == [TRIALS[0], *TRIALS[2:]]
    [warning] = [record for record in caplog.records if record.name.startswith("sgan_jax.sweep")]
    assert warning.levelno == logging.WARNING
    assert warning.getMessage() == (
        "supervised-20-s0: out/runs/supervised-20-s0: step 3: d/real is nan; a smaller ‹adam.learning_rate› may help"
    )
    assert result.report is not None
    assert "| supervised | 10 | 2 |" in result.report.text and "| supervised | 20 | 1 |" in result.report.text
    monkeypatch.setattr(trial, "train", real)
    assert list(map(str, again().trained)) == ["supervised-20-s0"]
    assert list(map(name_of, lines(out / "results.jsonl"))) == [TRIALS[0], *TRIALS[2:], TRIALS[1]]


@pytest.mark.parametrize(
    ("error", "warning"),
    [
        (MemoryError(), "out of memory; give a smaller ‹data.image_size› or ‹batch_size›"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB"), "out of memory; give a smaller ‹batch_size› or ‹model.width›"),
        (OSError(28, "No space left on device", "out/x"), "out/x: No space left on device"),
    ],
)
def test_a_trial_that_the_machine_has_no_room_for_does_not_keep_others_from_training(
    out, monkeypatch, caplog, error, warning
):
    (out / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines(out / "results.jsonl")[2:]))
    real = trial.train

    def train(config: Config, path: Path, shared: Shared, stop: Stop, listener: Listener | None = None) -> bool:
        if path.name == TRIALS[0]:
            raise error
        return real(config, path, shared, stop)

    trained_by(monkeypatch, train)
    assert list(map(str, again().failed)) == ["supervised-10-s0"]
    assert any(record.getMessage().startswith(f"supervised-10-s0: {warning}") for record in caplog.records)
    assert list(map(name_of, lines(out / "results.jsonl"))) == [*TRIALS[2:], TRIALS[1]]


@pytest.mark.parametrize("error", [TypeError("a fault"), OSError(28, "No space left on device")])
def test_a_fault_of_the_program_in_a_trial_is_not_taken_for_one_of_the_trial(out, monkeypatch, error):
    (out / "results.jsonl").write_text("")

    def train(*_: object) -> bool:
        raise error

    trained_by(monkeypatch, train)
    with pytest.raises(type(error)):
        again()


def test_an_average_of_weights_that_are_gone_is_an_error_before_the_others_are_trained(out):
    shutil.rmtree(out / "runs/supervised-10-s0/checkpoints")
    with pytest.raises(UserError, match=r"^out/runs/supervised-10-s0/checkpoints/step_4: not found; ensemble averages"):
        again(labels="10", draws=1, ensemble=2)
    assert not (out / "runs/supervised-10-s0-m1").exists()
    assert again().failed == [], "without the average they are not needed"


def test_the_record_of_a_run_that_was_resumed_with_other_sources_names_them_all(out):
    config = out / "runs/supervised-10-s1/config.json"
    made = json.loads(config.read_text())
    devices = [made["device"] | {"precision": precision} for precision in ("float32", "bfloat16", "bfloat16")]
    parts = [
        {"versions": made["versions"], "device": device, "commit": commit}
        for device, commit in zip(devices, "aba", strict=True)
    ]
    config.write_text(json.dumps(made | {"commit": "a", "resumed": parts}))
    (out / "results.jsonl").write_text((out / "results.jsonl").read_text().partition("\n")[0] + "\n")
    again(labels="10")
    record = lines(out / "results.jsonl")[-1]
    assert (name_of(record), record["commit"].split(", ")[:2]) == ("supervised-10-s1", ["a", "b"])
    assert record["device"]["precision"] == "float32, bfloat16" and record["device"]["platform"] == "cpu"
    assert record["versions"] == made["versions"]
    assert "supervised, 10 labels: not of one state: " in (out / "table.md").read_text()


# --- the command


def test_a_command_whose_trial_failed_prints_the_table_and_then_an_error(out, monkeypatch, capsys):
    (out / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines(out / "results.jsonl")[1:]))

    def train(*_: object) -> bool:
        raise UserError("step 3: d/real is nan")

    trained_by(monkeypatch, train)
    with pytest.raises(UserError) as caught:
        shown(again())
    assert str(caught.value) == (
        "out: 1 of 4 trials could not be trained (supervised-10-s0): the warnings have the reasons; "
        "the same command tries them again"
    )
    assert "| supervised | 10 | 1 |" in capsys.readouterr().out


def test_a_command_that_a_signal_stopped_says_so_and_has_its_status(capsys):
    assert shown(Result(Path("out"), [], [], 4, signal.SIGTERM, None)) == 128 + signal.SIGTERM
    assert capsys.readouterr().out == "stopped by SIGTERM; the same command resumes from there\n"


# --- other settings


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 0.01}, "adam.learning_rate was 0.001, now 0.01"),
        ({"head": "separate", "width": 16}, "model.head was stacked, now separate; model.width was 8, now 16"),
        ({"steps": 6}, "steps was 4, now 6"),
        ({"steps": None, "epochs": 1}, "steps was 4, now 2"),
        ({"labels": "30", "draws": 3, "batch_size": 6}, "batch_size was 2, now 6"),
    ],
)
def test_other_settings_in_the_same_directory_are_one_line_that_names_them(changes, difference, out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(UserError) as caught:
        again(**changes)
    message = f"out: its trial supervised-10-s0 has other settings ({difference}); use those, or another out"
    assert str(caught.value) == message
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_settings_other_than_those_of_an_interrupted_trial_are_one_line_that_names_them(out):
    (out / "results.jsonl").write_text("")
    with pytest.raises(UserError, match=r"^out: its trial supervised-10-s0 has other settings \(steps was 4, now 2\)"):
        again(steps=2)


def test_the_same_length_in_epochs_is_the_same_settings(out):
    assert again(steps=None, epochs=2).failed == []


def test_other_images_are_one_line_whatever_the_preset(out, tmp_path):
    images, labels = np.zeros((40, 28, 28), np.uint8), np.arange(40) % 10
    folder = write_images(tmp_path / "others", (images, labels), (images, labels))
    with pytest.raises(
        UserError, match=r"trial supervised-10-s0 .*\(dataset was mnist-5k \(\w{12}\.\.\.\), now others \(\w{12}"
    ):
        again(dataset="auto", data_dir=str(folder), preset="tutorial")


# --- errors before any training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "10,x"}, "labels: '10,x'; must be whole numbers separated by commas"),
        ({"labels": "10,,20"}, "labels: '10,,20'; must be whole numbers separated by commas"),
        ({"labels": "-10"}, "labels: '-10'; must be whole numbers separated by commas"),
        ({"labels": "10,0"}, "data.labels: 0; must be at least 1"),
        ({"labels": "10,4001"}, "data.labels 4001: class"),
        ({"draws": 0}, "draws: 0; must be between 1 and 10000"),
        ({"ensemble": 0}, "ensemble: 0; must be between 1 and 1000"),
        ({"on_nan": "ignore"}, "on_nan: ignore; choose one of stop, rollback"),
        ({"draws": 10**9}, "draws: 1000000000; must be between 1 and 10000"),
        ({"preset": "fast,tutrial"}, "unknown preset 'tutrial'; choose one of"),
        ({"head": "staked"}, "unknown head 'staked'; choose one of"),
        (
            {"preset": "joint", "head": "real_fake"},
            "model.head real_fake: has no classifier whose error a sweep could measure",
        ),
        ({"batch_size": 0}, "batch_size: 0; must be between 1 and 65536"),
        ({"dataset": "auto", "data_dir": "missing"}, "data.data_dir missing: does not exist"),
        ({"out": Path("file")}, "file: cannot be written (File exists); choose another out"),
        ({"out": Path("file/below")}, "file/below: cannot be written (Not a directory); choose another out"),
        ({"out": Path("full")}, "full: holds files but no results.jsonl; give an empty or new directory with out"),
    ],
)
def test_a_setting_that_no_sweep_can_have_is_one_line_before_any_training(changes, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(UserError) as caught:
        again(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "file",
        "full",
        "full/thesis.tex",
    ]


def test_results_that_cannot_be_written_are_an_error_before_any_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out/results.jsonl").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        again()
    assert not (tmp_path / "out/runs").exists()


def test_a_users_mistake_is_one_line_with_status_2(tmp_path):
    done = call("sweep", *DIGITS, "--labels", "10,x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sgan: error: --labels: '10,x'; must be whole numbers separated by commas\n"
    assert not list(tmp_path.iterdir())


# --- results.jsonl


def test_records_are_read_past_a_torn_line_and_begin_mends_the_file(tmp_path):
    folder = sweep_of(tmp_path / "out", a_record(), a_record(draw=1), tail='{"preset": "tut')
    assert [record["draw"] for record in folder.records()] == [0, 1]
    config = changed(Config(), {"data.labels": 100})
    assert folder.begin([config], Images("mnist", "0" * 64)) == {key(config)}
    assert folder.results_file.read_text().count("\n") == 2
    folder.append(a_record(draw=2))
    assert [record["draw"] for record in folder.records()] == [0, 1, 2]


def test_a_record_of_another_version_is_one_line(tmp_path):
    config = to_json(Config()) | {"colour": "red"}
    odd = [{"config": config}, {"test_accuracy": "high"}, {"device": 3}, {"fall": None}, {"versions": []}]
    odd += [{"seconds": float("inf")}, {"seconds": 10**400}, {"member": "x"}, {"units": []}, {"watched": "d/real"}]
    odd += [{"features": "runs/ref"}]
    for record in ({"preset": "fast"}, 3, *(a_record(**changes) for changes in odd)):
        folder = sweep_of(tmp_path / "out", a_record(), record)
        with pytest.raises(UserError, match=r"results\.jsonl: line 2 is damaged or of another version"):
            folder.records()


# --- table and plot


def test_the_table_is_as_worked_by_hand():
    # Errors 10, 8, 3: mean 7, deviations 3, 1, -4, squares 26, over n - 1 = 2: 13, root 3.61. Averaged: 5, 4, 3.
    three = [
        a_record(draw=draw, test_accuracy=accuracy, ema_test_accuracy=averaged, fall=drop, seconds=seconds)
        for draw, (accuracy, averaged, drop, seconds) in enumerate(
            [(0.90, 0.95, 0.0, 60.0), (0.92, 0.96, 0.015, 3725.0), (0.97, 0.97, 0.01, 90.0)]
        )
    ]
    one = a_record(labels=20, test_accuracy=0.8325, ema_test_accuracy=1.0, seconds=1.4)
    other = a_record(preset="fast", head="separate", labels=20, steps=2000)
    own = a_record(preset="k_plus_one", head="k_plus_one", labels=20, steps=2000)
    text = table.table(table.cells([*three, other, one, own]), "mnist")
    assert text.splitlines() == [
        "Error on the test images in %, mean and sample deviation over n draws of the labelled images (mnist)",
        "",
        "| preset | labels | n | test error % | deviation | averaged weights % | deviation | largest drop | "
        "steps | time a run (median) |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| tutorial | 20 | 1 | 16.75 | - | 0.00 | - | - | 12000 | 0:00:01 |",
        "| tutorial | 100 | 3 | 7.00 | 3.61 | 4.00 | 1.00 | 1.50 | 12000 | 0:01:30 |",
        "| fast, separate | 20 | 1 | 10.00 | - | 5.00 | - | - | 2000 | 0:01:00 |",
        "| k_plus_one | 20 | 1 | 10.00 | - | 5.00 | - | - | 2000 | 0:01:00 |",
    ]


def test_each_further_measure_of_all_trials_is_a_column_in_its_unit():
    def measured(distance: float, **changes: object) -> Record:
        units = {"test_accuracy": "%", "train_accuracy": "%", "validation_accuracy": "%", "code_length": "bits"}
        values = {"train_accuracy": 0.9, "validation_accuracy": 0.8, "code_length": distance, "of_one": distance}
        return a_record(units=units, **values | changes)

    # Lengths 3, 5: mean 4, deviation the root of 2. The average of both runs has no measures of its own.
    records = [measured(3.0), measured(5.0, draw=1), a_record(together=2)]
    records[0]["units"] = records[0]["units"] | {"of_one": ""}
    _, _, header, _, single, ensemble = table.table(table.cells(records), "mnist").splitlines()
    assert header.endswith("| time a run (median) | validation accuracy % | deviation | code length bits | deviation |")
    assert single.endswith("| 0:01:00 | 80.00 | 0.00 | 4 | 1.41 |")
    assert ensemble.endswith("| 0:01:00 | - | - | - | - |")
    header = table.table(table.cells([*records, a_record(labels=20)]), "mnist").splitlines()[2]
    assert header.endswith("| time a run (median) |"), "a trial without them"


def measured(distance: float, recall: float, images: int = 20, digest: str = "c4b7", **changes: object) -> Record:
    """A record with figures of the generator."""
    figures = dict(zip(FIGURES, (distance, recall, 0.5), strict=True))
    floor = {"frechet_distance": Measure(0.08), "generator_recall": Measure(0.944, PERCENT)}
    basis = Basis(About("/home/me/runs/ref", 600, digest * 16, 0.9936), images, floor)
    units = dict(zip(FIGURES, ("", "%", "%"), strict=True))
    return a_record(units=units, features=basis.to_json(), **figures | changes)


def test_figures_of_the_generator_are_columns_where_trials_have_them():
    records = [measured(3.0, 0.2), measured(5.0, 0.4, draw=1), a_record(labels=20), a_record(preset="fast", draw=1)]
    lines_of = table.table(table.cells(records), "mnist").splitlines()
    title = "frechet distance | deviation | generator recall % | deviation | generator coverage % | deviation |"
    assert lines_of[2].endswith(f"| time a run (median) | {title}")
    assert lines_of[4].endswith("| 0:01:00 | - | - | - | - | - | - |")
    assert lines_of[5].endswith("| 0:01:00 | 4 | 1.41 | 30.00 | 14.14 | 50.00 | 0.00 |")
    assert lines_of[-1] == (
        "generator: 20 images, features of ref at step 600, 99.36% of test images (SHA-256 c4b7c4b7c4b7); test images: "
        "frechet distance 0.08, generator recall 94 %"
    )


def test_figures_by_other_features_are_not_averaged():
    one, other = measured(3.0, 0.2), measured(5.0, 0.4, draw=1, digest="ffff")
    assert "frechet" not in table.table(table.cells([one, other]), "mnist").splitlines()[2]
    fast = measured(7.0, 0.1, draw=2, preset="fast", digest="ffff")
    header, _, first, second, *_ = table.table(table.cells([one, fast]), "mnist").splitlines()[2:]
    assert "| frechet distance (c4b7c4b7c4b7, 20) |" in header and "| frechet distance (ffffffffffff, 20) |" in header
    assert first.endswith("| 3 | - | 20.00 | - | 50.00 | - | - | - | - | - | - | - |")
    assert second.endswith("| - | - | - | - | - | - | 7 | - | 10.00 | - | 50.00 | - |")


def test_the_table_names_trials_that_are_not_of_one_state():
    trained = [("a" * 40, "bfloat16"), ("b" * 40 + "+", "float32"), ("a" * 40, "bfloat16")]
    records = [a_record(draw=n, commit=commit, device={"precision": kind}) for n, (commit, kind) in enumerate(trained)]
    *_, line, gap, note = table.table(table.cells([*records, a_record(labels=20)]), "mnist").splitlines()
    assert (line[:16], gap) == ("| tutorial | 100", "")
    assert note == "tutorial, 100 labels: not of one state: aaaaaaa, bfloat16; bbbbbbb+, float32"
    assert "one state" not in table.table(table.cells([records[0], records[2], a_record(labels=20)]), "mnist")
    for odd in ({"commit": f"{'a' * 40}, {'b' * 40}"}, {"device": {"precision": "float32, bfloat16"}}):
        assert "not of one state" in table.table(table.cells([a_record(**odd)]), "mnist")


def test_the_table_is_printed_and_written_with_the_notice_about_the_data():
    folder, printed = finished_sweep()
    text = (folder / "out/table.md").read_text()
    assert NOTICE in text.splitlines()[0]
    assert printed.endswith(f"\n{text}\ntable: out/table.md\nplot: out/error.png\n")
    assert [line.split(" | ")[:3] for line in text.splitlines()[4:]] == [
        ["| supervised", "10", "2"],
        ["| supervised", "20", "2"],
    ]


def test_a_report_is_made_again_without_jax(out):
    (text, table), plot = (out / "table.md", (out / "table.md").read_text()), out / "error.png"
    text.unlink()
    plot.unlink()
    code = "import sys\nfrom sgan_jax.cli import main\ntry: main.main()\nexcept SystemExit as end: print(end.code)\n"
    code += "print([name for name in ('jax', 'flax', 'orbax') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--sweep", "out"], capture_output=True, text=True, env=environment()
    )
    assert done.stderr == ""
    assert done.stdout.endswith("\n0\n[]\n")
    assert table in done.stdout
    assert text.read_text() == table
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_report_on_a_directory_without_trials_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "missing", sweep_of(tmp_path / "torn", tail="{").path):
        with pytest.raises(UserError, match=r"results\.jsonl: holds no trial; expected a directory made by `sweep`$"):
            table.report(path)


def test_sweeps_of_the_same_images_are_reported_together_in_the_first(tmp_path):
    one, other = sweep_of(tmp_path / "one", a_record()), sweep_of(tmp_path / "other", a_record(preset="fast"))
    assert table.report(one.path, other.path)[1:] == (one.table_file, one.plot_file)
    assert [line.split(" | ")[0] for line in one.table_file.read_text().splitlines()[4:]] == ["| tutorial", "| fast"]
    assert one.plot_file.exists() and not other.table_file.exists() and not other.plot_file.exists()


def test_one_preset_with_two_heads_is_two_lines_of_a_table(tmp_path):
    heads = [a_record(head=head, config=to_json(Config(model=ModelConfig(head)))) for head in ("stacked", "separate")]
    one, other = (sweep_of(tmp_path / record["head"], record) for record in heads)
    assert table.report(one.path, other.path)[1:] == (one.table_file, one.plot_file)
    presets = [line.split(" | ")[0] for line in one.table_file.read_text().splitlines()[4:]]
    assert presets == ["| tutorial", "| tutorial, separate"]


def test_sweeps_that_make_no_table_together_are_one_line(tmp_path):
    one, same = sweep_of(tmp_path / "one", a_record()), sweep_of(tmp_path / "same", a_record(), a_record(draw=1))
    images = sweep_of(tmp_path / "images", a_record(draw=2, digest="1" * 64, dataset="kmnist"))
    with pytest.raises(UserError, match=r"^sweep: trial tutorial-100-s0 is in two of the directories; "):
        table.report(one.path, same.path)
    wider = sweep_of(tmp_path / "wider", a_record(draw=2, config=to_json(Config(model=ModelConfig(width=8)))))
    with pytest.raises(UserError) as caught:
        table.report(one.path, wider.path)
    assert str(caught.value) == (
        "sweep: trials tutorial-100-s0 and tutorial-100-s2 have different settings (model.width was 128, now 8); "
        "no table is made of both"
    )
    with pytest.raises(UserError, match=r"images: is of other images \(kmnist\) than .*one$"):
        table.report(one.path, images.path)
    assert not one.table_file.exists()


def test_published_figures_are_drawn_beside_those_on_the_same_data_only():
    def published(record: Record) -> list[str]:
        curves = table._curves(table.cells([record]), record)
        assert (curves[0].name, curves[0].published) == ("tutorial", False)
        return [curve.name for curve in curves[1:] if curve.published]

    assert len(published(a_record())) == 12
    assert published(a_record(dataset="fashion_mnist")) == ["Poisson-MBO, transductive, arXiv 2006.11184"]
    assert len(published(a_record(dataset="cifar10"))) == 10
    assert published(a_record(dataset="mnist-5k", notice=NOTICE)) == published(a_record(dataset="mnist-local")) == []


def test_published_figures_name_their_source_and_are_errors_in_percent():
    for one in PUBLISHED:
        assert one.source or one.method == "the tutorial, one draw"
        assert all(labels >= 10 and 0.5 < mean < 80 for labels, (mean, _) in one.errors.items())


@pytest.mark.slow
def test_trials_that_end_early_are_done_and_their_classifiers_are_averaged(does, fails, tmp_path) -> None:
    patient = (*DIGITS, *SMALL, "--labels", 20, "--draws", 1, "--ensemble", 2, "--epochs", 6, "--out", "out")
    early = ("--validation", 10, "--patience", 1, "--keep", 1)
    does("sweep", *patient, *early)
    assert "3 trials" not in does("sweep", *patient, *early), "nothing is left to train"
    records = SweepDir(tmp_path / "out").records()
    assert [record.get("together", 1) for record in records] == [1, 1, 2]
    assert all(2 < record["steps"] < 12 for record in records)
    assert "patience was 1, now 2" in fails("sweep", *patient, *early[:2], "--patience", 2)

"""Facts about sweeps: every row once, whatever ends them; figures worked by hand; what is refused, and when."""

import json
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from outer import DIGITS, HOME, NOTICE, SMALL, call, command, environment, metrics, succeed, write_images
from test_resume_kill import KILLED

from sgan_jax.cli import main
from sgan_jax.config import Config, ModelConfig, from_json, to_json
from sgan_jax.data.load import Dataset, load_embedded
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.models.pixels import scale
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import Images
from sgan_jax.sweep import table
from sgan_jax.sweep.directory import Key, SweepDir, key
from sgan_jax.sweep.published import PUBLISHED

GRID = ("--preset", "joint", "--labels", "10,20", "--draws", 2)
ARGUMENTS = (*DIGITS, *SMALL, *GRID, "--steps", 4, "--out", "out")
ROWS = ["joint-10-s0", "joint-20-s0", "joint-10-s1", "joint-20-s1"]


@cache
def finished_sweep() -> tuple[Path, str]:
    """A folder in which a user has made the sweep of ARGUMENTS, and what that printed; tests take a copy."""
    folder = HOME / "swept"
    folder.mkdir(parents=True)
    return folder, succeed("sweep", *ARGUMENTS, cwd=folder)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished sweep, as `out` in the test's own directory."""
    shutil.copytree(finished_sweep()[0] / "out", tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out"


def again(**changes: object) -> int:
    """The command of the finished sweep with other settings, in this process."""
    settings = {"dataset": "mnist-5k", "width": 8, "batch_size": 4, "steps_per_epoch": 2, "steps": 4, "draws": 2}
    settings |= {"preset": "joint", "labels": "10,20", "out": Path("out")}
    return main.Sweep(**settings | changes)()  # type: ignore[arg-type]


def key_name(row: dict) -> str:
    return f"{row['preset']}-{row['labels']}-s{row['draw']}"


def lines(path: Path) -> list[dict]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def untimed(path: Path) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in lines(path)]


def a_row(**changes: object) -> dict:
    """A row as results.jsonl has it."""
    config = Config()
    row = {"preset": "tutorial", "labels": 100, "draw": 0, "head": "stacked", "dataset": "mnist", "notice": ""}
    row |= {"digest": "0" * 64, "steps": config.total_steps, "seconds": 60.0, "config": to_json(config)}
    return row | {"test_accuracy": 0.9, "ema_test_accuracy": 0.95} | changes


def sweep_of(path: Path, *rows: dict, tail: str = "") -> SweepDir:
    path.mkdir(exist_ok=True)
    (path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return SweepDir(path)


# --- the grid


def test_every_row_of_the_grid_is_trained_once_and_written_in_its_turn():
    folder, printed = finished_sweep()
    told = [line for line in printed.splitlines() if line.startswith("row ")]
    assert told == [f"row {number} of 4: {name}" for number, name in enumerate(ROWS, 1)]
    rows = lines(folder / "out/results.jsonl")
    assert list(map(key_name, rows)) == ROWS
    assert sorted(path.name for path in (folder / "out/runs").iterdir()) == sorted(ROWS)


def test_a_row_holds_the_results_of_its_run_and_what_decided_them():
    folder, _ = finished_sweep()
    for row, name in zip(lines(folder / "out/results.jsonl"), ROWS, strict=True):
        run = folder / "out/runs" / name
        result, record = (json.loads((run / file).read_text()) for file in ("result.json", "config.json"))
        assert row["steps"] == result.pop("step") == 4
        assert {name: row[name] for name in result} == result
        assert row["notice"] == NOTICE
        assert row["config"] == record["config"]
        assert (row["versions"], row["digest"]) == (record["versions"], record["dataset"]["digest"])
        assert row["commit"] == record["commit"]
        accuracies = [line["test_accuracy"] for line in metrics(run)]
        assert len(accuracies) == 2
        assert row["fall"] == max(accuracies) - accuracies[-1] >= 0


def test_of_a_draw_the_few_labelled_images_are_among_the_many_and_another_draw_has_others():
    runs = finished_sweep()[0] / "out/runs"
    labelled = {name: json.loads((runs / name / "labels.json").read_text())["indices"] for name in ROWS}
    for draw in "01":
        assert labelled[f"joint-10-s{draw}"] == labelled[f"joint-20-s{draw}"][:10]
    assert not set(labelled["joint-20-s0"]) & set(labelled["joint-20-s1"])


def test_draws_are_the_outermost_and_each_has_its_seeds_whatever_the_preset():
    configs = main.Sweep(labels="20,10,20", draws=2, preset="joint, fast").configs()
    seeds = {(config.seed, config.data.label_seed) for config in configs}
    assert seeds == {(0, 0), (1, 1)}
    keys = [key(config) for config in configs]
    first = [Key("joint", 20, 0), Key("fast", 20, 0), Key("joint", 10, 0), Key("fast", 10, 0)]
    assert keys == [*first, *(row._replace(draw=1) for row in first)]


def test_runs_on_one_draw_have_the_same_labels_and_seeds_of_their_own():
    configs = main.Sweep(labels="10", draws=2, preset="fast", ensemble=2).configs()
    assert [(config.seed, config.data.label_seed) for config in configs] == [(0, 0), (10_000, 0), (1, 1), (10_001, 1)]
    assert [str(key(config)) for config in configs] == ["fast-10-s0", "fast-10-s0-m1", "fast-10-s1", "fast-10-s1-m1"]


def test_an_ensemble_adds_its_runs_to_a_sweep_and_averages_their_probabilities(out, capsys):
    assert again(labels="10", draws=1, ensemble=3) == 0
    assert "1 of 3 rows are there" in capsys.readouterr().out
    *_, first, second, averaged = lines(out / "results.jsonl")
    assert [(row["draw"], row["member"]) for row in (first, second)] == [(0, 1), (0, 2)]
    assert (averaged["together"], averaged["draw"], averaged["labels"]) == (3, 0, 10)
    runs = [out / "runs" / name for name in ("joint-10-s0", "joint-10-s0-m1", "joint-10-s0-m2")]
    assert len({(run / "labels.json").read_text() for run in runs}) == 1
    # By hand, from the checkpoints.
    data = load_embedded()
    config = from_json(json.loads((runs[0] / "config.json").read_text())["config"])
    system = build(config, (28, 28, 1), 10)
    states = [checkpoint.restore(run / "checkpoints/step_4", system.abstract_state()) for run in runs]
    for name, players in (
        ("test_accuracy", [state.params.d for state in states]),
        ("ema_test_accuracy", [state.ema.d for state in states]),
    ):
        logits = [np.asarray(system.disc.apply(d, scale(data.test_images), None).class_logits) for d in players]
        shares = [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in logits]
        assert averaged[name] == pytest.approx((sum(shares).argmax(axis=1) == data.test_labels).mean(), abs=1e-9)
    # The same command has nothing left to do, and the table has both, with one run a draw in the plain row.
    before = (out / "results.jsonl").read_bytes()
    assert again(labels="10", draws=1, ensemble=3) == 0
    assert (out / "results.jsonl").read_bytes() == before
    table = (out / "table.md").read_text()
    assert "| joint | 10 | 2 |" in table and "| joint, 3 together | 10 | 1 |" in table


def test_flags_change_every_preset():
    for config in main.Sweep(labels="10", draws=1, preset="joint,fast", head="separate", width=8).configs():
        assert (config.model.head, config.model.width) == ("separate", 8)


# --- going on


def test_the_same_command_trains_nothing_twice(out, capsys):
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    results = (out / "results.jsonl").read_bytes()
    assert again() == 0
    printed = capsys.readouterr().out
    assert printed.startswith("out: 4 of 4 rows are there\n")
    assert "\nrow " not in printed
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before
    assert (out / "results.jsonl").read_bytes() == results


def test_killed_in_its_second_row_a_sweep_ends_as_if_undisturbed(tmp_path):
    arguments = [*map(str, ARGUMENTS), "--draws", "1"]
    moment = ["os.rename", "joint-20-s0/checkpoints/step_4', -1"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *moment, "sweep", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert len(lines(tmp_path / "out/results.jsonl")) == 1
    printed = succeed("sweep", *arguments, cwd=tmp_path)
    assert printed.startswith("out: 1 of 2 rows are there\nrow 2 of 2: joint-20-s0\n")
    assert "out/runs/joint-20-s0: from step 2, to step 4\n" in printed
    assert untimed(tmp_path / "out/results.jsonl") == untimed(finished_sweep()[0] / "out/results.jsonl")[:2]


@pytest.mark.parametrize("left", [1, 200, -1], ids=["its first byte", "its beginning", "all but its end of line"])
def test_a_line_that_a_kill_cut_off_is_written_again(left, out):
    whole = (out / "results.jsonl").read_text()
    first, last = whole.splitlines(keepends=True)[:3], whole.splitlines(keepends=True)[3]
    (out / "results.jsonl").write_text("".join(first) + last[:left])
    assert again() == 0
    assert (out / "results.jsonl").read_text() == whole, "of the run that had ended, not of another"


def test_a_signal_in_the_last_moments_of_a_run_stops_the_sweep_after_it(tmp_path, monkeypatch, capsys):
    from sgan_jax.training import loop
    from sgan_jax.training.signals import Stop

    def train(config: Config, path: Path, *, stop: Stop, dataset: Dataset, on_nan: str) -> int:
        shutil.copytree(finished_sweep()[0] / "out/runs" / path.name, path)
        signal.raise_signal(signal.SIGTERM)
        return 0

    finished_sweep()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "train", train)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert again() == 128 + signal.SIGTERM
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert capsys.readouterr().out.endswith("stopped by SIGTERM; the same command goes on from there\n")
    assert [row["labels"] for row in lines(tmp_path / "out/results.jsonl")] == [10]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_run_stops_the_sweep_which_goes_on_from_there(number, tmp_path):
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
    assert printed.endswith(f"stopped by {number.name}; the same command goes on from there\n")
    assert len(lines(tmp_path / "out/results.jsonl")) == 1
    printed = succeed("sweep", *arguments, "--out", "out", cwd=tmp_path)
    assert "row 2 of 2: fast-10-s1\n" in printed
    assert "out/runs/fast-10-s1: from step " in printed
    succeed("sweep", *arguments, "--out", "whole", cwd=tmp_path)
    assert untimed(tmp_path / "out/results.jsonl") == untimed(tmp_path / "whole/results.jsonl")


def test_a_second_sweep_in_the_directory_is_one_line(out):
    from sgan_jax.runs.directory import locked

    with (
        locked(out, "--out"),
        pytest.raises(UserError, match=r"^out: another process trains in it; .* another out$"),
    ):
        again()


def test_the_data_of_a_sweep_that_began_with_auto_is_what_auto_found_then(out, monkeypatch, tmp_path, capsys):
    from sgan_jax.data import cache

    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    images, labels = np.zeros((20, 28, 28, 1), np.uint8), np.arange(20, dtype=np.int32) % 10
    cache.write(Dataset("mnist", images, labels, images, labels, tuple("0123456789")))  # what auto finds now
    assert again(dataset="auto") == 0
    assert capsys.readouterr().out.startswith("out: 4 of 4 rows are there\n")
    (out / "results.jsonl").unlink()  # a kill in the first row leaves none either
    assert SweepDir(out).dataset() == "mnist-5k"
    assert SweepDir(tmp_path / "new").dataset() is None


def test_a_row_that_cannot_be_trained_is_told_of_and_keeps_no_other_from_its_turn(out, monkeypatch, capsys):
    from sgan_jax.training import loop

    (out / "results.jsonl").write_text("")
    real, asked = loop.train, []

    def train(config: Config, path: Path, *, on_nan: str, **given: object) -> int:
        asked.append((path.name, on_nan))
        if path.name == "joint-20-s0":
            raise UserError("out/runs/joint-20-s0: step 3: d/real is nan")
        return real(config, path, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train", train)
    with pytest.raises(UserError) as caught:
        again(on_nan="rollback")
    assert str(caught.value) == (
        "out: 1 of 4 rows could not be trained (joint-20-s0): the warnings say why; the same command tries them again"
    )
    assert asked == [(name, "rollback") for name in ROWS]
    assert [key_name(row) for row in lines(out / "results.jsonl")] == [ROWS[0], *ROWS[2:]]
    printed = capsys.readouterr()
    assert printed.err == "sgan: warning: joint-20-s0: out/runs/joint-20-s0: step 3: d/real is nan\n"
    assert "| joint | 10 | 2 |" in printed.out and "| joint | 20 | 1 |" in printed.out
    monkeypatch.undo()
    monkeypatch.chdir(out.parent)
    assert again() == 0
    assert [key_name(row) for row in lines(out / "results.jsonl")] == [ROWS[0], *ROWS[2:], ROWS[1]]


@pytest.mark.parametrize(
    ("error", "warning"),
    [
        (MemoryError(), "out of memory; give a smaller --image-size or --batch-size"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB"), "out of memory; give a smaller --batch-size or --width"),
        (OSError(28, "No space left on device", "out/x"), "out/x: No space left on device"),
    ],
)
def test_a_row_that_the_machine_has_no_room_for_keeps_no_other_from_its_turn(out, monkeypatch, capsys, error, warning):
    from sgan_jax.training import loop

    (out / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines(out / "results.jsonl")[2:]))
    real = loop.train

    def train(config: Config, path: Path, **given: object) -> int:
        if path.name == ROWS[0]:
            raise error
        return real(config, path, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train", train)
    with pytest.raises(UserError, match=r"^out: 1 of 4 rows could not be trained \(joint-10-s0\)"):
        again()
    assert capsys.readouterr().err.startswith(f"sgan: warning: joint-10-s0: {warning}")
    assert [key_name(row) for row in lines(out / "results.jsonl")] == [*ROWS[2:], ROWS[1]]


def test_a_fault_of_the_program_in_a_row_is_not_taken_for_one_of_the_row(out, monkeypatch):
    from sgan_jax.training import loop

    (out / "results.jsonl").write_text("")

    def train(*_: object, **__: object) -> int:
        raise TypeError("a fault")

    monkeypatch.setattr(loop, "train", train)
    with pytest.raises(TypeError, match="a fault"):
        again()


def test_an_average_of_weights_that_are_gone_is_refused_before_the_others_are_trained(out):
    shutil.rmtree(out / "runs/joint-10-s0/checkpoints")
    with pytest.raises(UserError, match=r"^out/runs/joint-10-s0/checkpoints/step_4: not found; ensemble averages"):
        again(labels="10", draws=1, ensemble=2)
    assert not (out / "runs/joint-10-s0-m1").exists()
    assert again() == 0, "without the average they are not needed"


def test_a_row_of_a_run_that_went_on_with_other_sources_names_them_all(out):
    config = out / "runs/joint-10-s1/config.json"
    record = json.loads(config.read_text())
    devices = [record["device"] | {"precision": precision} for precision in ("float32", "bfloat16", "bfloat16")]
    parts = [
        {"versions": record["versions"], "device": device, "commit": commit}
        for device, commit in zip(devices, "aba", strict=True)
    ]
    config.write_text(json.dumps(record | {"commit": "a", "resumed": parts}))
    (out / "results.jsonl").write_text((out / "results.jsonl").read_text().partition("\n")[0] + "\n")
    assert again(labels="10") == 0
    row = lines(out / "results.jsonl")[-1]
    assert (key_name(row), row["commit"].split(", ")[:2]) == ("joint-10-s1", ["a", "b"])
    assert row["device"]["precision"] == "float32, bfloat16" and row["device"]["platform"] == "cpu"
    assert row["versions"] == record["versions"]
    assert "joint, 10 labels: not of one state: " in (out / "table.md").read_text()


# --- other settings


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 0.01}, "adam.learning_rate was 0.0002, now 0.01"),
        ({"head": "separate", "width": 16}, "model.head was stacked, now separate; model.width was 8, now 16"),
        ({"steps": 6}, "steps was 4, now 6"),
        ({"steps": None, "epochs": 1}, "steps was 4, now 2"),
        ({"labels": "30", "draws": 3, "batch_size": 6}, "batch_size was 4, now 6"),
    ],
)
def test_other_settings_in_the_same_directory_are_one_line_that_names_them(changes, difference, out):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(UserError) as caught:
        again(**changes)
    message = f"out: its row joint-10-s0 is of other settings ({difference}); use those, or another --out"
    assert str(caught.value) == message
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_settings_other_than_those_of_an_interrupted_row_are_one_line_that_names_them(out):
    (out / "results.jsonl").write_text("")
    with pytest.raises(UserError, match=r"^out: its row joint-10-s0 is of other settings \(steps was 4, now 2\)"):
        again(steps=2)


def test_the_same_length_said_otherwise_is_the_same_settings(out):
    assert again(steps=None, epochs=2) == 0


def test_other_images_are_one_line_whatever_the_preset(out, tmp_path):
    images, labels = np.zeros((40, 28, 28), np.uint8), np.arange(40) % 10
    folder = write_images(tmp_path / "others", (images, labels), (images, labels))
    with pytest.raises(
        UserError, match=r"row joint-10-s0 .*\(dataset was mnist-5k \(\w{12}\.\.\.\), now others \(\w{12}"
    ):
        again(dataset="auto", data_dir=str(folder), preset="tutorial")


# --- what no sweep can be made of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "10,x"}, "--labels: '10,x'; must be whole numbers separated by commas"),
        ({"labels": "10,,20"}, "--labels: '10,,20'; must be whole numbers separated by commas"),
        ({"labels": "-10"}, "--labels: '-10'; must be whole numbers separated by commas"),
        ({"labels": "10,0"}, "--labels: 0; must be at least 1"),
        ({"labels": "10,4001"}, "--labels 4001: class"),
        ({"draws": 0}, "--draws: 0; must be between 1 and 10000"),
        ({"ensemble": 0}, "--ensemble: 0; must be between 1 and 1000"),
        ({"on_nan": "ignore"}, "--on-nan: ignore; choose one of stop, rollback"),
        ({"draws": 10**9}, "--draws: 1000000000; must be between 1 and 10000"),
        ({"preset": "fast,tutrial"}, "unknown preset 'tutrial'; choose one of"),
        ({"head": "staked"}, "unknown head 'staked'; choose one of"),
        ({"head": "real_fake"}, "--head real_fake: has no classifier whose error a sweep could measure"),
        ({"batch_size": 3}, "--batch-size: 3; must be an even number"),
        ({"dataset": "auto", "data_dir": "missing"}, "--data-dir missing: does not exist"),
        ({"out": Path("file")}, "file: cannot be written (File exists); choose another --out"),
        ({"out": Path("file/below")}, "file/below: cannot be written (Not a directory); choose another --out"),
        ({"out": Path("full")}, "full: holds files but no results.jsonl; give an empty or new directory with --out"),
    ],
)
def test_a_flag_that_no_sweep_can_be_made_of_is_one_line_before_any_training(changes, message, tmp_path, monkeypatch):
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


def test_results_that_cannot_be_written_are_told_before_any_training(tmp_path, monkeypatch):
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


def test_rows_are_read_past_a_torn_line_and_begin_mends_the_file(tmp_path):
    folder = sweep_of(tmp_path / "out", a_row(), a_row(draw=1), tail='{"preset": "tut')
    assert [row["draw"] for row in folder.rows()] == [0, 1]
    config = Config()
    assert folder.begin([config], Images("mnist", "0" * 64)) == {key(config)}
    assert folder.results_file.read_text().count("\n") == 2
    folder.append(a_row(draw=2))
    assert [row["draw"] for row in folder.rows()] == [0, 1, 2]


def test_a_row_of_another_version_is_one_line(tmp_path):
    config = to_json(Config()) | {"colour": "red"}
    odd = [{"config": config}, {"test_accuracy": "high"}, {"device": 3}, {"fall": None}, {"versions": []}]
    odd += [{"seconds": float("inf")}, {"seconds": 10**400}, {"member": "x"}]
    for row in ({"preset": "fast"}, 3, *(a_row(**changes) for changes in odd)):
        folder = sweep_of(tmp_path / "out", a_row(), row)
        with pytest.raises(UserError, match=r"results\.jsonl: line 2 is damaged or of another version"):
            folder.rows()


# --- table and plot


def test_the_table_is_as_worked_by_hand():
    # Errors 10, 8, 3: mean 7, deviations 3, 1, -4, squares 26, over n - 1 = 2: 13, root 3.61. Averaged: 5, 4, 3.
    three = [
        a_row(draw=draw, test_accuracy=accuracy, ema_test_accuracy=averaged, fall=fall, seconds=seconds)
        for draw, (accuracy, averaged, fall, seconds) in enumerate(
            [(0.90, 0.95, 0.0, 60.0), (0.92, 0.96, 0.015, 3725.0), (0.97, 0.97, 0.01, 90.0)]
        )
    ]
    one = a_row(labels=20, test_accuracy=0.8325, ema_test_accuracy=1.0, seconds=1.4)
    other = a_row(preset="fast", head="separate", labels=20, steps=2000)
    own = a_row(preset="k_plus_one", head="k_plus_one", labels=20, steps=2000)
    text = table.table(table.cells([*three, other, one, own]), "mnist")
    assert text.splitlines() == [
        "Error on the test images in %, mean and sample deviation over n draws of the labelled images (mnist)",
        "",
        "| preset | labels | n | test error % | deviation | averaged weights % | deviation | largest fall | "
        "steps | time a run (median) |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| tutorial | 20 | 1 | 16.75 | - | 0.00 | - | - | 12000 | 0:00:01 |",
        "| tutorial | 100 | 3 | 7.00 | 3.61 | 4.00 | 1.00 | 1.50 | 12000 | 0:01:30 |",
        "| fast, separate | 20 | 1 | 10.00 | - | 5.00 | - | - | 2000 | 0:01:00 |",
        "| k_plus_one | 20 | 1 | 10.00 | - | 5.00 | - | - | 2000 | 0:01:00 |",
    ]


def test_the_table_tells_of_rows_that_are_not_of_one_state():
    trained = [("a" * 40, "bfloat16"), ("b" * 40 + "+", "float32"), ("a" * 40, "bfloat16")]
    rows = [a_row(draw=n, commit=commit, device={"precision": kind}) for n, (commit, kind) in enumerate(trained)]
    *_, line, gap, note = table.table(table.cells([*rows, a_row(labels=20)]), "mnist").splitlines()
    assert (line[:16], gap) == ("| tutorial | 100", "")
    assert note == "tutorial, 100 labels: not of one state: aaaaaaa, bfloat16; bbbbbbb+, float32"
    assert "one state" not in table.table(table.cells([rows[0], rows[2], a_row(labels=20)]), "mnist")
    for odd in ({"commit": f"{'a' * 40}, {'b' * 40}"}, {"device": {"precision": "float32, bfloat16"}}):
        assert "not of one state" in table.table(table.cells([a_row(**odd)]), "mnist")


def test_the_table_is_printed_and_kept_with_the_notice_of_the_data():
    folder, printed = finished_sweep()
    text = (folder / "out/table.md").read_text()
    assert NOTICE in text.splitlines()[0]
    assert printed.endswith(f"\n{text}\ntable: out/table.md\nplot: out/error.png\n")
    assert [line.split(" | ")[:3] for line in text.splitlines()[4:]] == [
        ["| joint", "10", "2"],
        ["| joint", "20", "2"],
    ]


def test_a_report_is_made_again_without_jax(out):
    (text, table), plot = (out / "table.md", (out / "table.md").read_text()), out / "error.png"
    text.unlink()
    plot.unlink()
    code = "import sys\nfrom sgan_jax import cli\ntry: main.main()\nexcept SystemExit as end: print(end.code)\n"
    code += "print([name for name in ('jax', 'flax', 'orbax') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--sweep", "out"], capture_output=True, text=True, env=environment()
    )
    assert done.stderr == ""
    assert done.stdout.endswith("\n0\n[]\n")
    assert table in done.stdout
    assert text.read_text() == table
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_report_on_a_directory_without_rows_is_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "missing", sweep_of(tmp_path / "torn", tail="{").path):
        with pytest.raises(UserError, match=r"results\.jsonl: holds no row; expected a directory made by `sweep`$"):
            table.report(path)


def test_sweeps_of_the_same_images_are_reported_together_in_the_first(tmp_path):
    one, other = sweep_of(tmp_path / "one", a_row()), sweep_of(tmp_path / "other", a_row(preset="fast"))
    assert table.report(one.path, other.path) == 0
    assert [line.split(" | ")[0] for line in one.table_file.read_text().splitlines()[4:]] == ["| tutorial", "| fast"]
    assert one.plot_file.exists() and not other.table_file.exists() and not other.plot_file.exists()


def test_one_preset_with_two_heads_is_two_lines_of_a_table(tmp_path):
    heads = [a_row(head=head, config=to_json(Config(model=ModelConfig(head)))) for head in ("stacked", "separate")]
    one, other = (sweep_of(tmp_path / row["head"], row) for row in heads)
    assert table.report(one.path, other.path) == 0
    rows = one.table_file.read_text().splitlines()[4:]
    assert [line.split(" | ")[0] for line in rows] == ["| tutorial", "| tutorial, separate"]


def test_sweeps_that_make_no_table_together_are_one_line(tmp_path):
    one, same = sweep_of(tmp_path / "one", a_row()), sweep_of(tmp_path / "same", a_row(), a_row(draw=1))
    images = sweep_of(tmp_path / "images", a_row(draw=2, digest="1" * 64, dataset="kmnist"))
    with pytest.raises(UserError, match=r"^sweep: row tutorial-100-s0 is in two of the directories; "):
        table.report(one.path, same.path)
    wider = sweep_of(tmp_path / "wider", a_row(draw=2, config=to_json(Config(batch_size=8))))
    with pytest.raises(UserError) as caught:
        table.report(one.path, wider.path)
    assert str(caught.value) == (
        "--sweep: rows tutorial-100-s0 and tutorial-100-s2 are of different settings (batch_size was 100, now 8); "
        "no table is made of both"
    )
    with pytest.raises(UserError, match=r"images: is of other images \(kmnist\) than .*one$"):
        table.report(one.path, images.path)
    assert not one.table_file.exists()


def test_published_figures_are_drawn_beside_those_on_the_same_data_only():
    def published(row: dict) -> list[str]:
        curves = table._curves(table.cells([row]), row)
        assert (curves[0].name, curves[0].published) == ("tutorial", False)
        return [curve.name for curve in curves[1:] if curve.published]

    assert len(published(a_row())) == 12
    assert published(a_row(dataset="fashion_mnist")) == ["Poisson-MBO, transductive, arXiv 2006.11184"]
    assert published(a_row(dataset="mnist-5k", notice=NOTICE)) == published(a_row(dataset="mnist-local")) == []


def test_published_figures_name_their_source_and_are_errors_in_percent():
    for one in PUBLISHED:
        assert one.source or one.method == "the tutorial, one draw"
        assert all(labels >= 10 and 0.5 < mean < 40 for labels, (mean, _) in one.errors.items())

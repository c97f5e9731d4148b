"""What a run ends with, and what it depends on: small networks on the digits inside the package."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outer import (
    DIGITS,
    EPOCHS,
    NOTICE,
    RUN,
    SMALL,
    STEPS,
    command,
    environment,
    finished_run,
    metrics,
    sha256,
    succeed,
    write_images,
)

from sgan_jax.cli.terminal import Terminal
from sgan_jax.config import Config, DataConfig, ModelConfig, ObjectiveConfig, changed
from sgan_jax.data.load import choose_labelled, load_embedded
from sgan_jax.metrics import subsets
from sgan_jax.presets import PRESETS
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import dispatch, loop, recorder
from sgan_jax.training.events import Epoch, Listener, Span, Steps
from sgan_jax.training.signals import Stop
from sgan_jax.training.start import Options

ALONE = ("--objective.name", "supervised")  # the labels alone: compiled in a fifth of the time
ACCURACIES = ("train_accuracy", "test_accuracy", "ema_test_accuracy")
ABOUT = ("units", "images", "watched")  # of a line: what its figures are
Train = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the reference as `run` in the test's directory."""
    return Path(shutil.copytree(reference(), tmp_path / "run"))


@pytest.fixture
def train(does: Callable[..., str]) -> Train:
    """Trains in `run` of the test's directory, for four epochs unless the arguments say otherwise."""

    def with_defaults(*arguments: object, source: tuple[object, ...] = DIGITS) -> str:
        return does("train", *source, *SMALL, *(arguments or EPOCHS), "--run", "run")

    return with_defaults


def reference() -> Path:
    """The run of four epochs that the others are compared with; a process of its own has trained it."""
    return finished_run()[0] / RUN


def without_seconds(file: Path) -> dict[str, object]:
    return {name: value for name, value in json.loads(file.read_text()).items() if name != "seconds"}


def same_run(one: Path, other: Path) -> None:
    """Both runs have the same checkpoints to the last bit, the same metrics, samples and result."""
    for step in STEPS:
        assert sha256(one, step) == sha256(other, step)
        sample = f"samples/step_{step}.png"
        assert (one / sample).read_bytes() == (other / sample).read_bytes()
    assert metrics(one) == metrics(other)
    assert without_seconds(one / "result.json") == without_seconds(other / "result.json")


def spoil(run: Path, step: int, change: Callable[[bytes], bytes]) -> None:
    """Changes the largest file of a checkpoint, in which the arrays are."""
    files = (run / f"checkpoints/step_{step}").rglob("*")
    largest = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_size)
    largest.write_bytes(change(largest.read_bytes()))


def invert_the_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 64]) + data[middle + 64 :]


# --- resuming ---


def test_two_epochs_and_two_more_are_four_bit_for_bit(train, does, tmp_path):
    assert "finished: run" in train("--epochs", 2)
    assert "run: finished at step 4;" in does("train", "--run", "run"), "with its own settings"
    assert "run: from step 4, to step 8\n" in does("train", "--run", "run", "--epochs", 4)
    same_run(tmp_path / "run", reference())


def test_a_run_may_end_within_an_epoch_and_be_made_longer(train, does, tmp_path):
    train("--steps", 3)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text())["step"] == 3
    does("train", "--run", "run", "--epochs", 2)
    assert sha256(run, 4) == sha256(reference(), 4)
    assert [line["step"] for line in metrics(run)] == [2, 3, 4]


class Latest(Listener, Steps):
    """The name of the run that runs/latest points at, after each step and each epoch."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def steps(self, span: Span) -> AbstractContextManager[Steps]:
        return nullcontext(self)

    def step(self, step: int, metrics: object) -> None:
        self.names.append(Path("runs/latest").resolve().name)

    def epoch(self, epoch: Epoch) -> None:
        self.names.append(Path("runs/latest").resolve().name)


def test_latest_is_the_newest_run_that_has_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny = {"data.dataset": "mnist-5k", "data.labels": 10, "model.width": 2, "epochs": 2, "steps_per_epoch": 1}
    config = changed(PRESETS["supervised"], tiny)
    latest = Latest()

    def train(name: str, **options: Any) -> loop.Result:
        latest.names.clear()
        return loop.train(config, Options(Path("runs", name), newest=True, **options), listener=latest)

    train("a")
    assert latest.names == ["a"] * 4, "there is no other"
    asked = Stop()
    asked.by = signal.SIGTERM
    assert train("b", stopping=lambda: nullcontext(asked)).stopped and RunDir(Path("runs/b")).record()
    assert latest.names == [] and Path("runs/latest").resolve().name == "a"
    train("b")
    assert latest.names == ["a", "b", "b", "b"], "from the first checkpoint on, after the first step"


def test_labels_for_validation_are_of_the_budget_and_kept_from_training(train, fails, tmp_path):
    # The first ten of twenty labels are those of a run of ten: the same bits, whatever the other ten are used for.
    train("--labels", 10, "--steps", 2, *ALONE)
    sha = sha256(tmp_path / "run", 2)
    shutil.rmtree(tmp_path / "run")
    printed = train("--labels", 20, "--validation", 10, "--steps", 2, *ALONE)
    assert sha256(tmp_path / "run", 2) == sha
    assert len(json.loads((tmp_path / "run" / "labels.json").read_text())["indices"]) == 20
    (line,) = metrics(tmp_path / "run")
    assert 10 * line["validation_accuracy"] == pytest.approx(round(10 * line["validation_accuracy"]))
    assert "validation accuracy" in printed
    assert fails("train", *DIGITS, "--labels", 10, "--validation", 10) == "--validation: 10; must be between 0 and 9"


def test_labels_to_train_on_alone_are_propagated(tmp_path, monkeypatch):
    class Asked(Exception):
        pass

    def propagate(neighbours, labelled, *_):
        raise Asked(neighbours, labelled.indices, labelled.labels)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop.cache, "load_by_deformation", lambda *_: "the graph")
    monkeypatch.setattr(loop, "propagate_tested", propagate)
    values = {"model.width": 8, "data.dataset": "mnist-5k", "data.labels": 30, "data.validation": 10}
    with pytest.raises(Asked) as asked:
        loop.train(changed(PRESETS["best"], values), Options(tmp_path / "run"))
    neighbours, labelled, labels = asked.value.args
    drawn = json.loads((tmp_path / "run/labels.json").read_text())["indices"]
    assert (neighbours, len(drawn), labelled.tolist()) == ("the graph", 30, drawn[:20])
    assert labels.tolist() == load_embedded().train_labels[drawn[:20]].tolist()


def test_damaged_checkpoints_are_set_aside_and_made_again_from_the_last_whole_one(run, sgan):
    spoil(run, 8, lambda data: data[: len(data) // 2])
    spoil(run, 6, invert_the_middle)
    status, printed, error = sgan("train", *DIGITS, *SMALL, *EPOCHS, "--run", "run")
    assert status == 0
    assert "run: from step 4, to step 8\n" in printed
    warnings = error.splitlines()
    assert len(warnings) == 2, error
    for step, line in zip((8, 6), warnings, strict=True):
        assert line.startswith(f"sgan: warning: run/checkpoints/step_{step}: the checkpoint is damaged (")
        assert line.endswith("; trying the one before")
    aside = sorted(path.name.rsplit("_", 1)[0] for path in run.glob("checkpoints/damaged_*"))
    assert aside == ["damaged_step_6", "damaged_step_8"]
    same_run(run, reference())


def test_a_run_without_any_whole_checkpoint_is_an_error_and_left_as_it_is(run, sgan):
    for step in STEPS:
        (run / f"checkpoints/step_{step}/meta/metadata").unlink()
    metrics = (run / "metrics.jsonl").read_text()
    status, _, error = sgan("train", *DIGITS, *SMALL, *EPOCHS, "--run", "run")
    assert status == 2
    assert error.count("the checkpoint is damaged") == 4
    assert "no checkpoint can be restored; remove it to start anew, or another --run" in error
    assert sorted(entry.name for entry in (run / "checkpoints").iterdir()) == [f"step_{step}" for step in STEPS]
    assert (run / "metrics.jsonl").read_text() == metrics


def test_what_a_kill_after_the_last_checkpoint_left_undone_is_done_by_the_same_command(run, train):
    (run / "result.json").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "seco')
    assert "run: finished at step 8;" in train()
    same_run(run, reference())


def test_a_run_that_is_asked_to_end_where_it_was_stopped_is_evaluated_there(run, train):
    # A stop saves a checkpoint and nothing else.
    (run / "result.json").unlink()
    (run / "samples/step_8.png").unlink()
    texts = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(texts[:-1]))
    train()
    expected, lines = metrics(reference()), metrics(run)
    assert lines[:-1] == expected[:-1]
    figures = {name: expected[-1][name] for name in ("step", *ACCURACIES, "units", "images")}
    assert lines[-1] == figures | {"watched": []}
    assert json.loads((run / "result.json").read_text())["test_accuracy"] == expected[-1]["test_accuracy"]
    assert (run / "samples/step_8.png").read_bytes() == (reference() / "samples/step_8.png").read_bytes()


# --- what training may and may not see ---


def test_the_weights_depend_on_which_images_are_labelled(train, tmp_path):
    train("--epochs", 1, "--label-seed", 1)
    assert sha256(tmp_path / "run", 2) != sha256(reference(), 2)


def shuffled(labels: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Other labels for the images that are not drawn; the draw itself, which is balanced by labels, stays the same.

    An image that comes before the last of those drawn for its new class would be drawn in its stead: its label stays.
    """
    random = np.random.default_rng(5)
    others = np.setdiff1d(np.arange(len(labels)), drawn)
    other = labels.copy()
    for part in np.array_split(random.permutation(others), 200):
        before = other[part]
        other[part] = (before + random.integers(1, 10, len(part))) % 10
        if not np.array_equal(choose_labelled(other, len(drawn), 10, 0), drawn):
            other[part] = before
    return other


def test_labels_of_unlabelled_images_and_the_test_set_have_no_part_in_the_weights(train, tmp_path):
    digits = load_embedded()
    drawn = np.array(json.loads((reference() / "labels.json").read_text())["indices"])
    labels = shuffled(digits.train_labels, drawn)
    assert np.mean(labels != digits.train_labels) > 0.5
    test = 255 - digits.test_images[:500, ..., 0], digits.test_labels[500:]
    folder = write_images(tmp_path / "other", (digits.train_images[..., 0], labels), test)

    train(*EPOCHS, "--labels", 100, source=("--data-dir", folder))
    run = tmp_path / "run"
    assert (run / "labels.json").read_text() == (reference() / "labels.json").read_text()
    for step in STEPS:
        assert sha256(run, step) == sha256(reference(), step)
    for name in ACCURACIES:
        measured = [[line[name] for line in metrics(one)] for one in (run, reference())]
        assert measured[0] != measured[1], "the accuracies do see them"


# --- how many steps a dispatch ---


SMALLEST = Config(
    batch_size=2,
    steps_per_epoch=4,
    data=DataConfig("mnist-5k", labels=10),
    model=ModelConfig(width=2),
    objective=ObjectiveConfig("supervised"),  # compiled in a fifth of the time
)


def test_epochs_of_one_dispatch_leave_what_single_steps_leave(tmp_path, monkeypatch, capsys):
    config = changed(SMALLEST, {"steps": 8})  # of a generator as well: in tests/engine/test_step.py
    monkeypatch.setattr(recorder, "METRICS_EVERY", 2)
    loop.train(config, Options(tmp_path / "single"), listener=Terminal(log_every=3))
    on_cpu = dispatch.steps_at_once
    monkeypatch.setattr(dispatch, "steps_at_once", lambda platform, *others: on_cpu("gpu", *others))
    loop.train(config, Options(tmp_path / "scanned"), listener=Terminal(log_every=3))
    logged = [line.split(",")[0] for line in capsys.readouterr().out.splitlines() if line.startswith(">")]
    assert logged == [">3", ">6", ">3", ">6"]
    single, scanned = (metrics(tmp_path / name) for name in ("single", "scanned"))
    assert [line["step"] for line in scanned] == [2, 4, 6, 8]
    for one, other in zip(single, scanned, strict=True):
        assert {name: one.pop(name, None) for name in ABOUT} == {name: other.pop(name, None) for name in ABOUT}
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "scanned/checkpoints").iterdir()) == ["step_4", "step_8"]


def test_all_training_images_are_evaluated_after_the_last_step_and_a_subset_before(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subsets, "EVALUATION_SIZE", 1000)
    config = changed(SMALLEST, {"steps": 4, "steps_per_epoch": 2})
    loop.train(config, Options(tmp_path / "run"), listener=Terminal())
    printed = capsys.readouterr().out
    before, last = (re.search(rf"step_{step}: train accuracy ([\d.]+)%(.*?), test", printed) for step in (2, 4))
    assert (before[2], last[2]) == (" of 1,000", "")
    assert re.fullmatch(r"\d+\.\d", before[1]), "of 1,000 images: tenths of a per cent"
    assert float(last[1]) == pytest.approx(100 * metrics(tmp_path / "run")[-1]["train_accuracy"], abs=5e-3)


# --- what stands in the way ---


def test_two_trainings_in_one_directory_are_one_too_many(run, sgan):
    with RunDir(run).locked():
        status, printed, error = sgan("train", *DIGITS, *SMALL, "--epochs", 5, "--run", "run")
    assert (status, printed) == (2, f"*** {NOTICE} ***\n")
    assert error == "sgan: error: run: another process trains in it; stop that one, or another --run\n"
    same_run(run, reference())


def test_data_that_moved_is_found_where_the_command_says(run, train, does, fails, tmp_path):
    digits = load_embedded()
    sets = (digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)
    folder = write_images(tmp_path / "here", *((images[..., 0], labels) for images, labels in sets))
    assert "finished at step 8" in train(source=("--data-dir", folder)), "the same images from elsewhere"
    moved = folder.rename(tmp_path / "there")
    assert fails("eval", "--run", "run").startswith(
        f"--data-dir {folder}: does not exist; expected a folder of images with a folder for each class, an .npz file, "
        "or the files of a published set: IDX files, "
    )
    assert "Test Accuracy: " in does("eval", "--run", "run", "--data-dir", moved)


# Blocks of 512 bytes or 1 KiB, as the shell has it: indices are smaller, and then a picture, or an array, is larger.
@pytest.mark.slow
@pytest.mark.parametrize("blocks", [4, 40])
def test_a_full_disk_is_one_line_and_leaves_a_run_that_can_be_resumed(blocks, train, tmp_path):
    reference()  # compiles what a run needs: JAX warns of each compiled step that it has no room to keep
    train_command = command("train", *DIGITS, *SMALL, *EPOCHS, "--run", "run")
    limited = subprocess.run(
        ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *train_command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert limited.returncode == 2
    errors = limited.stderr.splitlines()
    assert len(errors) == 1, limited.stderr
    assert errors[0].startswith("sgan: error: ")
    assert "File too large" in errors[0]
    train()
    same_run(tmp_path / "run", reference())


@pytest.mark.slow
def test_the_full_networks_train_and_are_evaluated(tmp_path):
    train_full = ("--batch-size", 5, "--steps-per-epoch", 2, "--epochs", 1)
    succeed("train", *DIGITS, *train_full, cwd=tmp_path, XLA_FLAGS="")
    figures = json.loads(succeed("eval", "--json", cwd=tmp_path, XLA_FLAGS=""))
    run = tmp_path / RUN
    assert figures["test_accuracy"] == metrics(run)[-1]["test_accuracy"]
    assert json.loads((run / "config.json").read_text())["config"]["model"]["width"] == 128


def test_the_comparison_of_images_is_reported_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))

    class Seen(Exception):
        pass

    class Stages(Latest):
        def comparing(self, stage: str, done: int, total: int) -> None:
            self.names.append(stage)
            if stage == "comparing images" and done == total:
                raise Seen  # no step need be compiled

    digits, stages = load_embedded(), Stages()
    few = replace(digits, train_images=digits.train_images[:60], train_labels=digits.train_labels[:60], custom=True)
    small = {"steps": 1, "consistency.weight": 1.0, "propagation.neighbours": 3, "data.labels": 20}
    with pytest.raises(Seen):
        loop.train(changed(SMALLEST, small), Options(tmp_path / "run"), few, stages)
    assert list(dict.fromkeys(stages.names)) == ["finding candidates", "comparing images"]

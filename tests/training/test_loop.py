"""What a run ends with, and what it depends on: small networks on the digits inside the package."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outer import (
    DIGITS,
    EPOCHS,
    NOTICE,
    RUN,
    SMALL,
    STEPS,
    call,
    command,
    environment,
    finished_run,
    metrics,
    sha256,
    succeed,
    write_images,
)

from sgan_jax.config import PRESETS, DataConfig, ModelConfig
from sgan_jax.data.load import choose_labelled, load_embedded
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import loop

ACCURACIES = ("train_accuracy", "test_accuracy", "ema_test_accuracy")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the reference as `run` in the test's directory."""
    return Path(shutil.copytree(reference(), tmp_path / "run"))


def reference() -> Path:
    """The run of four epochs that the others are compared with."""
    return finished_run()[0] / RUN


def train(folder: Path, *arguments: object, source: tuple[object, ...] = DIGITS) -> str:
    """Trains in FOLDER/run, for four epochs unless they say otherwise."""
    return succeed("train", *source, *SMALL, *(arguments or EPOCHS), "--run", "run", cwd=folder)


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


def test_two_epochs_and_two_more_are_four_bit_for_bit(tmp_path):
    assert "finished: run" in train(tmp_path, "--epochs", 2)
    assert "run: from step 4, to step 8\n" in train(tmp_path, "--epochs", 4)
    same_run(tmp_path / "run", reference())


def test_a_run_may_end_within_an_epoch_and_be_made_longer(tmp_path):
    train(tmp_path, "--steps", 3)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text())["step"] == 3
    train(tmp_path, "--steps", 4)
    assert sha256(run, 4) == sha256(reference(), 4)
    assert [line["step"] for line in metrics(run)] == [2, 3, 4]


def test_labels_for_validation_are_of_the_budget_and_kept_from_training(tmp_path):
    # The first ten of twenty labels are those of a run of ten: the same bits, whatever the other ten are used for.
    train(tmp_path, "--labels", 10, "--steps", 2)
    sha = sha256(tmp_path / "run", 2)
    shutil.rmtree(tmp_path / "run")
    printed = train(tmp_path, "--labels", 20, "--validation", 10, "--steps", 2)
    assert sha256(tmp_path / "run", 2) == sha
    assert len(json.loads((tmp_path / "run" / "labels.json").read_text())["indices"]) == 20
    (line,) = metrics(tmp_path / "run")
    assert 10 * line["validation_accuracy"] == pytest.approx(round(10 * line["validation_accuracy"]))
    assert "validation accuracy" in printed
    refused = call("train", *DIGITS, "--labels", 10, "--validation", 10, cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (2, "sgan: error: --validation: 10; must be between 0 and 9\n")


def test_the_graph_hears_of_the_labels_to_train_on_alone(tmp_path, monkeypatch):
    class Asked(Exception):
        pass

    def propagate(neighbours, labelled, *_):
        raise Asked(neighbours, labelled.indices, labelled.labels)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop.cache, "load_by_deformation", lambda *_: "the graph")
    monkeypatch.setattr(loop, "propagate", propagate)
    small = ModelConfig(width=8, networks="compact", head=PRESETS["best"].model.head)
    config = replace(PRESETS["best"], model=small, data=DataConfig("mnist-5k", labels=30, validation=10))
    with pytest.raises(Asked) as asked:
        loop.train(config, tmp_path / "run")
    neighbours, labelled, labels = asked.value.args
    drawn = json.loads((tmp_path / "run/labels.json").read_text())["indices"]
    assert (neighbours, len(drawn), labelled.tolist()) == ("the graph", 30, drawn[:20])
    assert labels.tolist() == load_embedded().train_labels[drawn[:20]].tolist()


def test_damaged_checkpoints_are_set_aside_and_made_again_from_the_last_whole_one(run, tmp_path):
    spoil(run, 8, lambda data: data[: len(data) // 2])
    spoil(run, 6, invert_the_middle)
    done = call("train", *DIGITS, *SMALL, *EPOCHS, "--run", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert "run: from step 4, to step 8\n" in done.stdout
    warnings = done.stderr.splitlines()
    assert len(warnings) == 2, done.stderr
    for step, line in zip((8, 6), warnings, strict=True):
        assert line.startswith(f"sgan: warning: run/checkpoints/step_{step}: the checkpoint is damaged (")
        assert line.endswith("; trying the one before")
    kept = sorted(path.name.rsplit("_", 1)[0] for path in run.glob("checkpoints/damaged_*"))
    assert kept == ["damaged_step_6", "damaged_step_8"]
    same_run(run, reference())


@pytest.mark.slow
def test_a_run_without_any_whole_checkpoint_is_refused_and_left_as_it_is(run, tmp_path):
    for step in STEPS:
        (run / f"checkpoints/step_{step}/meta/metadata").unlink()
    metrics = (run / "metrics.jsonl").read_text()
    done = call("train", *DIGITS, *SMALL, *EPOCHS, "--run", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("the checkpoint is damaged") == 4
    assert "no checkpoint can be restored; remove it to start anew, or another --run" in done.stderr
    assert sorted(entry.name for entry in (run / "checkpoints").iterdir()) == [f"step_{step}" for step in STEPS]
    assert (run / "metrics.jsonl").read_text() == metrics


def test_what_a_kill_after_the_last_checkpoint_left_undone_is_done_by_the_same_command(run, tmp_path):
    (run / "result.json").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "seco')
    assert "run: finished at step 8;" in train(tmp_path)
    same_run(run, reference())


def test_a_run_that_is_asked_to_end_where_it_was_stopped_is_evaluated_there(run, tmp_path):
    # A stop saves a checkpoint and nothing else.
    (run / "result.json").unlink()
    (run / "samples/step_8.png").unlink()
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(lines[:-1]))
    train(tmp_path)
    expected, found = metrics(reference()), metrics(run)
    assert found[:-1] == expected[:-1]
    assert found[-1] == {name: expected[-1][name] for name in ("step", *ACCURACIES)}
    assert json.loads((run / "result.json").read_text())["test_accuracy"] == expected[-1]["test_accuracy"]
    assert (run / "samples/step_8.png").read_bytes() == (reference() / "samples/step_8.png").read_bytes()


# --- what training may and may not see ---


def test_the_weights_depend_on_which_images_are_labelled(tmp_path):
    train(tmp_path, "--epochs", 1, "--label-seed", 1)
    assert sha256(tmp_path / "run", 2) != sha256(reference(), 2)


def shuffled(labels: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Other labels for the images that are not drawn; the draw itself, which is balanced by labels, stays the same.

    An image that comes before the last of those drawn for its new class would be drawn in its stead, so it is left.
    """
    random = np.random.default_rng(5)
    rest = np.setdiff1d(np.arange(len(labels)), drawn)
    other = labels.copy()
    for part in np.array_split(random.permutation(rest), 200):
        before = other[part]
        other[part] = (before + random.integers(1, 10, len(part))) % 10
        if not np.array_equal(choose_labelled(other, len(drawn), 10, 0), drawn):
            other[part] = before
    return other


def test_labels_of_unlabelled_images_and_the_test_set_have_no_part_in_the_weights(tmp_path):
    digits = load_embedded()
    drawn = np.array(json.loads((reference() / "labels.json").read_text())["indices"])
    labels = shuffled(digits.train_labels, drawn)
    assert np.mean(labels != digits.train_labels) > 0.5
    test = 255 - digits.test_images[:500, ..., 0], digits.test_labels[500:]
    folder = write_images(tmp_path / "other", (digits.train_images[..., 0], labels), test)

    train(tmp_path, *EPOCHS, "--labels", 100, source=("--data-dir", folder))
    run = tmp_path / "run"
    assert (run / "labels.json").read_text() == (reference() / "labels.json").read_text()
    for step in STEPS:
        assert sha256(run, step) == sha256(reference(), step)
    for name in ACCURACIES:
        measured = [[line[name] for line in metrics(one)] for one in (run, reference())]
        assert measured[0] != measured[1], "the accuracies do see them"


# --- how many steps a dispatch ---


# Both ways in one process, to which the settings of the tests' commands apply.
IN_BOTH_WAYS = """
from pathlib import Path
from sgan_jax.training import dispatch
from sgan_jax.training import loop
from sgan_jax.training import recorder
from sgan_jax.config import Config, DataConfig, ModelConfig

small = {"data": DataConfig(dataset="mnist-5k", labels=10), "model": ModelConfig(width=2), "batch_size": 4}
config = Config(steps=8, steps_per_epoch=4, **small)
recorder.METRICS_EVERY = 2
loop.train(config, Path("single"), log_every=3)
on_cpu = dispatch.steps_at_once
dispatch.steps_at_once = lambda platform, *rest: on_cpu("gpu", *rest)
loop.train(config, Path("scanned"), log_every=3)
"""


def test_epochs_of_one_dispatch_leave_what_single_steps_leave(tmp_path):
    python = [sys.executable, "-P", "-c", IN_BOTH_WAYS]
    done = subprocess.run(python, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    logged = [line.split(",")[0] for line in done.stdout.splitlines() if line.startswith(">")]
    assert logged == [">3", ">6", ">3", ">6"]
    single, scanned = (metrics(tmp_path / name) for name in ("single", "scanned"))
    assert [line["step"] for line in scanned] == [2, 4, 6, 8]
    for one, other in zip(single, scanned, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3)
    assert sorted(path.name for path in (tmp_path / "scanned/checkpoints").iterdir()) == ["step_4", "step_8"]


LOOKS_AT_SOME = """
from pathlib import Path
from sgan_jax.metrics import subsets
from sgan_jax.training import loop
from sgan_jax.config import Config, DataConfig, ModelConfig

subsets.EVALUATION_SIZE = 1000
small = {"data": DataConfig(dataset="mnist-5k", labels=10), "model": ModelConfig(width=2), "batch_size": 4}
loop.train(Config(steps=4, steps_per_epoch=2, **small), Path("run"))
"""


def test_all_training_images_are_looked_at_after_the_last_step_and_some_before(tmp_path):
    python = [sys.executable, "-P", "-c", LOOKS_AT_SOME]
    done = subprocess.run(python, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True)
    before, last = (re.search(rf"step_{step}: train accuracy ([\d.]+)%(.*?), test", done.stdout) for step in (2, 4))
    assert (before[2], last[2]) == (" of 1,000", "")
    assert before[1].endswith("00"), "of 1,000 images: tenths of a per cent"
    assert f"Train Accuracy: {last[1]}%" in succeed("eval", "--run", "run", cwd=tmp_path)


# --- what stands in the way ---


def test_two_trainings_in_one_directory_are_one_too_many(run, tmp_path):
    with RunDir(run).locked():
        done = call("train", *DIGITS, *SMALL, "--epochs", 5, "--run", "run", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, f"*** {NOTICE} ***\n")
    assert done.stderr == "sgan: error: run: another process trains in it; stop that one, or another --run\n"
    same_run(run, reference())


def test_data_that_moved_is_found_where_the_command_says(run, tmp_path):
    digits = load_embedded()
    parts = (digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)
    folder = write_images(tmp_path / "here", *((images[..., 0], labels) for images, labels in parts))
    assert "finished at step 8" in train(tmp_path, source=("--data-dir", folder)), "the same images from elsewhere"
    moved = folder.rename(tmp_path / "there")
    done = call("eval", "--run", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"sgan: error: --data-dir {folder}: does not exist; expected a folder with the four IDX files, or a folder "
        "of images with a folder for each class, or an .npz file\n"
    )
    assert "Test Accuracy: " in succeed("eval", "--run", "run", "--data-dir", moved, cwd=tmp_path)


# Blocks of 512 bytes or 1 KiB, as the shell has it: indices are smaller, and then a picture, or an array, is larger.
@pytest.mark.parametrize("blocks", [pytest.param(4, marks=pytest.mark.slow), 40])
def test_a_full_disk_is_one_line_and_leaves_a_run_that_goes_on(blocks, tmp_path):
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
    train(tmp_path)
    same_run(tmp_path / "run", reference())


@pytest.mark.slow
def test_the_full_networks_train_and_are_evaluated(tmp_path):
    train_full = ("--batch-size", 10, "--steps-per-epoch", 2, "--epochs", 1)
    succeed("train", *DIGITS, *train_full, cwd=tmp_path, XLA_FLAGS="")
    figures = json.loads(succeed("eval", "--json", cwd=tmp_path, XLA_FLAGS=""))
    run = tmp_path / RUN
    assert figures["test_accuracy"] == metrics(run)[-1]["test_accuracy"]
    assert json.loads((run / "config.json").read_text())["config"]["model"]["width"] == 128

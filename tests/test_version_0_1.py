"""Runs and a sweep that version 0.1 made: this version reads, reports and resumes them (`data_0_1/README.md`)."""

import csv
import json
import re
import shutil
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pets
import pytest
from outer import HOME, ROOT, metrics, sha256
from PIL import Image

import sgan_jax
from sgan_jax.runs.directory import RunDir

DATA = ROOT / "tests" / "data_0_1"
EXPECTED = json.loads((DATA / "expected.json").read_text())
Does = Callable[..., str]


@cache
def unpacked() -> Path:
    """The folder of the runs and the sweep."""
    folder = HOME / "version_0_1"
    with tarfile.open(DATA / "runs.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    pets.write(folder / "pets")
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A copy in the test's directory."""
    shutil.copytree(unpacked(), tmp_path, dirs_exist_ok=True)
    return tmp_path


def same_machine() -> bool:
    """Whether bits are to be those of 0.1: other processors and versions of JAX round differently."""
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.M)
    return bool(model) and (model[1], jax.__version__) == (EXPECTED["cpu"], EXPECTED["jax"])


def without(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in names}


def test_a_run_is_opened_with_its_settings_by_their_new_names(here: Path) -> None:
    config = RunDir(here / "digits").record().config
    assert (config.objective.name, config.batch_size, config.model.width) == ("joint", 2, 1)
    config = RunDir(here / "pets-run").record().config
    assert (config.batch_size, config.unlabelled, config.augment.rotation) == (2, 256, 10.0)
    assert config.consistency.weight == 1.0


def test_a_run_is_evaluated_as_by_0_1(here: Path, does: Does) -> None:
    figures = json.loads(does("eval", "--run", "digits", "--json"))
    expected = EXPECTED["evaluation"]
    assert figures["step"] == expected["step"]
    for name in ("train_accuracy", "test_accuracy", "ema_train_accuracy", "ema_test_accuracy"):
        assert figures[name] == pytest.approx(expected[name], abs=0.003)
    assert np.abs(np.array(figures["confusion"]) - expected["confusion"]).sum() <= 6


def test_a_run_predicts_as_by_0_1(here: Path, does: Does) -> None:
    rows = list(csv.DictReader(does("predict", "--run", "pets-run", "--format", "csv", "pets/cat").splitlines()))
    assert [row["class"] for row in rows] == [one["class"] for one in EXPECTED["predictions"]]
    for row, one in zip(rows, EXPECTED["predictions"], strict=True):
        assert {name: float(row[name]) for name in ("cat", "dog")} == pytest.approx(one["probabilities"], abs=1e-5)


def test_a_run_draws_the_samples_that_it_has_and_is_reported_and_exported(here: Path, does: Does) -> None:
    does("sample", "--run", "digits", "--out", "again.png")
    if same_machine():
        again, before = (np.asarray(Image.open(here / name)) for name in ("again.png", "digits/samples/step_4.png"))
        np.testing.assert_array_equal(again, before)
    does("report", "--run", "digits")
    page = (here / "digits/report.html").read_text()
    assert "step 4" in page and "mnist-5k: not comparable with MNIST" in page

    from sgan_jax.export.safetensors import load_safetensors

    does("export", "--run", "digits", "--format", "safetensors", "--out", "classifier.safetensors")
    load_safetensors(here / "classifier.safetensors")
    run = sgan_jax.load(here / "digits")
    assert run.classify(np.zeros((2, 28, 28), np.uint8)).probabilities.shape == (2, 10)
    assert run.generate(3).shape == (3, 28, 28, 1)


@pytest.mark.parametrize(
    ("run", "arguments", "step"),
    [
        ("digits", ("--epochs", 3), 6),
        pytest.param("pets-run", ("--data-dir", "pets"), 4, marks=pytest.mark.slow),
    ],
)
def test_a_run_is_resumed_as_by_0_1(run: str, arguments: tuple[object, ...], step: int, here: Path, sgan) -> None:
    status, printed, error = sgan("train", "--run", run, *arguments)
    assert status == 0, error
    assert f"{run}: from step {step - 2}, to step {step}\n" in printed
    (warning,) = (line for line in error.splitlines() if line.startswith("sgan: warning: "))
    assert "sgan_jax was 0.1" in warning and warning.endswith(": the run's last bits may now differ")
    line = metrics(here / run)[-1]
    expected = EXPECTED["resumed"][run]
    same = without(line, "units", "images", "watched", "warnings")
    assert same == pytest.approx(expected["line"], rel=1e-3, abs=2e-3)
    if same_machine():
        assert sha256(here / run, step) == expected["sha256"]
    parts = RunDir(here / run).record().parts
    assert [part.versions["sgan_jax"] for part in parts][-1] == sgan_jax.__version__


def test_a_sweep_is_reported_and_resumed(here: Path, does: Does) -> None:
    does("report", "--sweep", "sweep")
    table = (here / "sweep/table.md").read_text()
    for labels, error in EXPECTED["errors"].items():
        assert re.search(rf"^\| joint \| {labels} \| 1 \| {error} \|", table, re.M)
    small = ("--width", 1, "--batch-size", 2, "--steps-per-epoch", 2, "--steps", 2)
    grid = ("--dataset", "mnist-5k", "--preset", "joint", "--labels", "10,20", "--draws", 1, "--out", "sweep")
    before = (here / "sweep/results.jsonl").read_bytes()
    assert "2 of 2" in does("sweep", *grid, *small)
    assert (here / "sweep/results.jsonl").read_bytes() == before

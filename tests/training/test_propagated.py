"""What a run does by the test of its graph: it uses propagated labels or does not, reports why, and records it."""

import json
from pathlib import Path

import numpy as np
import pytest
from outer import sha256

from sgan_jax.config import (
    Config,
    ConsistencyConfig,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    PropagationConfig,
    changed,
)
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError
from sgan_jax.graph.verdict import TRUSTED, UNUSED, Trust
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import loop
from sgan_jax.training.events import Listener
from sgan_jax.training.start import Options

CONFIG = Config(
    batch_size=2,
    steps_per_epoch=2,
    steps=4,
    evaluators=(),
    data=DataConfig(labels=24),
    objective=ObjectiveConfig("supervised"),
    model=ModelConfig(networks="mlp", width=2),
    consistency=ConsistencyConfig(weight=1.0),
    propagation=PropagationConfig(neighbours=3, candidates=6),
)


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def images(meaningful: bool) -> Dataset:
    """60 images of random pixels; where labels mean something, those of a class differ from one of them by a little."""
    draw = np.random.default_rng(0)
    labels = (np.arange(60) % 2).astype(np.int32)
    pixels = draw.integers(0, 256, (60, 8, 8, 1), np.uint8)
    if meaningful:
        pixels = pixels[labels] ^ draw.integers(0, 8, pixels.shape, np.uint8)
    return Dataset("made", pixels, labels, pixels[:4], labels[:4], ("a", "b"), custom=True)


def train(path: Path, dataset: Dataset, **values: object) -> tuple[RunDir, str]:
    """The run, and the line about its propagated labels."""
    notes = Notes()
    loop.train(changed(CONFIG, values), Options(path), dataset, notes)
    (line,) = (line for line in notes.lines if "labelled images" in line)
    return RunDir(path), line


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_whose_graph_fails_the_test_trains_without_it_and_reports_so(tmp_path: Path) -> None:
    run, line = train(tmp_path / "graph", images(meaningful=False))
    trust = run.record().trust
    assert trust is not None and trust.verdict == UNUSED and trust.tested == 24
    assert line == trust.described(CONFIG.propagation) and "propagated labels are not used" in line
    assert json.loads(run.config_file.read_text())["propagated"]["right"] == trust.right
    assert f"Propagated labels: {line}." in render(run)
    without = tmp_path / "without"
    loop.train(changed(CONFIG, {"propagation.neighbours": 0}), Options(without), images(meaningful=False))
    assert sha256(run.path, 4) == sha256(without, 4), "bit for bit the run without a graph"


def test_a_resume_makes_the_same_verdict_and_the_same_bits(tmp_path: Path) -> None:
    dataset = images(meaningful=True)
    whole, line = train(tmp_path / "whole", dataset)
    assert whole.record().trust == Trust(TRUSTED, 24, 24, 1.0, 6.0)
    resumed, first = train(tmp_path / "resumed", dataset, steps=2)
    record = resumed.config_file.read_text()
    resumed, again = train(tmp_path / "resumed", dataset, steps=4)
    assert line == first == again
    assert json.loads(record)["propagated"] == json.loads(resumed.config_file.read_text())["propagated"]
    assert sha256(whole.path, 4) == sha256(resumed.path, 4)


def test_a_run_without_a_graph_has_no_verdict(tmp_path: Path) -> None:
    loop.train(changed(CONFIG, {"propagation.neighbours": 0, "steps": 1}), Options(tmp_path), images(meaningful=True))
    assert RunDir(tmp_path).record().trust is None
    assert "Propagated labels:" not in render(RunDir(tmp_path))


def test_embeddings_take_the_place_of_pixels_and_others_cannot_resume_the_run(tmp_path: Path) -> None:
    noise = images(meaningful=False)
    vectors = np.eye(2)[noise.train_labels] + np.random.default_rng(1).normal(0, 0.1, (60, 2))
    file = tmp_path / "vectors.npy"
    np.save(file, vectors)
    chosen = {"propagation.embeddings": str(file), "steps": 2}
    run, _ = train(tmp_path / "run", noise, **chosen)
    record = run.record()
    assert record.trust == Trust(TRUSTED, 24, 24, 1.0, 6.0), "what pixels of noise cannot give"
    moved = file.rename(tmp_path / "moved.npy")
    loop.train(changed(CONFIG, chosen | {"propagation.embeddings": str(moved)}), Options(run.path), noise)
    assert run.record().dataset.embeddings == record.dataset.embeddings != ""
    np.save(file, vectors[:, ::-1] + 0.1)
    for other, now in (
        ({"propagation.embeddings": str(file)}, r"\w{12}\.\.\."),
        ({"propagation.embeddings": None}, "none"),
    ):
        with pytest.raises(UserError, match=rf"embeddings were {record.dataset.embeddings[:12]}\.\.\., now {now}"):
            loop.train(changed(CONFIG, chosen | other), Options(run.path), noise)
    np.save(file, vectors[1:])
    with pytest.raises(UserError, match="59 rows for 60 training images"):
        loop.train(changed(CONFIG, chosen), Options(tmp_path / "none"), noise)
    assert not (tmp_path / "none").exists()

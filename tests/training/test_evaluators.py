"""An evaluator is a function and a row of a table: its figure is recorded, printed and drawn with its own unit."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from outer import metrics

from sgan_jax.cli.terminal import Terminal
from sgan_jax.config import Config, DataConfig, ModelConfig, ObjectiveConfig, changed
from sgan_jax.metrics.measure import Measure
from sgan_jax.metrics.table import EVALUATORS, Evaluated, Evaluator, NotFinite, Subject
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import loop
from sgan_jax.training.start import Options
from sgan_jax.types import TrainState

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

TINY = Config(
    batch_size=2,
    steps_per_epoch=1,
    steps=2,
    data=DataConfig("mnist-5k", labels=10),
    model=ModelConfig(width=2),
    objective=ObjectiveConfig("supervised"),
    evaluators=("accuracy", "brightness"),
)


def brightness(subject: Subject) -> Evaluator:
    """Mean of the pixels of generated images."""

    def of(state: TrainState, ends: bool) -> Evaluated:
        images = subject.generate(state, subject.key, 20)
        return Evaluated({"brightness": Measure(float(images.mean()), "grey levels")}, {"brightness": len(images)})

    return of


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EVALUATORS, "brightness", brightness)


def test_a_figure_in_another_unit_is_recorded_printed_and_drawn_with_its_unit(tmp_path: Path, capsys) -> None:
    loop.train(TINY, Options(tmp_path / "run"), listener=Terminal())
    run, lines = RunDir(tmp_path / "run"), metrics(tmp_path / "run")
    for line in lines:
        assert 0 < line["brightness"] < 255
        assert line["units"] == {
            "train_accuracy": "%",
            "test_accuracy": "%",
            "ema_test_accuracy": "%",
            "brightness": "grey levels",
        }
    assert run.result()["brightness"] == lines[-1]["brightness"]
    printed = re.findall(r"brightness ([\d.]+) grey levels of 20", capsys.readouterr().out)
    assert [float(number) for number in printed] == pytest.approx([line["brightness"] for line in lines], rel=1e-3)
    board = reader.EventAccumulator(str(run.tensorboard))
    board.Reload()
    (tag,) = [tag for tag in board.Tags()["scalars"] if "brightness" in tag]
    assert [event.value for event in board.Scalars(tag)] == pytest.approx([line["brightness"] for line in lines])


def test_evaluators_can_be_added_to_a_run_that_is_resumed(tmp_path: Path) -> None:
    loop.train(changed(TINY, {"evaluators": ("accuracy",), "steps": 1}), Options(tmp_path / "run"))
    loop.train(TINY, Options(tmp_path / "run"))
    assert ["brightness" in line for line in metrics(tmp_path / "run")] == [False, True]
    assert json.loads((tmp_path / "run/config.json").read_text())["config"]["evaluators"] == ["accuracy", "brightness"]


def test_a_run_without_the_accuracy_is_trained_to_its_end(tmp_path: Path) -> None:
    result = loop.train(changed(TINY, {"evaluators": ("brightness",)}), Options(tmp_path / "run"))
    assert result.finished
    (tmp_path / "run/result.json").unlink()
    before = (tmp_path / "run/metrics.jsonl").read_bytes()
    loop.train(changed(TINY, {"evaluators": ("brightness",)}), Options(tmp_path / "run"))
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == before, "nothing is left to do but the result"
    assert RunDir(tmp_path / "run").result()["units"] == {"brightness": "grey levels"}
    assert len(metrics(tmp_path / "run")) == 2


def test_an_evaluator_that_finds_nan_stops_the_run(tmp_path: Path, monkeypatch) -> None:
    def never(subject: Subject) -> Evaluator:
        def of(state: TrainState, ends: bool) -> Evaluated:
            raise NotFinite("a distance")

        return of

    monkeypatch.setitem(EVALUATORS, "brightness", never)
    with pytest.raises(Exception, match="step 1: a distance is nan"):
        loop.train(TINY, Options(tmp_path / "run"))


def test_figures_are_those_of_the_model_and_not_of_its_training(tmp_path: Path) -> None:
    loop.train(TINY, Options(tmp_path / "with"))
    loop.train(changed(TINY, {"evaluators": ("accuracy",)}), Options(tmp_path / "without"))
    with_it, without = ([line["test_accuracy"] for line in metrics(tmp_path / name)] for name in ("with", "without"))
    np.testing.assert_array_equal(with_it, without)

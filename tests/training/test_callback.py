"""Figures for other trackers: the callback of `sgan_jax.train`, and the examples of docs/watching.md."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from outer import ROOT, metrics

import sgan_jax
from sgan_jax.training.events import Calling, Listener

SMALL = {"dataset": "mnist-5k", "labels": 10, "width": 2, "batch_size": 2, "epochs": 2, "steps_per_epoch": 101}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_callback_gets_the_figures_of_each_line_of_metrics(here: Path) -> None:
    class Notes(Listener):
        def __init__(self) -> None:
            self.notes: list[str] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    called, listener = [], Notes()
    config = sgan_jax.preset("supervised", **SMALL)
    sgan_jax.train(config, "run", listener=listener, callback=lambda *figures: called.append(figures))
    lines = metrics(here / "run")
    assert [step for step, _ in called] == [line["step"] for line in lines] == [100, 101, 200, 202]
    about = {"step", "watched", "units", "images"}
    for (_, figures), line in zip(called, lines, strict=True):
        assert figures == {name: value for name, value in line.items() if name not in about}
        assert all(type(value) is float for value in figures.values())
    assert "test_accuracy" in called[1][1] and "d/supervised" in called[0][1] and "test_accuracy" not in called[0][1]
    assert any(note.startswith("run: new run") for note in listener.notes)  # which hears everything else


def test_the_other_listener_gets_every_event() -> None:
    events = {name for name in vars(Listener) if not name.startswith("_")}
    assert events <= vars(Calling).keys()


def fake_tracker(name: str, calls: list[tuple[int, dict[str, float]]]) -> ModuleType:
    """A module with those functions of W&B and MLflow that the examples call, and with their parameters."""
    module = ModuleType(name)

    class Tracker:
        def log(self, data: dict[str, float], step: int | None = None) -> None:
            assert type(data) is dict and step is not None
            calls.append((step, data))

    @contextmanager
    def init(project: str, config: dict):
        assert config["data.labels"] == 10
        yield Tracker()

    @contextmanager
    def start_run():
        yield None

    def log_params(params: dict) -> None:
        assert params["data.labels"] == 10

    def log_metrics(metrics: dict[str, float], step: int | None = None) -> None:
        Tracker().log(metrics, step)

    vars(module).update(init=init, start_run=start_run, log_params=log_params, log_metrics=log_metrics)
    return module


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_the_example_of_a_tracker_logs_every_line(here: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    page = (ROOT / "docs/watching.md").read_text()
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if f"import {name}" in block]
    assert len(example.splitlines()) <= 10
    calls: list[tuple[int, dict[str, float]]] = []
    monkeypatch.setitem(sys.modules, name, fake_tracker(name, calls))
    preset = sgan_jax.preset
    small = SMALL | {"epochs": 1, "steps_per_epoch": 2}
    monkeypatch.setattr(sgan_jax, "preset", lambda of, labels: preset("supervised", **small), raising=False)
    exec(compile(example, "watching.md", "exec"), {})
    assert [step for step, _ in calls] == [2] and "test_accuracy" in calls[0][1]

"""`features`: the generator's figures after each epoch, by the features of another run, and when they are refused."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_files import write_means
from outer import HOME, copy_of_finished_run, metrics, sha256

import sgan_jax
from sgan_jax.cli.terminal import Terminal
from sgan_jax.config import changed
from sgan_jax.data.dataset import Dataset
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.inference.generator import evaluate_generator
from sgan_jax.metrics.features import FIGURES, about_of
from sgan_jax.report.page import render
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import open_run
from sgan_jax.training.events import Listener
from sgan_jax.training.features import features_for

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
LABELS = np.arange(60, dtype=np.int32) % 2
SMALL: dict[str, Any] = {"model.width": 8, "batch_size": 2}
CONFIG = sgan_jax.preset("joint", SMALL, steps=2, steps_per_epoch=1)
CLASSIFIER = sgan_jax.preset("supervised", SMALL, steps=1)
Does = Callable[..., str]


def noise(images: np.ndarray = IMAGES, tests: int = 20) -> Dataset:
    train = len(images) - tests
    labels = LABELS[: len(images)]
    return Dataset("noise", images[:train], labels[:train], images[train:], labels[train:], ("0", "1"), custom=True)


@cache
def reference() -> Path:
    """A classifier of these images."""
    return sgan_jax.train(CLASSIFIER, HOME / "classifier", noise()).run


def trained(path: Path, listener: Listener | None = None, **settings: Any) -> Path:
    settings = {"features": reference()} | settings
    return sgan_jax.train(changed(CONFIG, settings), path, noise(), listener).run


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_figures_of_every_epoch_are_recorded_printed_and_drawn(tmp_path: Path, capsys) -> None:
    run = RunDir(trained(tmp_path / "run", Terminal()))
    printed, lines = capsys.readouterr().out, metrics(run.path)
    about = open_run(reference()).run.metrics_of(1)["test_accuracy"]
    assert f"the generator is measured by features of {reference()} at step 1, {100 * about:.2f}% of test" in printed
    assert printed.count(" of 20, generator coverage ") == 2
    for line in lines:
        assert [line["units"][name] for name in FIGURES] == ["", "%", "%"]
        assert {line["images"][name] for name in FIGURES} == {20}
        assert line["features"]["images"] == 20 and line["features"]["floor"].keys() == set(FIGURES)
    assert run.result()["features"] == lines[-1]["features"]
    events = b"".join(file.read_bytes() for file in run.tensorboard.iterdir())
    assert all(f"measures/{name}".encode() in events for name in FIGURES)
    page = render(run)
    floor = lines[-1]["features"]["floor"]["generator_recall"]
    assert f"of 20 images; test images {100 * floor:.0f} %" in page
    assert page.count("<svg") == 6, "accuracies, the distance, the other two; losses of two players; reliability"
    assert str(about_of(lines[0]["features"])) in page


def test_the_figures_are_those_of_eval_for_as_many_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgan_jax.engine.system.LARGEST_BATCH", 12)
    run = trained(tmp_path / "run")
    np.savez(tmp_path / "noise.npz", x_train=IMAGES[:40], y_train=LABELS[:40], x_test=IMAGES[40:], y_test=LABELS[40:])
    result = evaluate_generator(open_run(run), reference(), str(tmp_path / "noise.npz"))
    line = metrics(run)[-1]
    for name, of_eval in zip(FIGURES, ("frechet_distance", "recall", "coverage"), strict=True):
        assert (line[name], line["images"][name]) == (result.figures[of_eval].value, result.images)
        assert line["features"]["floor"][name] == result.floor[of_eval].value
    assert about_of(line["features"]) == result.features


@pytest.mark.slow
def test_features_change_nothing_of_what_is_trained_and_a_resume_does_without(tmp_path: Path) -> None:
    with_them, without = trained(tmp_path / "with"), trained(tmp_path / "without", features=None)
    assert sha256(with_them, 2) == sha256(without, 2)
    assert build(CONFIG, (8, 8, 1), 2) is build(changed(CONFIG, {"features": "runs/a"}), (8, 8, 1), 2)
    trained(without, steps=3)
    trained(with_them, steps=3, features=None)
    assert [FIGURES[0] in line for line in metrics(without)] == [False, False, True]
    assert [FIGURES[0] in line for line in metrics(with_them)] == [True, True, False]
    assert sha256(with_them, 3) == sha256(without, 3)


def test_what_cannot_give_features_is_one_line_before_anything_is_written(tmp_path: Path) -> None:
    colour = noise(np.repeat(IMAGES, 3, axis=-1))
    run = tmp_path / "run"
    for path, dataset, message in (
        (tmp_path / "none", noise(), "features: .*none: no such run directory"),
        (reference() / "step_9", noise(), "features: .*step_9: no such checkpoint; there are step_1"),
        (run, noise(), "features .*run: the run that is measured; expected a classifier that was trained separately"),
        (reference(), colour, "features .*: a classifier of images of 8 x 8 x 1; expected 8 x 8 x 3, as in .*run"),
        (reference(), noise(IMAGES[:7], tests=2), "features .*: 5 training images; expected at least 6 to measure a"),
    ):
        with pytest.raises(UserError, match=f"^{message}") as error:
            sgan_jax.train(changed(CONFIG, {"features": path}), run, dataset)
        assert "\n" not in str(error.value) and not run.exists()
    with pytest.raises(UserError, match="^evaluators: generator; needs features RUN, a run whose classifier"):
        trained(run, features=None, evaluators=("generator",))
    streamed = dataclasses.replace(noise(), streamed=[IMAGES[0]])
    with pytest.raises(UserError, match="features .*: the images are streamed, .*; give features none"):
        features_for(changed(CONFIG, {"features": str(reference())}), streamed, run)


def test_a_file_of_the_users_gives_features(tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(write_means(tmp_path / "blob", ("N", 3, 16, 16)))
    run = RunDir(trained(tmp_path / "run", features=link))
    line = metrics(run.path)[0]
    assert line["features"]["file"] == run.record().config.features == str(link)
    assert line["frechet_distance"] >= 0 and f"{link} (SHA-256 {line['features']['sha256'][:12]})" in render(run)
    with pytest.raises(UserError, match=r"^features .*none.onnx: cannot be read"):
        trained(tmp_path / "other", features=tmp_path / "none.onnx")
    assert not (tmp_path / "other").exists()


def test_a_generator_that_is_not_trained_is_not_measured(tmp_path: Path) -> None:
    notes = Notes()
    run = sgan_jax.train(changed(CLASSIFIER, {"features": reference()}), tmp_path / "run", noise(), notes).run
    assert "the generator is not measured: the objective supervised does not train it" in notes.lines
    assert FIGURES[0] not in metrics(run)[0]


def test_the_newest_run_may_become_the_run_that_it_measures(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    shutil.copytree(reference(), "runs/classifier")
    Path("runs/latest").symlink_to("classifier")
    run = trained(Path("runs/gan"), features="runs/latest", steps=1)
    Path("runs/latest").unlink()
    Path("runs/latest").symlink_to("gan")
    trained(run, features="runs/latest")
    assert [one["features"]["run"] for one in metrics(run)] == [str(tmp_path / "runs/classifier")] * 2
    assert RunDir(run).record().config.features == str(tmp_path / "runs/classifier")
    other = trained(Path("runs/other"), features=None, steps=1)
    with pytest.raises(UserError, match="runs/other: the run that is measured"):
        trained(other, features=other)


def test_features_that_are_gone_can_be_left_out_of_a_resume(does: Does, fails: Does, tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    values = json.loads((run / "config.json").read_text())
    values["config"]["features"] = "/gone"
    (run / "config.json").write_text(json.dumps(values))
    assert fails("train", "--run", run).startswith("--features: /gone: no such run directory")
    assert "finished" in does("train", "--run", run, "--features", "none")
    assert RunDir(run).record().config.features is None


def test_a_sweep_refuses_them_before_its_first_trial(fails: Does, tmp_path: Path) -> None:
    sweep = ("sweep", "--preset", "supervised,joint", "--labels", 10, "--draws", 1, "--dataset", "mnist-5k")
    assert fails(*sweep, "--features", "gone").startswith("--features: ")
    assert fails(*sweep, "--features", reference()).endswith("expected 28 x 28 x 1, as in sweeps/mnist-5k")
    assert not (tmp_path / "sweeps").exists()

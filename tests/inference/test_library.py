"""The program as a library: train, load, classify, generate; and the process is afterwards as it was before."""

import os
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from outer import HOME, RUN, environment, finished_run

import sgan_jax
from sgan_jax import SGANClassifier
from sgan_jax.config import Config, changed
from sgan_jax.data.load import load_embedded
from sgan_jax.errors import UserError
from sgan_jax.inference.library import Run
from sgan_jax.presets import PRESETS
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir

TINY = {"width": 2, "batch_size": 2, "steps": 2, "steps_per_epoch": 2}
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 1), np.uint8)
LABELS = np.where(np.arange(30) < 10, np.arange(30) % 2, -1)


@cache
def trained() -> Run:
    """A tiny run of the digits."""
    config = sgan_jax.preset("supervised", dataset="mnist-5k", labels=10, **TINY)
    return sgan_jax.load(sgan_jax.train(config, HOME / "library").run)


# --- presets ---


def test_a_preset_is_changed_by_short_names_and_by_places() -> None:
    assert sgan_jax.preset("best") == PRESETS["best"]
    config = sgan_jax.preset("fast", {"model.dropout": 0.2, "augment.extra": ["mirror"]}, labels=50, width=8)
    expected = {"model.dropout": 0.2, "augment.extra": ("mirror",), "data.labels": 50, "model.width": 8}
    assert config == changed(PRESETS["fast"], expected)
    assert isinstance(config, sgan_jax.Config)


@pytest.mark.parametrize(
    ("name", "settings", "short", "message"),
    [
        ("bset", {}, {}, "unknown preset 'bset'; choose one of best, "),
        ("best", {"model.depth": 3}, {}, "no setting is named 'model.depth'"),
        ("best", {}, {"depth": 3}, "unknown setting 'depth'; choose one of batch_size, "),
        ("best", {}, {"labels": "many"}, "data.labels: 'many'; expected a whole number or none"),
    ],
)
def test_a_preset_or_setting_that_does_not_exist_is_one_line(name, settings, short, message) -> None:
    with pytest.raises(UserError) as error:
        sgan_jax.preset(name, settings, **short)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


# --- train, load, classify, generate ---


def test_training_returns_where_the_run_is_and_how_far(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = sgan_jax.preset("supervised", dataset="mnist-5k", labels=10, **TINY)
    result = sgan_jax.train(config)
    assert (result.run, result.step, result.total, result.stopped) == (
        Path("runs/mnist-5k-10-supervised-s0"),
        2,
        2,
        None,
    )
    assert result.finished
    assert not Path("runs/latest").exists(), "the newest run is that of the command line"
    longer = sgan_jax.train(changed(config, {"steps": 2, "adam.schedule": "cosine"}), result.run)
    assert longer == result, "nothing is left to do"


def test_a_loaded_run_classifies_images_as_training_did() -> None:
    run = sgan_jax.load(finished_run()[0] / RUN)
    assert (run.step, run.config.model.width) == (8, 8)
    digits = load_embedded()
    classified = run.classify(digits.test_images)
    saved = predictions.load(RunDir(finished_run()[0] / RUN).predictions_file(8))
    np.testing.assert_allclose(classified.probabilities, saved.probabilities, atol=1e-6)
    assert classified.labels == [digits.class_names[k] for k in classified.probabilities.argmax(axis=1)]
    np.testing.assert_allclose(classified.probabilities.sum(axis=1), 1)
    few = run.classify(digits.test_images[:3, ..., 0] / 255.0)
    np.testing.assert_allclose(few.probabilities, classified.probabilities[:3], atol=1e-5)
    averaged = run.classify(digits.test_images[:3], averaged=True)
    assert (averaged.probabilities != classified.probabilities[:3]).any()
    assert sgan_jax.load(finished_run()[0] / RUN, "step_2").step == 2


def test_excursions_are_clipped_before_images_are_classified(caplog) -> None:
    images = np.linspace(-0.05, 1.05, 2 * 28 * 28).reshape(2, 28, 28)
    excursion = trained().classify(images)
    assert caplog.messages == ["images: 144 of 1568 values outside 0 to 1 are clipped (they reach from -0.05 to 1.05)"]
    np.testing.assert_array_equal(excursion.probabilities, trained().classify(images.clip(0, 1)).probabilities)


def test_a_loaded_run_generates_the_same_images_for_the_same_seed() -> None:
    images = trained().generate(16)
    assert images.shape == (16, 28, 28, 1) and images.dtype == np.uint8
    np.testing.assert_array_equal(trained().generate(4), images[:4])
    assert (trained().generate(16, seed=1) != images).any()


def test_slips_are_one_line(tmp_path: Path) -> None:
    for call, message in (
        (lambda: trained().classify(np.zeros((2, 12, 28), np.uint8)), r"^images: shape \(12, 28, 1\); expected \(28, "),
        (lambda: trained().classify(np.full((2, 28, 28), 2.5)), r"^images: values from 2\.5 to 2\.5; expected"),
        (lambda: sgan_jax.load(tmp_path / "none"), r"none: no such run directory"),
        (lambda: sgan_jax.load(HOME / "library", "step_9"), r"step_9: no such checkpoint; there are step_2"),
        (lambda: sgan_jax.train(Config(epochs=0)), r"^epochs: 0; must be at least 1$"),
        (
            lambda: sgan_jax.preset("best", width=-1) and sgan_jax.train(sgan_jax.preset("best", width=-1)),
            "model.width",
        ),
    ):
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


# --- the process ---

# Two networks of one step, in a process of its own: what is compared is then as Python starts with it.
UNCHANGED = """
import logging, os, signal, sys, warnings
import numpy as np
import PIL.Image

def state():
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict))]
    handlers = {one.name: (list(one.handlers), list(one.filters), one.level, one.propagate) for one in loggers}
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hooks = sys.excepthook, sys.unraisablehook, sys.displayhook, warnings.showwarning
    return {
        "streams": (sys.stdin, sys.stdout, sys.stderr), "argv": list(sys.argv), "hooks": hooks, "signals": signals,
        "filters": list(warnings.filters), "handlers": handlers,
    }

import sgan_jax, sgan_jax.data.load
IMPORTS
before = state()
tiny = {"width": 2, "batch_size": 2, "steps": 2, "steps_per_epoch": 2}
result = sgan_jax.train(sgan_jax.preset("supervised", dataset="mnist-5k", labels=10, **tiny), "run")
run = sgan_jax.load(result.run)
run.classify(np.zeros((2, 28, 28), np.uint8))
run.generate(2)
images = np.random.default_rng(0).integers(0, 256, (30, 12, 12), np.uint8)
fitted = sgan_jax.SGANClassifier("supervised", **tiny).fit(images, np.where(np.arange(30) < 10, np.arange(30) % 2, -1))
fitted.predict(images)
for name in ("cat", "dog", "unlabelled"):
    os.makedirs(f"pets/{name}")
    PIL.Image.fromarray(images[len(os.listdir("pets"))]).save(f"pets/{name}/0.png")
sgan_jax.data.load.load(data_dir="pets")
after = state()
for name, value in before.items():
    if name == "handlers":  # of loggers that there were: packages that are imported on the way add theirs
        after[name] = {logger: after[name][logger] for logger in value}
    assert after[name] == value, (name, value, after[name])
"""


def test_no_call_prints_or_changes_the_process(tmp_path: Path) -> None:
    program = UNCHANGED.replace("IMPORTS", "import sklearn.base, jax, matplotlib, PIL.Image, orbax.checkpoint")
    done = subprocess.run(
        [sys.executable, "-c", program, "argument"],
        cwd=tmp_path,
        env=environment(JAX_COMPILATION_CACHE_DIR=os.environ["JAX_COMPILATION_CACHE_DIR"]),  # of the tests below
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_fits_in_threads_give_what_each_gives_alone_and_leave_no_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    streams, hooks = (sys.stdout, sys.stderr), (sys.excepthook, sys.unraisablehook)

    def fitted(seed: int) -> np.ndarray:
        model = SGANClassifier("supervised", **TINY, random_state=seed)
        return model.fit(IMAGES, LABELS).predict_proba(IMAGES)

    together: dict[int, np.ndarray] = {}
    threads = [threading.Thread(target=lambda seed=seed: together.update({seed: fitted(seed)})) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(tmp_path.iterdir()) == []
    assert (sys.stdout, sys.stderr) == streams and (sys.excepthook, sys.unraisablehook) == hooks
    for seed in (0, 1):
        np.testing.assert_array_equal(together[seed], fitted(seed))
    assert (together[0] != together[1]).any()


def test_two_trainings_in_one_directory_at_once_are_one_line(tmp_path: Path) -> None:
    with RunDir(tmp_path / "run").locked(), pytest.raises(ValueError, match="another process trains in it"):
        SGANClassifier("supervised", **TINY, run_dir=tmp_path / "run").fit(IMAGES, LABELS)


@pytest.mark.slow
def test_a_second_fit_and_a_second_prediction_of_the_same_shapes_compile_nothing(caplog) -> None:
    first = SGANClassifier("supervised", **TINY).fit(IMAGES, LABELS)
    first.predict(IMAGES[:7])
    first.sample(3)
    with jax.log_compiles():
        second = SGANClassifier("supervised", **TINY, random_state=1).fit(IMAGES[::-1], LABELS)
        second.predict(IMAGES[:7])
        first.predict(IMAGES[:7])
        second.sample(3)
    assert [message for message in caplog.messages if message.startswith("Compiling")] == []
    with jax.log_compiles():
        SGANClassifier("supervised", **TINY | {"width": 3}).fit(IMAGES, LABELS)
    assert any(message.startswith("Compiling") for message in caplog.messages)


@pytest.mark.parametrize("config", ["best", {"preset": "best"}, None])
def test_a_configuration_of_another_type_is_an_error_of_one_line(config) -> None:
    with pytest.raises(UserError, match="^config: .*; expected a Config, as sgan_jax.preset makes it$"):
        sgan_jax.train(config)

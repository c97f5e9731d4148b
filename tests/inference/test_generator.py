"""`eval --generator`: figures of a run's generator by the features of another run's classifier."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_files import write_net
from outer import RUN, copy_of_finished_run, finished_run, shared

import sgan_jax
from sgan_jax.cli.eval_generator import as_text
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.load import load_embedded
from sgan_jax.inference.generator import evaluate_generator
from sgan_jax.inference.sample import MAX_SAMPLES, generate, generate_many
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened, open_run

Does = Callable[..., str]
SMALL = {"model.networks": "compact", "model.width": 16, "batch_size": 20, "steps": 60, "steps_per_epoch": 60}


def reference() -> Path:
    """A classifier of the embedded digits, trained on 1,000 labels."""
    config = sgan_jax.preset("supervised", SMALL, dataset="mnist-5k", labels=1000, learning_rate=0.003)
    return shared("reference", lambda folder: str(sgan_jax.train(config, folder).run))[0]


def opened() -> Opened:
    return open_run(finished_run()[0] / RUN)


def test_the_figures_of_a_generator_stand_beside_those_of_test_images(does: Does, tmp_path: Path) -> None:
    copy_of_finished_run(tmp_path)
    command = ("eval", "--generator", "--features", reference(), "--images", 300)
    printed = does(*command)
    assert "300 generated images beside as many training images" in printed
    measured = json.loads(does(*command, "--json"))
    assert measured["features"]["sha256"][:12] in printed
    assert measured["features"]["test_accuracy"] > 0.5
    generated, floor = measured["generated"], measured["test_images"]
    assert generated.keys() == floor.keys()
    for name in ("frechet_distance", "kernel_distance"):  # noise, after eight steps
        assert generated[name] > 5 * abs(floor[name])
    for name in ("recall", "coverage"):
        assert generated[name] < 0.5 * floor[name]
    assert 0.8 < floor["precision"] <= 1 and 0.7 < floor["density"] < 1.3
    assert 0 < floor["copies_of_training_images"] < 0.05
    assert floor["class_entropy"] == pytest.approx(np.log2(10), abs=0.1)
    assert sum(measured["histogram"].values()) == 300 and len(measured["histogram"]) == 10
    assert json.loads(does(*command, "--json")) == measured, "nothing random is left out of the seeds"


def test_a_generator_that_copies_training_images_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_embedded()
    chosen = np.random.default_rng(1).permutation(4000)[:200]
    copies, labels = digits.train_images[chosen], digits.train_labels[chosen]
    monkeypatch.setattr("sgan_jax.inference.generator.generate_many", lambda *_: copies)
    monkeypatch.setattr("sgan_jax.inference.generator.classes_of_many", lambda *_: labels)
    result = evaluate_generator(opened(), reference(), count=200)
    assert (
        result.figures["copies_of_training_images"].value > 0.95 > 0.1 > result.floor["copies_of_training_images"].value
    )
    assert result.figures["frechet_distance"].value < 1.2 * result.floor["frechet_distance"].value
    assert result.figures["coverage"].value > 0.8 * result.floor["coverage"].value
    assert result.figures["duplicates"].value < 0.1
    agreements = result.figures["class_agreement"].value, result.floor["class_agreement"].value
    assert min(agreements) > 0.5 and agreements[1] == pytest.approx(agreements[0], abs=0.2)
    monkeypatch.setattr("sgan_jax.inference.generator.classes_of_many", lambda *_: (labels + 1) % 10)
    monkeypatch.setattr("sgan_jax.inference.generator.generate_many", lambda *_: copies[np.arange(200) % 10])
    result = evaluate_generator(opened(), reference(), count=200)
    assert result.figures["duplicates"].value == 1.0
    assert result.figures["class_agreement"].value < 0.2
    assert result.figures["coverage"].value < 0.5


def test_generated_images_are_the_same_for_any_number() -> None:
    assert generate_many(opened(), 3).shape == (3, 28, 28, 1)
    many = generate_many(opened(), MAX_SAMPLES + 5)
    np.testing.assert_array_equal(many[:3], generate_many(opened(), 3))
    assert (many[MAX_SAMPLES:] != many[:5]).any()
    assert len(np.unique(generate(opened(), 5), axis=0)) == 5


def test_a_file_of_the_users_gives_features(does: Does, fails: Does, tmp_path: Path) -> None:
    copy_of_finished_run(tmp_path)
    file = write_net(tmp_path / "net.onnx", ("N", 3, 12, 12))
    command = ("eval", "--generator", "--features", file, "--images", 50)
    printed, measured = does(*command), json.loads(does(*command, "--json"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert printed.splitlines()[2] == f"features: {file} (SHA-256 {digest[:12]})" and "of generated" not in printed
    assert measured["features"] == {"file": str(file), "sha256": digest} and measured["histogram"] == {}
    assert "class_entropy" not in measured["generated"] and measured["test_images"]["recall"] > 0.7
    assert fails("eval", "--generator", "--features", "no.onnx").startswith("--features no.onnx: cannot be read")


def few_images(tmp_path: Path, training: int, tests: int) -> Opened:
    """A run of one step on so many of the digits, which lie in `few.npz`."""
    digits = load_embedded()
    arrays = digits.train_images[:training], digits.train_labels[:training]
    held_out = digits.test_images[:tests], digits.test_labels[:tests]
    config = sgan_jax.preset("joint", {"model.width": 2, "batch_size": 2, "steps": 1, "data.labels": 20})
    run = sgan_jax.train(
        config, tmp_path / "run", Dataset("few", *arrays, *held_out, digits.class_names, custom=True)
    ).run
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "few.npz", **dict(zip(names, (*arrays, *(held_out if tests else ())), strict=False)))
    return open_run(run)


@pytest.mark.slow
@pytest.mark.parametrize(("tests", "count", "images"), [(3, None, 60), (20, None, 20), (20, 40, 40)])
def test_where_test_images_are_few_there_is_no_floor(
    tests: int, count: int | None, images: int, tmp_path: Path
) -> None:
    opened = few_images(tmp_path, 60, tests)
    result = evaluate_generator(opened, reference(), str(tmp_path / "few.npz"), count=count)
    assert (result.images, bool(result.floor)) == (images, tests >= images)
    text = as_text(result)
    assert ("test images" in text.splitlines()[3]) == bool(result.floor)
    assert (f"no floor: there are fewer than {images} test images" in text) != bool(result.floor)


def test_slips_are_one_line(fails: Does, tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    colour = np.zeros((6, 8, 8, 3), np.uint8)
    labels = np.arange(6, dtype=np.int32) % 2
    other = Dataset("other", colour, labels, colour[:0], labels[:0], ("a", "b"), custom=True)
    config = sgan_jax.preset("supervised", width=2, batch_size=2, steps=1)
    sgan_jax.train(config, tmp_path / "colour", other)
    noise = f"{tmp_path / 'noise'}: its objective does not train the generator, which draws noise"
    shutil.copytree(reference(), tmp_path / "noise")
    for arguments, message in (
        (("--generator",), "--generator: needs --features RUN, a run whose classifier was trained separately"),
        (("--features", reference()), "--features: only of a generator; give --generator as well"),
        (("--images", 5), "--images: only of a generator; give --generator as well"),
        (("--generator", "--features", run), f"--features {run}: the run that is measured; expected a classifier "),
        (
            ("--generator", "--features", "colour"),
            "--features colour: a classifier of images of 8 x 8 x 3; expected 28",
        ),
        (("--generator", "--features", "none"), "--features: none: no such run directory"),
        (("--generator", "--features", run, "--run", tmp_path / "noise"), noise),
        (("--generator", "--features", reference(), "--images", 5), "--images: 5; must be between 6 and 4000"),
        (("--generator", "--features", reference(), "--images", 4001), "--images: 4001; must be between 6 and 4000"),
        (("--generator", "--features", reference(), "--top-k", 2), "--top-k: of a classifier; leave out --generator"),
    ):
        assert fails("eval", *arguments).startswith(message)


def test_too_many_features_are_one_line(fails: Does, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_of_finished_run(tmp_path)
    monkeypatch.setattr("sgan_jax.runs.features.MOST_FEATURES", 10)
    message = fails("eval", "--generator", "--features", reference())
    assert "features an image; expected at most 10; a run of --model.networks residual has few" in message


def test_a_reference_without_its_figures_has_no_accuracy(tmp_path: Path) -> None:
    shutil.copytree(reference(), tmp_path / "moved")
    RunDir(tmp_path / "moved").metrics_file.unlink()
    result = evaluate_generator(opened(), tmp_path / "moved", count=20)
    assert result.features.accuracy is None

"""A generator that draws the class asked for: networks, grids, walks, exported files, the command line and Python."""

import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import MNIST, drawn
from outer import RUN, finished_run, shared

import sgan_jax
from sgan_jax.engine.system import System, build
from sgan_jax.export.prepare import generator, prepare
from sgan_jax.inference.estimator import SGANClassifier
from sgan_jax.inference.sample import WALK, classes_of_many, generate, generate_many, walk
from sgan_jax.models.layers import with_moments_of
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.runs.opened import Opened, open_run
from sgan_jax.types import Model

Does = Callable[..., str]
SETTINGS = {
    "objective.name": "triple",
    "objective.classifier_pairs": 0.0,
    "objective.generated_weight": 0.0,
    "objective.gradient_penalty": 0.0,
    "model.width": 4,
    "model.latent": 3,
    "batch_size": 4,
    "steps": 2,
    "steps_per_epoch": 2,
    "ema_decay": 0.5,
    "generator.averaged": True,
}


@cache
def run() -> Path:
    config = sgan_jax.preset("joint", SETTINGS, dataset="mnist-5k")
    return shared("triple", lambda folder: str(sgan_jax.train(config, folder / RUN).run))[0] / RUN


@cache
def opened() -> Opened:
    return open_run(run())


def by_class(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The mean image of each class."""
    return np.stack([images[classes == one].astype(float).mean(axis=0) for one in np.unique(classes)])


SLOW = {"compact", "residual", "wide_residual"}  # whose generators are those of others, of another width


@pytest.mark.parametrize(
    "networks", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(NETWORKS)]
)
def test_every_generator_draws_by_class(networks: str) -> None:
    gen = NETWORKS[networks].generator(MNIST, latent=5, width=4, classes=3)
    params = drawn(gen)
    latents, classes = gen.inputs(jax.random.key(0), 6)
    assert latents.shape == (6, 5) and classes.shape == (6,) and set(np.asarray(classes).tolist()) <= {0, 1, 2}
    apply = jax.jit(with_moments_of(gen, Model(params), latents, classes))
    of_class = [apply(latents, jnp.full(6, one, jnp.int32)) for one in range(3)]
    assert of_class[0].shape == (6, *MNIST)
    assert all(np.abs(a - b).max() > 1e-3 for a, b in itertools.pairwise(of_class))
    plain = NETWORKS[networks].generator(MNIST, latent=5, width=4)
    (same,) = plain.inputs(jax.random.key(0), 6)
    np.testing.assert_array_equal(same, latents)


def test_images_follow_one_another_by_class_and_a_grid_has_a_class_a_row() -> None:
    system, model = opened().system, opened().system.drawing(opened().state)
    key, cycle = jax.random.key(1), np.arange(30) % 10
    by_default = system.generate(model, key, 30)
    np.testing.assert_array_equal(by_default, system.generate(model, key, 30, cycle))
    rows = system.in_rows(30)
    assert rows is not None and rows.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert system.in_rows(110)[-1] == 0, "after the last class the first"  # type: ignore[index]
    np.testing.assert_array_equal(generate(opened(), 30), generate(opened(), 30, None, None))
    one = generate(opened(), 30, label="7")
    np.testing.assert_array_equal(generate(opened(), 80)[70:], generate(opened(), 80, label="7")[70:])
    assert (one[:10] != generate(opened(), 10)).any()
    many = generate_many(opened(), 25)
    np.testing.assert_array_equal(many[:3], generate_many(opened(), 3))
    assert classes_of_many(opened(), 25).tolist() == [*range(10), *range(10), *range(5)]  # type: ignore[union-attr]
    assert classes_of_many(open_run(finished_run()[0] / RUN), 25) is None


def test_a_row_of_a_walk_is_of_one_class() -> None:
    rows = walk(opened(), 2 * WALK)
    np.testing.assert_array_equal(rows[:WALK], walk(opened(), WALK, label="0"))
    np.testing.assert_array_equal(rows[WALK:], walk(opened(), 2 * WALK, label="1")[WALK:])


def test_the_generator_draws_with_its_averaged_weights_where_the_configuration_says_so() -> None:
    state, system = opened().state, opened().system
    averaged, last = state.model("g", averaged=True), state.model("g")
    assert jax.tree.leaves(system.drawing(state).params)[0] is jax.tree.leaves(averaged.params)[0]
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (averaged.params, last.params)), strict=True))
    assert prepare(opened(), "generator").metadata["averaged"] is True
    plain: System = build(sgan_jax.preset("joint", SETTINGS | {"generator.averaged": False}), (28, 28, 1), 10)
    assert jax.tree.leaves(plain.drawing(state).params)[0] is jax.tree.leaves(last.params)[0]


@pytest.mark.parametrize("networks", [pytest.param("tutorial", marks=pytest.mark.slow), "mlp"])
def test_an_exported_generator_takes_numbers_of_the_classes_after_the_latents(networks: str) -> None:
    gen = NETWORKS[networks].generator(MNIST, latent=5, width=4, classes=3)
    function = jax.jit(generator(gen, Model(drawn(gen))))
    latents = jax.random.normal(jax.random.key(0), (2, 5))
    scores = jnp.array([[0.1, 0.9, 0.0], [0.0, 1.0, 0.5]])
    certain = jnp.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    images = function(jnp.concatenate([latents, scores], axis=1))
    np.testing.assert_array_equal(images, function(jnp.concatenate([latents, certain], axis=1)))
    others = function(jnp.concatenate([latents, certain[:, ::-1].at[:, 1].set(-1.0)], axis=1))
    assert np.abs(images - others).max() > 1e-3


def test_the_file_of_a_conditional_generator_draws_what_the_run_draws(does: Does, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    does("export", "--run", run(), "--kind", "generator", "--averaged", "--out", "g.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx")
    latents, classes = opened().system.gen.inputs(jax.random.key(5), 100)
    inputs = np.concatenate([latents, np.eye(10, dtype=np.float32)[np.asarray(classes)]], axis=1)
    (images,) = session.run(None, {session.get_inputs()[0].name: inputs})
    system = opened().system
    expected = system.generate_from(system.drawing(opened().state), latents, np.asarray(classes))
    assert np.abs(np.round(255 * images) - expected.astype(float)).max() <= 1
    metadata = session.get_modelmeta().custom_metadata_map
    assert "a number for each class" in json.dumps(metadata)


def test_classes_are_asked_for_by_name(does: Does, fails: Does, tmp_path: Path) -> None:
    drawn_file = Path(does("sample", "--run", run(), "--class", "7", "--count", 20, "--out", "seven.png").strip())
    assert drawn_file.exists()
    message = "--class: seven; expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert message in fails("sample", "--run", run(), "--class", "seven")
    plain = finished_run()[0] / RUN
    assert "--class: 7; this generator draws no class on request" in fails("sample", "--run", plain, "--class", "7")
    assert "leave out --gif or --class" in fails("sample", "--run", run(), "--gif", "--class", "7")


def test_python_asks_for_classes() -> None:
    loaded = sgan_jax.load(run())
    images = loaded.generate(12, label="7")
    assert images.shape == (12, 28, 28, 1)
    np.testing.assert_array_equal(images[7], loaded.generate(12)[7])
    model = SGANClassifier.load(run())
    np.testing.assert_array_equal(model.sample(12, label=7), images)
    with pytest.raises(ValueError, match="^class: 11; expected one of 0, 1, 2"):
        model.sample(12, label=11)


def test_generated_images_are_written_as_arrays_to_train_on(does: Does, fails: Does, tmp_path: Path) -> None:
    assert does("sample", "--run", run(), "--out", "made.npz", "--count", 1005).strip() == "made.npz"
    with np.load(tmp_path / "made.npz") as arrays:
        images, labels = arrays["x_train"], arrays["y_train"]
    np.testing.assert_array_equal(images, generate_many(opened(), 1005))
    assert labels.tolist()[:11] == [*"0123456789", "0"] and labels[1000] == "0"
    assert "every image has a label" in does("data", "check", "made.npz")
    does("sample", "--run", finished_run()[0] / RUN, "--out", "plain.npz", "--count", 3)
    with np.load(tmp_path / "plain.npz") as arrays:
        assert arrays.files == ["x_train"]
    assert "--class: of a picture; expected --out with .png, or no --class" in fails(
        "sample", "--run", run(), "--out", "made.npz", "--class", "7"
    )
    assert "--out: made.jpg; expected a name with .png" in fails("sample", "--run", run(), "--out", "made.jpg")
    assert "--out: made.png; expected a name with .gif" in fails("sample", "--run", run(), "--gif", "--out", "made.png")

"""Facts about the tutorial's networks: sizes, first weights and first losses."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import batch_of, bound
from nets import DISC, GEN, shapes, size

from sgan_jax.data.embedded import load_embedded
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.tutorial import discriminator
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.adversarial import tutorial
from sgan_jax.types import Batch, Layer, Params

# --- Sizes and shapes


def test_parameter_counts_are_the_tutorials() -> None:
    assert size(shapes(GEN)) == 1_164_289
    assert size(shapes(DISC)) == 316_938


def test_rows_of_the_discriminator() -> None:
    assert DISC.layers() == [
        Layer("input", "Input", (None, 28, 28, 1), 0),
        Layer("conv_1", "Conv 3x3, stride 2", (None, 14, 14, 128), 1_280),
        Layer("leaky_1", "Leaky ReLU 0.2", (None, 14, 14, 128), 0),
        Layer("conv_2", "Conv 3x3, stride 2", (None, 7, 7, 128), 147_584),
        Layer("leaky_2", "Leaky ReLU 0.2", (None, 7, 7, 128), 0),
        Layer("conv_3", "Conv 3x3, stride 2", (None, 4, 4, 128), 147_584),
        Layer("leaky_3", "Leaky ReLU 0.2", (None, 4, 4, 128), 0),
        Layer("features", "Flatten", (None, 2048), 0),
        Layer("dropout", "Dropout 0.4", (None, 2048), 0),
        Layer("logits", "Dense", (None, 10), 20_490),
        Layer("class", "Softmax", (None, 10), 0, inputs=(9,)),
        Layer("real", "Z / (Z + 1)", (None, 1), 0, inputs=(9,)),
    ]


def test_rows_of_the_generator() -> None:
    assert GEN.layers() == [
        Layer("input", "Input", (None, 100), 0),
        Layer("dense", "Dense", (None, 6272), 633_472),
        Layer("leaky_0", "Leaky ReLU 0.2", (None, 6272), 0),
        Layer("reshape", "Reshape", (None, 7, 7, 128), 0),
        Layer("up_1", "Transposed conv 4x4, stride 2", (None, 14, 14, 128), 262_272),
        Layer("leaky_1", "Leaky ReLU 0.2", (None, 14, 14, 128), 0),
        Layer("up_2", "Transposed conv 4x4, stride 2", (None, 28, 28, 128), 262_272),
        Layer("leaky_2", "Leaky ReLU 0.2", (None, 28, 28, 128), 0),
        Layer("image", "Conv 7x7", (None, 28, 28, 1), 6_273),
        Layer("tanh", "tanh", (None, 28, 28, 1), 0),
    ]


@pytest.mark.parametrize("head", sorted(HEADS))
def test_discriminator_of_each_head_on_oblong_images_of_three_channels(head: str) -> None:
    disc = discriminator((12, 20, 3), 5, HEADS[head], width=4)
    params = shapes(disc)
    out = jax.eval_shape(disc.apply, params, jax.ShapeDtypeStruct((7, 12, 20, 3), jnp.float32), None)
    assert out.features.shape == (7, 2 * 3 * 4)  # 12 x 20, 6 x 10, 3 x 5, 2 x 3
    assert out.class_logits.shape == (7, 5 if HEADS[head].classifies else 0)
    assert out.real_logit.shape == (7,)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, out))} == {jnp.dtype("float32")}
    assert sum(row.parameters for row in disc.layers()) == size(params)
    rows = {row.name: row for row in disc.layers()}
    assert rows["logits"].output == (None, HEADS[head].outputs(5))
    assert ("class" in rows) == HEADS[head].classifies
    assert disc.layers()[rows["real"].inputs[0]] == rows["logits"]


# --- First weights


@pytest.fixture(scope="module")
def init() -> Callable[[int], tuple[Params, Params]]:
    """Fresh parameters of the full discriminator and generator, from a seed."""
    compiled = jax.jit(lambda key: (DISC.init(key), GEN.init(key)))
    return lambda seed: compiled(jax.random.key(seed))


@pytest.fixture(scope="module")
def fresh(init: Callable[[int], tuple[Params, Params]]) -> tuple[Params, Params]:
    return init(0)


@pytest.mark.parametrize("player", [0, 1], ids=["d", "g"])
def test_first_kernels_are_glorot_uniform_and_biases_zero(player: int, fresh: tuple[Params, Params]) -> None:
    for name, layer in fresh[player].items():
        assert sorted(layer) == ["bias", "kernel"], name
        np.testing.assert_array_equal(layer["bias"], 0, err_msg=name)
        kernel = np.asarray(layer["kernel"])
        *taps, fan_in, fan_out = kernel.shape
        limit = math.sqrt(6 / (math.prod(taps) * (fan_in + fan_out)))
        assert np.abs(kernel).max() <= limit * (1 + 1e-6), name
        assert np.abs(kernel).max() > 0.995 * limit, name
        # mean and deviation of a uniform distribution, within five standard errors
        assert abs(kernel.mean()) < 5 * limit / math.sqrt(3 * kernel.size), name
        assert kernel.std() == pytest.approx(limit / math.sqrt(3), abs=5 * limit / math.sqrt(11 * kernel.size)), name


def test_first_weights_follow_from_the_key_and_differ_between_layers(
    init: Callable[[int], tuple[Params, Params]], fresh: tuple[Params, Params]
) -> None:
    for ours, same, other in zip(fresh, init(0), init(1), strict=True):
        for name, layer in ours.items():
            np.testing.assert_array_equal(layer["kernel"], same[name]["kernel"])
            assert not np.array_equal(layer["kernel"], other[name]["kernel"]), name
    d, g = fresh
    assert not np.array_equal(d["conv_2"]["kernel"], d["conv_3"]["kernel"])
    assert not np.array_equal(g["up_1"]["kernel"], g["up_2"]["kernel"])


# --- The tutorial's first line: >1, c[2.305,6], d[0.096,2.399], g[0.095]


def test_first_losses_of_a_fresh_network_are_the_tutorials(fresh: tuple[Params, Params]) -> None:
    d, g = fresh
    digits = load_embedded()
    one_each = [int(np.flatnonzero(digits.train_labels == k)[0]) for k in range(10)]
    lab = scale(jnp.asarray(digits.train_images[one_each]))
    unl = scale(jnp.asarray(digits.train_images[::800]))
    assert len(unl) == 5
    batch = batch_of(lab, unl)._replace(lab_labels=jnp.arange(10, dtype=jnp.int32))

    @jax.jit
    def first_losses(d: Params, g: Params, batch: Batch) -> dict[str, jax.Array]:
        nets = bound(
            lambda x, key: DISC.apply(d, x, key),
            lambda latents: GEN.apply(g, latents),
            latents=lambda key, count: jax.random.normal(key, (10, 100))[:count],
        )
        each = [move.terms(nets, batch, jax.random.key(4)).loss for move in tutorial()]
        return {name: value for loss in each for name, value in loss.items()}

    losses = first_losses(d, g, batch)
    assert losses["d/supervised"] == pytest.approx(2.30, abs=0.05)
    assert losses["d/real"] == pytest.approx(0.096, abs=0.01)
    assert losses["d/fake"] == pytest.approx(2.399, abs=0.05)
    assert losses["g/fool"] == pytest.approx(0.095, abs=0.01)

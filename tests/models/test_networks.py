"""Facts about all networks: with every head, on images of any size."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import drawn, shallow, shapes, size
from small import equal

from sgan_jax.models.heads import HEADS
from sgan_jax.models.layers import ChannelBatchNorm, group_norm
from sgan_jax.models.networks.residual import halved
from sgan_jax.models.networks.table import NETWORKS, generator
from sgan_jax.types import Params, Statistics


def test_size_of_the_compact_discriminator() -> None:
    disc = NETWORKS["compact"].discriminator((28, 28, 1), 10, HEADS["stacked"])
    convolutions = (25 * 32 + 3 * 32) + (9 * 32 * 64 + 3 * 64) + (9 * 64 * 128 + 3 * 128)  # bias, and two of the norm
    assert size(shapes(disc)) == convolutions + (4 * 4 * 128 * 256 + 256) + (256 * 10 + 10) == 620_746


def test_size_of_the_residual_discriminator() -> None:
    disc = NETWORKS["residual"].discriminator((32, 32, 3), 10, HEADS["stacked"])
    blocks = [sizes for wide in (64, 128, 256) for sizes in ((wide // 2, wide), (wide, wide), (wide, wide))]
    sizes = [(3, 32), *blocks]
    convolutions = sum(9 * inputs * outputs + 3 * outputs for inputs, outputs in sizes)  # bias, and two of the norm
    assert size(shapes(disc)) == convolutions + (256 * 10 + 10) == 1_942_922


def test_size_of_the_wide_residual_discriminator() -> None:
    disc = NETWORKS["wide_residual"].discriminator((32, 32, 3), 10, HEADS["stacked"])
    blocks = []
    for inputs, outputs in ((16, 32), (32, 64), (64, 128)):
        convolutions = 9 * inputs * outputs + 7 * 9 * outputs * outputs + inputs * outputs  # the last is the shortcut's
        blocks.append(convolutions + 9 * outputs + 2 * (inputs + 7 * outputs))  # biases; two numbers of each norm
    assert size(shapes(disc)) == (27 * 16 + 16) + sum(blocks) + 2 * 128 + (128 * 10 + 10)
    assert size(shapes(disc)) == pytest.approx(1.47e6, rel=0.01)  # as papers give it
    deeper = NETWORKS["wide_residual"].discriminator((32, 32, 3), 10, HEADS["stacked"], blocks=6)
    assert sum(row.name.startswith("sum") for row in deeper.layers()) == 3 * 6


def test_a_residual_trunk_has_the_number_of_blocks_that_is_asked_for() -> None:
    for blocks in (1, 3):
        disc = NETWORKS["residual"].discriminator((32, 32, 3), 10, HEADS["stacked"], width=8, blocks=blocks)
        assert sum(row.name.startswith("sum") for row in disc.layers()) == 3 * blocks


def test_a_pool_takes_the_largest_of_four_and_repeats_the_edge() -> None:
    x = jnp.arange(15.0).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(halved(x)[0, :, :, 0], [[6, 8, 9], [11, 13, 14]])
    np.testing.assert_array_equal(halved(-x)[0, :, :, 0], [[0, -2, -4], [-10, -12, -14]])


@pytest.mark.parametrize(
    ("name", "head"),  # a head is an output layer, which is all that a network knows of it
    [
        pytest.param(name, head, marks=[pytest.mark.slow] * (name != "tutorial" and head != "stacked"))
        for name in sorted(NETWORKS)
        for head in sorted(HEADS)
    ],
)
def test_every_network_with_every_head_on_oblong_images_of_three_channels(name: str, head: str) -> None:
    disc = NETWORKS[name].discriminator((20, 36, 3), 5, HEADS[head], width=8)
    gen = NETWORKS[name].generator((20, 36, 3), latent=6, width=8)
    images = jax.eval_shape(gen.apply, shapes(gen), jax.ShapeDtypeStruct((7, 6), jnp.float32))
    out = jax.eval_shape(disc.apply, shapes(disc), images, jax.random.key(0))
    assert (images.shape, images.dtype) == ((7, 20, 36, 3), jnp.float32)
    assert (len(out.features), out.class_logits.shape) == (7, (7, 5 if HEADS[head].classifies else 0))
    assert out.real_logit.shape == (7,) and out.features.ndim == 2
    for net in (disc, gen):
        assert sum(row.parameters for row in net.layers()) == size(shapes(net))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_without_a_key_predictions_are_certain_and_with_one_they_vary(name: str) -> None:
    disc = NETWORKS[name].discriminator((8, 8, 1), 3, HEADS["stacked"], width=8, dropout=0.5, **shallow(name))
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 1)), jnp.float32)
    params, apply = drawn(disc), jax.jit(disc.apply)
    plain, again = (apply(params, images, None).class_logits for _ in range(2))
    np.testing.assert_array_equal(plain, again)
    first, second = (apply(params, images, jax.random.key(k)).class_logits for k in (1, 2))
    assert not np.allclose(first, second) and not np.allclose(first, plain)


def test_examples_change_nothing_in_networks_that_do_not_ask_for_them() -> None:
    images = jnp.ones((3, 8, 8, 1))
    for name in ("tutorial", "compact"):
        disc = NETWORKS[name].discriminator((8, 8, 1), 3, HEADS["stacked"], width=8)
        init = jax.jit(disc.init)
        assert equal(init(jax.random.key(0)), init(jax.random.key(0), images))


def test_group_norm_by_hand() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(3, 2, (2, 3, 4, 6)), jnp.float32)
    scale, bias = jnp.arange(1.0, 7.0), jnp.arange(6.0)
    by_hand = np.empty(x.shape)
    for image in range(2):
        for group in range(2):
            part = np.asarray(x[image, :, :, 3 * group : 3 * group + 3], np.float64)
            by_hand[image, :, :, 3 * group : 3 * group + 3] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    np.testing.assert_allclose(
        jax.jit(group_norm, static_argnums=3)(x, scale, bias, 2),
        by_hand * np.asarray(scale) + np.asarray(bias),
        atol=1e-4,
    )


def of_batch(params: Params, x: jax.Array, statistics: Statistics, training: bool) -> tuple[jax.Array, Statistics]:
    out, changed = ChannelBatchNorm(decay=0.5).apply(
        {"params": params, "statistics": statistics}, x, training, mutable=["statistics"]
    )
    return out, changed["statistics"]


def test_batch_norm_is_flaxs_and_its_running_moments_are_means_of_the_first_steps() -> None:
    draw = np.random.default_rng(0)
    batches = [jnp.asarray(draw.normal(3, 2, (4, 3, 5, 6)), jnp.float32) for _ in range(4)]
    params = {"scale": jnp.arange(1.0, 7.0), "bias": jnp.arange(6.0)}
    flaxs = nn.BatchNorm(use_running_average=False, momentum=0.5)
    variables = ChannelBatchNorm(decay=0.5).init(jax.random.key(0), batches[0], False)
    statistics, of_steps = variables["statistics"], []
    for x in batches:
        out, statistics = of_batch(params, x, statistics, training=True)
        start = {"mean": jnp.zeros(6), "var": jnp.ones(6)}
        expected, _ = flaxs.apply({"params": params, "batch_stats": start}, x, mutable=["batch_stats"])
        np.testing.assert_allclose(out, expected, atol=1e-4)
        of_steps.append((x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))))
    for index, name in enumerate(("mean", "variance")):
        first, second, third, fourth = (moments[index] for moments in of_steps)  # 1 / 1, 1 / 2, 0.5 and 0.5 of each
        by_hand = 0.5 * (0.5 * (first + second) / 2 + 0.5 * third) + 0.5 * fourth
        np.testing.assert_allclose(statistics[name], by_hand, rtol=1e-4)
    out, after = of_batch(params, batches[0], statistics, training=False)
    running = {"mean": statistics["mean"], "var": statistics["variance"]}
    expected = nn.BatchNorm(use_running_average=True).apply({"params": params, "batch_stats": running}, batches[0])
    np.testing.assert_allclose(out, expected, atol=1e-4)
    assert equal(after, statistics)


def test_batch_norm_treats_images_together_in_training_and_one_by_one_after_it() -> None:
    disc = NETWORKS["residual"].discriminator((8, 12, 3), 3, HEADS["stacked"], width=8, norm="batch")
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (6, 8, 12, 3)), jnp.float32)
    params, statistics = drawn(disc), disc.statistics()
    apply = jax.jit(disc.apply, static_argnums=4)
    trained, fewer = (apply(params, x, None, statistics, True) for x in (images, images[:3]))
    assert np.abs(trained.class_logits[:3] - fewer.class_logits).max() > 0.01
    assert not disc.by_example and not equal(trained.statistics, statistics)
    after, fewer = (apply(params, x, None, trained.statistics, False) for x in (images, images[:3]))
    np.testing.assert_allclose(after.class_logits[:3], fewer.class_logits, atol=1e-5)
    np.testing.assert_allclose(after.class_logits, trained.class_logits, atol=1e-4)  # of one step: this batch's


SIZES = [
    (28, [14, 7, 4], [7, 14, 28]),
    (64, [32, 16, 8, 4], [8, 16, 32, 64]),
    (96, [48, 24, 12, 6], [12, 24, 48, 96]),
]


@pytest.mark.parametrize(("size", "stages"), [(28, 3), (32, 3), (64, 4), (96, 4), (128, 5)])
def test_the_residual_trunk_has_as_many_stages_as_the_size_of_images_asks_for(size: int, stages: int) -> None:
    disc = NETWORKS["residual"].discriminator((size, size, 3), 4, HEADS["stacked"], width=8)
    sides = [row.output[1] for row in disc.layers() if row.name.startswith("sum")]
    assert len(sides) == stages and sides[-1] in (4, 6)


@pytest.mark.parametrize(("size", "down", "up"), SIZES)
@pytest.mark.parametrize("name", ["compact", "tutorial"])
def test_networks_have_as_many_convolutions_as_the_size_of_images_asks_for(
    name: str, size: int, down: list[int], up: list[int]
) -> None:
    disc = NETWORKS[name].discriminator((size, size, 3), 4, HEADS["stacked"], width=8)
    assert [row.output[1] for row in disc.layers() if row.name.startswith("conv")] == down
    gen = generator((size, size, 3), width=8)
    assert [row.output[1] for row in gen.layers() if row.name.startswith(("reshape", "up"))] == up


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_images_of_any_size_are_made(name: str) -> None:
    gen = NETWORKS[name].generator((30, 27, 1), width=8)
    images = jax.eval_shape(gen.apply, shapes(gen), jax.ShapeDtypeStruct((7, *gen.input_shape), jnp.float32))
    assert images.shape == (7, 30, 27, 1)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_output_layer_is_one_of_the_parameters(name: str) -> None:
    made = NETWORKS[name]
    for net in (made.discriminator((8, 8, 1), 3, HEADS["stacked"], width=8), made.generator((8, 8, 1), width=8)):
        assert net.output_layer in shapes(net)

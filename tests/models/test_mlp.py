"""Facts about Improved GAN's networks: sizes, first weights, what is normalised and what is trained."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import MNIST, drawn, shapes, size

from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.mlp import discriminator, generator


def test_sizes_of_the_networks_of_improved_gan() -> None:
    disc = discriminator(MNIST, 10, HEADS["stacked"])
    sizes = (784, 1000, 500, 250, 250, 250, 10)
    # Of each layer: the kernel, and a scale and a bias a unit.
    assert size(shapes(disc)) == sum(i * o + 2 * o for i, o in itertools.pairwise(sizes))
    gen = generator(MNIST)
    # Two dense layers with a bias and one more of the batch norm; then one with scale and bias.
    assert size(shapes(gen)) == (100 * 500 + 2 * 500) + (500 * 500 + 2 * 500) + (500 * 784 + 2 * 784)


def test_weight_normalised_layers_begin_with_deviation_one_over_the_examples() -> None:
    disc = discriminator((8, 8, 1), 3, HEADS["stacked"], width=40)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)), jnp.float32)
    params, apply = jax.jit(disc.init)(jax.random.key(0), images), jax.jit(disc.apply)
    logits = np.concatenate([apply(params, images, jax.random.key(k)).class_logits for k in range(4)])
    np.testing.assert_allclose(logits.std(axis=0), 1, atol=0.2)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=0.2)
    # Of the columns only the direction counts.
    layer = params["dense_2"]
    longer = params | {"dense_2": layer | {"direction": 3 * layer["direction"]}}
    one, other = (apply(either, images, None).class_logits for either in (longer, params))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_columns_of_improved_gan_begin_as_long_as_in_its_code() -> None:
    """Normal(0.1) in `nn.DenseLayer`; Lasagne's Glorot-uniform, scale 1 and bias 0 in `nn.l2normalize`."""
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (50, 28, 28, 1)), jnp.float32)
    disc = jax.jit(discriminator(MNIST, 10, HEADS["stacked"]).init)(jax.random.key(0), images)
    for layer in (f"dense_{i}" for i in range(5)):
        assert np.std(disc[layer]["direction"]) == pytest.approx(0.1, rel=0.05)
    latents = jax.random.normal(jax.random.key(1), (50, 100))
    pixels = jax.jit(generator(MNIST).init)(jax.random.key(0), latents)["pixels"]
    limit = np.sqrt(6 / (500 + 784))
    assert 0.99 * limit < np.abs(pixels["direction"]).max() <= limit
    np.testing.assert_array_equal(pixels["scale"], 1)
    np.testing.assert_array_equal(pixels["bias"], 0)


def test_scales_are_trained_in_the_last_layer_alone() -> None:
    disc = discriminator((8, 8, 1), 3, HEADS["stacked"], width=8)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (9, 8, 8, 1)), jnp.float32)
    gradient = jax.jit(jax.grad(lambda p: jnp.square(disc.apply(p, images, None).class_logits).sum()))
    grads = gradient(jax.jit(disc.init)(jax.random.key(0), images))
    moved = {name: bool(np.abs(layer["scale"]).max() > 0) for name, layer in grads.items()}
    assert moved == {f"dense_{i}": False for i in range(5)} | {"logits": True}


def test_an_image_depends_on_the_others_of_its_batch_and_a_prediction_does_not() -> None:
    gen, disc = generator((8, 8, 1), latent=4, width=8), discriminator((8, 8, 1), 3, HEADS["stacked"], width=8)
    assert (gen.by_example, disc.by_example) == (False, True)
    draw = np.random.default_rng(0)
    latents, images = (jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in ((6, 4), (6, 8, 8, 1)))
    images_of = jax.jit(partial(gen.apply, drawn(gen)))
    assert np.abs(images_of(latents[:3]) - images_of(latents)[:3]).max() > 0.01
    logits_of = jax.jit(lambda images: disc.apply(drawn(disc), images, None).class_logits)
    np.testing.assert_allclose(logits_of(images[:3]), logits_of(images)[:3], rtol=1e-5)

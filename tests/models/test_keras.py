"""The tutorial's networks agree with Keras's own layers, with Keras's kernels copied into them."""

import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import DISC, GEN, MNIST, shapes

from sgan_jax.data.embedded import load_embedded
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.losses import cross_entropy, score_as_real
from sgan_jax.types import Net, Params


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    """Keras on its JAX backend, which the strict promotion rules of these tests would stop."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        warnings.catch_warnings(action="ignore"),
    ):
        module = pytest.importorskip("keras")
        assert module.backend.backend() == "jax"
        yield module


def keras_discriminator(keras: Any) -> tuple[Any, Any]:
    """The tutorial's two models over shared layers, without dropout: softmax classifier and critic with Z / (Z + 1)."""
    layers, ops = keras.layers, keras.ops

    def real_probability(logits: Any) -> Any:
        z = ops.sum(ops.exp(logits), axis=-1, keepdims=True)
        return z / (z + 1.0)

    image = x = layers.Input(MNIST)
    for _ in range(3):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(128, 3, strides=2, padding="same")(x))
    logits = layers.Dense(10)(layers.Flatten()(x))
    classifier = keras.Model(image, layers.Activation("softmax")(logits))
    return classifier, keras.Model(image, layers.Lambda(real_probability, output_shape=(1,))(logits))


def keras_generator(keras: Any) -> Any:
    layers = keras.layers
    latent = layers.Input((100,))
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(7 * 7 * 128)(latent))
    x = layers.Reshape((7, 7, 128))(x)
    for _ in range(2):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2DTranspose(128, 4, strides=2, padding="same")(x))
    return keras.Model(latent, layers.Conv2D(1, 7, activation="tanh", padding="same")(x))


def as_ours(net: Net, weights: list[Any], transposed: tuple[str, ...] = ()) -> Params:
    """Keras's weights, or gradients in their order, as our parameters."""
    names = [row.name for row in net.layers() if row.parameters]
    ours = {}
    for name, kernel, bias in zip(names, weights[::2], weights[1::2], strict=True):
        # Conv2DTranspose keeps [4, 4, out, in]
        ours[name] = {"kernel": kernel.swapaxes(2, 3) if name in transposed else kernel, "bias": bias}
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, shapes(net))
    return ours


def with_biases(weights: list[Any]) -> list[jax.Array]:
    """The weights with biases other than Keras's zeros, which would hide a bias in the wrong place."""
    generator = np.random.default_rng(0)
    return [
        jnp.asarray(generator.uniform(-0.1, 0.1, w.shape), jnp.float32) if w.ndim == 1 else jnp.asarray(w)
        for w in (np.asarray(variable.value) for variable in weights)
    ]


def assert_agree(ours: Any, theirs: Any) -> None:
    """Within 1e-5 of the largest value of each array."""
    pairs = jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs)
    for (path, one), other in zip(*pairs, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape, path
        assert np.abs(other).max() > 0, path
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max(), err_msg=str(path))


def test_discriminator_agrees_with_keras_in_outputs_losses_and_gradients(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    classifier, critic = keras_discriminator(keras)
    x = scale(jnp.asarray(load_embedded().train_images[[0, 1500, 3000]]))
    labels = jnp.array([0, 3, 7], jnp.int32)
    weights = with_biases(classifier.trainable_variables)
    assert [v.path for v in critic.trainable_variables] == [v.path for v in classifier.trainable_variables]

    @jax.jit
    def theirs(weights: list[jax.Array], x: jax.Array) -> Any:
        def loss(weights: list[jax.Array], x: jax.Array) -> Any:
            probabilities, _ = classifier.stateless_call(weights, [], x)
            real, _ = critic.stateless_call(weights, [], x)
            c = keras.losses.sparse_categorical_crossentropy(labels, probabilities).mean()
            d = keras.losses.binary_crossentropy(jnp.ones((3, 1)), real).mean()
            return c + d, (probabilities, real[:, 0], c, d)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, x)

    @jax.jit
    def ours(params: Params, x: jax.Array) -> Any:
        def loss(params: Params, x: jax.Array) -> Any:
            out = DISC.apply(params, x, None)
            c, d = cross_entropy(out.class_logits, labels).mean(), score_as_real(out.real_logit).mean()
            return c + d, (jax.nn.softmax(out.class_logits), jax.nn.sigmoid(out.real_logit), c, d)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    (_, out), (by_weights, by_images) = theirs(weights, x)
    (_, our_out), our_grads = ours(as_ours(DISC, weights), x)
    assert_agree(our_out, out)
    assert_agree(our_grads, (as_ours(DISC, by_weights), by_images))


def test_generator_agrees_with_keras_in_images_and_gradients(keras: Any) -> None:
    keras.utils.set_random_seed(1)
    model = keras_generator(keras)
    draw = np.random.default_rng(2)
    z = jnp.asarray(draw.normal(size=(2, 100)), jnp.float32)
    cotangent = jnp.asarray(draw.normal(size=(2, *MNIST)), jnp.float32)
    weights = with_biases(model.trainable_variables)

    @jax.jit
    def theirs(weights: list[jax.Array], z: jax.Array) -> Any:
        images, pull = jax.vjp(lambda w, z: model.stateless_call(w, [], z)[0], weights, z)
        return images, pull(cotangent)

    @jax.jit
    def ours(params: Params, z: jax.Array) -> Any:
        images, pull = jax.vjp(GEN.apply, params, z)
        return images, pull(cotangent)

    images, (by_weights, by_latents) = theirs(weights, z)
    our_images, our_grads = ours(as_ours(GEN, weights, ("up_1", "up_2")), z)
    assert_agree(our_images, images)
    assert_agree(our_grads, (as_ours(GEN, by_weights, ("up_1", "up_2")), by_latents))
    assert np.abs(our_images).max() <= 1

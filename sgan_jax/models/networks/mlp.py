"""The networks with which Improved GAN was measured on MNIST: no convolution, so that no place knows its neighbours.

Salimans et al., arXiv 1606.03498, and their code (mnist_svhn_cifar10/train_mnist_feature_matching.py).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from sgan_jax.models.heads import Head
from sgan_jax.models.layers import (
    LOGITS,
    BatchNorm,
    Dense,
    Function,
    as_discriminator,
    as_generator,
    dropout,
    glorot,
    in_float32,
)
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, Maps
from sgan_jax.types import Net

_INPUT_NOISE = 0.3  # deviation of what is added to pixels in 0..1
_NOISE = 0.5  # of what is added to the input of every other layer


def _normed(columns: jax.Array) -> jax.Array:
    return columns * jax.lax.rsqrt(jnp.square(columns).sum(axis=0, keepdims=True))


class _NormedDense(nn.Module):
    """A dense layer whose columns have length 1, times a scale; Salimans and Kingma, arXiv 1602.07868.

    Scale and bias begin so that what comes out has mean 0 and deviation 1 over the images it is initialised with; where
    not by these examples, as 1 and 0. How long columns begin changes nothing of what comes out, but much of the
    training: Adam's steps are as long for any, and the longer a column, the less it turns at each.
    """

    features: int
    maps: Maps
    trained_scale: bool = False
    by_examples: bool = True
    initial: nn.initializers.Initializer = nn.initializers.normal(0.1)
    kind: str = "Weight-normalised dense"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        direction = self.param("direction", self.initial, (x.shape[-1], self.features))
        out = self.maps.dense(x, in_float32(_normed)(direction))
        if self.by_examples:
            mean, deviation = out.mean(axis=0), out.std(axis=0)
            inverse = jnp.where(deviation > 0, 1.0 / jnp.where(deviation > 0, deviation, 1.0), 1.0)  # of one image: 1
        else:
            mean, inverse = jnp.zeros(self.features), jnp.ones(self.features)
        scale = self.param("scale", lambda key: inverse)
        bias = self.param("bias", lambda key: -mean * inverse)
        if not self.trained_scale:
            scale = jax.lax.stop_gradient(scale)
        return out * scale.reshape(1, -1) + bias.reshape(1, -1)


class _Discriminator(nn.Module):
    width: int
    dropout: float
    outputs: int
    maps: Maps

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        def noise(deviation: float, layer: int) -> Function:
            def add(x: jax.Array) -> jax.Array:
                if self.is_initializing():  # the deviations that layers begin with are those of training
                    k = self.make_rng("params")
                elif key is None:
                    return x
                else:
                    k = jax.random.fold_in(key, layer)
                return x + deviation * jax.random.normal(k, x.shape, x.dtype)

            return Function(f"Gaussian noise {deviation}", add, name=f"noise_{layer}")

        x = Function("Flatten, to 0..1", lambda x: (x.reshape(x.shape[0], -1) + 1.0) / 2.0, name="pixels")(x)
        for layer, part in enumerate((1, 2, 4, 4, 4)):
            x = noise(_NOISE if layer else _INPUT_NOISE, layer)(x)
            x = _NormedDense(-(-self.width // part), self.maps, name=f"dense_{layer}")(x)
            x = Function("ReLU", nn.relu, name=f"relu_{layer}")(x)
        features = x
        x = noise(_NOISE, 5)(x)
        if self.dropout:
            x = dropout(self.dropout)(x, None if key is None else jax.random.fold_in(key, 6))
        return features, _NormedDense(self.outputs, self.maps, trained_scale=True, name=LOGITS)(x)


class _Generator(nn.Module):
    width: int
    image_shape: tuple[int, int, int]
    maps: Maps

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        # The paper's latents are uniform in 0..1; a normal variable's own distribution function makes it so.
        x = Function("Normal to uniform", in_float32(jax.scipy.stats.norm.cdf), name="uniform")(latents)
        for layer in (0, 1):
            x = Dense(-(-self.width // 2), self.maps.dense, name=f"dense_{layer}")(x)
            x = BatchNorm(name=f"norm_{layer}")(x)
            x = Function("Softplus", nn.softplus, name=f"softplus_{layer}")(x)
        pixels = math.prod(self.image_shape)
        x = _NormedDense(pixels, self.maps, trained_scale=True, by_examples=False, initial=glorot, name="pixels")(x)
        x = Function("Sigmoid, to -1..1", lambda x: jnp.tanh(x / 2.0), name="sigmoid")(x)
        return Function("Reshape", lambda x: x.reshape(-1, *self.image_shape), name="image")(x)


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 1000,
    dropout: float = 0.0,
    maps: Maps = MATRIX_PRODUCTS,
) -> Net:
    """Six weight-normalised dense layers, with Gaussian noise before each where `apply` gets a key.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: units of the first layer; the others have a half and, three of them, a quarter of that.
      dropout: rate before the last layer; the paper has none.
      maps: how the layers compute.
    """
    module = _Discriminator(width, dropout, head.outputs(classes), maps)
    return as_discriminator(module, image_shape, classes, head, maps.dtype)


def generator(
    image_shape: tuple[int, int, int],
    latent: int = 100,
    width: int = 1000,
    maps: Maps = MATRIX_PRODUCTS,
    classes: int = 0,
) -> Net:
    """Three dense layers, batch-normalised softplus between them; an image depends on its batch.

    Args:
      image_shape: (H, W, C).
      latent: length of a latent vector.
      width: twice the units of the hidden layers, as the discriminator's.
      maps: how the layers compute.
      classes: K of a conditional generator; 0 of an unconditional one.
    """
    net = as_generator(_Generator(width, image_shape, maps), latent, maps.dtype, classes)
    return net._replace(by_example=False, output_layer="pixels")

"""The tutorial's networks: three strided convolutions, and two transposed ones; more where images are larger."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from sgan_jax.models.heads import Head
from sgan_jax.models.layers import (
    LOGITS,
    Conv,
    Dense,
    Function,
    as_discriminator,
    as_generator,
    dropout,
    halvings,
    leaky_relu,
)
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, Maps
from sgan_jax.types import Net


class _Discriminator(nn.Module):
    """Stride-2 convolutions, flatten, dropout, one dense layer of logits."""

    blocks: int
    width: int
    dropout: float
    outputs: int
    maps: Maps

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        for block in range(1, self.blocks + 1):
            x = Conv(self.width, 3, "Conv 3x3, stride 2", self.maps.down, name=f"conv_{block}")(x)
            x = leaky_relu(f"leaky_{block}")(x)
        features = Function("Flatten", lambda x: x.reshape(x.shape[0], -1), name="features")(x)
        dropped = dropout(self.dropout)(features, key)
        return features, Dense(self.outputs, self.maps.dense, name=LOGITS)(dropped)


class _Generator(nn.Module):
    """A dense layer to a small image, transposed convolutions that double it, a 7x7 convolution and tanh."""

    blocks: int
    width: int
    image_shape: tuple[int, int, int]
    maps: Maps

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        height, width, channels = self.image_shape
        small = (-(-height // 2**self.blocks), -(-width // 2**self.blocks), self.width)
        x = Dense(math.prod(small), self.maps.dense, name="dense")(latents)
        x = leaky_relu("leaky_0")(x)
        x = Function("Reshape", lambda x: x.reshape(-1, *small), name="reshape")(x)
        for block in range(1, self.blocks + 1):
            x = Conv(self.width, 4, "Transposed conv 4x4, stride 2", self.maps.up, name=f"up_{block}")(x)
            x = leaky_relu(f"leaky_{block}")(x)
        x = Conv(channels, 7, "Conv 7x7", self.maps.to_image, name="image")(x)
        if x.shape[1:3] != (height, width):
            x = Function("Crop", lambda x: _crop(x, height, width), name="crop")(x)
        return Function("tanh", jnp.tanh, name="tanh")(x)


def _crop(x: jax.Array, height: int, width: int) -> jax.Array:
    for axis, size in ((1, height), (2, width)):
        x = jax.lax.slice_in_dim(x, 0, size, axis=axis)  # an index would be a gather where the batch is a symbol
    return x


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 128,
    dropout: float = 0.4,
    maps: Maps = MATRIX_PRODUCTS,
) -> Net:
    """The tutorial's discriminator: 316,938 parameters for 28 x 28 x 1 images and ten logits.

    Above 48 pixels it has a fourth convolution, above 96 a fifth.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of each convolution.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute; parameters, logits and features are float32.
    """
    module = _Discriminator(halvings(image_shape, 3, 6), width, dropout, head.outputs(classes), maps)
    return as_discriminator(module, image_shape, classes, head, maps.dtype)


def generator(
    image_shape: tuple[int, int, int],
    latent: int = 100,
    width: int = 128,
    maps: Maps = MATRIX_PRODUCTS,
    classes: int = 0,
) -> Net:
    """The tutorial's generator: 1,164,289 parameters for 28 x 28 x 1 images.

    It doubles twice, above 48 pixels three times; sizes that this does not meet are cropped.

    Args:
      image_shape: (H, W, C).
      latent: length of a latent vector.
      width: channels of each transposed convolution.
      maps: how the layers compute; parameters and images are float32.
      classes: K of a conditional generator; 0 of an unconditional one.
    """
    module = _Generator(halvings(image_shape, 2, 12), width, image_shape, maps)
    return as_generator(module, latent, maps.dtype, classes)._replace(output_layer="image")

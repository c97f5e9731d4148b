"""The tutorial's networks: three strided convolutions, and two transposed ones."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sgan_jax.heads import Head
from sgan_jax.networks.layers import Conv, Dense, Function, as_discriminator, as_generator, dropout, leaky_relu
from sgan_jax.ops import MATRIX_PRODUCTS, Maps
from sgan_jax.types import Net


class _Discriminator(nn.Module):
    """Three stride-2 convolutions, flatten, dropout, one dense layer of logits."""

    width: int
    dropout: float
    outputs: int
    maps: Maps

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        for block in (1, 2, 3):
            x = Conv(self.width, 3, "Conv 3x3, stride 2", self.maps.down, name=f"conv_{block}")(x)
            x = leaky_relu(f"leaky_{block}")(x)
        features = Function("Flatten", lambda x: x.reshape(len(x), -1), name="features")(x)
        dropped = dropout(self.dropout)(features, key)
        return features, Dense(self.outputs, self.maps.dense, name="logits")(dropped)


class _Generator(nn.Module):
    """A dense layer to a quarter of the image's size, two transposed convolutions, a 7x7 convolution and tanh."""

    width: int
    image_shape: tuple[int, int, int]
    maps: Maps

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        height, width, channels = self.image_shape
        x = Dense(height // 4 * (width // 4) * self.width, self.maps.dense, name="dense")(latents)
        x = leaky_relu("leaky_0")(x)
        small = (height // 4, width // 4, self.width)
        x = Function("Reshape", lambda x: x.reshape(-1, *small), name="reshape")(x)
        for block in (1, 2):
            x = Conv(self.width, 4, "Transposed conv 4x4, stride 2", self.maps.up, name=f"up_{block}")(x)
            x = leaky_relu(f"leaky_{block}")(x)
        x = Conv(channels, 7, "Conv 7x7", self.maps.to_image, name="image")(x)
        return Function("tanh", jnp.tanh, name="tanh")(x)


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 128,
    dropout: float = 0.4,
    maps: Maps = MATRIX_PRODUCTS,
) -> Net:
    """The tutorial's discriminator: 316,938 parameters for 28 x 28 x 1 images and ten logits.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of each convolution.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute; parameters, logits and features are float32.
    """
    module = _Discriminator(width, dropout, head.outputs(classes), maps)
    return as_discriminator(module, image_shape, classes, head, maps.dtype)


def generator(
    image_shape: tuple[int, int, int], latent: int = 100, width: int = 128, maps: Maps = MATRIX_PRODUCTS
) -> Net:
    """The tutorial's generator: 1,164,289 parameters for 28 x 28 x 1 images.

    Args:
      image_shape: (H, W, C), H and W multiples of 4.
      latent: length of a latent vector.
      width: channels of each transposed convolution.
      maps: how the layers compute; parameters and images are float32.

    Raises:
      ValueError: H or W is no multiple of 4.
    """
    height, across, _ = image_shape
    if height % 4 or across % 4:
        raise ValueError(
            f"images of {height} x {across} pixels: the generator doubles its size twice; both must be multiples of 4"
        )
    return as_generator(_Generator(width, image_shape, maps), latent, maps.dtype)

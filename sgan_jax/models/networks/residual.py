"""Networks for photographs: a residual trunk that keeps the full resolution first, and the tutorial's generator."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sgan_jax.models.heads import Head
from sgan_jax.models.layers import (
    LOGITS,
    Conv,
    Dense,
    Function,
    GroupNorm,
    as_discriminator,
    dropout,
    halvings,
    leaky_relu,
)
from sgan_jax.models.networks.tutorial import generator as tutorial_generator
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, Maps
from sgan_jax.types import Net

_LARGEST = 8  # times the first convolution's channels, at most


class _Discriminator(nn.Module):
    halvings: int
    width: int
    dropout: float
    outputs: int
    maps: Maps

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        def layer(x: jax.Array, channels: int, name: str) -> jax.Array:
            x = Conv(channels, 3, "Conv 3x3", self.maps.same, name=f"conv_{name}")(x)
            x = GroupNorm(name=f"norm_{name}")(x)
            return leaky_relu(f"leaky_{name}")(x)

        x = layer(x, self.width, "0")
        for stage in range(1, self.halvings + 1):
            channels = self.width * min(2**stage, _LARGEST)
            x = layer(x, channels, f"{stage}")
            x = Function("Max pool 2x2", halved, name=f"pool_{stage}")(x)
            if stage % 2:
                inner = layer(layer(x, channels, f"{stage}_a"), channels, f"{stage}_b")
                x = Function("Sum", jnp.add, name=f"sum_{stage}")(x, inner)
        features = Function("Mean over positions", lambda x: x.mean(axis=(1, 2)), name="features")(x)
        dropped = dropout(self.dropout)(features, key)
        return features, Dense(self.outputs, self.maps.dense, name=LOGITS)(dropped)


def halved(x: jax.Array) -> jax.Array:
    """The largest of each 2x2 positions, `[N, H, W, C]` to half of H and W, rounded up; the edge is repeated."""
    count, height, width, channels = x.shape
    x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return x.reshape(count, -(-height // 2), 2, -(-width // 2), 2, channels).max(axis=(2, 4))


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 32,
    dropout: float = 0.0,
    maps: Maps = MATRIX_PRODUCTS,
) -> Net:
    """A trunk like that of ResNet-9: 3x3 convolutions with group norm, max pools, and two residual blocks.

    1.6 million parameters and 0.19 GFLOP an image of 32 x 32 x 3. Above 48 pixels it has a fourth stage, above 96 a
    fifth.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of the first convolution; they double at every stage up to eight times as many.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute.
    """
    module = _Discriminator(halvings(image_shape, 3, 6), width, dropout, head.outputs(classes), maps)
    return as_discriminator(module, image_shape, classes, head, maps.dtype)


def generator(
    image_shape: tuple[int, int, int], latent: int = 100, width: int = 32, maps: Maps = MATRIX_PRODUCTS
) -> Net:
    """The tutorial's generator with twice as many channels as the trunk's first convolution.

    Args:
      image_shape: (H, W, C).
      latent: length of a latent vector.
      width: half of the channels of each transposed convolution.
      maps: how the layers compute.
    """
    return tutorial_generator(image_shape, latent, 2 * width, maps)

"""Networks for photographs: a residual trunk, and the tutorial's generator."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from sgan_jax.models.heads import Head
from sgan_jax.models.layers import (
    LOGITS,
    ChannelBatchNorm,
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

NORMS = {"group": GroupNorm, "batch": ChannelBatchNorm}
_LARGEST = 8  # times the first convolution's channels, at most


def normalised(norm: str, training: bool) -> Callable[[jax.Array, str], jax.Array]:
    """A norm and an activation as `normal(x, name)`, for the layers of a module that is being applied."""

    def normal(x: jax.Array, name: str) -> jax.Array:
        layer = NORMS[norm](name=f"norm_{name}")
        return leaky_relu(f"leaky_{name}")(layer(x, training=training))

    return normal


class _Discriminator(nn.Module):
    halvings: int
    width: int
    dropout: float
    outputs: int
    maps: Maps
    norm: str
    blocks: int

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None, training: bool = False) -> tuple[jax.Array, jax.Array]:
        normal = normalised(self.norm, training)

        def conv(x: jax.Array, channels: int, name: str) -> jax.Array:
            return Conv(channels, 3, "Conv 3x3", self.maps.same, name=f"conv_{name}")(x)

        x = normal(conv(x, self.width, "0"), "0")
        for stage in range(1, self.halvings + 1):
            channels = self.width * min(2**stage, _LARGEST)
            if stage == 1:  # at full resolution a convolution would take as long as all others of a stage
                x = Conv(channels, 3, "Conv 3x3, stride 2", self.maps.down, name="conv_1")(x)
            else:
                x = Function("Max pool 2x2", halved, name=f"pool_{stage}")(conv(x, channels, f"{stage}"))
            x = normal(x, f"{stage}")
            for block in range(1, self.blocks + 1):
                name = str(stage) if block == 1 else f"{stage}_{block}"
                inner = normal(conv(x, channels, f"{name}_a"), f"{name}_a")
                inner = normal(conv(inner, channels, f"{name}_b"), f"{name}_b")
                x = Function("Sum", jnp.add, name=f"sum_{name}")(x, inner)
        features = Function("Mean over positions", lambda x: x.mean(axis=(1, 2)), name="features")(x)
        dropped = dropout(self.dropout)(features, key)
        return features, Dense(self.outputs, self.maps.dense, name=LOGITS)(dropped)


def halved(x: jax.Array) -> jax.Array:
    """The largest of each 2x2 positions, `[N, H, W, C]` to half of H and W, rounded up; the edge is repeated."""
    for axis in (1, 2):
        if x.shape[axis] % 2:
            x = jnp.concatenate([x, lax.slice_in_dim(x, x.shape[axis] - 1, x.shape[axis], axis=axis)], axis)
        x = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
        first, second = lax.split(x, (1, 1), axis=axis + 1)
        x = jnp.squeeze(jnp.maximum(first, second), axis + 1)
    return x


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 32,
    dropout: float = 0.0,
    maps: Maps = MATRIX_PRODUCTS,
    norm: str = "group",
    blocks: int | None = None,
) -> Net:
    """A residual trunk like ResNet-9's, most of whose work is done at half of the resolution and below.

    3x3 convolutions with norms; after each halving one that doubles the channels and a residual block of two. 1.94
    million parameters and 0.2 GFLOP an image of 32 x 32 x 3. Above 48 pixels it halves a fourth time, above 96 a fifth.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of the first convolution; they double at every halving up to eight times as many.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute.
      norm: one of `NORMS`. By "batch" an image's output depends on the others of its batch, in training only.
      blocks: residual blocks of each stage, by default 1.
    """
    module = _Discriminator(halvings(image_shape, 3, 6), width, dropout, head.outputs(classes), maps, norm, blocks or 1)
    return as_discriminator(module, image_shape, classes, head, maps.dtype, batch_norm=norm == "batch")


def generator(
    image_shape: tuple[int, int, int],
    latent: int = 100,
    width: int = 32,
    maps: Maps = MATRIX_PRODUCTS,
    classes: int = 0,
) -> Net:
    """The tutorial's generator with twice as many channels as the trunk's first convolution.

    Args:
      image_shape: (H, W, C).
      latent: length of a latent vector.
      width: half of the channels of each transposed convolution.
      maps: how the layers compute.
      classes: K of a conditional generator; 0 of an unconditional one.
    """
    return tutorial_generator(image_shape, latent, 2 * width, maps, classes)

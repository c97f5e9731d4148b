"""The network that papers on few labels of photographs compare on: a wide residual network."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from sgan_jax.models.heads import Head
from sgan_jax.models.layers import LOGITS, Conv, Dense, Function, as_discriminator, dropout, halvings
from sgan_jax.models.networks.residual import normalised
from sgan_jax.models.ops.convolutions import MATRIX_PRODUCTS, Maps
from sgan_jax.types import Net

_FIRST = 16  # channels of the first convolution, whatever the width is


class _Discriminator(nn.Module):
    stages: int
    blocks: int
    width: int
    dropout: float
    outputs: int
    maps: Maps
    norm: str

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None, training: bool = False) -> tuple[jax.Array, jax.Array]:
        normal = normalised(self.norm, training)
        x = Conv(_FIRST, 3, "Conv 3x3", self.maps.same, name="conv_0")(x)
        for stage in range(1, self.stages + 1):
            for block in range(1, self.blocks + 1):
                x = self._block(x, f"{stage}_{block}", self.width * 2 ** (stage - 1), stage > 1 and block == 1, normal)
        x = normal(x, "last")
        features = Function("Mean over positions", lambda x: x.mean(axis=(1, 2)), name="features")(x)
        dropped = dropout(self.dropout)(features, key)
        return features, Dense(self.outputs, self.maps.dense, name=LOGITS)(dropped)

    def _block(
        self, x: jax.Array, name: str, channels: int, halves: bool, normal: Callable[[jax.Array, str], jax.Array]
    ) -> jax.Array:
        """Norm, activation and convolution, twice, and a shortcut; where channels change it starts after the norm."""
        kind, convolve = ("Conv 3x3, stride 2", self.maps.down) if halves else ("Conv 3x3", self.maps.same)
        shortcut, inner = x, normal(x, f"{name}_a")
        if x.shape[-1] != channels:
            strided = ("Conv 1x1, stride 2", self.maps.strided(2)) if halves else ("Conv 1x1", self.maps.strided(1))
            shortcut = Conv(channels, 1, *strided, name=f"shortcut_{name}")(inner)
        inner = normal(Conv(channels, 3, kind, convolve, name=f"conv_{name}_a")(inner), f"{name}_b")
        inner = Conv(channels, 3, "Conv 3x3", self.maps.same, name=f"conv_{name}_b")(inner)
        return Function("Sum", jnp.add, name=f"sum_{name}")(shortcut, inner)


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
    """A wide residual network, arXiv 1605.07146, without its dropout between convolutions.

    By default WRN-28-2: 1.47 million parameters, and 0.43 GFLOP an image of 32 x 32 x 3. Activations are leaky, as in
    the code of FixMatch, with this package's slope. Above 48 pixels it has a fourth stage, above 96 a fifth.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of the first stage, 16 times the paper's k; each further stage has twice as many.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute.
      norm: one of `residual.NORMS`; the paper's is "batch".
      blocks: of each stage, by default 4; WRN-d has (d - 4) / 6.
    """
    stages = halvings(image_shape, 2, 12) + 1
    module = _Discriminator(stages, blocks or 4, width, dropout, head.outputs(classes), maps, norm)
    return as_discriminator(module, image_shape, classes, head, maps.dtype, batch_norm=norm == "batch")

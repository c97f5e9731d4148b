"""Describes the networks of a configuration, layer by layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sgan_jax.config import LARGEST_SIDE, Config, validate
from sgan_jax.data.sizes import size_text
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.report import pictures
from sgan_jax.types import Layer


class NetworkDescription(NamedTuple):
    """The layers of a network, in order."""

    name: str  # as of `System.networks`
    layers: list[Layer]

    @property
    def parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.parameters for layer in self.layers)


def describe(config: Config, image_shape: tuple[int, int, int], classes: int) -> list[NetworkDescription]:
    """Descriptions of the discriminator, the generator and, if there is one, the discriminator of pairs.

    Args:
      config: what the networks are built from.
      image_shape: `(H, W, C)`.
      classes: K.

    Raises:
      UserError: the configuration is not valid, or a size is out of range.
    """
    validate(config)
    height, width, channels = image_shape
    text = size_text((height, width))
    for setting, value, shown in (
        ("‹data.image_size›", height, text),
        ("‹data.image_size›", width, text),
        ("‹channels›", channels, channels),
        ("‹classes›", classes, classes),
    ):
        if not 1 <= value <= LARGEST_SIDE:
            raise UserError(f"{setting}: {shown}; must be between 1 and {LARGEST_SIDE}")
    system = build(config, image_shape, classes)
    return [NetworkDescription(name, network.layers()) for name, network in system.networks().items()]


def draw(networks: Sequence[NetworkDescription], path: Path) -> None:
    """Draws the networks side by side as a PNG: the generator left of the discriminator that it plays against.

    Raises:
      UserError: the file cannot be written.
    """
    *_, judge = (name for name, _ in networks if name != "generator")  # the last: that of pairs, if there is one
    drawn = [
        pictures.Network(
            name,
            [pictures.Layer(*layer) for layer in layers],
            ("generated images", "training images") if name == judge else None,
        )
        for name, layers in sorted(networks, key=lambda network: (network.name == judge, network.name == "generator"))
    ]
    pictures.save_diagram(drawn, path)

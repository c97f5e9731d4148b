"""`describe`: the networks layer by layer."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sgan_jax.cli.flags import Preset, Text, parse_size
from sgan_jax.cli.settings import preset_with

if TYPE_CHECKING:
    from sgan_jax.inference.describe import NetworkDescription


@dataclass(frozen=True)
class Describe:
    """Show the networks layer by layer and draw their diagram."""

    preset: Preset = "tutorial"
    head: Text = None
    """stacked, separate, k_plus_one or real_fake: how logits become scores; by default the preset's."""
    image_size: Annotated[str, tyro.conf.arg(metavar="N|HEIGHTxWIDTH")] = "28"
    """Size of the images: N for N x N pixels, or HEIGHTxWIDTH."""
    channels: int = 1
    """Channels of the images."""
    classes: int = 10
    """Number of classes."""
    out: Path = Path("networks.png")
    """PNG to write."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference.describe import describe, draw

        head = {"model.head": self.head} if self.head else {}
        config = preset_with({"preset": self.preset} | head)
        height, width = parse_size(self.image_size)
        networks = describe(config, (height, width, self.channels), self.classes)
        for network in networks:
            _print(network)
        draw(networks, self.out)
        print(f"diagram: {self.out}")
        return 0


def _print(network: "NetworkDescription") -> None:
    width = max(len(layer.kind) for layer in network.layers)
    print(f"{network.name}: {network.parameters:,} parameters")
    for layer in network.layers:
        shape = " x ".join("batch" if size is None else str(size) for size in layer.output)
        print(f"  {layer.name:10}  {layer.kind:{width}}  {shape:22}  {layer.parameters:>9,}")
    print()

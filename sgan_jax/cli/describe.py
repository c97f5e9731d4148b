"""`describe`: both networks layer by layer."""

from dataclasses import dataclass
from pathlib import Path

from sgan_jax.cli.flags import Preset, Text
from sgan_jax.cli.train import Train


@dataclass(frozen=True)
class Describe:
    """Show both networks layer by layer and draw their diagram."""

    preset: Preset = "tutorial"
    head: Text = None
    """stacked, separate, k_plus_one or real_fake: how logits become scores; by default the preset's."""
    image_size: int = 28
    """Height and width of the images."""
    channels: int = 1
    """Channels of the images."""
    classes: int = 10
    """Number of classes."""
    out: Path = Path("networks.png")
    """PNG to write."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import inspect_run

        config = Train(preset=self.preset, head=self.head).config()
        return inspect_run.describe(config, (self.image_size, self.image_size, self.channels), self.classes, self.out)

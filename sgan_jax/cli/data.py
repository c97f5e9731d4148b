"""`data check`: what a folder of images holds, before training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sgan_jax.cli.flags import Int


@dataclass(frozen=True)
class DataCommand:
    """Look at your own images before training: counts, sizes, files that cannot be used, copies."""

    action: Annotated[Literal["check"], tyro.conf.Positional]
    """check."""
    data_dir: Annotated[Path, tyro.conf.Positional]
    """A folder with a folder for each class, an .npz file, or the four IDX files."""
    image_size: Int = None
    """Height and width to which the images will be resized."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.data import check
        from sgan_jax.limits import check_image_size

        if self.image_size is not None:
            check_image_size(self.image_size)
        return check.check(self.data_dir, self.image_size)

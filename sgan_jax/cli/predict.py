"""`predict`: classes of image files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sgan_jax.cli.flags import File


@dataclass(frozen=True)
class Predict:
    """Print class and probability of image files; the data that the run was trained on is not needed."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files, or folders of them."""
    run: File = None
    """Run directory; by default runs/latest."""
    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    format: str = "text"
    """text, csv or json: the latter two with the probability of every class."""
    out: File = None
    """File to write instead of printing."""
    averaged: bool = False
    """Use the averaged weights."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import predict

        return predict.predict(self.images, self.run, self.ckpt, self.format, self.out, self.averaged)

"""`predict`: classes of image files."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sgan_jax.cli.flags import File
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically


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
        """Runs the command; the exit status is 1 if files were left out."""
        from sgan_jax.cli.prediction_formats import FORMATS
        from sgan_jax.inference.predict import predict
        from sgan_jax.runs.opened import open_run

        if self.format not in FORMATS:
            raise UserError(f"--format: {self.format}; choose one of {', '.join(FORMATS)}")
        result = predict(open_run(self.run, self.ckpt), self.images, self.averaged)
        for file in result.left_out:
            print(f"sgan: warning: {file.path}: left out ({file.reason})", file=sys.stderr)
        if not result.predictions:
            raise UserError(f"none of {len(result.left_out)} files is an image that can be used")
        text = FORMATS[self.format](result.predictions, result.class_names)
        if self.out is None:
            print(text, end="")
        else:
            write_atomically(self.out, text)
            print(self.out)
        return 1 if result.left_out else 0

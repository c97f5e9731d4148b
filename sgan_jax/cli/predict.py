"""`predict`: classes of image files, and which of them to label next."""

import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sgan_jax.cli.flags import Device, File, Float, Int
from sgan_jax.cli.settings import flags_of
from sgan_jax.cli.spelling import command, one_line
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically

if TYPE_CHECKING:
    from sgan_jax.inference.label_sheet import LabelSheet
    from sgan_jax.inference.predict import LeftOut
    from sgan_jax.runs.opened import Opened

LABELS = "labels"  # the format that `train --labels-file` reads
# Settings of the run that a run with more labels does not repeat.
NOT_REPEATED = frozenset(
    {"data.dataset", "data.data_dir", "data.labels_file", "data.labels", "data.label_seed", "data.stream", "init_from"}
)


@dataclass(frozen=True)
class Predict:
    """Print class and probability of image files; the data that the run was trained on is not needed."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files, or folders of them; with --uncertain and --format labels one folder, by default the run's own."""
    run: File = None
    """Run directory; by default runs/latest."""
    ckpt: str = "latest"
    """step_7200, latest, best (by validation accuracy), or the path of a checkpoint."""
    format: str = "text"
    """text, csv, json, or labels: a file of pseudo-labels for train --labels-file."""
    threshold: Float = None
    """Leave out images whose class is less probable than this; by default none."""
    uncertain: Int = None
    """Choose so many images to label next, least certain and not similar, as a file for train --labels-file."""
    out: File = None
    """File to write instead of printing."""
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    averaged: bool = False
    """Use the averaged weights."""

    def __call__(self) -> int:
        """Runs the command; the exit status is 1 if files were left out."""
        from sgan_jax.cli.prediction_formats import FORMATS

        if self.format not in (*FORMATS, LABELS):
            raise UserError(f"--format: {self.format}; choose one of {', '.join((*FORMATS, LABELS))}")
        if self.uncertain is not None or self.format == LABELS:
            return self._write_sheet()
        from sgan_jax.inference.predict import confident, predict
        from sgan_jax.runs.opened import open_run

        result = predict(open_run(self.run, self.ckpt), self.images, self.averaged)
        _warn(result.left_out)
        if not result.predictions:
            files = len(result.left_out)
            raise UserError(f"{'the file cannot' if files == 1 else f'none of {files} files can'} be used as an image")
        predictions = confident(result.predictions, self.threshold or 0.0)
        self._write(FORMATS[self.format](predictions, result.class_names))
        return 1 if result.left_out else 0

    def _write_sheet(self) -> int:
        from sgan_jax.runs.opened import open_run

        opened = open_run(self.run, self.ckpt)
        sheet = self._sheet(opened)
        _warn(sheet.left_out)
        self._write(sheet.as_csv())
        if self.out is not None:
            fill_in = "fill in its column label, then " if self.uncertain is not None else ""
            run, data = (
                str(self.run or opened.run.path),
                ("--data-dir", str(sheet.folder), "--labels-file", str(self.out)),
            )
            words = [*flags_of(opened.config, NOT_REPEATED), "--init-from", run, *data, "--run", "NEW"]
            print(f"{fill_in}train on it: {command('train')} {shlex.join(words)}")
        return 1 if sheet.left_out else 0

    def _sheet(self, opened: "Opened") -> "LabelSheet":
        from sgan_jax.inference.label_sheet import pseudo_labels, uncertain

        if self.uncertain is not None and (self.threshold is not None or self.format not in ("text", LABELS)):
            other = "threshold" if self.threshold is not None else "format"
            raise UserError(f"‹uncertain›: chooses images to label by hand; leave ‹{other}› out")
        if len(self.images) > 1:
            raise UserError("a file of labels is for the images of one folder; name one, or none for the run's own")
        folder = self.images[0] if self.images else None
        if self.uncertain is not None:
            return uncertain(opened, folder, self.uncertain, self.averaged)
        return pseudo_labels(opened, folder, self.threshold or 0.0, self.averaged)

    def _write(self, text: str) -> None:
        if self.out is None:
            print(text, end="")
        else:
            write_atomically(self.out, text)
            print(self.out)


def _warn(left_out: Iterable["LeftOut"]) -> None:
    for file in left_out:
        print(f"sgan: warning: {one_line(str(file.path))}: left out ({file.reason})", file=sys.stderr)

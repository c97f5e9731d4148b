"""Files of labels that a run makes: images to label next, and pseudo-labels. `train` reads them by `data.labels_file`.

    file,label,prediction,confidence
    unlabelled/17.png,,cat,0.512000
    beach/1.png,dog,,

Columns beside `file` and `label` are for the reader. Labels that a file has given already are in the new file, too.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.labels_file import TABLES
from sgan_jax.data.listing import list_images
from sgan_jax.data.listing_by_file import contents, labels_of
from sgan_jax.data.load import is_folder_of_images
from sgan_jax.data.scan import files_below, labels_file_in
from sgan_jax.errors import UserError
from sgan_jax.inference.predict import ImagePrediction, LeftOut, confident, predict_files, read_batches
from sgan_jax.metrics.uncertainty import choose_to_label
from sgan_jax.runs.opened import Opened

MOST = 5000  # images that `uncertain` chooses: ten times as many have their features in memory


class Row(NamedTuple):
    """A line of the file."""

    file: str  # relative to the folder
    label: str  # empty: none
    prediction: str = ""
    confidence: float | None = None  # the probability of the predicted class


class LabelSheet(NamedTuple):
    """A file of labels for the images of a folder."""

    folder: Path
    rows: list[Row]
    left_out: list[LeftOut]  # files that are not readable images

    def as_csv(self) -> str:
        """The file's text."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows([*row[:3], "" if row.confidence is None else f"{row.confidence:.6f}"] for row in self.rows)
        return text.getvalue()


class Unlabelled(NamedTuple):
    """The images of a folder that have no label, and the labels that a CSV file gives to others."""

    folder: Path
    files: list[Path]
    known: dict[Path, str]

    def sheet(self, rows: Iterable[Row], left_out: list[LeftOut]) -> LabelSheet:
        """The rows, and after them those of the labels that are known."""
        known = [Row(self.name(path), label) for path, label in self.known.items()]
        return LabelSheet(self.folder, [*rows, *known], left_out)

    def name(self, path: Path) -> str:
        """The file as the CSV file names it."""
        return path.relative_to(self.folder).as_posix()


def uncertain(opened: Opened, folder: Path | None, count: int, averaged: bool = False) -> LabelSheet:
    """The images that are worth a label, in a file whose column `label` is to be filled in.

    Args:
      opened: the run, opened at a checkpoint.
      folder: of images; by default, the run's own.
      count: how many images.
      averaged: use the averaged weights.

    Raises:
      UserError: the run has no classifier, the folder has no images without a label, or `count` is out of range.
    """
    if not 1 <= count <= MOST:
        raise UserError(f"‹uncertain›: {count}; must be between 1 and {MOST}")
    images, predictions, left_out = _predicted(opened, folder, averaged)

    def features_of(indices: np.ndarray) -> np.ndarray:
        return _features(opened, [predictions[index].path for index in indices], averaged)

    chosen = choose_to_label(np.stack([one.probabilities for one in predictions]), features_of, count)
    rows = (Row(images.name(one.path), "", one.class_name, one.probability) for one in (predictions[i] for i in chosen))
    return images.sheet(rows, left_out)


def pseudo_labels(opened: Opened, folder: Path | None, threshold: float = 0.0, averaged: bool = False) -> LabelSheet:
    """The predicted classes as labels.

    Args:
      opened: the run, opened at a checkpoint.
      folder: of images; by default, the run's own.
      threshold: the least probability of a class; images below it are not in the file.
      averaged: use the averaged weights.

    Raises:
      UserError: the run has no classifier, or no image without a label is predicted with such a probability.
    """
    images, predictions, left_out = _predicted(opened, folder, averaged)
    rows = [
        Row(images.name(one.path), one.class_name, one.class_name, one.probability)
        for one in confident(predictions, threshold)
    ]
    return images.sheet(rows, left_out)


def unlabelled_images(opened: Opened, folder: Path | None) -> Unlabelled:
    """The images without a label in a folder, which may be the run's own one or a part of it.

    Raises:
      UserError: it is not a folder of images.
    """
    data = opened.config.data
    own = Path(data.data_dir) if data.data_dir else None
    if folder is None and (own is None or not is_folder_of_images(own)):
        where = f"in {own}, which is not a folder of images now" if own else "in no folder"
        raise UserError(f"{opened.run.path}: its images are {where}; name a folder of images")
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: expected a folder; names in a file of labels are relative to one")
    if own is not None and (folder is None or _is_in(folder, own)):
        table = Path(data.labels_file) if data.labels_file else labels_file_in(own)
        split = list_images(own, table).train
        files = [path for path, label in zip(split.paths, split.labels, strict=True) if label == UNKNOWN]
        files = [path for path in files if folder is None or _is_in(path, folder)]
    else:
        assert folder is not None
        own, table = folder, labels_file_in(folder)
        files = [path for path in files_below(folder) if path.suffix.lower() not in TABLES]
    known = labels_of(contents(own, table), table).known if table else {}
    return Unlabelled(own, [path for path in files if path not in known], known)


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


class _Predicted(NamedTuple):
    images: Unlabelled
    predictions: list[ImagePrediction]
    left_out: list[LeftOut]


def _predicted(opened: Opened, folder: Path | None, averaged: bool) -> _Predicted:
    opened.needs_classifier("predict")
    images = unlabelled_images(opened, folder)
    if not images.files:
        raise UserError(f"{folder or images.folder}: no image without a label")
    result = predict_files(opened, images.files, averaged)
    if not result.predictions:
        example = result.left_out[0]
        raise UserError(
            f"none of {len(result.left_out)} files is an image that can be used ({example.path}: {example.reason})"
        )
    return _Predicted(images, result.predictions, result.left_out)


def _features(opened: Opened, files: Sequence[Path], averaged: bool) -> np.ndarray:
    """What the discriminator's output layer takes, float32 `[N, F]`, of files that are readable images."""
    model = opened.state.model("d", averaged)
    features = []
    for batch in read_batches(opened, files):
        for path, bad in zip(batch.paths, batch.bad, strict=True):
            if bad is not None:
                raise UserError(f"{path}: changed while it was read ({bad})")
        features.append(np.asarray(opened.system.features(model, batch.images))[: len(batch.paths)])
    return np.concatenate(features)

"""Predicts the classes of image files with a run's classifier. The data that it was trained on is not needed."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.images import BadImage, each, read_image
from sgan_jax.data.scan import files_below
from sgan_jax.errors import UserError
from sgan_jax.metrics.classify import BATCH_SIZE, class_logits, probabilities
from sgan_jax.runs.opened import Opened


class ImagePrediction(NamedTuple):
    """The class probabilities of an image file."""

    path: Path
    class_name: str  # the most probable class
    probabilities: np.ndarray  # float64 [K], in the order of the run's class names

    @property
    def probability(self) -> float:
        """The probability of the most probable class."""
        return float(self.probabilities.max())


class LeftOut(NamedTuple):
    """A file that is not a readable image."""

    path: Path
    reason: str


class PredictResult(NamedTuple):
    """Predictions of image files, and the files that were left out; both in the order of the files."""

    class_names: tuple[str, ...]
    predictions: list[ImagePrediction]
    left_out: list[LeftOut]


def predict(opened: Opened, paths: Sequence[Path], averaged: bool = False) -> PredictResult:
    """Predicts the class of each image file.

    Args:
      opened: the run, opened at a checkpoint.
      paths: image files; of a folder all files in it and below.
      averaged: use the averaged weights.

    Raises:
      UserError: the run has no classifier, a path does not exist, or the folders are empty.
    """
    opened.needs_classifier("predict")
    files = list(_expand(paths))
    if not files:
        empty = f"{', '.join(map(str, paths))}: " if paths else ""
        raise UserError(f"{empty}no images; name image files, or folders of them")
    return predict_files(opened, files, averaged)


def predict_files(opened: Opened, files: Sequence[Path], averaged: bool = False) -> PredictResult:
    """Predicts the class of each file; the arguments are those of `classify_files`."""
    results = list(classify_files(opened, files, averaged))
    predictions = [result for result in results if isinstance(result, ImagePrediction)]
    left_out = [result for result in results if isinstance(result, LeftOut)]
    return PredictResult(opened.class_names, predictions, left_out)


def confident(predictions: Sequence[ImagePrediction], threshold: float) -> list[ImagePrediction]:
    """The predictions whose class has at least this probability.

    Raises:
      UserError: the threshold is not a probability, or none reaches it.
    """
    if not 0 <= threshold <= 1:
        raise UserError(f"‹threshold›: {threshold}; must be between 0 and 1")
    above = [one for one in predictions if one.probability >= threshold]
    if predictions and not above:
        largest = max(one.probability for one in predictions)
        raise UserError(f"‹threshold›: {threshold}; no class is that probable, the most probable one is {largest:.4f}")
    return above


def classify_files(
    opened: Opened, files: Sequence[Path], averaged: bool = False
) -> Iterator[ImagePrediction | LeftOut]:
    """Predictions of files in order, a batch at a time.

    An image of another size than the run's is resized. An image with other channels is converted.

    Args:
      opened: the run, opened at a checkpoint.
      files: image files.
      averaged: use the averaged weights.
    """
    names = opened.class_names
    model, classify = opened.state.model("d", averaged), opened.system.classify
    for batch in read_batches(opened, files):
        rows = iter(probabilities(class_logits(classify, model, batch.images, len(names))))
        for path, bad in zip(batch.paths, batch.bad, strict=True):
            if bad is not None:
                yield LeftOut(path, str(bad))
            else:
                row = next(rows)
                yield ImagePrediction(path, names[int(row.argmax())], row)


class FileBatch(NamedTuple):
    """A batch of image files."""

    paths: Sequence[Path]
    bad: list[BadImage | None]  # why a file is not among the images, or None
    images: np.ndarray  # uint8 [B, H, W, C], the readable ones in order, and then zeros


def read_batches(opened: Opened, files: Sequence[Path]) -> Iterator[FileBatch]:
    """Reads files in order, resized and converted to what the run was trained on."""
    height, width, channels = opened.image_shape
    size = max(1, min(BATCH_SIZE, len(files)))  # only this batch size is compiled, however many files are readable
    for first in range(0, len(files), size):
        paths = files[first : first + size]
        read = list(each(lambda path: read_image(path, channels, (height, width)), paths))
        images = [image for image in read if not isinstance(image, BadImage)]
        batch = np.zeros((size, height, width, channels), np.uint8)
        batch[: len(images)] = np.stack(images) if images else batch[:0]
        yield FileBatch(paths, [image if isinstance(image, BadImage) else None for image in read], batch)


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from files_below(path)
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path}: no such file; name image files, or folders of them")

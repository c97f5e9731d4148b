"""A classifier's predictions on images of known class, in a file from which reports are made without JAX or data."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.errors import UserError, reason
from sgan_jax.files import write_atomically
from sgan_jax.metrics.confusion import confusion_matrix
from sgan_jax.metrics.subsets import Subset

MISTAKES = 24  # most confident mistakes whose images are stored
_NO_FILES = np.zeros(0, np.str_)


class Predictions(NamedTuple):
    """Predictions on M images of K classes, with the images of the R most confident mistakes."""

    part: str  # "test" or "validation"
    labels: np.ndarray  # int32 [M]
    probabilities: np.ndarray  # float32 [M, K]
    mistakes: np.ndarray  # int64 [R], indices of the most confident mistakes, the most confident first
    pictures: np.ndarray  # uint8 [R, H, W, C], their images
    files: np.ndarray = _NO_FILES  # str [R], the file of each in the folder of images; [0] for arrays

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int64 [M]."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Counts of true class (rows) against predicted class (columns), int64 [K, K]."""
        return confusion_matrix(self.labels, self.predicted, self.probabilities.shape[1])


def collect(part: str, subset: Subset, probabilities: np.ndarray) -> Predictions:
    """Predictions with the images of their most confident mistakes.

    Args:
      part: "test" or "validation".
      subset: the M images.
      probabilities: `[M, K]`.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    labels = np.asarray(subset.labels, np.int32)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    pictures, _, files = subset.at(worst)
    # Bytes of a name that are not text are written as a terminal shows them.
    names = [file.encode("utf-8", "backslashreplace").decode() for file in files]
    return Predictions(part, labels, probabilities.astype(np.float32), worst, pictures, np.asarray(names, np.str_))


def save(path: Path, predictions: Predictions) -> None:
    """Writes the file whole or not at all."""
    archive = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in predictions._asdict().items()}
    np.savez_compressed(archive, **arrays)
    write_atomically(path, archive.getvalue())


def load(path: Path) -> Predictions:
    """The inverse of `save`.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        # Opened here: NumPy leaves a file open that it cannot read.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            there = [name for name in Predictions._fields if name in file or name != "files"]  # not there in 0.1
            arrays = {name: file[name] for name in there}
        predictions = Predictions(**arrays | {"part": str(arrays["part"])})
        if _consistent(predictions):
            return predictions
        why = "of other shapes or types"
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `eval` writes it") from None
    except MemoryError:
        raise
    except Exception as error:  # NumPy and zipfile raise errors of many types
        why = reason(error)
    raise UserError(f"{path}: damaged ({why}); `eval` writes it anew")


def _consistent(predictions: Predictions) -> bool:
    """Whether shapes and types agree and all indices lie in range."""
    count, classes = predictions.probabilities.shape
    labels, mistakes, pictures = predictions.labels, predictions.mistakes, predictions.pictures
    consistent = labels.shape == (count,) and labels.dtype.kind == "i" and len(pictures) <= MISTAKES
    consistent &= bool(np.isfinite(predictions.probabilities).all()) and pictures.dtype == np.uint8
    consistent &= predictions.files.dtype.kind == "U" and predictions.files.shape in ((0,), mistakes.shape)
    consistent &= pictures.ndim == 4 and mistakes.shape == (len(pictures),)
    for indices, below in ((labels, classes), (mistakes, count)):
        consistent &= not indices.size or bool(indices.min() >= 0 and indices.max() < below)
    return consistent

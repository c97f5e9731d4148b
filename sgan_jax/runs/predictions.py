"""What a run's classifier said of images whose class is known, kept for reports: no JAX, and no data set, needed."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.errors import UserError, reason
from sgan_jax.files import write_atomically
from sgan_jax.metrics.confusion import count

MISTAKES = 24  # whose images are kept, the most confident ones


class Bin(NamedTuple):
    """Images whose most probable class has a probability in the same tenth."""

    images: int
    confidence: float  # mean probability of that class
    accuracy: float  # share of them that are of it


class Predictions(NamedTuple):
    """M images of K classes, and the pictures of the worst mistakes."""

    part: str  # "test" or "validation"
    labels: np.ndarray  # int32 [M]
    probabilities: np.ndarray  # float32 [M, K]
    mistakes: np.ndarray  # int64 [R], indices of the most confident mistakes, the worst first
    pictures: np.ndarray  # uint8 [R, H, W, C], of them

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each, int64 [M]."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """Counts of true class (rows) against predicted class (columns), int64 [K, K]."""
        return count(self.labels, self.predicted, self.probabilities.shape[1])


def collect(part: str, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    """Predictions with the pictures of their most confident mistakes.

    Args:
      part: "test" or "validation".
      images: uint8 `[M, H, W, C]`.
      labels: int32 `[M]`.
      probabilities: `[M, K]`.
    """
    predicted, surest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-surest[wrong], kind="stable")][:MISTAKES]
    return Predictions(part, np.asarray(labels, np.int32), probabilities.astype(np.float32), worst, images[worst])


def reliability(predictions: Predictions, bins: int = 10) -> list[Bin]:
    """How often the classifier is right where it is how sure; Guo et al., arXiv 1706.04599, section 2.

    Equal widths of probability; one without images is left out.
    """
    surest = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.labels
    places = np.clip((surest * bins).astype(int), 0, bins - 1)
    found = [places == place for place in range(bins)]
    return [Bin(int(i.sum()), float(surest[i].mean()), float(right[i].mean())) for i in found if i.any()]


def calibration_error(predictions: Predictions, bins: int = 10) -> float:
    """Expected calibration error, 0..1: mean distance of confidence and accuracy over images; the same, equation 3."""
    of = reliability(predictions, bins)
    return sum(b.images * abs(b.accuracy - b.confidence) for b in of) / max(1, sum(b.images for b in of))


def save(path: Path, predictions: Predictions) -> None:
    """Writes all of them or nothing."""
    held = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in predictions._asdict().items()}
    np.savez_compressed(held, **arrays)
    write_atomically(path, held.getvalue())


def load(path: Path) -> Predictions:
    """The inverse of `save`.

    Raises:
      UserError: the file is missing or damaged.
    """
    try:
        # Opened here: NumPy leaves a file open that it cannot make out.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            held = {name: file[name] for name in Predictions._fields}
        found = Predictions(**held | {"part": str(held["part"])})
        count, classes = found.probabilities.shape
        whole = found.labels.shape == (count,) and found.labels.dtype.kind == "i" and len(found.pictures) <= MISTAKES
        whole &= bool(np.isfinite(found.probabilities).all()) and found.pictures.dtype == np.uint8
        whole &= found.pictures.ndim == 4 and found.mistakes.shape == (len(found.pictures),)
        for indices, below in ((found.labels, classes), (found.mistakes, count)):
            whole &= not indices.size or (indices.min() >= 0 and indices.max() < below)
        if whole:
            return found
        why = "of another form"
    except FileNotFoundError:
        raise UserError(f"{path}: not found; `eval` writes it") from None
    except MemoryError:
        raise
    except Exception as error:  # NumPy's and zipfile's errors are many
        why = reason(error)
    raise UserError(f"{path}: damaged ({why}); `eval` writes it anew")

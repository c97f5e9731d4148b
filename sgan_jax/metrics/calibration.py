"""How far a classifier's confidence can be trusted.

Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599.
"""

from typing import NamedTuple

import numpy as np

BINS = 10


class Bin(NamedTuple):
    """The images whose confidence lies in one interval; the confidence is the largest class probability."""

    images: int
    confidence: float  # mean over the images, 0..1
    accuracy: float  # share of the images classified correctly, 0..1


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Accuracy by confidence, in intervals of equal width; Guo et al., section 2.

    Args:
      labels: true classes, integers `[M]`.
      probabilities: predicted class probabilities, `[M, K]`.
      bins: number of intervals of 0..1.

    Returns:
      The intervals that hold images, by rising confidence.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    interval = np.clip((confidence * bins).astype(int), 0, bins - 1)
    members = [interval == index for index in range(bins)]
    return [Bin(int(m.sum()), float(confidence[m].mean()), float(correct[m].mean())) for m in members if m.any()]


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error, 0..1: distance of confidence and accuracy, averaged over images; equation 3.

    Args:
      labels: true classes, integers `[M]`.
      probabilities: predicted class probabilities, `[M, K]`.
      bins: number of intervals of 0..1.

    Returns:
      The error; 0 without images.
    """
    intervals = reliability(labels, probabilities, bins)
    return sum(b.images * abs(b.accuracy - b.confidence) for b in intervals) / max(1, sum(b.images for b in intervals))

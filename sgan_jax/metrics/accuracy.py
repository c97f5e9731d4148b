"""Accuracy of a classifier."""

import math

import numpy as np


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of images whose most probable class is the true one, 0..1; NaN where there are no images.

    Args:
      logits: class logits `[N, K]`.
      labels: integers `[N]`.
    """
    if not len(labels):
        return math.nan
    return float(np.mean(logits.argmax(axis=1) == labels))

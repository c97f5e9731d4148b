"""Counts of images by true and predicted class."""

import numpy as np


def count(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Images by true class (rows) and predicted class (columns), int64 [K, K].

    Args:
      labels: integers [M].
      predicted: integers [M].
      classes: K.
    """
    pairs = np.asarray(labels, np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

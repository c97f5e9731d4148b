"""Counts of images by true and predicted class."""

import numpy as np


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Images by true class (rows) and predicted class (columns), int64 `[K, K]`.

    Args:
      labels: integers `[N]`.
      predicted: integers `[N]`.
      classes: K.
    """
    pairs = np.asarray(labels, np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

"""Figures of each class, from a confusion matrix."""

import numpy as np


def recall(confusion: np.ndarray) -> np.ndarray:
    """Fraction of the images of each class that are predicted as that class.

    Args:
      confusion: counts of true class (rows) against predicted class (columns), `[K, K]`.

    Returns:
      float64 `[K]`, 0..1; NaN for a class without images.
    """
    with np.errstate(invalid="ignore"):
        return np.diag(confusion) / confusion.sum(axis=1)


def precision(confusion: np.ndarray) -> np.ndarray:
    """Fraction of the images predicted as each class that belong to that class.

    Args:
      confusion: counts of true class (rows) against predicted class (columns), `[K, K]`.

    Returns:
      float64 `[K]`, 0..1; NaN for a class that is never predicted.
    """
    with np.errstate(invalid="ignore"):
        return np.diag(confusion) / confusion.sum(axis=0)


def f1(confusion: np.ndarray) -> np.ndarray:
    """Harmonic mean of recall and precision of each class.

    Args:
      confusion: counts of true class (rows) against predicted class (columns), `[K, K]`.

    Returns:
      float64 `[K]`, 0..1; NaN for a class without images, 0 for one with images that is never predicted.
    """
    images = confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(images > 0, 2 * np.diag(confusion) / (images + confusion.sum(axis=0)), np.nan)

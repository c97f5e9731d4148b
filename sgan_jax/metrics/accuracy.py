"""Accuracy of a classifier, by its most probable class or by several."""

import math

import numpy as np


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of images whose most probable class is the true one, 0..1; NaN without images.

    Args:
      logits: class logits `[N, K]`.
      labels: integers `[N]`.
    """
    if not len(labels):
        return math.nan
    return float(np.mean(logits.argmax(axis=1) == labels))


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Fraction of images whose true class is one of the k most probable ones, 0..1; NaN without images.

    Of equal logits those of the first classes count as larger, as in `accuracy`, which is the case k = 1.

    Args:
      logits: class logits `[N, K]`.
      labels: integers `[N]`.
      k: 1 to K.
    """
    if not len(labels):
        return math.nan
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < np.asarray(labels)[:, None]
    before = (logits > own) | ((logits == own) & earlier)
    return float(np.mean(before.sum(axis=1) < k))

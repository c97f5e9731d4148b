"""Which images are worth a label: those of which a classifier is least certain, and of those no two that are similar.

References:
  Margin: Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction" (2001).
  Only the least certain images are compared: Zhdanov, "Diverse mini-batch active learning", arXiv 1901.05954.
  Greedy k-center: Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
  arXiv 1708.00489, algorithm 1.
"""

from collections.abc import Callable

import numpy as np

CANDIDATES = 10  # images that are compared, for each that is chosen


def margins(probabilities: np.ndarray) -> np.ndarray:
    """The difference of the two largest class probabilities of each image, `[N]`; 0 is the least certain.

    Args:
      probabilities: `[N, K]`, K 2 or more.
    """
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    return np.asarray(first - second)


def choose_to_label(
    probabilities: np.ndarray, features_of: Callable[[np.ndarray], np.ndarray], count: int
) -> np.ndarray:
    """Chooses images to label: candidates are those of the smallest margins, and `spread` takes some of them.

    Args:
      probabilities: of the classes, `[N, K]`.
      features_of: the features of the images at some indices, `[M, F]`.
      count: how many images to choose.

    Returns:
      Indices, int64 `[count]`, the least certain image first; all of them if they are fewer.
    """
    candidates = np.argsort(margins(probabilities), kind="stable")[: CANDIDATES * count]
    return candidates if len(candidates) <= count else candidates[spread(features_of(candidates), count)]


def spread(features: np.ndarray, count: int) -> np.ndarray:
    """Greedy k-center: the first row, then each time the row that is farthest from all rows chosen so far.

    Distances are Euclidean between rows of length 1, so that contrast does not count.

    Args:
      features: `[M, F]`.
      count: how many rows to choose, at most M.

    Returns:
      Indices of the rows, int64 `[count]`, in the order in which they are chosen; of equal distances the first row.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    rows = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    chosen = np.zeros(count, np.int64)
    similarity = np.full(len(rows), -np.inf, np.float32)  # to the nearest of the rows chosen
    for place in range(count):
        row = int(similarity.argmin()) if place else 0
        chosen[place] = row
        np.maximum(similarity, rows @ rows[row], out=similarity)
        similarity[row] = np.inf
    return chosen

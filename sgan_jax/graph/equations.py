"""The mathematics of label propagation: scores from linear equations, and class probabilities from scores."""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, cg

from sgan_jax.graph.blocks import Check, never_stop
from sgan_jax.graph.neighbours import Neighbours

# Numerical tolerances and limits. They do not belong to the method.
_TOLERANCE = 1e-5  # of the linear equations, relative to the right-hand side
_SOLVER_STEPS = 1000  # at most; tens suffice for the alphas of the configuration
_BALANCING = 50  # alternations of Sinkhorn's scaling
_SWEEPS = 5  # over the classes, until each has its number of images
_SMALLEST_SCORE = 1e-12  # conjugate gradients leave scores of 0 slightly negative
_SMALLEST_LEAD = 1e-3  # log-odds; the median lead is 0 where labels reach less than half of the images


def edge_weights(neighbours: Neighbours) -> sparse.csr_array:
    """The symmetric weight matrix W of a graph, float32 `[N, N]`: all edges between two images add up."""
    count, edges = neighbours.indices.shape
    row_starts = np.arange(0, count * edges + 1, edges)
    weights = sparse.csr_array(
        (neighbours.weights.ravel(), neighbours.indices.ravel(), row_starts), (count, count), copy=True
    )
    weights.sum_duplicates()  # an image may be a neighbour by more than one region
    return (weights + weights.T).tocsr()


def normalized(weights: sparse.csr_array) -> sparse.csr_array:
    """S = D^-1/2 W D^-1/2 of Zhou et al., where D holds the row sums of W; float32 `[N, N]`."""
    scale = sparse.dia_array((1.0 / np.sqrt(weights.sum(axis=1))[None, :], 0), weights.shape)
    return (scale @ weights @ scale).tocsr().astype(np.float32)


def solve(adjacency: sparse.csr_array, sources: np.ndarray, alpha: float, check: Check = never_stop) -> np.ndarray:
    """Propagates class scores along the graph until they settle: F = (I - alpha S)^-1 Y.

    Args:
      adjacency: S, as `normalized` computes it.
      sources: Y, float32 `[N, K]`: 1 where an image is a source of a class.
      alpha: the part of an image's scores that comes from its neighbours, below 1. The closer to 1, the farther the
        labels reach.
      check: called at each step of the solver; what it raises ends it.

    Returns:
      F, float32 `[N, K]`, not normalised.

    References:
      Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with local and global consistency", NIPS 2003, eq. 4.
    """

    def operate(flat: np.ndarray) -> np.ndarray:
        scores = flat.reshape(sources.shape)
        return (scores - np.float32(alpha) * (adjacency @ scores)).ravel()

    operator = LinearOperator((sources.size, sources.size), matvec=operate, dtype=np.float32)
    scores, _ = cg(operator, sources.ravel(), rtol=_TOLERANCE, maxiter=_SOLVER_STEPS, callback=lambda _: check())
    return np.asarray(scores.reshape(sources.shape), np.float32)


def balanced(scores: np.ndarray, frequencies: np.ndarray | None) -> np.ndarray:
    """Class probabilities of given frequencies.

    Sinkhorn's scaling alternates between columns and rows, until the probabilities of each class have the same sum
    and those of each image add up to 1.

    Args:
      scores: `[N, K]`.
      frequencies: `[K]`, adding up to 1: of the images, the fraction whose most probable class is each one. None: only
        the sums of the probabilities are equal.

    Returns:
      float32 `[N, K]`.
    """
    probabilities = np.maximum(scores, _SMALLEST_SCORE)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    for _ in range(_BALANCING):
        probabilities /= probabilities.sum(axis=0, keepdims=True)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities if frequencies is None else _match(probabilities, frequencies)


def _match(probabilities: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Multiplies each class by a factor such that it is the most probable one of its fraction of the images.

    The factors are the prices of Jacobs, Merkurjev and Esedoglu, "Auction dynamics", J. Comput. Phys. 354, 2018. One
    class after the other gets the factor that is right for it, given the factors of the other classes.
    """
    logs = np.log(probabilities)
    factors = np.zeros((1, len(frequencies)), np.float32)
    for turn in range(_SWEEPS * len(frequencies)):
        c = turn % len(frequencies)
        strongest_other = np.delete(logs + factors, c, axis=1).max(axis=1)
        factors[0, c] = -np.quantile(logs[:, c] - strongest_other, 1.0 - frequencies[c])
    return _softmax(logs + factors)


def with_certainty(probabilities: np.ndarray, certainty: float) -> np.ndarray:
    """Raises class probabilities to the power that gives the median image a given certainty.

    Scores of different alphas and numbers of labels differ in scale; the result does not.

    Args:
      probabilities: `[N, K]`, above 0.
      certainty: log-odds of the two most probable classes of the median image.

    Returns:
      float32 `[N, K]`, each row adding up to 1.
    """
    logs = np.log(probabilities)
    return _softmax(logs * (certainty / median_lead(logs)))


def median_lead(logs: np.ndarray) -> float:
    """The log-odds of the two most probable classes of the median image, above 0; of logarithms `[N, K]`."""
    ordered = np.partition(logs, -2, axis=1)
    return max(float(np.median(ordered[:, -1] - ordered[:, -2])), _SMALLEST_LEAD)


def cut_weight(weights: sparse.csr_array, classes: np.ndarray) -> float:
    """The weight of all edges between images of different classes, `[N]`; the lower, the better the classes fit."""
    edges = weights.tocoo()
    first, second = edges.coords
    return float(edges.data[classes[first] != classes[second]].sum())


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

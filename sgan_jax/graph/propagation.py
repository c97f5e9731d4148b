"""Labels propagated along a graph of similar images: which propagation is used for which labels and classes.

README.md explains the method; equations.py has its mathematics.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from sgan_jax.config import PropagationConfig
from sgan_jax.graph.blocks import Check, never_stop
from sgan_jax.graph.equations import balanced, cut_weight, edge_weights, normalized, solve, with_certainty
from sgan_jax.graph.neighbours import Neighbours

_UNREACHED = 1e-9  # largest score of an image that has no path to a label: numerically 0


class LabelledImages(NamedTuple):
    """The images whose class is known."""

    indices: np.ndarray  # int [L], among the N images of the graph
    labels: np.ndarray  # int [L]
    classes: int  # K


class Problem(NamedTuple):
    """What all propagations on one graph share."""

    weights: sparse.csr_array  # float32 [N, N]: W, by whose cut solutions are compared
    adjacency: sparse.csr_array  # float32 [N, N]: S of Zhou et al.; where classes overlap, of more edges than W has
    labels: np.ndarray  # float32 [N, K]: 1 where a label is given
    config: PropagationConfig
    check: Check


class Solution(NamedTuple):
    """Class probabilities, and how a single propagation on the same graph comes near them."""

    probabilities: np.ndarray  # float32 [N, K], not yet of a given certainty
    problem: Problem
    alpha: float  # of that single propagation
    once: bool  # whether the probabilities are those of that single propagation


def propagate(
    neighbours: Neighbours,
    labelled: LabelledImages,
    config: PropagationConfig,
    more_neighbours: Callable[[], Neighbours] | None = None,
    check: Check = never_stop,
) -> np.ndarray:
    """Predicts class probabilities of every image from a few labels and the graph.

    Labels are propagated once, then iteratively from all images. Where classes overlap, or where labels are many,
    they are propagated only once, over a shorter distance. Of several solutions the one that cuts the least edge
    weight is taken.

    Args:
      neighbours: of N images.
      labelled: at least one image of each class.
      config: the constants of the method.
      more_neighbours: returns the neighbours by another measure; called only where classes overlap.
      check: called every few milliseconds; what it raises ends the propagation.

    Returns:
      float32 `[N, K]`, each row adding up to 1.
    """
    solution = solve_labels(neighbours, labelled, config, more_neighbours, check)
    return with_certainty(solution.probabilities, config.certainty)


def solve_labels(
    neighbours: Neighbours,
    labelled: LabelledImages,
    config: PropagationConfig,
    more_neighbours: Callable[[], Neighbours] | None = None,
    check: Check = never_stop,
) -> Solution:
    """The probabilities of `propagate` before they get their certainty; arguments as there."""
    weights = edge_weights(neighbours)
    labels = _one_hot(labelled, len(neighbours.indices))
    problem = Problem(weights, normalized(weights), labels, config, check)
    solutions = _solve_iteratively(problem)
    if not solutions:  # classes overlap
        if more_neighbours is not None:
            problem = problem._replace(adjacency=normalized(weights + edge_weights(more_neighbours())))
        return Solution(solve_once(problem, config.alpha_local)[0], problem, config.alpha_local, once=True)
    if labels.sum(axis=0).min() >= config.many_labels:
        return Solution(solve_once(problem, config.alpha_many)[0], problem, config.alpha_many, once=True)
    return Solution(_least_cut(problem, solutions), problem, config.alpha, once=False)


def _least_cut(problem: Problem, solutions: Sequence[np.ndarray]) -> np.ndarray:
    """The solution whose classes cut the least edge weight."""
    return min(solutions, key=lambda probabilities: cut_weight(problem.weights, probabilities.argmax(axis=1)))


def _one_hot(labelled: LabelledImages, images: int) -> np.ndarray:
    labels = np.zeros((images, labelled.classes), np.float32)
    labels[labelled.indices, labelled.labels] = 1.0
    return labels


def _frequencies(labels: np.ndarray) -> list[np.ndarray | None]:
    """The class frequencies to try: equal ones (None), and those of the labels where these differ.

    Labels may be as unbalanced as the images, or may have been chosen so. The cut decides.
    """
    counts = labels.sum(axis=0)
    return [None] if counts.min() == counts.max() else [None, counts / counts.sum()]


def solve_once(problem: Problem, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Propagates the labels once.

    Returns:
      Class probabilities float32 `[N, K]`, of the class frequencies that cut the least edge weight; and whether a label
      reaches each image, bool `[N, 1]`.
    """
    scores = solve(problem.adjacency, problem.labels, alpha, problem.check)
    solutions = [balanced(scores, frequencies) for frequencies in _frequencies(problem.labels)]
    return _least_cut(problem, solutions), _reached(scores)


def _reached(scores: np.ndarray) -> np.ndarray:
    return scores.max(axis=1, keepdims=True) > _UNREACHED


def _solve_iteratively(problem: Problem) -> list[np.ndarray]:
    """Propagates labels once and then iteratively from all images; one solution for each start, none if they overlap.

    The starts are those of `_frequencies`. The few labels of a class may all lie among images of another class, and
    then no source remains where their class is. So where a class has few labels, a start with equally many images
    of each class is tried as well.
    """
    scores = solve(problem.adjacency, problem.labels, problem.config.alpha, problem.check)
    reached = _reached(scores)
    solutions = [
        _iterate(problem, reached, balanced(scores, frequencies), frequencies)
        for frequencies in _frequencies(problem.labels)
    ]
    if problem.labels.sum(axis=0).min() < problem.config.few_labels:
        solutions.append(_iterate(problem, reached, _balanced_start(problem, reached, scores), None))
    return [solution for solution in solutions if solution is not None]


def _balanced_start(problem: Problem, reached: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Class probabilities after a few iterations in which each class is predicted for equally many images."""
    classes = scores.shape[1]
    equal = np.full(classes, 1.0 / classes)
    probabilities = balanced(scores, equal)
    for _ in range(problem.config.trial_iterations):
        sources = _sources(problem, reached, probabilities)
        probabilities = _propagated(problem, sources, problem.config.alpha_wide, equal)
    return probabilities


def _iterate(
    problem: Problem, reached: np.ndarray, probabilities: np.ndarray, frequencies: np.ndarray | None
) -> np.ndarray | None:
    """Propagates from all images until their classes settle; None where they do not begin to: classes overlap.

    Threshold dynamics with class sizes: each image is a source of its most probable class. The borders between
    classes move to where the cut edges weigh little. Two propagations over a shorter distance follow, for the details.

    References:
      Calder, Cook, Thorpe and Slepcev, "Poisson learning", arXiv 2006.11184, section 2.4 (Poisson MBO).
    """
    config = problem.config
    for iteration in range(1, config.iterations + 1):
        previous = probabilities.argmax(axis=1)
        sources = _sources(problem, reached, probabilities)
        probabilities = _propagated(problem, sources, config.alpha_wide, frequencies)
        changed = (probabilities.argmax(axis=1) != previous).mean()
        if iteration == config.trial_iterations and changed > config.stable:
            return None
        if changed <= config.settled:
            break
    for _ in range(2):
        sources = _sources(problem, reached, probabilities)
        probabilities = _propagated(problem, sources, config.alpha_narrow, frequencies)
    return probabilities


def _sources(problem: Problem, reached: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Y of the next propagation, float32 `[N, K]`: the label, or else the most probable class if a label reaches it."""
    labelled = problem.labels.any(axis=1, keepdims=True)
    predicted = np.eye(probabilities.shape[1], dtype=np.float32)[probabilities.argmax(axis=1)] * reached
    return np.where(labelled, problem.labels, predicted)


def _propagated(problem: Problem, sources: np.ndarray, alpha: float, frequencies: np.ndarray | None) -> np.ndarray:
    return balanced(solve(problem.adjacency, sources, alpha, problem.check), frequencies)

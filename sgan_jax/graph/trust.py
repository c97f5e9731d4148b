"""Whether propagated labels are used: a test of the graph on the labels themselves.

Labelled images are left out in turn, and their classes are predicted from the other labels along the graph. By how
often these predictions are right, the propagated labels of all images get their full certainty, less, or no part in
training. So a graph whose edges mean nothing, such as edges of strokes in photographs, does no harm.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from sgan_jax.config import PropagationConfig
from sgan_jax.graph.blocks import Check, never_stop
from sgan_jax.graph.equations import median_lead, with_certainty
from sgan_jax.graph.neighbours import Neighbours
from sgan_jax.graph.propagation import LabelledImages, Solution, solve_labels, solve_once
from sgan_jax.graph.verdict import CALIBRATED, TRUSTED, UNTESTED, UNUSED, Trust

FOLDS = 5  # at most; each costs one propagation
_PRECISE = 1e-3  # of the calibrated certainty


class Propagated(NamedTuple):
    """The labels that training gets from the graph."""

    probabilities: np.ndarray | None  # float32 [N, K], each row adding up to 1; None: they are not used
    trust: Trust


class _HeldOut(NamedTuple):
    """Predictions for labelled images whose label was left out."""

    logs: np.ndarray  # float64 [T, K]: logarithms of class probabilities where the median image of all has log-odds 1
    predicted: np.ndarray  # int [T], -1 where no label reaches the image
    labels: np.ndarray  # int [T]


def propagate_tested(
    neighbours: Neighbours,
    labelled: LabelledImages,
    config: PropagationConfig,
    more_neighbours: Callable[[], Neighbours] | None = None,
    check: Check = never_stop,
) -> Propagated:
    """Predicts class probabilities of every image as `propagate` does, and tests whether they may be used.

    From `config.trusted` on they are those of `propagate`, bit for bit, and so they are where two classes with two
    labels each are missing, which a test needs. Below it, iterations from all images would only add to the mistakes:
    labels are propagated once, as in the test, with the certainty that makes the left-out labels most likely, and at
    most `config.certainty`. Below `config.useful` nothing is used.

    Args:
      neighbours: of N images.
      labelled: at least one image of each class. Their order decides the folds, and is the label seed's.
      config: the constants of the method.
      more_neighbours: returns the neighbours by another measure; called only where classes overlap.
      check: called every few milliseconds; what it raises ends the propagation.
    """
    solution = solve_labels(neighbours, labelled, config, more_neighbours, check)
    in_fold = folds(labelled.labels)
    testable = len(np.unique(labelled.labels[in_fold >= 0])) > 1
    trust = Trust(UNTESTED, certainty=float(config.certainty))
    if config.trusted and testable:
        trust = _judge(_held_out(solution, labelled, in_fold), config)
    if trust.verdict == UNUSED:
        return Propagated(None, trust)
    probabilities = solution.probabilities
    if trust.verdict == CALIBRATED and not solution.once:
        probabilities, _ = solve_once(solution.problem, solution.alpha)
    return Propagated(with_certainty(probabilities, trust.certainty), trust)


def folds(labels: np.ndarray) -> np.ndarray:
    """The fold in which each labelled image is left out, int `[L]`; -1 for the only one of its class.

    Each fold leaves out as many labels of each class as of the others, where classes have equally many, and never all
    of a class.

    Args:
      labels: int `[L]`; those of a class are left out in this order.
    """
    counts = np.bincount(labels)
    ranks = np.empty(len(labels), int)
    for label, count in enumerate(counts):
        ranks[labels == label] = np.arange(count)
    return np.where(counts[labels] > 1, ranks % min(FOLDS, counts.max()), -1)


def _held_out(solution: Solution, labelled: LabelledImages, in_fold: np.ndarray) -> _HeldOut:
    """Predicts each fold from the labels of the others, on the same graph.

    Labels are propagated once. Where the solution iterates, the test costs a fraction of it. Iterations add to what is
    right once, or to what is wrong.
    """
    logs, predicted, labels = [], [], []
    for fold in range(in_fold.max() + 1):
        left = labelled.indices[in_fold == fold]
        known = solution.problem.labels.copy()
        known[left] = 0.0
        probabilities, reached = solve_once(solution.problem._replace(labels=known), solution.alpha)
        of_all = np.log(probabilities)
        logs.append(of_all[left].astype(np.float64) / median_lead(of_all))
        predicted.append(np.where(reached[left, 0], probabilities[left].argmax(axis=1), -1))
        labels.append(labelled.labels[in_fold == fold])
    return _HeldOut(np.concatenate(logs), np.concatenate(predicted), np.concatenate(labels))


def _judge(held_out: _HeldOut, config: PropagationConfig) -> Trust:
    right = int((held_out.predicted == held_out.labels).sum())
    agreement = kappa(held_out.labels, held_out.predicted)
    if agreement >= config.trusted:
        verdict, certainty = TRUSTED, float(config.certainty)
    elif agreement >= config.useful:
        verdict, certainty = CALIBRATED, most_likely_certainty(held_out.logs, held_out.labels, config.certainty)
    else:
        verdict, certainty = UNUSED, 0.0
    return Trust(verdict, len(held_out.labels), right, agreement, certainty)


def kappa(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Accuracy beyond chance: 1 where all predictions are right, 0 where as many are as chance would make.

    Accuracy alone would trust a graph that predicts the one class that nearly all labels are of.

    Args:
      labels: int `[T]`, of two classes at least.
      predicted: int `[T]`; -1 is no class.

    References:
      Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20, 1960.
    """
    chance = sum((labels == c).mean() * (predicted == c).mean() for c in np.unique(labels))
    return float(((labels == predicted).mean() - chance) / (1.0 - chance))


def most_likely_certainty(logs: np.ndarray, labels: np.ndarray, most: float) -> float:
    """The certainty up to `most` that makes labels most likely: temperature scaling.

    Args:
      logs: logarithms of class probabilities at certainty 1, float64 `[T, K]`.
      labels: int `[T]`.
      most: the largest certainty.

    References:
      Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    leads = logs - logs.max(axis=1, keepdims=True)
    of_labels = np.take_along_axis(leads, labels[:, None], axis=1)[:, 0]

    def loss(certainty: float) -> float:
        return float((np.log(np.exp(certainty * leads).sum(axis=1)) - certainty * of_labels).mean())

    best = minimize_scalar(loss, bounds=(0.0, most), method="bounded", options={"xatol": _PRECISE})
    return min((float(best.x), most), key=loss)  # the search stays within its bounds

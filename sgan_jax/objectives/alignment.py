"""Alignment of the teacher's class frequencies with expected ones, by name. U: unlabelled images, K: classes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

State = dict[str, jax.Array]  # by name; empty where there is none


class Alignment(NamedTuple):
    """How predictions are aligned: a first state and a pure function `align(state, log_p, lab_labels)`.

    `log_p` `[U, K]` are the teacher's log-probabilities, `lab_labels` `[B]` the labels of the step's labelled images.
    """

    first: State
    align: Callable[[State, jax.Array, jax.Array], tuple[jax.Array, State]]
    classes: bool  # whether the aligned probabilities decide the class as well, and not its weight alone


def unaligned(classes: int, decay: float) -> Alignment:
    """Predictions as they are: for classes of unknown, different frequencies."""
    return Alignment({}, lambda state, log_p, lab_labels: (log_p, state), False)


def uniform(classes: int, decay: float) -> Alignment:
    """Towards equally frequent classes, for weights: Chen et al., "SoftMatch", arXiv 2301.10921, section 3.2.

    Aligned probabilities are p u / p~, normed: u = 1 / K, p~ a moving average of a step's mean probabilities. The
    class of an image is that of p itself.

    Args:
      classes: K.
      decay: of the moving average, a step. It starts at the first step's mean, as in the paper's code (USB,
        hooks/dist_align.py).
    """

    def align(state: State, log_p: jax.Array, lab_labels: jax.Array) -> tuple[jax.Array, State]:
        marginal = _average(state["marginal"], jnp.exp(log_p).mean(axis=0), decay)
        return _aligned(log_p, jnp.full(classes, 1.0 / classes), marginal), {"marginal": marginal}

    return Alignment({"marginal": jnp.zeros(classes)}, align, False)


def labelled(classes: int, decay: float) -> Alignment:
    """Towards the labels' class frequencies: Berthelot et al., "ReMixMatch", arXiv 1911.09785, section 3.1.

    As `uniform`, with the labels' frequencies in the place of 1 / K, and the aligned probabilities decide the class.
    The paper averages over its last 128 steps; here both averages are moving ones.
    """

    def align(state: State, log_p: jax.Array, lab_labels: jax.Array) -> tuple[jax.Array, State]:
        frequencies = jax.nn.one_hot(lab_labels, classes).mean(axis=0)
        marginal = _average(state["marginal"], jnp.exp(log_p).mean(axis=0), decay)
        expected = _average(state["labels"], frequencies, decay)
        return _aligned(log_p, expected, marginal), {"marginal": marginal, "labels": expected}

    return Alignment({"marginal": jnp.zeros(classes), "labels": jnp.zeros(classes)}, align, True)


ALIGNMENTS: dict[str, Callable[[int, float], Alignment]] = {"none": unaligned, "uniform": uniform, "labelled": labelled}


def _aligned(log_p: jax.Array, expected: jax.Array, marginal: jax.Array) -> jax.Array:
    # 1e-6 as in USB: a class that is not there gets a limited factor.
    return jax.nn.log_softmax(log_p + (jnp.log(expected + 1e-6) - jnp.log(marginal + 1e-6))[None])


def _average(before: jax.Array, value: jax.Array, decay: float) -> jax.Array:
    """The moving average; the value itself at the first step, which has zeros before it."""
    return jnp.where(before.sum() == 0, value, decay * before + (1.0 - decay) * value)

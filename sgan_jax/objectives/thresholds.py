"""How much each pseudo-label counts: rules by name, most of them with thresholds that follow the teacher.

A rule is a first state and a pure function `weigh(state, log_p)`. Its state is part of the training state (`aux`), so
that a resume is exact. U: unlabelled images of a step, K: classes.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

State = dict[str, jax.Array]  # by name; empty where there is none


class Settings(NamedTuple):
    """What a rule is made of."""

    classes: int = 0  # K; a rule without state does not use it
    threshold: float = 0.95  # 0..1, of `fixed`, and the highest one of `flexmatch`
    decay: float = 0.999  # of moving averages, a step


class Weighed(NamedTuple):
    """What a rule makes of a step's predictions."""

    weights: jax.Array  # float32 [U], 0..1
    thresholds: jax.Array  # [K], or [] where all classes have the same one
    state: State


class Rule(NamedTuple):
    """A rule, with its settings."""

    first: State
    weigh: Callable[[State, jax.Array], Weighed]  # log_p: [U, K], the teacher's log-probabilities, without gradient
    fairness: Callable[[State, jax.Array, jax.Array], jax.Array] | None = None  # (state, weights, class_logits) -> []


def fixed(settings: Settings) -> Rule:
    """The same threshold throughout: Sohn et al., "FixMatch", arXiv 2001.07685, eq. 4."""

    def weigh(state: State, log_p: jax.Array) -> Weighed:
        passes = log_p.max(axis=-1) > math.log(max(settings.threshold, 1e-30))
        return Weighed(passes.astype(jnp.float32), jnp.float32(settings.threshold), state)

    return Rule({}, weigh)


def flexmatch(settings: Settings) -> Rule:
    """Lower thresholds for classes that are seldom predicted: Zhang et al., "FlexMatch", arXiv 2110.08263.

    The threshold of class c is M(beta(c)) times `settings.threshold`, with M(x) = x / (2 - x) (eq. 12) and beta of
    eq. 11, of the state before the step (algorithm 1).

    The paper counts images: each is marked with the class for which it last passed `settings.threshold`, and sigma(c)
    of N images have the mark c. Here sigma(c) / N is a moving average of the fraction of a step's images that pass
    with class c. An objective does not know N, and a streamed set has no marks. An image whose probability drops
    again keeps its mark in the paper, and not here.
    """

    def weigh(state: State, log_p: jax.Array) -> Weighed:
        confidence, classes = jnp.exp(log_p.max(axis=-1)), jnp.argmax(log_p, axis=-1)
        marked = state["marked"]  # sigma / N
        effect = marked / jnp.maximum(marked.max(), 1.0 - marked.sum())  # beta
        thresholds = settings.threshold * effect / (2.0 - effect)
        weights = (confidence > thresholds[classes]).astype(jnp.float32)
        sure = (confidence > settings.threshold).astype(jnp.float32)
        marks = _frequencies(classes, sure, settings.classes)
        return Weighed(weights, thresholds, {"marked": _average(marked, marks, settings.decay)})

    return Rule({"marked": jnp.zeros(settings.classes)}, weigh)


def freematch(settings: Settings) -> Rule:
    """Thresholds by the teacher's own confidence: Wang et al., "FreeMatch", arXiv 2205.07246.

    The threshold of class c is tau MaxNorm(p~)(c) (eq. 7): tau a moving average of the teacher's highest probability
    (eq. 5), p~ one of its probabilities (eq. 6). Both start at 1 / K, as in the paper and in TorchSSL; a version of
    USB (`semilearn`, freematch/utils.py) starts at 1. They are updated before they are used (algorithm 1). An image
    at its threshold counts, as in eq. 9, algorithm 1 and the code; eq. 8 has ">". The code's options of a quantile in
    the place of the mean, and of a clipped tau, are left out.
    """

    def weigh(state: State, log_p: jax.Array) -> Weighed:
        confidence, classes = jnp.exp(log_p.max(axis=-1)), jnp.argmax(log_p, axis=-1)
        histogram = _frequencies(classes, jnp.ones_like(confidence), settings.classes)
        state = {
            "confidence": _average(state["confidence"], confidence.mean(), settings.decay),  # tau
            "marginal": _average(state["marginal"], jnp.exp(log_p).mean(axis=0), settings.decay),  # p~
            "histogram": _average(state["histogram"], histogram, settings.decay),  # h~, eq. 10
        }
        thresholds = state["confidence"] * state["marginal"] / state["marginal"].max()
        weights = (confidence >= thresholds[classes]).astype(jnp.float32)
        return Weighed(weights, thresholds, state)

    uniform = jnp.full(settings.classes, 1.0 / settings.classes, jnp.float32)
    first = {"confidence": jnp.float32(1.0 / settings.classes), "marginal": uniform, "histogram": uniform}
    return Rule(first, weigh, _fairness)


def softmatch(settings: Settings) -> Rule:
    """Weights in the place of a threshold: Chen et al., "SoftMatch", arXiv 2301.10921, section 3.1.

    The weight is a Gaussian of the teacher's highest probability, 1 from its mean mu upwards. Mean and variance are
    moving averages, from 1 / K and 1, of a step's mean and unbiased variance, updated before they are used. mu is
    what is reported as the threshold.

    The paper's weight is exp(-(p - mu)^2 / (2 sigma^2)). Its code (USB, softmatch/utils.py) has a Gaussian half as
    wide by default, `n_sigma` = 2: sigma^2 / 4 in the place of sigma^2. The code is followed here.
    """

    def weigh(state: State, log_p: jax.Array) -> Weighed:
        confidence = jnp.exp(log_p.max(axis=-1))
        mean = confidence.mean()
        variance = jnp.square(confidence - mean).sum() / max(len(confidence) - 1, 1)
        mean = _average(state["mean"], mean, settings.decay)
        variance = _average(state["variance"], variance, settings.decay)
        below = jnp.minimum(confidence - mean, 0.0)
        # A floor, for a batch of equal images and a decay of 0.
        weights = jnp.exp(-jnp.square(_WIDTHS * below) / (2.0 * jnp.maximum(variance, 1e-12)))
        return Weighed(weights, mean, {"mean": mean, "variance": variance})

    return Rule({"mean": jnp.float32(1.0 / settings.classes), "variance": jnp.float32(1.0)}, weigh)


_WIDTHS = 2.0  # n_sigma


def _fairness(state: State, weights: jax.Array, class_logits: jax.Array) -> jax.Array:
    """L_f of FreeMatch, eq. 11, of the student's logits on the images that count.

    sum over c of A(c) log B(c), with A = SumNorm(p~ / h~) of the state and B = SumNorm(p- / h-) of the student's
    probabilities and predicted classes (eq. 9). Paper and code (USB, freematch/freematch.py) both minimise it with
    this sign. As in the code, a class that is not predicted is left out of its norm. The code adds A(c) log 1e-12 for
    it, which has no gradient and is left out.
    """
    log_p = jax.nn.log_softmax(class_logits)
    predicted = _frequencies(jnp.argmax(log_p, axis=-1), weights, log_p.shape[-1])
    expected = _normed(_quotient(state["marginal"], state["histogram"]))
    of_student = _normed(_quotient((weights[:, None] * jnp.exp(log_p)).mean(axis=0), predicted))
    there = predicted > 0
    return (jnp.where(there, expected, 0.0) * jnp.log(jnp.where(there, of_student, 1.0) + 1e-12)).sum()


RULES: dict[str, Callable[[Settings], Rule]] = {
    "fixed": fixed,
    "flexmatch": flexmatch,
    "freematch": freematch,
    "softmatch": softmatch,
}


def _frequencies(classes: jax.Array, weights: jax.Array, count: int) -> jax.Array:
    """Mean over the images `[U]` of their weight, class by class: `[count]`."""
    return (jax.nn.one_hot(classes, count) * weights[:, None]).mean(axis=0)


def _average(before: jax.Array, value: jax.Array, decay: float) -> jax.Array:
    return decay * before + (1.0 - decay) * value


def _quotient(values: jax.Array, by: jax.Array) -> jax.Array:
    """`values / by`, and 0 where `by` is 0."""
    return jnp.where(by > 0, values / jnp.where(by > 0, by, 1.0), 0.0)


def _normed(values: jax.Array) -> jax.Array:
    """SumNorm: the values by their sum; zeros stay zeros."""
    return values / jnp.maximum(values.sum(), 1e-12)

"""Heads: how the logits of one dense layer become class scores and a real/fake score.

`real_logit` is always the log-odds of "real": its sigmoid is the probability that the image is real.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax.lax import slice_in_dim
from jax.scipy.special import logsumexp


class Head(NamedTuple):
    """`split` turns logits `[B, outputs(K)]` into class logits `[B, K]` and the real logit `[B]`.

    A head that does not classify gives class logits `[B, 0]`.
    """

    outputs: Callable[[int], int]
    split: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    real: str  # the probability of "real" in words, for descriptions
    classifies: bool = True


def _stacked(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    # sigmoid(logsumexp(l)) = Z / (Z + 1) with Z = sum(exp(l)), without exp's overflow above 88
    return logits, logsumexp(logits, axis=-1)


def _but_last(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`[B, K + 1]` as `[B, K]` and `[B]`, by slices: an index is a gather where B is a symbol, as in an export."""
    return slice_in_dim(logits, 0, -1, axis=1), slice_in_dim(logits, -1, None, axis=1).squeeze(1)


def _k_plus_one(logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    # Log-odds of the K real classes together against class K + 1.
    # The softmax over K + 1, given "real", is the softmax over the first K.
    real, fake = _but_last(logits)
    return real, logsumexp(real, axis=-1) - fake


HEADS: dict[str, Head] = {
    # K logits serve both players; Salimans et al., arXiv 1606.03498, section 5: the fake class's logit is pinned to 0
    "stacked": Head(lambda classes: classes, _stacked, "Z / (Z + 1)"),
    # a softmax of K and a sigmoid of one on shared features
    "separate": Head(lambda classes: classes + 1, _but_last, "Sigmoid of the last"),
    # one softmax of K + 1 with the extra class for generated images, read as two outputs; Odena, arXiv 1606.01583
    "k_plus_one": Head(lambda classes: classes + 1, _k_plus_one, "1 - softmax of the last"),
    # the plain GAN: no classifier; Goodfellow et al., arXiv 1406.2661
    "real_fake": Head(lambda classes: 1, _but_last, "Sigmoid", classifies=False),
}

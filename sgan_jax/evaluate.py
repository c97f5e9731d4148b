"""Accuracy, per class and confusion of the classifier that the discriminator carries."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.step import scale
from sgan_jax.types import Net, Params

BATCH = 1000


class Evaluation(NamedTuple):
    """Counts of true class (rows) against predicted class (columns), int64 `[K, K]`."""

    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of images classified rightly, 0..1; NaN where there are no images."""
        with np.errstate(invalid="ignore"):
            return float(np.trace(self.confusion) / np.float64(self.confusion.sum()))

    @property
    def recall(self) -> np.ndarray:
        """Share of each true class classified rightly, `[K]`; NaN for a class without images."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.confusion) / self.confusion.sum(axis=1)

    @property
    def precision(self) -> np.ndarray:
        """Share of the images given each class that belong to it, `[K]`; NaN for a class never predicted."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.confusion) / self.confusion.sum(axis=0)


Images = np.ndarray | jax.Array  # uint8 [N, H, W, C]
Classify = Callable[[Params, Images], jax.Array]


def make_classify(disc: Net) -> Classify:
    """Compiles `classify(params_d, images) -> classes`: uint8 `[B, H, W, C]` to int32 `[B]`, without dropout."""

    def classify(params: Params, images: jax.Array) -> jax.Array:
        logits = disc.apply(params, scale(images), None).class_logits
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)

    return jax.jit(classify)


Shares = Callable[[Params, Images], jax.Array]


def make_shares(disc: Net) -> Shares:
    """Compiles `shares(params_d, images)`: uint8 `[B, H, W, C]` to the classes' probabilities, float32 `[B, K]`."""

    def shares(params: Params, images: jax.Array) -> jax.Array:
        return jax.nn.softmax(disc.apply(params, scale(images), None).class_logits)

    return jax.jit(shares)


def average(shares: Shares, players: Sequence[Params]) -> Classify:
    """`classify` by the mean of several classifiers' probabilities; its parameters are not looked at."""

    def classify(_: Params, images: Images) -> jax.Array:
        total = sum(np.asarray(shares(params, images), np.float64) for params in players)
        return jnp.asarray(np.argmax(total, axis=-1), jnp.int32)

    return classify


def predict(classify: Classify, params: Params, images: Images) -> np.ndarray:
    """The class of every image, int32 `[N]`; one compiled shape, the last batch filled up."""
    parts = [np.asarray(classify(params, batch))[:count] for batch, count in _batches(images)]
    return np.concatenate([np.zeros(0, np.int32), *parts])


def _batches(images: Images) -> Iterable[tuple[Images, int]]:
    size = max(1, min(BATCH, len(images)))
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        count = len(batch)
        if count < size:
            batch = np.concatenate([np.asarray(batch), np.zeros((size - count, *images.shape[1:]), np.uint8)])
        yield batch, count


def evaluate(classify: Classify, params: Params, images: Images, labels: np.ndarray, classes: int) -> Evaluation:
    """Classifies all images and counts.

    Args:
      classify: from `make_classify`.
      params: the discriminator's.
      images: uint8 `[N, H, W, C]`.
      labels: int32 `[N]`.
      classes: K.
    """
    predicted = predict(classify, params, images)
    pairs = np.asarray(labels, np.int64) * classes + predicted
    return Evaluation(np.bincount(pairs, minlength=classes * classes).reshape(classes, classes))

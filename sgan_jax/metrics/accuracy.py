"""Accuracy, per class and confusion of the classifier that the discriminator carries."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.data.load import Dataset
from sgan_jax.metrics.confusion import count
from sgan_jax.models.pixels import scale
from sgan_jax.types import Net, Params

BATCH = 1000
GLANCE = 10_000  # training images whose accuracy is watched while a run goes on


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
    """Compiles `classify(params_d, images)`: uint8 `[B, H, W, C]` to class logits, float32 `[B, K]`; no dropout."""

    def classify(params: Params, images: jax.Array) -> jax.Array:
        return disc.apply(params, scale(images), None).class_logits

    return jax.jit(classify)


Parts = dict[str, tuple[np.ndarray, np.ndarray]]  # images and labels, by name


def parts(dataset: Dataset, validation: np.ndarray) -> Parts:
    """The images whose class is known: "train", and "test" and "validation" where there are any.

    Args:
      dataset: all images.
      validation: indices of the training images that are kept from training.
    """
    images, labels = dataset.train_images, dataset.train_labels
    known = (images, labels) if dataset.known.all() else (images[dataset.known], labels[dataset.known])
    found: Parts = {"train": known}
    if dataset.has_test:
        found["test"] = dataset.test_images, dataset.test_labels
    if len(validation):
        found["validation"] = images[validation], labels[validation]
    return found


def held_out(parts: Parts) -> str | None:
    """Which part tells what the classifier is worth: "test", or else "validation", or else None."""
    return next((name for name in ("test", "validation") if name in parts), None)


def average(classify: Classify, players: Sequence[Params]) -> Classify:
    """`classify` by the mean of several classifiers' probabilities; its parameters are not looked at.

    What it gives are logits of that mean: its logarithm.
    """

    def averaged(_: Params, images: Images) -> jax.Array:
        total = sum(probabilities(np.asarray(classify(params, images))) for params in players)
        return jnp.asarray(np.log(np.maximum(total, np.finfo(np.float64).tiny) / len(players)), jnp.float32)

    return averaged


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of class logits `[N, K]`, float64."""
    odds = np.exp(np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return odds / odds.sum(axis=-1, keepdims=True)


def glance(images: int) -> np.ndarray:
    """Indices of `GLANCE` of so many images, or of all: drawn by a fixed seed, for sets have their order."""
    return np.sort(np.random.default_rng(0).permutation(images)[:GLANCE])


def class_logits(
    classify: Classify, params: Params, images: Images, classes: int, which: np.ndarray | None = None
) -> np.ndarray:
    """Class logits of every image, or of those at the indices `which`, float32 `[N, K]`.

    One shape is compiled: the last batch is filled up.
    """
    parts = [np.asarray(classify(params, batch))[:count] for batch, count in _batches(images, which)]
    return np.concatenate([np.zeros((0, classes), np.float32), *parts])


def tally(logits: np.ndarray, labels: np.ndarray) -> Evaluation:
    """What class logits `[N, K]` get right of `labels` `[N]`."""
    return Evaluation(count(labels, logits.argmax(axis=1), logits.shape[1]))


def _batches(images: Images, which: np.ndarray | None) -> Iterable[tuple[Images, int]]:
    every = len(images) if which is None else len(which)
    size = max(1, min(BATCH, every))
    for start in range(0, every, size):
        part = slice(start, start + size)
        batch = images[part] if which is None else images[which[part]]
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
    return tally(class_logits(classify, params, images, classes), labels)

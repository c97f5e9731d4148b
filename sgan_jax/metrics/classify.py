"""Runs the classifier that the discriminator carries: class logits and probabilities of any number of images."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.types import Model

BATCH_SIZE = 1000

ImageArray = np.ndarray | jax.Array  # uint8 [N, H, W, C], on the host or on the device
Classify = Callable[[Any, ImageArray], jax.Array]  # (model, images [B, H, W, C]) -> class logits, float32 [B, K]


def class_logits(
    classify: Classify, model: Model | None, images: ImageArray, classes: int, indices: np.ndarray | None = None
) -> np.ndarray:
    """Class logits of every image, a batch at a time.

    Only one batch size is compiled: zeros fill up the last batch, and their logits are dropped.

    Args:
      classify: `System.classify`, or from `ensemble`.
      model: the discriminator; None for an ensemble, which has its own.
      images: uint8 `[N, H, W, C]`.
      classes: K.
      indices: which images to classify, in this order; None for all.

    Returns:
      float32 `[N, K]`, or a row for each index.
    """
    total = len(images) if indices is None else len(indices)
    # Copied out of the device's arrays: those would lie between the blocks of scratch of one batch and of the next.
    logits, done = np.empty((total, classes), np.float32), 0
    for batch, count in _batches(images, total, indices):
        logits[done : done + count] = np.asarray(classify(model, batch))[:count]
        done += count
    return logits


def features_and_logits(
    compute: Callable[[Any, ImageArray], tuple[jax.Array, jax.Array]],
    model: Model,
    images: ImageArray,
    indices: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Features, float32 `[N, F]`, and class logits, float32 `[N, K]`, of every image, a batch at a time.

    Args:
      compute: `System.features_and_logits`.
      model: the discriminator.
      images: uint8 `[N, H, W, C]`, at least one.
      indices: as of `class_logits`.
    """
    total = len(images) if indices is None else len(indices)
    parts = [
        [np.array(output[:count]) for output in compute(model, batch)]
        for batch, count in _batches(images, total, indices)
    ]
    features, logits = map(np.concatenate, zip(*parts, strict=True))
    return features, logits


def _batches(images: ImageArray, total: int, indices: np.ndarray | None) -> Iterable[tuple[ImageArray, int]]:
    """Batches of one size, each with the number of its images before the filling."""
    size = max(1, min(BATCH_SIZE, total))
    for start in range(0, total, size):
        window = slice(start, start + size)
        batch = images[window] if indices is None else images[indices[window]]
        count = len(batch)
        if count < size:
            batch = np.concatenate([np.asarray(batch), np.zeros((size - count, *images.shape[1:]), np.uint8)])
        yield batch, count


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of class logits `[N, K]`, float64."""
    odds = np.exp(np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return odds / odds.sum(axis=-1, keepdims=True)


def ensemble(classify: Classify, members: Sequence[Model]) -> Classify:
    """A classifier that averages the class probabilities of several.

    Its logits are the logarithm of the averaged probabilities. It ignores the model that it is called with.

    Args:
      classify: `System.classify`.
      members: the discriminator of each classifier.
    """

    def averaged(_: Model | None, images: ImageArray) -> jax.Array:
        total = sum(probabilities(np.asarray(classify(model, images))) for model in members)
        return jnp.asarray(np.log(np.maximum(total, np.finfo(np.float64).tiny) / len(members)), jnp.float32)

    return averaged

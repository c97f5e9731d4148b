"""The images on which a classifier is evaluated."""

from typing import NamedTuple

import numpy as np

from sgan_jax.data.load import Dataset

EVALUATION_SIZE = 10_000  # training images that are evaluated after an epoch


class Subset(NamedTuple):
    """Images whose class is known."""

    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]


def subsets(dataset: Dataset, validation: np.ndarray) -> dict[str, Subset]:
    """The images whose class is known: "train", and "test" and "validation" where there are any.

    Args:
      dataset: all images.
      validation: indices of the training images whose labels are withheld for validation, `[V]`.
    """
    images, labels = dataset.train_images, dataset.train_labels
    all_known = dataset.known.all()
    train = Subset(images, labels) if all_known else Subset(images[dataset.known], labels[dataset.known])
    by_name = {"train": train}
    if dataset.has_test:
        by_name["test"] = Subset(dataset.test_images, dataset.test_labels)
    if len(validation):
        by_name["validation"] = Subset(images[validation], labels[validation])
    return by_name


def held_out_subset(by_name: dict[str, Subset]) -> str | None:
    """The subset that measures generalisation: "test", or else "validation", or else None."""
    return next((name for name in ("test", "validation") if name in by_name), None)


def evaluation_subset(images: int) -> np.ndarray:
    """Indices of `EVALUATION_SIZE` of so many images, or of all, ascending.

    A fixed seed draws them, because the images of a data set may be sorted.
    """
    return np.sort(np.random.default_rng(0).permutation(images)[:EVALUATION_SIZE])

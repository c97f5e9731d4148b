"""The images on which a classifier is evaluated."""

from typing import NamedTuple

import numpy as np

from sgan_jax.data.load import Dataset

EVALUATION_SIZE = 10_000  # training images that are evaluated after an epoch


class Subset(NamedTuple):
    """Images whose class is known."""

    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]
    files: tuple[str, ...] = ()  # of each image its file; empty for arrays

    def at(self, indices: np.ndarray) -> "Subset":
        """The images at indices `[M]`."""
        files = tuple(self.files[index] for index in indices) if self.files else ()
        return Subset(self.images[indices], self.labels[indices], files)


def subsets(dataset: Dataset, validation: np.ndarray) -> dict[str, Subset]:
    """The images whose class is known: "train", and "test" and "validation" where there are any.

    Args:
      dataset: all images.
      validation: indices of the training images whose labels are withheld for validation, `[V]`.
    """
    train = Subset(dataset.train_images, dataset.train_labels, dataset.train_files)
    by_name = {"train": train if dataset.known.all() else train.at(np.flatnonzero(dataset.known))}
    if dataset.has_test:
        by_name["test"] = Subset(dataset.test_images, dataset.test_labels, dataset.test_files)
    if len(validation):
        by_name["validation"] = train.at(validation)
    return by_name


def held_out_subset(by_name: dict[str, Subset]) -> str | None:
    """The subset that measures generalisation: "test", or else "validation", or else None."""
    return next((name for name in ("test", "validation") if name in by_name), None)


def evaluation_subset(images: int) -> np.ndarray:
    """Indices of `EVALUATION_SIZE` of so many images, or of all, ascending.

    A fixed seed draws them, because the images of a data set may be sorted.
    """
    return np.sort(np.random.default_rng(0).permutation(images)[:EVALUATION_SIZE])

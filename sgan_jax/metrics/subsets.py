"""The images on which a classifier is evaluated, and those beside which a generator's are compared."""

from typing import NamedTuple

import numpy as np

from sgan_jax.data.load import Dataset

EVALUATION_SIZE = 10_000  # training images that are evaluated after an epoch
MOST_TRAINING = 60_000  # training images of which a generated one may be a copy


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


class Compared(NamedTuple):
    """Indices of real images beside which generated ones are compared, ascending."""

    candidates: np.ndarray  # of training images, of which one may be copied, int64 [M]
    chosen: np.ndarray  # which of the candidates are compared, int64 [n]
    test: np.ndarray  # of test images, whose figures are the floor, int64 [n]; empty where these are fewer

    @property
    def training(self) -> np.ndarray:
        """Of the training images that are compared, int64 `[n]`."""
        return self.candidates[self.chosen]


def compared(training: int, tests: int, count: int) -> Compared:
    """The images of a comparison, drawn by a fixed seed.

    Args:
      training: how many training images there are.
      tests: how many test images.
      count: n, at most as many as training images.
    """
    random = np.random.default_rng(0)
    candidates = np.sort(random.permutation(training)[:MOST_TRAINING])
    chosen = np.sort(random.permutation(len(candidates))[:count])
    test = np.sort(random.permutation(tests)[:count])
    return Compared(candidates, chosen, test if tests >= count else test[:0])


def how_many_compared(training: int, tests: int, most: int, least: int) -> int:
    """How many images of each kind are compared: as many as there are to train and to test on, at most `most`.

    Where there are fewer than `least` test images, they do not count: there is no floor then.
    """
    return min(most, training, tests if tests >= least else training)

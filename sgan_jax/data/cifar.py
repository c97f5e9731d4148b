"""Loads CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their official binary version, and other sets in that format.

A row is one byte of the label (CIFAR-100: a coarse one and the fine one, which is the class), then the red, green and
blue planes of 32 x 32 bytes: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.dataset import Dataset, check_labels
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.data.set_files import check_memory, count_all, is_any_in, name_of, paths_in, read_names, rows
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import RAISED, Problems

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE


class Version(NamedTuple):
    """The files of one of the two sets."""

    what: str
    train: tuple[str, ...]
    test: str
    names: str  # the file of the names of the classes
    labels: int  # bytes before the pixels; the last one is the class


CIFAR10 = Version(
    "CIFAR-10's binary files",
    tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test_batch.bin",
    "batches.meta.txt",
    1,
)
CIFAR100 = Version("CIFAR-100's binary files", ("train.bin",), "test.bin", "fine_label_names.txt", 2)

# MD5 of the training files; of CIFAR-10's test file, and of CIFAR-100, none is on record.
RECORD = {
    "cifar10": {
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    }
}


def has_cifar10_files(folder: Path) -> bool:
    """Whether at least one of CIFAR-10's files of images is in the folder."""
    return is_any_in(folder, (*CIFAR10.train, CIFAR10.test))


def has_cifar100_files(folder: Path) -> bool:
    """Whether CIFAR-100's files are in the folder: one is missing at most, as `train.bin` alone may be anything."""
    return is_any_in(folder, (*CIFAR100.train, CIFAR100.test, CIFAR100.names), 2)


def load_cifar10(folder: Path, dataset: str = "auto", problems: Problems = RAISED) -> Dataset:
    """Loads the files of CIFAR-10, or of a set in that format; images are in the order of the files.

    Args:
      folder: that contains the five training batches and the test batch.
      dataset: "cifar10", or "auto": CIFAR-10 if the training batches have its checksums, else named after the folder.
      problems: around the check of each file.

    Raises:
      UserError: a file is missing, damaged or not that of `dataset`.
    """
    return _load(CIFAR10, folder, dataset, problems)


def load_cifar100(folder: Path, dataset: str = "auto", problems: Problems = RAISED) -> Dataset:
    """Loads the files of CIFAR-100 with their fine labels, or of a set in that format, in the order of the files.

    Args:
      folder: that contains `train.bin` and `test.bin`.
      dataset: "cifar100", or "auto": named after the folder, as no checksums are on record.
      problems: around the check of each file.

    Raises:
      UserError: a file is missing or damaged.
    """
    return _load(CIFAR100, folder, dataset, problems)


def _load(version: Version, folder: Path, dataset: str, problems: Problems) -> Dataset:
    paths = paths_in(folder, (*version.train, version.test), version.what, problems)
    of = f"{version.labels} of a label and {_SIDE} x {_SIDE} x 3 of pixels"
    counts = count_all(paths, version.labels + _PIXELS, of, problems)
    check_memory(folder, sum(counts.values()) * _PIXELS)
    name = name_of(folder, dataset, RECORD if version is CIFAR10 else {}, problems)
    names = CLASS_NAMES.get(name, ())
    with problems:
        names = names or read_names(*paths_in(folder, (version.names,), "the names of the classes"))
    test_count = {path: count for path, count in counts.items() if path.name == version.test}
    train_counts = {path: count for path, count in counts.items() if path.name != version.test}
    train_images, train_labels = _read(version, train_counts, len(names), problems)
    test_images, test_labels = _read(version, test_count, len(names), problems)
    problems.check()
    if name not in CLASS_NAMES:
        warn_of_range(train_images, paths[0], "bytes of 0 to 255")
        warn_of_range(test_images, paths[-1], "bytes of 0 to 255")
    return Dataset(name, train_images, train_labels, test_images, test_labels, names)


def _read(
    version: Version, counts: dict[Path, int], num_classes: int, problems: Problems
) -> tuple[np.ndarray, np.ndarray]:
    """The images of files, uint8 `[N, H, W, 3]`, and their labels, int32 `[N]`, one file after the other.

    Args:
      version: what a row is made of.
      counts: the number of rows of each file.
      num_classes: K; the labels must be 0..K-1. 0 if it is not known.
      problems: around each file.
    """
    total, end = sum(counts.values()), 0
    images, labels = np.empty((total, _SIDE, _SIDE, 3), np.uint8), np.empty(total, np.int32)
    for path, count in counts.items():
        first, end = end, end + count
        with problems:
            start = first
            for piece in rows(path, version.labels + _PIXELS):
                part = slice(start, start + len(piece))
                labels[part] = piece[:, version.labels - 1]
                images[part] = piece[:, version.labels :].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
                start = part.stop
            if num_classes:
                check_labels(labels[first:end], num_classes, path)
    return images, labels

"""Loads STL-10 (Coates et al. 2011) in its binary files, and other sets in that format.

An image is its red, green and blue planes of 96 x 96 bytes, each column by column; labels are bytes of 1 to 10:
https://cs.stanford.edu/~acoates/stl10/. There are 5,000 training and 8,000 test images, and 100,000 without a label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.data.set_files import check_memory, count_rows, is_any_in, name_of, paths_in, read_names, rows
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import UserError

WHAT = "STL-10's binary files"
_SIDE = 96
_PIXELS = 3 * _SIDE * _SIDE
_REQUIRED = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
_UNLABELLED, _NAMES = "unlabeled_X.bin", "class_names.txt"


def has_stl10_files(folder: Path) -> bool:
    """Whether at least one of the files of images is in the folder."""
    return is_any_in(folder, ("train_X.bin", "test_X.bin", _UNLABELLED))


def load_stl10(folder: Path, dataset: str = "auto") -> Dataset:
    """Loads the files of STL-10, or of a set in that format, in their order; the unlabelled images come last.

    Args:
      folder: that contains the files of training and test images; that of unlabelled images may be missing.
      dataset: "stl10", or "auto": named after the folder, as no checksums are on record.

    Raises:
      UserError: a file is missing or damaged, or the images do not fit in memory.
    """
    train, train_y, test, test_y = paths_in(folder, _REQUIRED, WHAT)
    unlabelled = [folder / _UNLABELLED] if is_any_in(folder, [_UNLABELLED]) else []
    counts = {path: count_rows(path, _PIXELS, f"{_SIDE} x {_SIDE} x 3") for path in (train, *unlabelled, test)}
    check_memory(folder, sum(counts.values()) * _PIXELS)
    name = name_of(folder, dataset, {})
    names = CLASS_NAMES.get(name) or read_names(*paths_in(folder, (_NAMES,), "the names of the classes"))
    labels = np.full(sum(counts[path] for path in (train, *unlabelled)), UNKNOWN, np.int32)
    labels[: counts[train]] = _labels(train_y, counts[train], len(names))
    parts = {"train": _images([train, *unlabelled], counts), "test": _images([test], counts)}
    if name not in CLASS_NAMES:
        for part, images in parts.items():
            warn_of_range(images, f"{folder}: {part} images", "bytes of 0 to 255")
    return Dataset(
        name=name,
        train_images=parts["train"],
        train_labels=labels,
        test_images=parts["test"],
        test_labels=_labels(test_y, counts[test], len(names)),
        class_names=names,
    )


def _images(paths: list[Path], counts: dict[Path, int]) -> np.ndarray:
    images, end = np.empty((sum(counts[path] for path in paths), _SIDE, _SIDE, 3), np.uint8), 0
    for path in paths:
        for piece in rows(path, _PIXELS):
            start, end = end, end + len(piece)
            images[start:end] = piece.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)
    return images


def _labels(path: Path, count: int, num_classes: int) -> np.ndarray:
    if count_rows(path, 1, "a byte for each label") != count:
        raise UserError(f"{path}: {path.stat().st_size} labels for {count} images; expected as many labels as images")
    stored = np.concatenate(list(rows(path, 1))).reshape(-1)
    bad = np.flatnonzero((stored == 0) | (stored > num_classes))
    if bad.size:
        raise UserError(
            f"{path}: label {stored[bad[0]]} of example {bad[0]} is out of range; expected 1..{num_classes}"
        )
    return stored.astype(np.int32) - 1

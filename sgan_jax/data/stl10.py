"""Loads STL-10 (Coates et al. 2011) in its binary files, and other sets in that format.

An image is its red, green and blue planes of 96 x 96 bytes, each column by column; labels are bytes of 1 to 10:
https://cs.stanford.edu/~acoates/stl10/. There are 5,000 training and 8,000 test images, and 100,000 without a label.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.data.set_files import check_memory, count_all, count_rows, is_any_in, name_of, paths_in, read_names, rows
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import RAISED, Problems, UserError

WHAT = "STL-10's binary files"
_SIDE = 96
_PIXELS = 3 * _SIDE * _SIDE
_REQUIRED = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
_UNLABELLED, _NAMES = "unlabeled_X.bin", "class_names.txt"


def has_stl10_files(folder: Path) -> bool:
    """Whether at least one of the files of images is in the folder."""
    return is_any_in(folder, ("train_X.bin", "test_X.bin", _UNLABELLED))


def load_stl10(folder: Path, dataset: str = "auto", problems: Problems = RAISED) -> Dataset:
    """Loads the files of STL-10, or of a set in that format, in their order; the unlabelled images come last.

    Args:
      folder: that contains the files of training and test images; that of unlabelled images may be missing.
      dataset: "stl10", or "auto": named after the folder, as no checksums are on record.
      problems: around the check of each file.

    Raises:
      UserError: a file is missing or damaged, or the images do not fit in memory.
    """
    there = paths_in(folder, _REQUIRED, WHAT, problems)
    train, train_y, test, test_y = (folder / name for name in _REQUIRED)
    unlabelled = [folder / _UNLABELLED] if is_any_in(folder, [_UNLABELLED]) else []
    images_in = [path for path in (train, *unlabelled, test) if path in there or path in unlabelled]
    counts = count_all(images_in, _PIXELS, f"{_SIDE} x {_SIDE} x 3", problems)
    check_memory(folder, sum(counts.values()) * _PIXELS)
    name = name_of(folder, dataset, {})
    names = CLASS_NAMES.get(name, ())
    with problems:
        names = names or read_names(*paths_in(folder, (_NAMES,), "the names of the classes"))
    known: dict[Path, np.ndarray] = {}
    for path, images in ((train_y, train), (test_y, test)):
        with problems:
            if path in there:
                known[path] = _labels(path, counts.get(images), len(names))
    problems.check()
    labels = np.full(sum(counts[path] for path in (train, *unlabelled)), UNKNOWN, np.int32)
    labels[: counts[train]] = known[train_y]
    parts = {"train": _images([train, *unlabelled], counts), "test": _images([test], counts)}
    if name not in CLASS_NAMES:
        for part, array in parts.items():
            warn_of_range(array, f"{folder}: {part} images", "bytes of 0 to 255")
    return Dataset(
        name=name,
        train_images=parts["train"],
        train_labels=labels,
        test_images=parts["test"],
        test_labels=known[test_y],
        class_names=names,
    )


def _images(paths: list[Path], counts: dict[Path, int]) -> np.ndarray:
    images, end = np.empty((sum(counts[path] for path in paths), _SIDE, _SIDE, 3), np.uint8), 0
    for path in paths:
        for piece in rows(path, _PIXELS):
            start, end = end, end + len(piece)
            images[start:end] = piece.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 3, 2, 1)
    return images


def _labels(path: Path, count: int | None, num_classes: int) -> np.ndarray:
    """The labels in a file, int32 `[N]` of 0..K-1.

    Args:
      path: the file.
      count: N; None if it is not known.
      num_classes: K; 0 if it is not known.
    """
    if count_rows(path, 1, "a byte for each label") != count and count is not None:
        raise UserError(f"{path}: {path.stat().st_size} labels for {count} images; expected as many labels as images")
    stored = np.concatenate(list(rows(path, 1))).reshape(-1)
    bad = np.flatnonzero((stored == 0) | (stored > (num_classes or 255)))
    if bad.size:
        raise UserError(
            f"{path}: label {stored[bad[0]]} of example {bad[0]} is out of range; expected 1..{num_classes}"
        )
    return stored.astype(np.int32) - 1

"""Loads SVHN (Netzer et al. 2011) in its .mat files of cropped digits, and other sets in that format.

A file has X, uint8 `[H, W, C, N]`, and y, `[N, 1]` of 1 to 10; label 10 is the digit 0. There are 73,257 training and
26,032 test images, and 531,131 further ones in the file `extra`, which are easier: results with and without these are
not comparable, so they are used on demand only.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import Dataset
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.data.set_files import check_memory, is_any_in, name_of, paths_in
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import RAISED, Problems, UserError, reason

log = logging.getLogger(__name__)

WHAT = "SVHN's .mat files"
EXTRA = "svhn_extra"  # the set of which the extra images are a part
_TRAIN, _TEST, _MORE = "train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"
_ZERO = 10  # the label of the digit 0

_MD5 = {_TRAIN: "e26dedcc434d2e4c54c9b2d4a06d8373", _TEST: "eb5a983be6a315427106f1b164d9cef3"}
RECORD = {"svhn_cropped": _MD5, EXTRA: _MD5 | {_MORE: "a93ce644f1a588dc4d68dda5feec44a7"}}


def has_svhn_files(folder: Path) -> bool:
    """Whether at least one of the files is in the folder."""
    return is_any_in(folder, (_TRAIN, _TEST, _MORE))


def load_svhn(folder: Path, dataset: str = "auto", problems: Problems = RAISED) -> Dataset:
    """Loads the files of SVHN, or of a set in that format; images are in the order of the files.

    Args:
      folder: that contains the files of training and test images.
      dataset: "svhn_cropped"; "svhn_extra", whose training images are those of both files; or "auto": SVHN without the
        extra images if the files have its checksums, else named after the folder.
      problems: around the check of each file.

    Raises:
      UserError: a file is missing, damaged or not that of `dataset`.
    """
    train = [_TRAIN, _MORE] if dataset == EXTRA else [_TRAIN]
    paths = paths_in(folder, (*train, _TEST), WHAT, problems)
    if dataset != EXTRA and is_any_in(folder, [_MORE]):
        log.info("%s: %s is left out; ‹data.dataset› %s trains on its images, too", folder, _MORE, EXTRA)
    shapes: dict[Path, tuple[int, ...]] = {}
    for path in paths:
        with problems:
            shape = _shape(path)
            first, expected = next(iter(shapes.items()), (path, shape))
            if shape[:3] != expected[:3]:
                raise UserError(f"{path}: images of {shape[:3]}; expected {expected[:3]} as in {first.name}")
            shapes[path] = shape
    check_memory(folder, sum(map(math.prod, shapes.values())))
    name = name_of(folder, dataset, RECORD, problems)
    images, labels = [], []
    for path in shapes:
        with problems:
            of_file = _read(path)
            if name not in CLASS_NAMES:
                warn_of_range(of_file[0], path, "bytes of 0 to 255")
            images.append(of_file[0])
            labels.append(of_file[1])
    problems.check()
    return Dataset(
        name=name,
        train_images=images[0] if len(train) == 1 else np.concatenate(images[:-1]),
        train_labels=np.concatenate(labels[:-1]),
        test_images=images[-1],
        test_labels=labels[-1],
        class_names=CLASS_NAMES["svhn_cropped"],
    )


def _shape(path: Path) -> tuple[int, ...]:
    """The shape of a file's X, without reading it.

    Raises:
      UserError: the file cannot be read, or has other arrays.
    """
    from scipy import io

    try:
        with path.open("rb") as file:
            arrays = {name: (shape, kind) for name, shape, kind in io.whosmat(file)}
    except Exception as error:
        raise _damaged(path, error) from None
    if not {"X", "y"} <= arrays.keys():
        there = ", ".join(arrays) or "none"
        raise UserError(f"{path}: no arrays X and y (there are: {there}); expected {WHAT}, whole: copy it again")
    (shape, kind), (labels, _) = arrays["X"], arrays["y"]
    if kind != "uint8" or len(shape) != 4 or shape[2] not in (1, 3) or 0 in shape:
        raise UserError(f"{path}: X is {kind} {shape}; expected uint8 [H, W, C, N], C 1 or 3")
    if math.prod(labels) != shape[3]:
        raise UserError(f"{path}: {math.prod(labels)} labels for {shape[3]} images; expected as many labels as images")
    return tuple(shape)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images of a file, uint8 `[N, H, W, C]`, and their labels, int32 `[N]`."""
    from scipy import io

    try:
        with path.open("rb") as file:
            arrays = io.loadmat(file, variable_names=["X", "y"])
        images, labels = np.ascontiguousarray(arrays["X"].transpose(3, 0, 1, 2)), arrays["y"].reshape(-1)
    except MemoryError:
        raise
    except Exception as error:  # SciPy and zlib raise many types
        raise _damaged(path, error) from None
    if labels.dtype.kind not in "iuf":
        raise UserError(f"{path}: y is {labels.dtype}; expected integers of 1 to {_ZERO}")
    bad = np.flatnonzero(~np.isin(labels, np.arange(1, _ZERO + 1)))
    if bad.size:
        raise UserError(
            f"{path}: label {labels[bad[0]]} of example {bad[0]} is out of range; expected 1..{_ZERO} ({_ZERO} is the "
            "digit 0)"
        )
    return images, labels.astype(np.int32) % _ZERO


def _damaged(path: Path, error: Exception) -> UserError:
    if isinstance(error, OSError) and error.strerror:
        return UserError(f"{path}: cannot be read ({error.strerror})")
    return UserError(f"{path}: damaged, or no .mat file of version 7 or older ({reason(error)}); copy it again")

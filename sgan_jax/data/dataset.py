"""The record every source fills, and the checks every source shares."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from sgan_jax.errors import UserError

UNKNOWN = -1  # the label of an image whose class is not known

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class Source(Protocol):
    """Images one by one, uint8 [H, W, C], as Grain reads them."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, index: int) -> np.ndarray:
        """One of them."""


CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}


def local_name(path: Path, otherwise: str) -> str:
    """What a set is called by its folder; results must not pass for those of a set that it is not known to be."""
    name = re.sub(r"[^\w.-]+", "-", path.resolve().name).strip(".-") or otherwise
    return f"{name}-local" if name in CLASS_NAMES or name.startswith("mnist-5k") else name


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images in two parts, as plain arrays. N and M are the sizes of the parts; M is 0 where there is no test part."""

    name: str
    train_images: np.ndarray  # uint8 [N, H, W, C], 0..255
    train_labels: np.ndarray  # int32 [N], 0..num_classes-1, or UNKNOWN
    test_images: np.ndarray  # uint8 [M, H, W, C]
    test_labels: np.ndarray  # int32 [M]
    class_names: tuple[str, ...]
    notice: str = ""  # what every result on this set has to say, or nothing
    own: bool = False  # the user's: by default every label that is known is used
    streamed: Source | None = None  # what training sees without a label, where not all of it is held in memory
    known_digest: str = field(default="", repr=False)  # from the cache, which keeps it beside the arrays

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.class_names)

    @property
    def known(self) -> np.ndarray:
        """Which training images have a label, bool [N]."""
        return self.train_labels != UNKNOWN

    @property
    def has_test(self) -> bool:
        """Whether there are test images."""
        return len(self.test_images) > 0

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the four arrays: names, types, shapes and bytes; the set's own name has no part in it."""
        if self.known_digest:
            return self.known_digest
        sha = hashlib.sha256()
        for key in ARRAYS:
            array = np.ascontiguousarray(getattr(self, key))
            sha.update(f"{key} {array.dtype.name} {array.shape}\n".encode())
            sha.update(array.data)
        return sha.hexdigest()


def check_labels(labels: np.ndarray, num_classes: int, where: object, unknown: bool = False) -> np.ndarray:
    """Labels [N] of any integer type as int32, each in 0..num_classes-1, or UNKNOWN where `unknown` allows for it.

    Raises UserError that names `where` (a file, or a set and its part) and the first label out of range.
    """
    labels = np.asarray(labels)
    low = labels < 0 if not unknown else (labels < 0) & (labels != UNKNOWN)
    bad = np.flatnonzero(low | (labels >= num_classes))
    if bad.size:
        raise UserError(
            f"{where}: label {labels[bad[0]]} of example {bad[0]} is out of range; "
            f"expected 0..{num_classes - 1} ({num_classes} classes)"
        )
    return labels.astype(np.int32)

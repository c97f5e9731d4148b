"""The record every source fills, and the checks every source shares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sgan_jax.errors import UserError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

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


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in two parts, as plain arrays. N and M are the sizes of the parts."""

    name: str
    train_images: np.ndarray  # uint8 [N, H, W, C], 0..255
    train_labels: np.ndarray  # int32 [N], 0..num_classes-1
    test_images: np.ndarray  # uint8 [M, H, W, C]
    test_labels: np.ndarray  # int32 [M]
    class_names: tuple[str, ...]
    notice: str = ""  # what every result on this set has to say, or nothing
    known_digest: str = field(default="", repr=False)  # from the cache, which keeps it beside the arrays

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.class_names)

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


def check_labels(labels: np.ndarray, num_classes: int, where: object) -> np.ndarray:
    """Labels [N] of any integer type as int32, each known to lie in 0..num_classes-1.

    Raises UserError that names `where` (a file, or a set and its part) and the first label out of range.
    """
    labels = np.asarray(labels)
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if bad.size:
        raise UserError(
            f"{where}: label {labels[bad[0]]} of example {bad[0]} is out of range; "
            f"expected 0..{num_classes - 1} ({num_classes} classes)"
        )
    return labels.astype(np.int32)

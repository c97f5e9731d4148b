"""The record that every data source fills, and the checks that all sources use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from sgan_jax.errors import UserError

UNKNOWN = -1  # the label of an image whose class is not known

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


class Source(Protocol):
    """Images that are read one at a time, uint8 [H, W, C], as Grain reads them."""

    def __len__(self) -> int:
        """The number of images."""

    def __getitem__(self, index: int) -> np.ndarray:
        """The image at `index`."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split of N and M images as plain arrays; M is 0 without test images."""

    name: str
    train_images: np.ndarray  # uint8 [N, H, W, C], 0..255
    train_labels: np.ndarray  # int32 [N], 0..num_classes-1, or UNKNOWN
    test_images: np.ndarray  # uint8 [M, H, W, C]
    test_labels: np.ndarray  # int32 [M]
    class_names: tuple[str, ...]
    notice: str = ""  # a caveat that every result on this set repeats; may be empty
    custom: bool = False  # the user's own images: by default training uses every known label
    labels_file: Path | None = None  # the CSV file that the labels, or some of them, were read from
    train_files: tuple[str, ...] = ()  # of each training image its file, relative to the folder; empty for arrays
    test_files: tuple[str, ...] = ()  # of each test image
    streamed: Source | None = None  # all images for training without labels, where they are not all in train_images
    known_digest: str = field(default="", repr=False)  # the digest, where it is known without hashing the arrays
    embeddings: np.ndarray | None = field(
        default=None, repr=False
    )  # float32 [N, F], of length 1; None: no such vectors

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
    def embeddings_digest(self) -> str:
        """SHA-256 (hex) of the embeddings; nothing where there are none."""
        if self.embeddings is None:
            return ""
        sha = hashlib.sha256(f"{self.embeddings.shape}\n".encode())
        sha.update(np.ascontiguousarray(self.embeddings).data)
        return sha.hexdigest()

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the four arrays: names, types, shapes and bytes, but not the set's own name."""
        if self.known_digest:
            return self.known_digest
        sha = hashlib.sha256()
        for key in ARRAYS:
            array = np.ascontiguousarray(getattr(self, key))
            sha.update(f"{key} {array.dtype.name} {array.shape}\n".encode())
            sha.update(array.data)
        return sha.hexdigest()


def check_labels(labels: np.ndarray, num_classes: int, where: object, unknown: bool = False) -> np.ndarray:
    """Checks the range of labels.

    Args:
      labels: integers of any type [N].
      num_classes: K; labels are to be 0..K-1.
      where: the file, or the set and its split, for the message.
      unknown: whether labels may be UNKNOWN as well.

    Returns:
      The labels as int32 [N].

    Raises:
      UserError: a label is out of range; names `where` and the first such label.
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

"""Loads a folder of custom images: a folder for each class, and any number of unlabelled images.

`listing` describes the layout. Files that cannot be used are left out with a warning that names them. The images must
have one size, or are all resized.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data import memory
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.images import BadImage, each, read_shaped
from sgan_jax.data.layout import UNLABELLED
from sgan_jax.data.published import local_name
from sgan_jax.data.sizes import Size
from sgan_jax.data.splits import LeftOut, Split
from sgan_jax.data.stream import Files
from sgan_jax.data.survey import SHOWN, Survey, check_classes, image_shape, survey
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

_SAMPLE = 100  # images that stand for those that are not all decoded
_SHALLOW = "up to 255"  # of files of 8 bits
_DEEP = "up to 65535, of which the upper 8 bits are used (multiply 12 bits by 16)"


class Decoded(NamedTuple):
    """An image of a folder."""

    path: Path
    label: int
    pixels: np.ndarray  # uint8 [H, W, C]


@dataclass(frozen=True)
class Findings:
    """What decoding a folder brings to light."""

    left_out: list[LeftOut]  # files that cannot be decoded
    brightest: dict[tuple[bool, bool], int] = field(default_factory=dict)  # the largest value, 0..255, by test and deep

    def note(self, image: np.ndarray, test: bool, deep: bool) -> None:
        """Notes the largest value of an image.

        Args:
          image: uint8.
          test: whether it is a test image.
          deep: whether its file has 16 bits a channel.
        """
        self.brightest[test, deep] = max(self.brightest.get((test, deep), 0), int(image.max()))

    def warn_of_range(self, folder: Path) -> None:
        """Warns of each kind of image that is nearly black."""
        for (test, deep), value in self.brightest.items():
            images = f"{'test' if test else 'training'} images of {16 if deep else 8} bits"
            warn_of_range(np.uint8(value), f"{folder}: {images}", _DEEP if deep else _SHALLOW)


def load_folder(
    folder: str | Path, size: Size | None = None, stream: bool | None = None, labels_file: Path | None = None
) -> Dataset:
    """Loads the images of a folder; grey if all are grey, else RGB.

    Args:
      folder: see `listing`.
      size: height and width to resize all images to.
      stream: whether unlabelled images are read from disk when they are needed; by default if not all fit in memory.
      labels_file: a CSV file of files and labels; by default `labels.csv` in the folder, if it is there.

    Raises:
      UserError: names the file or folder, what was expected and what to do.
    """
    surveyed = survey(Path(folder), labels_file)
    train = surveyed.train.split
    check_classes(surveyed.listing, train.labels, surveyed.left_out)
    shape = image_shape(surveyed, size)
    unlabelled = UNKNOWN in train.labels
    if stream and not unlabelled:
        raise UserError(
            f"‹data.stream›: {folder} has no images in '{UNLABELLED[0]}', and those of classes are held in memory; "
            f"put some there, or leave ‹data.stream› out"
        )
    too_large = why_streamed(len(train.paths), shape) if stream is None else ""
    reason = "‹data.stream›" if stream else too_large
    if reason and unlabelled:
        log.info("%s: unlabelled images are read from disk when a step needs them (%s)", folder, reason)
        return _streamed(surveyed, shape, size is not None)
    return _decode(surveyed, train, shape, size is not None)


def why_streamed(count: int, shape: tuple[int, int, int]) -> str:
    """Why so many training images of a folder do not all fit in memory; empty if they do."""
    return memory.excess(count * math.prod(shape))


def decode(
    surveyed: Survey, split: Split, shape: tuple[int, int, int], resized: bool, findings: Findings
) -> Iterator[Decoded]:
    """Yields the images of a split one at a time, without those that cannot be decoded.

    Args:
      surveyed: the folder.
      split: its files.
      shape: of the images, from `image_shape`.
      resized: whether images of other sizes are resized.
      findings: gets the files that cannot be decoded, and the largest values of the images.
    """
    deep = surveyed.deep
    decoded = each(lambda path: read_shaped(path, shape, resized), split.paths)
    for path, label, image in zip(split.paths, split.labels, decoded, strict=True):
        if isinstance(image, BadImage):
            findings.left_out.append(LeftOut(surveyed.listing.name(path), str(image)))
        else:
            findings.note(image, split is surveyed.test.split, path in deep)
            yield Decoded(path, label, image)


def set_name(path: Path) -> str:
    """The name of a custom set in results and directories: that of its folder or file."""
    return local_name(path.resolve().with_suffix("") if path.suffix.lower() == ".npz" else path, "images")


def _streamed(surveyed: Survey, shape: tuple[int, int, int], resized: bool) -> Dataset:
    """Decodes the labelled and the test images, and leaves on disk the images that training uses without labels.

    The labelled images are among the latter, too, as they are in a set that is in memory.
    """
    split = surveyed.train.split
    labelled, unlabelled = Split(), []
    for path, label in zip(split.paths, split.labels, strict=True):
        if label == UNKNOWN:
            unlabelled.append(path)
        else:
            labelled.add(path, label)
    dataset = _decode(surveyed, labelled, shape, resized)
    _warn_of_sample(surveyed, unlabelled, shape, resized)
    # Names and sizes of the files stand for their contents: to read them all would take as long as an epoch.
    sha = hashlib.sha256(dataset.digest.encode())
    for path in unlabelled:
        sha.update(f"{surveyed.listing.name(path)} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    return dataclasses.replace(dataset, streamed=Files(split.paths, shape, resized), known_digest=sha.hexdigest())


def _warn_of_sample(surveyed: Survey, paths: list[Path], shape: tuple[int, int, int], resized: bool) -> None:
    """Warns if images are nearly black, by a sample from all over the files."""
    every = -(-len(paths) // _SAMPLE)
    sample, findings = Split(paths[::every], [UNKNOWN] * len(paths[::every])), Findings([])
    for _ in decode(surveyed, sample, shape, resized, findings):
        pass
    findings.warn_of_range(surveyed.listing.folder)


def _decode(surveyed: Survey, train: Split, shape: tuple[int, int, int], resized: bool) -> Dataset:
    """Decodes the images of `train` and the test images, and warns of the files that are left out.

    Raises:
      UserError: no image of a class can be decoded.
    """
    findings = Findings(list(surveyed.left_out))
    trained, tested = (
        _stack(surveyed, decode(surveyed, split, shape, resized, findings), len(split.paths), shape)
        for split in (train, surveyed.test.split)
    )
    check_classes(surveyed.listing, trained.labels.tolist(), findings.left_out)
    _warn(surveyed, findings.left_out)
    findings.warn_of_range(surveyed.listing.folder)
    return Dataset(
        name=set_name(surveyed.listing.folder),
        train_images=trained.images,
        train_labels=trained.labels,
        test_images=tested.images,
        test_labels=tested.labels,
        class_names=surveyed.listing.class_names,
        custom=True,
        labels_file=surveyed.listing.labels_file,
        train_files=trained.files,
        test_files=tested.files,
    )


class _Arrays(NamedTuple):
    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]
    files: tuple[str, ...]


def _stack(surveyed: Survey, decoded: Iterator[Decoded], most: int, shape: tuple[int, int, int]) -> _Arrays:
    """Images as one array, which is allocated for `most` images: a list of them would take the memory twice."""
    images, labels, files = np.empty((most, *shape), np.uint8), list[int](), list[str]()
    for path, label, pixels in decoded:
        images[len(labels)] = pixels
        labels.append(label)
        files.append(surveyed.listing.name(path))
    return _Arrays(images[: len(labels)], np.asarray(labels, np.int32), tuple(files))


def _warn(surveyed: Survey, left_out: list[LeftOut]) -> None:
    """Warns of files that are left out or are not there."""
    listing = surveyed.listing
    folder = listing.folder
    if listing.missing:
        files = ", ".join(file.name for file in listing.missing[:SHOWN]) + (", ..." if listing.missing[SHOWN:] else "")
        counts = len(listing.missing), listing.lines
        log.warning("%s: %d of %d lines name no image of %s: %s", listing.labels_file, *counts, folder, files)
    if left_out:
        total = len(listing.train.paths) + len(listing.test.paths)
        more = f", ... (all: bin/data check {folder})" if len(left_out) > SHOWN else ""
        files = ", ".join(map(str, left_out[:SHOWN])) + more
        log.warning("%s: %d of %d files left out: %s", folder, len(left_out), total, files)

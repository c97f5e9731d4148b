"""Surveys a folder of images from the headers of its files: sizes, colours, and files that cannot be used.

No image is decoded, so a survey takes little time and memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from sgan_jax.data.images import BadImage, Header, each, read_header
from sgan_jax.data.listing import list_images
from sgan_jax.data.sizes import HOW_TO_RESIZE, Size, check_custom_images
from sgan_jax.data.splits import LeftOut, Listing, Split
from sgan_jax.errors import RAISED, Problems, UserError

SHOWN = 5  # files that a message names


class ReadableFiles(NamedTuple):
    """The files of a split whose headers can be read."""

    split: Split
    headers: list[Header]


class Survey(NamedTuple):
    """A folder of images whose headers have been read."""

    listing: Listing
    train: ReadableFiles
    test: ReadableFiles
    left_out: tuple[LeftOut, ...]

    @property
    def channels(self) -> int:
        """1 if all images are grey, else 3."""
        return 1 if all(header.grey for header in self.train.headers + self.test.headers) else 3

    @property
    def deep(self) -> set[Path]:
        """The files of 16 bits a channel."""
        pairs = (zip(split.paths, headers, strict=True) for split, headers in (self.train, self.test))
        return {path for of_split in pairs for path, header in of_split if header.deep}

    def sizes(self) -> list[tuple[Size, list[Path]]]:
        """The sizes of the images, each with the files that have it; the most common size first."""
        files: dict[Size, list[Path]] = {}
        for split, headers in (self.train, self.test):
            for path, header in zip(split.paths, headers, strict=True):
                files.setdefault((header.height, header.width), []).append(path)
        return sorted(files.items(), key=lambda item: -len(item[1]))


def survey(folder: Path, labels_file: Path | None = None, at_least: int = 2, problems: Problems = RAISED) -> Survey:
    """Lists a folder of images and reads the header of every file.

    Args:
      folder: the folder.
      labels_file: a CSV file of files and labels; by default `labels.csv` in the folder, if it is there.
      at_least: how many classes it must have.
      problems: around each check of the layout.

    Raises:
      UserError: the folder does not have the layout of a folder of images.
    """
    listing = list_images(folder, labels_file, at_least, problems)
    train, bad_train = _read_headers(listing, listing.train)
    test, bad_test = _read_headers(listing, listing.test)
    return Survey(listing, train, test, (*listing.left_out, *bad_train, *bad_test))


def empty_classes(listing: Listing, labels: Iterable[int], left_out: Sequence[LeftOut]) -> list[UserError]:
    """An error for each class without a usable training image; the error names the class's files that were left out.

    Args:
      listing: the folder.
      labels: the labels of the training images that can be used.
      left_out: the files that cannot be used.
    """
    present = set(labels)
    errors = []
    for label, place in enumerate(listing.places):
        if label not in present:
            of_class = zip(listing.train.paths, listing.train.labels, strict=True)
            names = {listing.name(path) for path, other in of_class if other == label}
            files = [str(file) for file in left_out if file.name in names]
            reason = f": {', '.join(files[:SHOWN])}" if files else "; expected some in its folder"
            errors.append(UserError(f"{place}: no image of this class can be used{reason}"))
    return errors


def check_classes(listing: Listing, labels: Iterable[int], left_out: Sequence[LeftOut]) -> None:
    """Checks that every class has a usable training image. The arguments are those of `empty_classes`.

    Raises:
      UserError: the first error of `empty_classes`.
    """
    for error in empty_classes(listing, labels, left_out):
        raise error


def image_shape(surveyed: Survey, size: Size | None) -> tuple[int, int, int]:
    """The shape (H, W, C) that all images of a folder are decoded to.

    Args:
      surveyed: the folder, which has at least one usable image.
      size: height and width to resize to, or None.

    Raises:
      UserError: without `size`, the sizes of the images differ or are too large to be trained on.
    """
    if size is not None:
        return *size, surveyed.channels
    folder = surveyed.listing.folder
    (common, (example, *_)), *others = sizes = surveyed.sizes()
    if others:
        other, (path, *_) = others[0]
        raise UserError(
            f"{path}: {_pixels(other)}; expected {_pixels(common)} as of {surveyed.listing.name(example)}, or "
            f"{HOW_TO_RESIZE} ({len(sizes)} sizes in {folder})"
        )
    check_custom_images(common, folder)
    return *common, surveyed.channels


def _pixels(size: Size) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _read_headers(listing: Listing, split: Split) -> tuple[ReadableFiles, list[LeftOut]]:
    readable, headers, bad = Split(), [], []
    for path, label, header in zip(split.paths, split.labels, each(read_header, split.paths), strict=True):
        if isinstance(header, BadImage):
            bad.append(LeftOut(listing.name(path), str(header)))
        else:
            readable.add(path, label)
            headers.append(header)
    return ReadableFiles(readable, headers), bad

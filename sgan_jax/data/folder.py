"""Images of one's own: a folder of each class, and as many without a class as there are.

`listing` says how the folders lie. Files that cannot be used are left out and told of, by name; sizes have to agree, or
all are resized.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.dataset import UNKNOWN, Dataset, local_name
from sgan_jax.data.images import BadImage, Header, each, read_header, read_shaped
from sgan_jax.data.listing import UNLABELLED, Listing, Part, list_images
from sgan_jax.data.stream import Files, too_large
from sgan_jax.errors import UserError
from sgan_jax.limits import check_own_images

log = logging.getLogger(__name__)

SHOWN = 5  # files that a warning names


class LeftOut(NamedTuple):
    """A file that is not used, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


class Usable(NamedTuple):
    """Files of a part that can be used as far as their headers tell."""

    part: Part
    headers: list[Header]


class Survey(NamedTuple):
    """A folder whose files have been opened, none of them decoded."""

    listing: Listing
    train: Usable
    test: Usable
    left_out: list[LeftOut]

    @property
    def channels(self) -> int:
        """1 where all images are grey, else 3."""
        return 1 if all(header.grey for header in self.train.headers + self.test.headers) else 3

    def sizes(self) -> dict[tuple[int, int], list[Path]]:
        """(height, width) of the images, with the files that have it."""
        found: dict[tuple[int, int], list[Path]] = {}
        for part, headers in (self.train, self.test):
            for path, header in zip(part.paths, headers, strict=True):
                found.setdefault((header.height, header.width), []).append(path)
        return found


def survey(folder: Path) -> Survey:
    """Opens every file of a folder of images.

    Raises:
      UserError: the folders do not lie as expected, or a class has no image.
    """
    listing = list_images(folder)
    left_out = [LeftOut(listing.name(path), "lies in no folder of a class") for path in _images(listing.stray)]
    train = _usable(listing, listing.train, left_out)
    test = _usable(listing, listing.test, left_out)
    found = Survey(listing, train, test, left_out)
    refuse_empty_classes(found, set(train.part.labels))
    return found


def refuse_empty_classes(found: Survey, labels: set[int]) -> None:
    """Refuses a folder whose classes are not all among the labels of images that can be used.

    Raises:
      UserError: names the class and why, as far as its own files tell.
    """
    for label, name in enumerate(found.listing.class_names):
        if label not in labels:
            told = _told(found.left_out, found.listing, name)
            raise UserError(f"{found.listing.folder / name}: no image of this class can be used{told}")


def load_folder(folder: str | Path, size: int | None = None, stream: bool | None = None) -> Dataset:
    """The images of a folder (`--data-dir`), decoded; grey where all are, else RGB.

    Args:
      folder: see `listing`.
      size: height and width to resize all of them to (`--image-size`).
      stream: whether unlabelled images are read when they are needed; by default where all do not fit in memory.

    Raises:
      UserError: names the file or folder, what was expected and what to do.
    """
    found = survey(Path(folder))
    shape = image_shape(found, size)
    unlabelled = UNKNOWN in found.train.part.labels
    if stream and not unlabelled:
        raise UserError(
            f"‹data.stream›: {folder} has no images in '{UNLABELLED[0]}', and those of classes are held in memory; "
            f"put some there, or leave ‹data.stream› out"
        )
    why = "‹data.stream›" if stream else too_large(len(found.train.part.paths), shape) if stream is None else ""
    if why and unlabelled:
        log.info("%s: unlabelled images are read from disk at every step (%s)", folder, why)
        return _streamed(found, size, shape)
    dataset = decode(found, size)
    report(found)
    return dataset


def _streamed(found: Survey, size: int | None, shape: tuple[int, int, int]) -> Dataset:
    """The images of classes and the test images in memory; all that training sees without a label as files.

    Among these are those of classes, as they are among the unlabelled ones of a set that is in memory.
    """
    part, headers = found.train
    here = [index for index, label in enumerate(part.labels) if label != UNKNOWN]
    later = [part.paths[index] for index, label in enumerate(part.labels) if label == UNKNOWN]
    kept = Part([part.paths[index] for index in here], [part.labels[index] for index in here])
    dataset = decode(found._replace(train=Usable(kept, [headers[index] for index in here])), size)
    report(found)
    sha = hashlib.sha256(dataset.digest.encode())  # contents of all would take as long as an epoch: names and sizes
    for path in later:
        sha.update(f"{found.listing.name(path)} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
    files = Files(part.paths, shape, size is not None)
    return dataclasses.replace(dataset, streamed=files, known_digest=sha.hexdigest())


def decode(found: Survey, size: int | None) -> Dataset:
    """The images of a survey, whose `left_out` then has those as well whose decoding failed.

    Raises:
      UserError: sizes differ and `size` is None, or a class is left without images.
    """
    shape = image_shape(found, size)
    train, test = (_decode(found, usable.part, shape, size) for usable in (found.train, found.test))
    refuse_empty_classes(found, set(train.labels.tolist()))
    return Dataset(
        name=set_name(found.listing.folder),
        train_images=train.images,
        train_labels=train.labels,
        test_images=test.images,
        test_labels=test.labels,
        class_names=found.listing.class_names,
        own=True,
    )


def image_shape(found: Survey, size: int | None) -> tuple[int, int, int]:
    """(H, W, C) of the images.

    Raises:
      UserError: their sizes differ and none is asked for, or they are too large to be trained on.
    """
    if size is not None:
        return size, size, found.channels
    sizes = found.sizes()
    (common, (some, *_)), *others = sorted(sizes.items(), key=lambda item: -len(item[1]))
    if others:
        other, (path, *_) = others[0]
        raise UserError(
            f"{path}: {_pixels(other)}; expected {_pixels(common)} as of {found.listing.name(some)}, or "
            f"‹data.image_size› N (28, 32, 64, 96) to resize all of them ({len(sizes)} sizes in {found.listing.folder})"
        )
    check_own_images((*common, found.channels), found.listing.folder)
    return *common, found.channels


def report(found: Survey) -> None:
    """Warns of the files that are left out, with the names of the first ones."""
    if found.left_out:
        total = len(found.listing.train.paths) + len(found.listing.test.paths)
        more = f", ... (all: bin/data check {found.listing.folder})" if len(found.left_out) > SHOWN else ""
        log.warning(
            "%s: %d of %d files left out: %s%s",
            found.listing.folder,
            len(found.left_out),
            total,
            ", ".join(map(str, found.left_out[:SHOWN])),
            more,
        )
    if UNKNOWN not in found.train.part.labels:
        log.warning(
            "%s: no images in '%s': all %d have a class; ‹data.labels› N uses the others without their labels",
            found.listing.folder,
            UNLABELLED[0],
            len(found.train.part.paths),
        )


def set_name(path: Path) -> str:
    """What a set of one's own is called in results and directories: its folder's or file's name."""
    return local_name(path.resolve().with_suffix("") if path.suffix == ".npz" else path, "images")


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _told(left_out: list[LeftOut], listing: Listing, name: str) -> str:
    """Why, as far as the class's own files tell."""
    own = [str(one) for one in left_out if one.name.startswith(f"{name}/")]
    return f": {', '.join(own[:SHOWN])}" if own else "; expected some in its folder"


def _images(paths: Iterable[Path]) -> list[Path]:
    """Those that are called as images are."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    return [path for path in paths if path.suffix.lower() in suffixes]


def _usable(listing: Listing, part: Part, left_out: list[LeftOut]) -> Usable:
    kept, headers = Part(), []
    for path, label, header in zip(part.paths, part.labels, each(read_header, part.paths), strict=True):
        if isinstance(header, BadImage):
            left_out.append(LeftOut(listing.name(path), str(header)))
        else:
            kept.paths.append(path)
            kept.labels.append(label)
            headers.append(header)
    return Usable(kept, headers)


class _Arrays(NamedTuple):
    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]


def images(
    found: Survey, part: Part, shape: tuple[int, int, int], size: int | None
) -> Iterator[tuple[Path, int, np.ndarray]]:
    """File, label and image of each of a part, one after the other, without those that fail: these are left out.

    Args:
      found: the survey that the part is of.
      part: its files.
      shape: from `image_shape`.
      size: to resize to, as there.
    """
    read = each(lambda path: read_shaped(path, shape, size is not None), part.paths)
    for path, label, image in zip(part.paths, part.labels, read, strict=True):
        if isinstance(image, BadImage):
            found.left_out.append(LeftOut(found.listing.name(path), str(image)))
        else:
            yield path, label, image


def _decode(found: Survey, part: Part, shape: tuple[int, int, int], size: int | None) -> _Arrays:
    decoded, labels = np.empty((len(part.paths), *shape), np.uint8), list[int]()
    for _, label, image in images(found, part, shape, size):
        decoded[len(labels)] = image
        labels.append(label)
    return _Arrays(decoded[: len(labels)], np.asarray(labels, np.int32))

"""Loads any data set as one record: uint8 images and int32 labels in host memory.

    load()                                  MNIST if it is available, else the 5,000 digits inside the package
    load("fashion_mnist")                   a key of SOURCES, or any image classification set of TFDS, by name
    load(data_dir="cifar-10-batches-bin")   the files of a published set (`formats`)
    load(data_dir="pets")                   images in a folder for each class
    load(data_dir="pets.npz")               arrays

A new source is a function that returns a Dataset, and an entry in SOURCES; a new file format is a row of `formats`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sgan_jax.data import cache
from sgan_jax.data.arrays import is_npz, load_npz
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.embedded import NAME as EMBEDDED
from sgan_jax.data.embedded import load_embedded
from sgan_jax.data.folder import load_folder
from sgan_jax.data.formats import FORMATS, format_in, format_of_set
from sgan_jax.data.labels import DEFAULT_LABELS, choose_labelled, how_many
from sgan_jax.data.listing import is_listing
from sgan_jax.data.sizes import Size, size_text
from sgan_jax.errors import RAISED, Problems, UserError

__all__ = [
    "DEFAULT_LABELS",
    "EMBEDDED",
    "SOURCES",
    "UNKNOWN",
    "Dataset",
    "choose_labelled",
    "how_many",
    "is_folder_of_images",
    "load",
    "load_embedded",
    "warned_if_labelled",
]

log = logging.getLogger(__name__)


def _tfds(name: str) -> Dataset:
    """The set from the cache; else from TFDS, and then written to the cache."""
    cached = cache.read(name)
    if cached is not None:
        return cached
    from sgan_jax.data import tfds_source  # takes seconds to import, and a set in the cache does not need it

    fetched = tfds_source.fetch(name)
    cache.write(fetched)
    return fetched


def _auto() -> Dataset:
    """MNIST from the cache or the network; else the embedded digits, whose notice is not empty."""
    try:
        return _tfds("mnist")
    except UserError as error:
        log.warning("MNIST cannot be had (%s): using the 5,000 digits that come with the package", error.marked)
        return load_embedded()


SOURCES: dict[str, Callable[[], Dataset]] = {
    "auto": _auto,
    EMBEDDED: load_embedded,
}  # all others are sets of TFDS

EXPECTED = (
    "expected a folder of images with a folder for each class, an .npz file, or the files of a published set: "
    + ", ".join(one.what for one in FORMATS)
)


def load(
    dataset: str = "auto",
    data_dir: str | Path | None = None,
    image_size: Size | None = None,
    stream: bool | None = None,
    labels_file: str | Path | None = None,
) -> Dataset:
    """Loads a data set by name, or custom images.

    Only "auto" falls back to another set, and that set's notice is not empty.

    Args:
      dataset: a key of SOURCES or the name of a TFDS set; with the files of a published set the one that they must be.
      data_dir: files of a published set, a folder of images or an .npz file, instead of a set by name.
      image_size: height and width to which custom images are resized; by default all must have one size.
      stream: whether the unlabelled images of a folder stay on disk; by default if they do not fit in memory.
      labels_file: a CSV file of the labels of a folder of images; by default `labels.csv` in it, if it is there.

    Raises:
      UserError: the set cannot be loaded; gives the reason and the ways out.
    """
    labels_file = None if labels_file is None else Path(labels_file)
    check_labels_file(labels_file, None if data_dir is None else Path(data_dir))
    if data_dir is not None:
        if is_folder_of_images(Path(data_dir)):
            check_unnamed(dataset, data_dir)
            return load_folder(data_dir, image_size, stream, labels_file)
        if stream:
            raise UserError(f"‹data.stream›: {data_dir} is not a folder of images; only those can be read one by one")
        return load_file(Path(data_dir), dataset, image_size)
    if stream:
        raise UserError("‹data.stream›: reads custom images one by one; name their folder with ‹data.data_dir›")
    if image_size is not None:
        raise UserError(
            f"‹data.image_size› {size_text(image_size)}: resizes custom images; name them with ‹data.data_dir›"
        )
    try:
        return SOURCES.get(dataset, partial(_tfds, dataset))()
    except UserError as error:
        raise UserError(f"‹data.dataset› {dataset}: {error.marked}{_ways_out(dataset)}") from error


def check_labels_file(labels_file: Path | None, data_dir: Path | None) -> None:
    """Checks that a CSV file of labels is there, if one is named, and that it can be about these images.

    Raises:
      UserError: it is not there, or the images are not files.
    """
    if labels_file is None:
        return
    if data_dir is None or (data_dir.exists() and not is_folder_of_images(data_dir)):
        raise UserError(
            f"‹data.labels_file› {labels_file}: labels of a folder of images; name the folder with ‹data.data_dir›"
        )
    if not labels_file.is_file():
        what = "a folder" if labels_file.is_dir() else "no such file"
        raise UserError(
            f"‹data.labels_file› {labels_file}: {what}; expected a CSV file with the columns file and label"
        )


def check_unnamed(dataset: str, path: str | Path) -> None:
    """Checks that no published set is named for images that are not in the files of one."""
    if dataset != "auto":
        raise UserError(
            f"‹data.dataset› {dataset} with ‹data.data_dir› {path}: only files of published sets have a name; leave "
            "it out"
        )


def is_folder_of_images(path: Path) -> bool:
    """Whether `path` is a folder with images or folders in it, without files of a published set; no .npz file."""
    return not is_npz(path) and not any(one.has_files(path) for one in FORMATS) and is_listing(path)


def _ways_out(dataset: str) -> str:
    """How a published set can be had where it cannot be fetched; empty for sets without a file format here."""
    files = format_of_set(dataset)
    if files is None:
        return ""
    ways = f"; ways out: ‹data.data_dir› DIR with {files.what}, or a network connection"
    if dataset != "mnist":
        return ways
    return f"{ways} (‹data.dataset› auto tries for one), or ‹data.dataset› {EMBEDDED}, inside the package"


def warned_if_labelled(dataset: Dataset) -> Dataset:
    """The set, with a warning of custom images that all have a label: who trains on them may have expected others."""
    if dataset.custom and dataset.streamed is None and dataset.known.all():
        log.warning(
            "%s: no unlabelled images: all %d have a label; ‹data.labels› N uses the others without theirs",
            dataset.name,
            len(dataset.train_images),
        )
    return dataset


def load_file(path: Path, dataset: str, image_size: Size | None, problems: Problems = RAISED) -> Dataset:
    """Loads an .npz file, or the files of a published set.

    Args:
      path: the file, or the folder that contains the files.
      dataset: the published set that the files must be, or "auto".
      image_size: as of `load`.
      problems: around the check of each array or file.

    Raises:
      UserError: the file or folder contains something else.
    """
    if is_npz(path):
        check_unnamed(dataset, path)
        return load_npz(path, image_size, problems)
    files = format_in(path, dataset)
    if files is None:
        raise _nothing(path)
    with problems:
        if image_size is not None:
            size = size_text(image_size)
            raise UserError(f"‹data.image_size› {size}: {files.what} are taken as they are; leave it out")
    if dataset not in ("auto", *files.names):
        raise UserError(
            f"‹data.dataset› {dataset} with ‹data.data_dir› {path}: {files.what}; expected auto or one of "
            f"{', '.join(sorted(files.names))}"
        )
    if dataset not in ("auto", *files.on_record):
        log.warning("%s: taken for %s on your word; its contents are not on record here", path, dataset)
    return files.load(path, dataset, problems)


def _nothing(path: Path) -> UserError:
    """The error for a path without images."""
    if not path.is_dir():
        state = "is not a folder" if path.exists() else "does not exist"
        return UserError(f"‹data.data_dir› {path}: {state}; {EXPECTED}")
    arrays = sorted(path.glob("*.npz"))
    there = f"; there is {arrays[0].name}: name the file itself" if arrays else ""
    return UserError(f"‹data.data_dir› {path}: no images; {EXPECTED}{there}")

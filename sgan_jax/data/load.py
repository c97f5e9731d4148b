"""Data: every source gives the same record, uint8 images and int32 labels in host memory.

    load()                                  MNIST if it can be had, else the 5,000 digits inside the package
    load("fashion_mnist")                   a row of SOURCES, or any image classification set of TFDS, by name
    load(data_dir="mnist")                  a folder: the four IDX files, or images in a folder of each class
    load(data_dir="pets.npz")               arrays

A new source is a function that returns a Dataset, and a row in SOURCES.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sgan_jax.data import cache, idx
from sgan_jax.data.arrays import SUFFIX, load_npz
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.embedded import NAME as EMBEDDED
from sgan_jax.data.embedded import load_embedded
from sgan_jax.data.folder import load_folder
from sgan_jax.data.idx import load_idx
from sgan_jax.data.labels import DEFAULT_LABELS, choose_labelled, how_many
from sgan_jax.data.listing import is_listing
from sgan_jax.errors import UserError

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
    "load_idx",
]

log = logging.getLogger(__name__)


def _tfds(name: str) -> Dataset:
    """From the cache, or else through TFDS and into the cache."""
    found = cache.read(name)
    if found is None:
        from sgan_jax.data import tfds_source  # TFDS takes a while to import, and the second start needs none of it

        found = tfds_source.fetch(name)
        cache.write(found)
    return found


def _auto() -> Dataset:
    """MNIST if it is cached or the network gives it, else the embedded digits with their notice."""
    try:
        return _tfds("mnist")
    except UserError as error:
        log.warning("MNIST cannot be had (%s): using the 5,000 digits that come with the package", error)
        return load_embedded()


SOURCES: dict[str, Callable[[], Dataset]] = {
    "auto": _auto,
    "mnist": partial(_tfds, "mnist"),
    "fashion_mnist": partial(_tfds, "fashion_mnist"),
    "kmnist": partial(_tfds, "kmnist"),
    EMBEDDED: load_embedded,
}

IDX_OR_NETWORK = "; ways out: ‹data.data_dir› DIR with the four IDX files, or a network connection"
WAYS_OUT = {
    "mnist": f"{IDX_OR_NETWORK} (‹data.dataset› auto tries for one), or ‹data.dataset› {EMBEDDED}, inside the package",
    "fashion_mnist": IDX_OR_NETWORK,
    "kmnist": IDX_OR_NETWORK,
}


def load(
    dataset: str = "auto",
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    stream: bool | None = None,
) -> Dataset:
    """The data set called `dataset`, or what is in `data_dir`: IDX files, a folder of images, an .npz file.

    `image_size` resizes images of one's own; `stream` says whether the unlabelled ones of a folder stay on the disk, by
    default where they do not fit in memory. Only "auto" ever falls back, and then Dataset.notice is not empty. Raises
    UserError: the reason and the ways out.
    """
    if data_dir is not None:
        return _own(Path(data_dir), dataset, image_size, stream)
    if stream:
        raise UserError("‹data.stream›: reads images of one's own one by one; name their folder with ‹data.data_dir›")
    if image_size is not None:
        raise UserError(f"‹data.image_size› {image_size}: resizes images of one's own; name them with ‹data.data_dir›")
    try:
        return SOURCES.get(dataset, partial(_tfds, dataset))()
    except UserError as error:
        raise UserError(f"‹data.dataset› {dataset}: {error.marked}{WAYS_OUT.get(dataset, '')}") from error


def is_folder_of_images(path: Path) -> bool:
    """Whether `path` looks like one, and neither like arrays nor like IDX files."""
    return path.suffix != SUFFIX and is_listing(path) and not idx.some_files(path)


def _own(path: Path, dataset: str, image_size: int | None, stream: bool | None) -> Dataset:
    """What lies at `path`, by its looks."""
    images = is_folder_of_images(path)
    if stream and not images:
        raise UserError(f"‹data.stream›: {path} is no folder of images; only those can be read one by one")
    if path.suffix == SUFFIX or images:
        if dataset != "auto":
            raise UserError(
                f"‹data.dataset› {dataset} with ‹data.data_dir› {path}: only IDX files have a name; leave it out"
            )
        return load_folder(path, image_size, stream) if images else load_npz(path, image_size)
    if image_size is not None:
        raise UserError(f"‹data.image_size› {image_size}: IDX files are taken as they are; leave it out")
    return load_idx(path, dataset)

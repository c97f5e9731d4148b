"""Data: every source gives the same record, uint8 images and int32 labels in host memory.

    load()                                  MNIST if it can be had, else the 5,000 digits inside the package
    load("fashion_mnist")                   a row of SOURCES, or any image classification set of TFDS, by name
    load(data_dir="mnist")                  the four IDX files of a folder

A new source is a function that returns a Dataset, and a row in SOURCES.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sgan_jax.data import cache
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.embedded import NAME as EMBEDDED
from sgan_jax.data.embedded import load_embedded
from sgan_jax.data.idx import load_idx
from sgan_jax.data.labels import choose_labelled
from sgan_jax.errors import UserError

__all__ = ["EMBEDDED", "SOURCES", "Dataset", "choose_labelled", "load", "load_embedded", "load_idx"]

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

IDX_OR_NETWORK = "; ways out: --data-dir DIR with the four IDX files, or a network connection"
WAYS_OUT = {
    "mnist": f"{IDX_OR_NETWORK} (--dataset auto tries for one), or --dataset {EMBEDDED}, inside the package",
    "fashion_mnist": IDX_OR_NETWORK,
    "kmnist": IDX_OR_NETWORK,
}


def load(dataset: str = "auto", data_dir: str | Path | None = None) -> Dataset:
    """The data set called `dataset`, or the one whose four IDX files lie in `data_dir` (`--dataset`, `--data-dir`).

    Only "auto" ever falls back, and then Dataset.notice is not empty. Raises UserError: the reason and the ways out.
    """
    if data_dir is not None:
        return load_idx(data_dir, dataset)
    try:
        return SOURCES.get(dataset, partial(_tfds, dataset))()
    except UserError as error:
        raise UserError(f"--dataset {dataset}: {error}{WAYS_OUT.get(dataset, '')}") from error

"""Unlabelled images that do not fit in memory, read from disk at every step by Grain. https://google-grain.readthedocs.io

The order is that of a seed, each image once before any twice, and where to go on from is a number: a resume reads what
the run would have read.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import Source
from sgan_jax.data.images import BadImage, read_shaped
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

SHARE = 0.5  # of the machine's memory that images may take
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
READY = 16  # batches read ahead
_TRIES = 100  # files one after the other that are damaged before that is an error


class Files:
    """Image files as a source of arrays, uint8 `[H, W, C]`; in the place of one that is damaged comes the next."""

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int], resized: bool):
        self._paths = [path.absolute() for path in paths]  # read by other processes, too
        self._shape, self._resized = shape, resized
        self._told: set[int] = set()

    def __len__(self) -> int:
        """How many files."""
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """The image of a file."""
        for place in range(index, index + min(_TRIES, len(self))):
            place %= len(self)
            try:
                return read_shaped(self._paths[place], self._shape, self._resized)
            except BadImage as error:
                if place not in self._told:
                    self._told.add(place)
                    log.warning("%s: left out (%s): the file after it is read instead", self._paths[place], error)
        raise UserError(f"{self._paths[index]}: neither this file nor any of the {_TRIES} after it can be read")

    def __repr__(self) -> str:
        """What Grain's messages call it."""
        return f"Files({len(self)} images)"


def too_large(count: int, shape: tuple[int, int, int]) -> str:
    """Why so many images are to be streamed, in a few words; nothing where they are not.

    By all of the machine's memory, not by what is free now: a resume is to decide alike.
    """
    memory = _memory()
    wanted = count * int(np.prod(shape))
    if wanted <= SHARE * memory:
        return ""
    return f"{wanted / 1e9:.1f} GB of images, more than half of {memory / 1e9:.1f} GB of memory"


def _memory() -> int:
    """Bytes of the machine's memory, or of what a container may have of it."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such file; "max"
            most = min(most, int(limit.read_text()))
    return most


def batches(source: Source, size: int, seed: int, first: int) -> Iterator[np.ndarray]:
    """Batches, uint8 `[size, H, W, C]`, without end.

    Args:
      source: the images.
      size: of a batch.
      seed: of the order.
      first: how many batches were taken before.

    Raises:
      UserError: Grain is not installed.
    """
    try:
        import grain
    except ImportError:
        raise UserError(
            "images that do not fit in memory are read by Grain, which is not installed; set SGAN_EXTRAS=stream for "
            "bin/train, or pip install 'sgan-jax[stream]'"
        ) from None
    order = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
    options = grain.ReadOptions(num_threads=min(16, 2 * (os.cpu_count() or 1)), prefetch_buffer_size=READY)
    return iter(order[first * size :].batch(size).to_iter_dataset(options))

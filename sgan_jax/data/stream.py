"""Reads unlabelled images that do not fit in memory from disk at every step, with Grain.

A seed fixes the order, in which each image comes once before any image comes twice. The position in it is a number of
batches, so a resumed run reads the images that an uninterrupted run would have read. Grain:
https://google-grain.readthedocs.io
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from sgan_jax.data.dataset import Source
from sgan_jax.data.images import BadImage, read_shaped
from sgan_jax.errors import UserError, missing_extra

log = logging.getLogger(__name__)

PREFETCH = 16  # batches read ahead
_MAX_DAMAGED = 100  # so many damaged files in a row are an error


class Files:
    """Image files as a source of arrays, uint8 `[H, W, C]`; a damaged file is replaced by the next one.

    Args:
      paths: the files.
      shape: (H, W, C).
      resized: whether images of other sizes are resized.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int], resized: bool):
        self._paths = [path.absolute() for path in paths]  # other processes may read them
        self._shape, self._resized = shape, resized
        self._warned: set[int] = set()

    def __len__(self) -> int:
        """The number of files."""
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """The image of the file at `index`.

        Raises:
          UserError: this file and the ones after it are damaged.
        """
        for place in range(index, index + min(_MAX_DAMAGED, len(self))):
            place %= len(self)
            try:
                return read_shaped(self._paths[place], self._shape, self._resized)
            except BadImage as error:
                if place not in self._warned:
                    self._warned.add(place)
                    log.warning("%s: left out (%s): the file after it is read instead", self._paths[place], error)
        raise UserError(f"{self._paths[index]}: neither this file nor any of the {_MAX_DAMAGED} after it can be read")

    def __repr__(self) -> str:
        """The name in messages of Grain."""
        return f"Files({len(self)} images)"


def installed_grain() -> ModuleType:
    """The package that reads the images.

    Raises:
      UserError: it is not installed.
    """
    try:
        import grain
    except ImportError:
        missing = missing_extra("grain", "stream").marked
        raise UserError(f"‹data.stream›: reading images from disk at every step needs Grain: {missing}") from None
    return grain


def batches(source: Source, size: int, seed: int, first: int) -> Iterator[np.ndarray]:
    """Yields batches, uint8 `[size, H, W, C]`, without end.

    Args:
      source: the images.
      size: images of a batch.
      seed: of the order.
      first: how many batches of the order to skip.

    Raises:
      UserError: Grain is not installed.
    """
    grain = installed_grain()
    order = grain.MapDataset.source(source).seed(seed).shuffle().repeat()
    options = grain.ReadOptions(num_threads=min(16, 2 * (os.cpu_count() or 1)), prefetch_buffer_size=PREFETCH)
    return iter(order[first * size :].batch(size).to_iter_dataset(options))

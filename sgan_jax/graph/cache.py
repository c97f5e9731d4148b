"""The graph of like images of a data set, kept for the next run: it depends on the images alone."""

import contextlib
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sgan_jax.config import PropagationConfig
from sgan_jax.data import cache
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError, reason
from sgan_jax.files import write_atomically
from sgan_jax.graph.neighbours import PARTS, WHOLE, Neighbours, neighbours_by_distortion, neighbours_by_orientations

log = logging.getLogger(__name__)

LARGEST = 200_000  # images: their number squared is the work


def load_by_distortion(
    dataset: Dataset, config: PropagationConfig, check: Callable[[], None] = lambda: None
) -> Neighbours:
    """The neighbours of each training image by distortion, from the cache or made now.

    Args:
      dataset: its training images are compared.
      config: how many neighbours of each, among how many candidates, and how they are compared.
      check: called every second or so where the images are compared; what it raises ends this.

    Raises:
      UserError: there are too many images, or too few.
    """

    def make() -> Neighbours:
        log.info(
            "comparing each of %d images with those near it (minutes for 60,000 on two cores; kept for later runs)",
            len(dataset.train_images),
        )
        return neighbours_by_distortion(
            dataset.train_images,
            config.neighbours,
            config.candidates,
            parts,
            not config.deslant,
            config.reverse_weight,
            check,
        )

    parts, ways = PARTS if config.parts else WHOLE, 2 if config.reverse_weight else 1
    # "near": by every second pixel; graphs whose candidates were found by all pixels lie there under other names.
    kind = (
        f"near-{config.candidates}-{len(parts)}-{'upright' if config.deslant else 'slanted'}-{config.reverse_weight:g}"
    )
    return _kept(dataset, config.neighbours, ways * len(parts) * config.neighbours, kind, make)


def load_by_orientations(dataset: Dataset, count: int, check: Callable[[], None] = lambda: None) -> Neighbours:
    """The same by the orientations of their edges."""

    def make() -> Neighbours:
        log.info(
            "classes shade into one another: comparing %d images by their edges, too (half a minute for 60,000)",
            len(dataset.train_images),
        )
        return neighbours_by_orientations(dataset.train_images, count, check)

    return _kept(dataset, count, count, "edges", make)


def check_size(dataset: Dataset, count: int) -> None:
    """Refuses what no graph is made of, `count` neighbours of each image.

    Raises:
      UserError: there are too many images, or too few.
    """
    images = len(dataset.train_images)
    if not count < images <= LARGEST:
        raise UserError(
            f"{dataset.name}: {images} training images; a graph of them takes from {count + 1} to {LARGEST}"
        )


def _kept(dataset: Dataset, count: int, edges: int, kind: str, make: Callable[[], Neighbours]) -> Neighbours:
    check_size(dataset, count)
    images = len(dataset.train_images)
    path = None
    with contextlib.suppress(UserError):  # no home directory: it is made every time
        path = cache.root() / "graphs" / f"{dataset.digest[:32]}-{count}-{kind}.npz"
    if path is not None and (kept := _read(path, images, edges)) is not None:
        return kept
    near = make()
    if path is not None:
        _write(path, near)
    return near


def _read(path: Path, images: int, count: int) -> Neighbours | None:
    """What was kept, or None where there is nothing, or (with a warning) where it is damaged."""
    try:
        if not path.exists():
            return None
        # Opened here: NumPy leaves a file open that it cannot make out.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as held:
            near = Neighbours(held["indices"], held["weights"])
        whole = near.indices.shape == near.weights.shape == (images, count)
        whole &= near.indices.dtype == np.int32 and near.weights.dtype == np.float32
        if whole and near.indices.min() >= 0 and near.indices.max() < images and np.isfinite(near.weights).all():
            return near
        why = "of another form"
    except Exception as error:  # NumPy's and zipfile's errors are many
        why = reason(error)
    log.warning("%s: cannot be used (%s): making it again", path, why)
    return None


def _write(path: Path, near: Neighbours) -> None:
    held = io.BytesIO()
    np.savez(held, **near._asdict())
    try:
        write_atomically(path, held.getvalue())
    except OSError as error:
        log.warning("%s: cannot be written (%s): the next run will compare the images again", path, error)

"""The graph of a data set in a file of the cache: runs on the same images and settings compare them once.

    graphs/KEY-deformation.npz, KEY-orientations.npz, KEY-embeddings.npz   in the cache folder of `data.cache`

KEY is a hash of the images or embeddings, the version of the algorithm and the settings that decide the graph. A file
is whole or absent. A damaged file is replaced, and a cache that cannot be written costs a warning.
"""

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sgan_jax.config import LARGEST_GRAPH, PropagationConfig
from sgan_jax.data import cache
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError, reason
from sgan_jax.files import write_atomically
from sgan_jax.graph import neighbours as algorithms
from sgan_jax.graph.blocks import Check, Report, never_stop, no_report
from sgan_jax.graph.neighbours import Neighbours

log = logging.getLogger(__name__)


def load_by_deformation(
    dataset: Dataset, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """The neighbours of each training image by deformation, from the cache or computed.

    Args:
      dataset: its training images are compared.
      config: how images are compared.
      check: called every second or so while images are compared; what it raises ends the comparison.
      report: called with how far the comparison is.

    Raises:
      UserError: there are too many images, or too few.
    """

    def compute() -> Neighbours:
        log.info(
            "comparing each of %d images with those near it (minutes for 60,000 on two cores; kept for later runs)",
            len(dataset.train_images),
        )
        return algorithms.nearest_by_deformation(dataset.train_images, config, check, report)

    check_size(dataset, config)
    settings = {name: getattr(config, name) for name in algorithms.DEFORMATION_SETTINGS}
    path = _path(dataset.digest, "deformation", algorithms.DEFORMATION_VERSION, settings)
    return _load(path, (len(dataset.train_images), algorithms.edges_per_image(config)), compute)


def load_by_orientations(
    dataset: Dataset, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """The neighbours of each training image by the orientations of its edges, from the cache or computed.

    Args:
      dataset: its training images are compared.
      config: how many neighbours each image has, and how their edges are weighted.
      check: called every second or so while images are compared; what it raises ends the comparison.
      report: called with how far the comparison is.

    Raises:
      UserError: there are too many images, or too few.
    """

    def compute() -> Neighbours:
        log.info(
            "classes overlap: comparing %d images by the directions of their edges as well (half a minute for 60,000)",
            len(dataset.train_images),
        )
        return algorithms.nearest_by_orientations(dataset.train_images, config, check, report)

    check_size(dataset, config)
    settings = {name: getattr(config, name) for name in algorithms.ORIENTATIONS_SETTINGS}
    path = _path(dataset.digest, "orientations", algorithms.ORIENTATIONS_VERSION, settings)
    return _load(path, (len(dataset.train_images), config.neighbours), compute)


def load_by_embeddings(
    dataset: Dataset, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """The neighbours of each training image by its embedding, from the cache or computed.

    Args:
      dataset: with embeddings, which are compared.
      config: how many neighbours each image has, and how their edges are weighted.
      check: called every second or so while embeddings are compared; what it raises ends the comparison.
      report: called with how far the comparison is.

    Raises:
      UserError: there are too many images, or too few.
    """
    embeddings = dataset.embeddings
    if embeddings is None:
        raise ValueError("a data set without embeddings")

    def compute() -> Neighbours:
        log.info("comparing the embeddings of %d images (kept for later runs)", len(embeddings))
        return algorithms.nearest_by_embeddings(embeddings, config, check, report)

    check_size(dataset, config)
    settings = {name: getattr(config, name) for name in algorithms.EMBEDDINGS_SETTINGS}
    path = _path(dataset.embeddings_digest, "embeddings", algorithms.EMBEDDINGS_VERSION, settings)
    return _load(path, (len(embeddings), config.neighbours), compute)


def check_size(dataset: Dataset, config: PropagationConfig) -> None:
    """Checks that a graph of the training images can be computed.

    Raises:
      UserError: there are too many images, or too few for so many neighbours.
    """
    images, count = len(dataset.train_images), config.neighbours
    if not count < images <= LARGEST_GRAPH:
        raise UserError(
            f"{dataset.name}: {images} training images; a graph of them takes from {count + 1} to {LARGEST_GRAPH} "
            f"(‹propagation.neighbours› is {count})"
        )


def _path(digest: str, kind: str, version: int, settings: dict[str, Any]) -> Path | None:
    """The file of a graph, or None without a home directory for the cache.

    Args:
      digest: of what is compared.
      kind: of the graph.
      version: of the algorithm that computes the graph.
      settings: those of the configuration that decide the graph.
    """
    key = hashlib.sha256(json.dumps([digest, version, settings], sort_keys=True).encode()).hexdigest()
    with contextlib.suppress(UserError):
        return cache.root() / "graphs" / f"{key[:32]}-{kind}.npz"
    return None


def _load(path: Path | None, shape: tuple[int, int], compute: Callable[[], Neighbours]) -> Neighbours:
    cached = None if path is None else _read(path, shape)
    if cached is not None:
        return cached
    neighbours = compute()
    if path is not None:
        _write(path, neighbours)
    return neighbours


def _read(path: Path, shape: tuple[int, int]) -> Neighbours | None:
    """The graph in a file, or None where the file is missing or (with a warning) damaged."""
    try:
        # NumPy would leave open a file that it opens itself and cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            neighbours = Neighbours(arrays["indices"], arrays["weights"])
        if _is_valid(neighbours, shape):
            return neighbours
        problem = "not a graph of these images"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # NumPy and zipfile raise errors of many kinds
        problem = reason(error)
    log.warning("%s: cannot be used (%s): making it again", path, problem)
    return None


def _is_valid(neighbours: Neighbours, shape: tuple[int, int]) -> bool:
    indices, weights = neighbours
    if not indices.shape == weights.shape == shape or indices.dtype != np.int32 or weights.dtype != np.float32:
        return False
    return bool(indices.min() >= 0 and indices.max() < shape[0] and np.isfinite(weights).all())


def _write(path: Path, neighbours: Neighbours) -> None:
    file = io.BytesIO()
    np.savez(file, **neighbours._asdict())
    try:
        write_atomically(path, file.getvalue())
    except OSError as error:
        log.warning("%s: cannot be written (%s): the next run will compare the images again", path, error)

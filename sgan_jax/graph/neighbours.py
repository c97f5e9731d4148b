"""The nearest neighbours of each image of a set: the edges of the graph.

To change what a graph contains, raise the version below of its algorithm: the cache reads no graph of another version.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.config import PropagationConfig
from sgan_jax.graph.blocks import Check, Report, describe, in_parallel, never_stop, no_report, reported
from sgan_jax.graph.similarity import blurred, deformation_distances, deslanted, gradients, orientation_histograms

# Raise a version where the same images and settings give another graph: a change of similarity.py, of the regions, of
# how candidates are chosen, of how edges are weighted. Not where only the speed changes and the bits stay.
DEFORMATION_VERSION = 2
ORIENTATIONS_VERSION = 2
EMBEDDINGS_VERSION = 2
# The settings that decide each graph. A setting that its function reads must be listed: it is part of the cache's key.
DEFORMATION_SETTINGS = (
    "neighbours",
    "candidates",
    "parts",
    "deslant",
    "reverse_weight",
    "reach",
    "sharpness",
)
ORIENTATIONS_SETTINGS = ("neighbours", "sharpness")
EMBEDDINGS_SETTINGS = ("neighbours", "sharpness")

# Block sizes. They decide the time only.
PAIRS = 256  # compared at once on an accelerator
_CACHED_PAIRS = 48  # the same on a CPU, of 28 x 28 pixels and two derivatives: they fit into a core's cache
_ROWS = 250  # of the matrix of pixel distances at once: 60 MB a thread for 60,000 images
_GROUP = 100  # distances of which only the smallest is looked at first
_SMALLEST = 1e-12  # divisor, where all k distances are 0


class Region(NamedTuple):
    """Rows of pixels by which images are compared."""

    top: float  # the first row, as a fraction of the height
    bottom: float  # the row after the last, as a fraction of the height
    weight: float  # of the edges by this region, relative to those by the whole image

    def rows(self, height: int) -> tuple[int, int]:
        """The first row and the row after the last, of images of this height in pixels."""
        return math.floor(self.top * height), math.ceil(self.bottom * height)


WHOLE = (Region(0.0, 1.0, 1.0),)
# By the whole image, a digit with a foot, a hook or a tail may be nearer to another class than to its own. Compared
# without its top or its bottom it is not. The upper half of writing identifies a letter better than the lower half
# (Huey, "The psychology and pedagogy of reading", 1908).
REGIONS = (*WHOLE, Region(0.0, 0.75, 1.0), Region(0.25, 1.0, 1.0), Region(0.0, 0.5, 0.3))


class Neighbours(NamedTuple):
    """The edges of a graph of N images, E edges from each image.

    The edges of an image come in groups of k, one group for each region and direction of comparison. Within a group
    they are ordered from the nearest image to the k-th nearest.
    """

    indices: np.ndarray  # int32 [N, E]: where each edge leads
    weights: np.ndarray  # float32 [N, E]


def edges_per_image(config: PropagationConfig) -> int:
    """E of `nearest_by_deformation`."""
    directions = 2 if config.reverse_weight else 1
    return directions * len(_regions(config)) * config.neighbours


def nearest_by_deformation(
    images: np.ndarray, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """Links each image to its nearest neighbours by `deformation_distances`, in each region.

    Only candidates are compared: the images that are nearest pixel by pixel. `reverse_weight` adds edges in the other
    direction, to the images whose pixels an image explains best. A one with a foot looks like a two, whose additional
    strokes cost nothing where the one's pixels are searched in the two; but the one does not explain the two.

    Args:
      images: uint8 `[N, H, W, C]`, N above `config.neighbours`.
      config: the settings `DEFORMATION_SETTINGS` decide the graph.
      check: called often; what it raises ends the comparison.
      report: called with how far the comparison is.

    Returns:
      `edges_per_image(config)` edges from each image.
    """
    regions = _regions(config)
    rows = tuple(region.rows(images.shape[1]) for region in regions)
    versions = [images, describe(deslanted, images)] if config.deslant else [images]
    searches = len(versions) * len(rows) * -(-len(images) // _ROWS)
    searching = reported(check, report, "finding candidates", searches)
    candidates, is_first = _candidates(versions, rows, config.candidates, searching)
    pairs = np.nonzero(is_first)[0], candidates[is_first]
    forward, reverse = _compare_pairs(versions[-1], pairs, rows, config.reach, check, report)
    directions = [(forward, 1.0)] + ([(reverse, config.reverse_weight)] if config.reverse_weight else [])
    groups = []
    for by_region, weight in directions:
        for region, of_pairs in zip(regions, by_region, strict=True):
            distances = np.full(candidates.shape, np.inf, np.float32)
            distances[is_first] = of_pairs
            groups.append(nearest(candidates, distances, config, weight * region.weight))
    return Neighbours(*(np.concatenate(arrays, axis=1) for arrays in zip(*groups, strict=True)))


def nearest_by_orientations(
    images: np.ndarray, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """Links each image to its k nearest neighbours by the squared distance of `orientation_histograms`.

    Args:
      images: uint8 `[N, H, W, C]`, N above `config.neighbours`.
      config: the settings `ORIENTATIONS_SETTINGS` decide the graph.
      check: called every second or so; what it raises ends the comparison.
      report: called with how far the comparison is.
    """
    histograms = describe(orientation_histograms, images)
    check()
    return _nearest_vectors(
        histograms, config, reported(check, report, "comparing directions of edges", _blocks(images))
    )


def nearest_by_embeddings(
    embeddings: np.ndarray, config: PropagationConfig, check: Check = never_stop, report: Report = no_report
) -> Neighbours:
    """Links each image to its k nearest neighbours by the cosine of their embeddings.

    The squared distance of vectors of length 1 is 2 - 2 cos, and edges are weighted by it.

    Args:
      embeddings: float32 `[N, F]`, each of length 1, N above `config.neighbours`.
      config: the settings `EMBEDDINGS_SETTINGS` decide the graph.
      check: called every second or so; what it raises ends the comparison.
      report: called with how far the comparison is.
    """
    return _nearest_vectors(embeddings, config, reported(check, report, "comparing embeddings", _blocks(embeddings)))


def _blocks(vectors: np.ndarray) -> int:
    return -(-len(vectors) // _ROWS)


def _nearest_vectors(vectors: np.ndarray, config: PropagationConfig, check: Check) -> Neighbours:
    """The k nearest neighbours by the squared distance of `[N, F]`."""
    candidates = _nearest_rows(vectors, config.neighbours, check)
    distances = np.concatenate(
        [
            np.square(vectors[candidates[start : start + _ROWS]] - vectors[start : start + _ROWS, None]).sum(-1)
            for start in range(0, len(vectors), _ROWS)
        ]
    )
    return nearest(candidates, distances, config)


def nearest(
    candidates: np.ndarray, distances: np.ndarray, config: PropagationConfig, weight: float = 1.0
) -> Neighbours:
    """Chooses the k = `config.neighbours` nearest candidates, in order, and weights their edges.

    An edge of distance d weighs `weight * exp(-s d / d_k)`, where s is `config.sharpness` and d_k the k-th distance.

    Args:
      candidates: indices `[N, C]`, C at least k.
      distances: of these candidates, `[N, C]`.
      config: gives k and s.
      weight: of an edge of distance 0.
    """
    order = np.argsort(distances, axis=1)[:, : config.neighbours]
    ordered = np.take_along_axis(distances, order, axis=1)
    weights = weight * np.exp(-config.sharpness * ordered / np.maximum(ordered[:, -1:], _SMALLEST))
    indices = np.take_along_axis(candidates, order, axis=1)
    return Neighbours(indices.astype(np.int32), weights.astype(np.float32))


def _regions(config: PropagationConfig) -> tuple[Region, ...]:
    return REGIONS if config.parts else WHOLE


def _candidates(
    versions: Sequence[np.ndarray], rows: Sequence[tuple[int, int]], count: int, check: Check
) -> tuple[np.ndarray, np.ndarray]:
    """The images that are compared with each image: the nearest by pixels, of each version and in each region.

    Args:
      versions: the images as they are, and possibly without slant, each uint8 `[N, H, W, C]`.
      rows: of the regions. The first region has `count` candidates, each other region two thirds of that.
      count: at least 1.
      check: called often.

    Returns:
      Indices int32 `[N, C]`, ascending in each row, and bool `[N, C]`: False where an index repeats the one before.
    """
    most = len(versions[0]) - 1
    counts = [count] + [2 * count // 3] * (len(rows) - 1)
    groups = [
        _nearest_by_pixels(images[:, top:bottom], min(number, most), check)
        for images in versions
        for (top, bottom), number in zip(rows, counts, strict=True)
    ]
    candidates = np.concatenate(groups, axis=1)
    candidates.sort(axis=1)
    is_first = np.ones(candidates.shape, bool)
    is_first[:, 1:] = candidates[:, 1:] != candidates[:, :-1]
    return candidates, is_first


def _nearest_by_pixels(images: np.ndarray, count: int, check: Check) -> np.ndarray:
    """The nearest images by the squared distance of blurred pixels: int32 `[N, count]`, in any order."""
    return _nearest_rows(describe(_coarse, images).reshape(len(images), -1), count, check)


def _coarse(images: jax.Array) -> jax.Array:
    """Every second pixel of every second row; after blurring, the other pixels add next to nothing."""
    return blurred(images)[:, ::2, ::2]


def _nearest_rows(vectors: np.ndarray, count: int, check: Check) -> np.ndarray:
    """The nearest other rows of `[N, F]` to each row: int32 `[N, count]`, in any order."""
    number, features = vectors.shape
    # |b|^2 - 2 a b is the squared distance less |a|^2, which is the same for all b: (-2 a, 1) times (b, |b|^2).
    # Further rows, infinitely far away, fill the last group.
    others = np.zeros((-(-number // _GROUP) * _GROUP, features + 1), np.float32)
    others[:number, :-1], others[:number, -1], others[number:, -1] = vectors, np.square(vectors).sum(axis=1), np.inf
    indices = np.empty((number, count), np.int32)

    def search(start: int) -> None:
        block = np.ones((min(_ROWS, number - start), features + 1), np.float32)
        block[:, :-1] = -2.0 * vectors[start : start + _ROWS]
        distances = block @ others.T
        distances[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        indices[start : start + _ROWS] = _smallest(distances, count)

    in_parallel(search, range(0, number, _ROWS), check)
    return indices


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Where the `count` smallest of each row of `[R, N]` are, in any order; N is a multiple of `_GROUP`.

    A value outside the `count` groups of the smallest minima is no smaller than these minima. So those groups hold
    them all, and most values are looked at only once.
    """
    minima = values.reshape(len(values), -1, _GROUP).min(axis=2)
    if minima.shape[1] < 8 * count:  # most groups would be searched
        return np.argpartition(values, count - 1, axis=1)[:, :count]
    groups = np.argpartition(minima, count - 1, axis=1)[:, :count]
    columns = (groups[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(len(values), -1)
    chosen = np.argpartition(np.take_along_axis(values, columns, axis=1), count - 1, axis=1)[:, :count]
    return np.take_along_axis(columns, chosen, axis=1)


def _compare_pairs(
    images: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    rows: tuple[tuple[int, int], ...],
    reach: int,
    check: Check,
    report: Report,
) -> np.ndarray:
    """Deformation distances of pairs of images, float32 `[2, regions, pairs]`: forward, then reverse."""
    derivatives = describe(gradients, images)
    flat, shape = jnp.asarray(derivatives.reshape(len(images), -1)), derivatives.shape[1:]
    count, at_once = len(pairs[0]), _pairs_at_once(shape)
    distances = np.empty((2, len(rows), count), np.float32)

    def compare(start: int) -> None:
        block = slice(start, start + at_once)
        first, second = (np.resize(indices[block], at_once) for indices in pairs)  # one shape, so one compilation
        of_block = np.asarray(distances_by_region(flat, first, second, shape, rows, reach))
        distances[:, :, block] = of_block[:, :, : min(at_once, count - start)]

    in_parallel(compare, range(0, count, at_once), reported(check, report, "comparing images", -(-count // at_once)))
    return distances


def _pairs_at_once(shape: tuple[int, ...]) -> int:
    """How many pairs of images with derivatives `[H, W, G]` are compared at once."""
    if jax.default_backend() != "cpu":
        return PAIRS
    return max(16, _CACHED_PAIRS * 28 * 28 * 2 // math.prod(shape) // 16 * 16)  # 16 numbers are a vector


@partial(jax.jit, static_argnums=(3, 4, 5))
def distances_by_region(
    derivatives: jax.Array,
    first: jax.Array,
    second: jax.Array,
    shape: tuple[int, ...],
    rows: tuple[tuple[int, int], ...],
    reach: int,
) -> jax.Array:
    """Deformation distances `[2, regions, B]` of pairs of images.

    Args:
      derivatives: of all images, `[N, H * W * G]`: flat, or a TPU would lay all of them out anew for each block.
      first: indices `[B]` of the images that are compared.
      second: indices `[B]` of those that they are compared with.
      shape: (H, W, G).
      rows: of each region, the first row and the row after the last.
      reach: the largest displacement, in pixels.
    """
    images, others = (derivatives[indices].reshape(-1, *shape) for indices in (first, second))
    by_row = jnp.stack(deformation_distances(images, others, reach))
    return jnp.stack([by_row[:, :, top:bottom].sum(axis=2) for top, bottom in rows], axis=1)

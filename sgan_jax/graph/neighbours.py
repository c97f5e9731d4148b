"""The images most alike to each image of a set: the edges of the graph."""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.graph.similarity import blurred, distortion, gradients, orientations, upright

_PAIRS = 256  # compared at once: what their pixels take stays in the processor's cache
_IMAGES = 2000  # described at once
_ROWS = 250  # of the matrix of plain distances at once
_THREADS = min(os.cpu_count() or 1, 4)  # each with so many rows: 180 MB for 60,000 images


class Part(NamedTuple):
    """Rows of an image by which it is compared."""

    first: float  # where they begin, as a share of the height
    end: float
    weight: float  # of an edge between images that are alike in them


WHOLE = (Part(0.0, 1.0, 1.0),)
# Feet, hooks and tails make manners of writing that by the whole image hang together with another class. Without what
# is at one end they do not; and of writing the upper half tells more than the lower one (Huey, "The psychology and
# pedagogy of reading", 1908).
PARTS = (*WHOLE, Part(0.0, 0.75, 1.0), Part(0.25, 1.0, 1.0), Part(0.0, 0.5, 0.3))


class Neighbours(NamedTuple):
    """The images most alike to each of N: the edges of a graph, E of each image."""

    indices: np.ndarray  # int32 [N, E]: k by each part, and as many back, from the likest to the k-th
    weights: np.ndarray  # float32 [N, E]: of the edges


def neighbours_by_distortion(
    images: np.ndarray,
    count: int,
    candidates: int,
    parts: Sequence[Part] = WHOLE,
    slanted: bool = True,
    back: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> Neighbours:
    """The images most alike to each image by `distortion` of each part, among those that are nearest pixel by pixel.

    `back` is for images that hang together with a class of more strokes than their own, since what those have more
    costs nothing where one's own pixels are looked for: ones with a foot, and twos.

    Args:
      images: uint8 `[N, H, W, C]`.
      count: k, at most N - 1.
      candidates: how many of the nearest by the first part are compared with each image, at least k; of the nearest by
        each of the others two thirds as many.
      parts: of the images.
      slanted: whether they are compared as they are, or without their slant. Of the latter come as many candidates,
        beside those of the former.
      back: what edges weigh, as a share of the others, to the images whose pixels the image explains best.
      check: called often; what it raises ends this.
    """
    height, most = images.shape[1], len(images) - 1
    rows = [slice(math.floor(part.first * height), math.ceil(part.end * height)) for part in parts]
    numbers = [candidates] + [2 * candidates // 3] * (len(parts) - 1)
    forms = [images] if slanted else [images, _described(images, upright)]
    nearest = [
        _candidates(form[:, some], min(number, most), check)
        for form in forms
        for some, number in zip(rows, numbers, strict=True)
    ]
    near = np.concatenate(nearest, axis=1)
    near.sort(axis=1)
    new = np.ones(near.shape, bool)  # the first of those that are there twice
    new[:, 1:] = near[:, 1:] != near[:, :-1]
    forth, other_way = _compared(forms[-1], np.nonzero(new)[0], near[new], rows, check)
    found = []
    for values, share in [(forth, 1.0)] + ([(other_way, back)] if back else []):
        for part, of_part in zip(parts, values, strict=True):
            distances = np.full(near.shape, np.inf, np.float32)
            distances[new] = of_part
            found.append(likest(near, distances, count, share * part.weight))
    return Neighbours(*(np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)))


def _compared(
    images: np.ndarray, first: np.ndarray, second: np.ndarray, rows: Sequence[slice], check: Callable[[], None]
) -> np.ndarray:
    """By each of the `rows` the distortion of pairs of images, both ways, `[2, rows, pairs]`."""

    @jax.jit
    def compare(edges: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
        ways = jnp.stack(distortion(edges[first], edges[second]))
        return jnp.stack([ways[:, :, some].sum(axis=2) for some in rows], axis=1)

    edges = jnp.asarray(_described(images, gradients))
    compared = np.empty((2, len(rows), len(first)), np.float32)

    def fill(start: int) -> None:
        here = slice(start, start + _PAIRS)
        pairs = (np.resize(chosen[here], _PAIRS) for chosen in (first, second))  # one compiled shape
        compared[:, :, here] = np.asarray(compare(edges, *pairs))[:, :, : len(first[here])]

    _in_parallel(fill, range(0, len(first), _PAIRS), check)
    return compared


def _in_parallel(work: Callable[[int], None], starts: Sequence[int], check: Callable[[], None]) -> None:
    """Does the work for each start, a few of them at a time; `check` may end it between any two."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for done in [pool.submit(work, start) for start in starts]:
            done.result()
            check()
    finally:
        pool.shutdown(cancel_futures=True)


def _described(images: np.ndarray, describe: Callable[[jax.Array], jax.Array]) -> np.ndarray:
    """What `describe` says of images, `[N, ...]`, some of them at a time."""
    said = jax.jit(describe)
    found = []
    size = min(_IMAGES, len(images))
    for start in range(0, len(images), size):
        block = np.arange(start, start + size) % len(images)  # one compiled shape
        found.append(np.asarray(said(images[block]))[: len(images) - start])
    return np.concatenate(found)


def neighbours_by_orientations(images: np.ndarray, count: int, check: Callable[[], None] = lambda: None) -> Neighbours:
    """The images most alike to each image by the squared distance of their `orientations`.

    Args:
      images: uint8 `[N, H, W, C]`.
      count: k, at most N - 1.
      check: called every second or so; what it raises ends this.
    """
    described = _described(images, lambda pixels: orientations(gradients(pixels)))
    check()
    near = _nearest(described, count, check)
    distances = np.concatenate(
        [
            np.square(described[near[start : start + _ROWS]] - described[start : start + _ROWS, None]).sum(axis=-1)
            for start in range(0, len(images), _ROWS)
        ]
    )
    return likest(near, distances, count)


def likest(near: np.ndarray, distances: np.ndarray, count: int, weight: float = 1.0) -> Neighbours:
    """The `count` candidates that are least distant, in order; an edge weighs exp(-8 d / d_k).

    Args:
      near: indices of candidates, `[N, C]`.
      distances: of them, `[N, C]`; d_k is that of the k-th.
      count: k, at most C.
      weight: of an edge of no distance.
    """
    order = np.argsort(distances, axis=1)[:, :count]
    kept = np.take_along_axis(distances, order, axis=1)
    weights = weight * np.exp(-8.0 * kept / np.maximum(kept[:, -1:], 1e-12))
    return Neighbours(np.take_along_axis(near, order, axis=1).astype(np.int32), weights.astype(np.float32))


def _candidates(images: np.ndarray, count: int, check: Callable[[], None]) -> np.ndarray:
    """The nearest images by the plain distance of slightly blurred pixels, `[N, count]`, in no order.

    Blurred, every second pixel of every second row tells what the others do.
    """
    pixels = _described(images, lambda images: blurred(images)[:, ::2, ::2])
    return _nearest(pixels.reshape(len(images), -1), count, check)


def _nearest(rows: np.ndarray, count: int, check: Callable[[], None]) -> np.ndarray:
    """The nearest rows to each row of `[N, F]`, itself left out: `[N, count]`, in no order."""
    squares = np.square(rows).sum(axis=1)
    near = np.empty((len(rows), count), np.int32)

    def find(start: int) -> None:
        some = rows[start : start + _ROWS]
        distances = squares[None, :] - 2.0 * (some @ rows.T)  # but for the row's own square
        distances[np.arange(len(some)), start + np.arange(len(some))] = np.inf
        near[start : start + _ROWS] = np.argpartition(distances, count - 1, axis=1)[:, :count]

    _in_parallel(find, range(0, len(rows), _ROWS), check)
    return near

"""How alike images are, whatever they mean, and which are the likest to each: the edges of the graph.

Two kinds. By `distortion` two images are alike where one can be bent into the other by small displacements: what
writing is about. By `orientations` they are alike where edges of the same direction lie in the same parts of the image,
as in pictures of things.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_PAIRS = 2048  # compared at once: 26 MB of gradients of 28 x 28 images
_ROWS = 1000  # of the matrix of plain distances at once
_CELLS = 7  # along the longer side of an image, in each of which edges are counted by their direction
_DIRECTIONS = 8


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
    """The images most alike to each of N, of each part k of them: the edges of a graph."""

    indices: np.ndarray  # int32 [N, parts k]
    weights: np.ndarray  # float32 [N, parts k]: of the edges, of each part from the likest to the k-th


def distortion(images: jax.Array, others: jax.Array, reach: int = 2) -> jax.Array:
    """How unlike the images are when pixels may be displaced: the image distortion model.

    For each pixel of an image the displacement of up to `reach` pixels is taken with which the 3 x 3 neighbourhood in
    the other is most alike, whatever its neighbours take. Keysers, Deselaers, Gollan and Ney, "Deformation models for
    image recognition" (IEEE TPAMI 29, 2007), section 3.4. It is not symmetric.

    Args:
      images: gradients as `gradients` makes them, `[B, H, W, G]`.
      others: as many, compared one by one.
      reach: pixels.

    Returns:
      The squares of what remains, summed over each row of pixels, `[B, H]`.
    """
    _, height, width, _ = images.shape
    padded = jnp.pad(others, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    best = jnp.full(images.shape[:3], jnp.inf)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            displaced = padded[:, down : down + height, across : across + width]
            best = jnp.minimum(best, _of_neighbourhood(jnp.square(images - displaced).sum(axis=-1)))
    return best.sum(axis=2)


def _of_neighbourhood(values: jax.Array) -> jax.Array:
    """Sums over 3 x 3 pixels of `[B, H, W]`; outside of the frame is zero."""
    padded = jnp.pad(values, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]


def gradients(images: jax.Array) -> jax.Array:
    """Sobel's derivatives by row and by column of uint8 images in 0..1: `[B, H, W, C]` to `[B, H, W, 2 C]`."""
    x = jnp.pad(images.astype(jnp.float32) / 255.0, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def smooth(x: jax.Array, axis: int) -> jax.Array:
        first, middle, last = _three(x, axis)
        return (first + 2.0 * middle + last) / 4.0

    def slope(x: jax.Array, axis: int) -> jax.Array:
        first, _, last = _three(x, axis)
        return last - first

    return jnp.concatenate([slope(smooth(x, 2), 1), slope(smooth(x, 1), 2)], axis=-1)


def _three(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    end = x.shape[axis]
    first, middle, last = (jax.lax.slice_in_dim(x, k, end - 2 + k, axis=axis) for k in range(3))
    return first, middle, last


def neighbours_by_distortion(
    images: np.ndarray,
    count: int,
    candidates: int,
    parts: Sequence[Part] = WHOLE,
    check: Callable[[], None] = lambda: None,
) -> Neighbours:
    """The images most alike to each image by `distortion` of each part, among those that are nearest pixel by pixel.

    Args:
      images: uint8 `[N, H, W, C]`.
      count: k, at most N - 1.
      candidates: how many of the nearest by the first part are compared with each image, at least k; of the nearest by
        each of the others two thirds as many.
      parts: of the images.
      check: called every second or so; what it raises ends this.
    """
    height, most = images.shape[1], len(images) - 1
    rows = [slice(math.floor(part.first * height), math.ceil(part.end * height)) for part in parts]
    numbers = [candidates] + [2 * candidates // 3] * (len(parts) - 1)
    nearest = [
        _candidates(images[:, some], min(number, most), check) for some, number in zip(rows, numbers, strict=True)
    ]
    near = np.concatenate(nearest, axis=1)
    near.sort(axis=1)
    new = np.ones(near.shape, bool)  # the first of those that are there twice
    new[:, 1:] = near[:, 1:] != near[:, :-1]

    @jax.jit
    def compare(images: jax.Array, others: jax.Array) -> jax.Array:
        remaining = distortion(images, others)
        return jnp.stack([remaining[:, some].sum(axis=1) for some in rows])

    edges = np.asarray(jax.jit(gradients)(images))
    first, second = np.nonzero(new)[0], near[new]
    compared = np.empty((len(parts), len(first)), np.float32)
    for start in range(0, len(first), _PAIRS):
        check()
        here = slice(start, start + _PAIRS)
        pairs = [edges[np.resize(chosen[here], _PAIRS)] for chosen in (first, second)]  # one compiled shape
        compared[:, here] = np.asarray(compare(*pairs))[:, : len(first[here])]
    found = []
    for part, values in zip(parts, compared, strict=True):
        distances = np.full(near.shape, np.inf, np.float32)
        distances[new] = values
        found.append(likest(near, distances, count, part.weight))
    return Neighbours(*(np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)))


def orientations(images: jax.Array) -> jax.Array:
    """How much of each direction the edges in each part of an image have, as a vector of length 1.

    Histograms of oriented gradients, after Dalal and Triggs ("Histograms of oriented gradients for human detection",
    CVPR 2005): each pixel's gradient counts by its length, for the directions near its own, in its cell. Of the sums
    the square root is taken, and the length of all of them together is made 1.

    Args:
      images: gradients as `gradients` makes them, `[B, H, W, G]`: those by row first.

    Returns:
      `[B, F]`, F = 8 times the number of cells, 7 along the longer side of an image.
    """
    count, height, width, _ = images.shape
    down, across = jnp.split(images, 2, axis=-1)
    length, angle = jnp.hypot(down, across) + 1e-6, jnp.arctan2(down, across)
    side = -(-max(height, width) // _CELLS)
    rows, columns = -(-height // side), -(-width // side)
    counted = []
    for direction in range(_DIRECTIONS):
        near = jnp.maximum(jnp.cos(angle - 2.0 * jnp.pi * direction / _DIRECTIONS), 0.0) ** 4
        votes = (near * length).sum(axis=-1)
        votes = jnp.pad(votes, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
        counted.append(votes.reshape(count, rows, side, columns, side).sum(axis=(2, 4)))
    found = jnp.sqrt(jnp.stack(counted, axis=-1)).reshape(count, -1)
    return found / jnp.linalg.norm(found, axis=1, keepdims=True)


def neighbours_by_orientations(images: np.ndarray, count: int, check: Callable[[], None] = lambda: None) -> Neighbours:
    """The images most alike to each image by the squared distance of their `orientations`.

    Args:
      images: uint8 `[N, H, W, C]`.
      count: k, at most N - 1.
      check: called every second or so; what it raises ends this.
    """
    describe = jax.jit(lambda pixels: orientations(gradients(pixels)))
    blocks = []
    for start in range(0, len(images), _PAIRS):
        check()
        block = np.arange(start, start + _PAIRS) % len(images)  # one compiled shape
        blocks.append(np.asarray(describe(images[block]))[: len(images) - start])
    described = np.concatenate(blocks)
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
    """The nearest images by the plain distance of slightly blurred pixels, `[N, count]`, in no order."""
    pixels = images.astype(np.float32) / 255.0
    channels = [np.asarray(jax.jit(_of_neighbourhood)(pixels[..., c])) / 9.0 for c in range(pixels.shape[-1])]
    return _nearest(np.stack(channels, axis=-1).reshape(len(images), -1), count, check)


def _nearest(rows: np.ndarray, count: int, check: Callable[[], None]) -> np.ndarray:
    """The nearest rows to each row of `[N, F]`, itself left out: `[N, count]`, in no order."""
    squares = np.square(rows).sum(axis=1)
    near = np.empty((len(rows), count), np.int64)
    for start in range(0, len(rows), _ROWS):
        check()
        some = rows[start : start + _ROWS]
        distances = squares[None, :] - 2.0 * (some @ rows.T)  # but for the row's own square
        distances[np.arange(len(some)), start + np.arange(len(some))] = np.inf
        near[start : start + _ROWS] = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return near

"""Labels spread along a graph of like images, before any training: what the known ones say of the others.

Two images are alike where one can be bent into the other by small displacements, whatever they mean. A handful of
labelled images then speaks for whole manners of writing that no labelled image shows, step by step along the graph,
where a network would decide by the one feature that it happens to know.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_PAIRS = 2048  # compared at once: 26 MB of gradients of 28 x 28 images
_ROWS = 1000  # of the matrix of plain distances at once
_KEPT = 0.998  # alpha of Zhou et al.: so much of an image's values comes of its neighbours
_FAR, _NEAR = 0.9995, 0.995  # the same once all images speak: to bring together what hangs together; for the details
_ROUNDS = 20  # of the former at most
_SETTLED = 1e-4  # share of images that change their class
_TOLERANCE = 1e-5  # of the linear equations, relative
_BALANCING = 50
_SWEEPS = 5  # over the classes, until each has its number of images
_CERTAINTY = 6.0  # log-odds of the two likeliest classes of the median image: right in 99.8 %, as such images are


class Neighbours(NamedTuple):
    """The images most alike to each of N."""

    indices: np.ndarray  # int32 [N, k]
    distances: np.ndarray  # float32 [N, k]


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
      The summed squares of what remains, `[B]`.
    """
    _, height, width, _ = images.shape
    padded = jnp.pad(others, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    best = jnp.full(images.shape[:3], jnp.inf)
    for down in range(2 * reach + 1):
        for across in range(2 * reach + 1):
            displaced = padded[:, down : down + height, across : across + width]
            best = jnp.minimum(best, _of_neighbourhood(jnp.square(images - displaced).sum(axis=-1)))
    return best.sum(axis=(1, 2))


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


def neighbours(images: np.ndarray, count: int, candidates: int, check: Callable[[], None] = lambda: None) -> Neighbours:
    """The images most alike to each image by `distortion`, among the candidates that are nearest pixel by pixel.

    Args:
      images: uint8 `[N, H, W, C]`.
      count: k, at most N - 1.
      candidates: how many are compared with each image by `distortion`, at least k.
      check: called every second or so; what it raises ends this.
    """
    candidates = min(candidates, len(images) - 1)
    near = _candidates(images, candidates, check)
    edges = np.asarray(jax.jit(gradients)(images))
    compare = jax.jit(distortion)
    first, second = np.repeat(np.arange(len(images)), candidates), near.ravel()
    distances = np.empty(len(first), np.float32)
    for start in range(0, len(first), _PAIRS):
        check()
        here = slice(start, start + _PAIRS)
        pairs = [edges[np.resize(chosen[here], _PAIRS)] for chosen in (first, second)]  # one compiled shape
        distances[here] = np.asarray(compare(*pairs))[: len(first[here])]
    by_image = distances.reshape(near.shape)
    order = np.argsort(by_image, axis=1)[:, :count]
    return Neighbours(
        np.take_along_axis(near, order, axis=1).astype(np.int32), np.take_along_axis(by_image, order, axis=1)
    )


def _candidates(images: np.ndarray, count: int, check: Callable[[], None]) -> np.ndarray:
    """The nearest images by the plain distance of slightly blurred pixels, `[N, count]`, in no order."""
    pixels = images.astype(np.float32) / 255.0
    channels = [np.asarray(jax.jit(_of_neighbourhood)(pixels[..., c])) / 9.0 for c in range(pixels.shape[-1])]
    flat = np.stack(channels, axis=-1).reshape(len(images), -1)
    squares = np.square(flat).sum(axis=1)
    near = np.empty((len(images), count), np.int64)
    for start in range(0, len(images), _ROWS):
        check()
        rows = flat[start : start + _ROWS]
        distances = squares[None, :] - 2.0 * (rows @ flat.T)  # but for the row's own square
        distances[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
        near[start : start + _ROWS] = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return near


def propagate(near: Neighbours, labelled: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """What each image's neighbours, and theirs, say of its class.

    At first the labelled images alone speak: Zhou et al., "Learning with local and global consistency" (NIPS 2003),
    eq. 4, gives each image 99.8 % of what its neighbours have and 0.2 % of its own label. An edge weighs
    exp(-8 d / d_k), d_k the distance of the k-th neighbour. Classes are made equally frequent. Then every image speaks
    for the class that it was found to be of, again and again, until the classes meet where few edges cross: threshold
    dynamics with class sizes, as those of Calder et al., arXiv 2006.11184, section 2.4. An odd labelled image is
    outvoted there by what it does not hang together with.

    Where some classes have more labels than others, all of it is done once more with classes as frequent as their
    labels are; what cuts fewer edges is taken. Labels that are given need not be as frequent as their class, and may.

    Values of different rounds and numbers of labels differ in scale: they are raised to the power that makes the median
    image as certain as such images are right.

    Args:
      near: of N images.
      labelled: indices of the labelled ones, `[L]`.
      labels: their classes, `[L]`.
      classes: K.

    Returns:
      float32 `[N, K]`, each row adding up to 1: the shares of the classes.
    """
    farthest = np.maximum(near.distances[:, -1:], 1e-12)
    weights = np.exp(-8.0 * near.distances / farthest).astype(np.float32)
    known = np.zeros((len(weights), classes), np.float32)
    known[labelled, labels] = 1.0
    arrays = jnp.asarray(near.indices), jnp.asarray(weights), jnp.asarray(known)
    even = np.asarray(_spread(*arrays, as_labels=False))
    counts = np.bincount(labels, minlength=classes)
    if counts.min() == counts.max():
        return even

    def cut(shares: np.ndarray) -> float:
        found = shares.argmax(axis=1)
        return float((weights * (found[near.indices] != found[:, None])).sum())

    return min(even, np.asarray(_spread(*arrays, as_labels=True)), key=cut)


@partial(jax.jit, static_argnames="as_labels")
def _spread(indices: jax.Array, weights: jax.Array, known: jax.Array, as_labels: bool) -> jax.Array:
    def of_neighbours(values: jax.Array) -> jax.Array:  # [N, K]: along each edge, both ways
        taken = (weights[:, :, None] * values[indices]).sum(axis=1)
        return taken.at[indices].add(weights[:, :, None] * values[:, None, :])

    norm = jax.lax.rsqrt(of_neighbours(jnp.ones((len(known), 1))))
    labelled = known.sum(axis=1, keepdims=True) > 0

    def balance(_: int, shares: jax.Array) -> jax.Array:
        shares = shares / shares.sum(axis=0, keepdims=True)
        return shares / shares.sum(axis=1, keepdims=True)

    def solve(said: jax.Array, kept: float) -> jax.Array:
        def own(values: jax.Array) -> jax.Array:
            return values - kept * norm * of_neighbours(norm * values)

        return jax.scipy.sparse.linalg.cg(own, said, tol=_TOLERANCE, maxiter=1000)[0]

    def balanced(values: jax.Array) -> jax.Array:
        shares = jnp.maximum(values, 1e-12)
        shares = jax.lax.fori_loop(0, _BALANCING, balance, shares / shares.sum(axis=1, keepdims=True))
        return _as_frequent(shares, known.sum(axis=0) / known.sum()) if as_labels else shares

    values = solve(known, _KEPT)
    reached = values.max(axis=1, keepdims=True) > 1e-9  # what no label reaches stays silent

    def all_speak(shares: jax.Array, kept: float) -> jax.Array:
        found = jnp.where(reached, jax.nn.one_hot(shares.argmax(axis=1), known.shape[1]), 0.0)
        return balanced(solve(jnp.where(labelled, known, found), kept))

    def unsettled(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        rounds, _, changed = state
        return (rounds < _ROUNDS) & (changed > _SETTLED)

    def once(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        rounds, before, _ = state
        after = all_speak(before, _FAR)
        return rounds + 1, after, (after.argmax(axis=1) != before.argmax(axis=1)).mean()

    begin = jnp.zeros((), jnp.int32), balanced(values), jnp.ones(())
    _, shares, _ = jax.lax.while_loop(unsettled, once, begin)
    shares = jax.lax.fori_loop(0, 2, lambda _, shares: all_speak(shares, _NEAR), shares)
    likeliest, _ = jax.lax.top_k(jnp.log(shares), 2)
    lead = jnp.maximum(jnp.median(likeliest[:, 0] - likeliest[:, 1]), 1e-3)  # 0 where labels reach less than half
    return jax.nn.softmax(jnp.log(shares) * _CERTAINTY / lead)


def _as_frequent(shares: jax.Array, wanted: jax.Array) -> jax.Array:
    """Shares `[N, K]` times a factor for each class, so that each is the likeliest of about its part `[K]` of them."""
    logs, classes = jnp.log(shares), jnp.arange(shares.shape[1])[None, :]

    def one(turn: jax.Array, factors: jax.Array) -> jax.Array:
        c = turn % len(wanted)
        others = jnp.where(classes == c, -jnp.inf, logs + factors).max(axis=1)
        return factors.at[0, c].set(-jnp.quantile(logs[:, c] - others, 1.0 - wanted[c]))

    factors = jax.lax.fori_loop(0, _SWEEPS * len(wanted), one, jnp.zeros(classes.shape))
    return jax.nn.softmax(logs + factors)

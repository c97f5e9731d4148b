"""Labels spread along a graph of like images, before any training: what the known ones say of the others.

A handful of labelled images speaks for whole manners of writing that no labelled image shows, step by step along the
graph, where a network would decide by the one feature that it happens to know. `neighbours` says which are alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, cg

from sgan_jax.graph.neighbours import Neighbours

_KEPT = 0.998  # alpha of Zhou et al.: so much of an image's values comes of its neighbours
_FAR, _NEAR = 0.9995, 0.995  # the same once all images speak: to bring together what hangs together; for the details
_MANY, _OFTEN = 50, 0.995  # the same where so many labels of each class are given
_SHORT = 0.97  # the same where classes shade into one another, and labels are to speak for what is near them
_ROUNDS = 20  # of the former at most
_SETTLED = 1e-4  # share of images that change their class
_TRIED, _CALM = 3, 5e-3  # after so many rounds at most so many change, or classes are not what hangs together
_TOLERANCE = 1e-5  # of the linear equations, relative
_BALANCING = 50
_SWEEPS = 5  # over the classes, until each has its number of images
_FEW = 5  # labels of a class that may all lie among another's images
_CERTAINTY = 6.0  # log-odds of the two likeliest classes of the median image: right in 99.8 %, as such images are

Check = Callable[[], None]


def propagate(
    near: Neighbours,
    labelled: np.ndarray,
    labels: np.ndarray,
    classes: int,
    also: Callable[[], Neighbours] | None = None,
    check: Check = lambda: None,
) -> np.ndarray:
    """What each image's neighbours, and theirs, say of its class.

    At first the labelled images alone speak: Zhou et al., "Learning with local and global consistency" (NIPS 2003),
    eq. 4, gives each image 99.8 % of what its neighbours have and 0.2 % of its own label. Classes are made equally
    frequent. Then every image speaks
    for the class that it was found to be of, again and again, until the classes meet where few edges cross: threshold
    dynamics with class sizes, as those of Calder et al., arXiv 2006.11184, section 2.4. An odd labelled image is
    outvoted there by what it does not hang together with.

    That is for classes which hang together and do not touch, as digits do: of them the third round changes hardly any.
    Where it changes more than 0.5 % of the images, as of pullovers and coats, the borders would wander off. There the
    rounds are given up, images that are alike in another way are linked as well, and labels speak once, for what is
    near them (97 % and 3 %). And where even the rarest class has fifty labels, these know more than such borders do:
    they speak once, too (99.5 % and 0.5 %).

    A few labels may all lie among another class's images, as an eight written like a five; no label is left then where
    their class is. Where a class has fewer than five, all of it is done once more from a beginning in which each class
    gets equally many images, by a factor for each of them: the prices of Jacobs et al., "Auction dynamics" (J. Comput.
    Phys. 354, 2018). Where some classes have more labels than others, it is done once more with classes as frequent as
    their labels are, which need not be as frequent as their class, and may. What cuts the fewest edges is taken.

    Values of different rounds and numbers of labels differ in scale: they are raised to the power that makes the median
    image as certain as such images are right.

    Args:
      near: of N images.
      labelled: indices of the labelled ones, `[L]`.
      labels: their classes, `[L]`.
      classes: K.
      also: the neighbours of another kind, asked for where the rounds are given up.
      check: called every few milliseconds; what it raises ends this.

    Returns:
      float32 `[N, K]`, each row adding up to 1: the shares of the classes.
    """
    known = np.zeros((len(near.indices), classes), np.float32)
    known[labelled, labels] = 1.0
    counts = known.sum(axis=0)
    sizes = [None] if counts.min() == counts.max() else [None, counts / counts.sum()]
    links = _links(near)
    graph = _Graph(_normed(links), known, check)
    values = _solve(graph, known, _KEPT)
    tried = [_in_rounds(graph, values, size) for size in sizes]
    if counts.min() < _FEW:
        tried.append(_in_rounds(graph, values, None, evenly=True))
    found = [shares for shares in tried if shares is not None]
    if found and counts.min() >= _MANY:
        found = [_balanced(_solve(graph, known, _OFTEN), size) for size in sizes]
    if not found:
        graph = graph._replace(edges=_normed(links + _links(also())) if also else graph.edges)
        found = [_balanced(_solve(graph, known, _SHORT), size) for size in sizes]

    def cut(shares: np.ndarray) -> float:
        said, edges = shares.argmax(axis=1), links.tocoo()
        first, second = edges.coords
        return float(edges.data[said[first] != said[second]].sum())

    return _certain(found[0] if len(found) == 1 else min(found, key=cut))


class _Graph(NamedTuple):
    edges: sparse.csr_array  # float32 [N, N], symmetric: of the equations
    known: np.ndarray  # float32 [N, K]: 1 where a label is given
    check: Check


def _links(near: Neighbours) -> sparse.csr_array:
    """What an edge weighs, both ways: float32 `[N, N]`."""
    count, k = near.indices.shape
    edges = near.weights.ravel(), near.indices.ravel(), np.arange(0, count * k + 1, k)
    links = sparse.csr_array(edges, (count, count), copy=True)
    links.sum_duplicates()  # an image may be among the likest by more than one part
    return (links + links.T).tocsr()


def _normed(links: sparse.csr_array) -> sparse.csr_array:
    norm = sparse.dia_array((1.0 / np.sqrt(links.sum(axis=1))[None, :], 0), links.shape)
    return (norm @ links @ norm).tocsr().astype(np.float32)


def _solve(graph: _Graph, said: np.ndarray, kept: float) -> np.ndarray:
    """Zhou et al.'s F, but for a factor: what comes of neighbours' neighbours as well, `[N, K]`."""

    def own(flat: np.ndarray) -> np.ndarray:
        values = flat.reshape(said.shape)
        return (values - np.float32(kept) * (graph.edges @ values)).ravel()

    operator = LinearOperator((said.size, said.size), matvec=own, dtype=np.float32)
    values, _ = cg(operator, said.ravel(), rtol=_TOLERANCE, maxiter=1000, callback=lambda _: graph.check())
    return np.asarray(values.reshape(said.shape), np.float32)


def _in_rounds(graph: _Graph, values: np.ndarray, sizes: np.ndarray | None, evenly: bool = False) -> np.ndarray | None:
    """Shares once all images have spoken until the classes settled, or None where they do not begin to.

    They begin with the `values` of the labels alone, and `evenly` with three rounds of equally many images a class.
    """
    labelled = graph.known.any(axis=1, keepdims=True)
    reached = values.max(axis=1, keepdims=True) > 1e-9  # what no label reaches stays silent

    def all_speak(shares: np.ndarray, kept: float, sizes: np.ndarray | None) -> np.ndarray:
        found = np.eye(shares.shape[1], dtype=np.float32)[shares.argmax(axis=1)] * reached
        return _balanced(_solve(graph, np.where(labelled, graph.known, found), kept), sizes)

    equal = np.full(values.shape[1], 1.0 / values.shape[1])
    shares = _balanced(values, equal if evenly else sizes)
    for _ in range(_TRIED if evenly else 0):
        shares = all_speak(shares, _FAR, equal)
    for turn in range(1, _ROUNDS + 1):
        before, shares = shares, all_speak(shares, _FAR, sizes)
        changed = (shares.argmax(axis=1) != before.argmax(axis=1)).mean()
        if turn == _TRIED and changed > _CALM:
            return None
        if changed <= _SETTLED:
            break
    return all_speak(all_speak(shares, _NEAR, sizes), _NEAR, sizes)


def _balanced(values: np.ndarray, sizes: np.ndarray | None) -> np.ndarray:
    """Values `[N, K]` as shares of classes that are equally frequent, or of the `sizes` given, `[K]`."""
    shares = np.maximum(values, 1e-12)
    shares = shares / shares.sum(axis=1, keepdims=True)
    for _ in range(_BALANCING):
        shares /= shares.sum(axis=0, keepdims=True)
        shares /= shares.sum(axis=1, keepdims=True)
    return shares if sizes is None else _as_frequent(shares, sizes)


def _as_frequent(shares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Shares `[N, K]` times a factor for each class, so that each is the likeliest of about its part `[K]` of them."""
    logs = np.log(shares)
    factors = np.zeros((1, len(wanted)), np.float32)
    for turn in range(_SWEEPS * len(wanted)):
        c = turn % len(wanted)
        others = np.delete(logs + factors, c, axis=1).max(axis=1)
        factors[0, c] = -np.quantile(logs[:, c] - others, 1.0 - wanted[c])
    return _softmax(logs + factors)


def _certain(shares: np.ndarray) -> np.ndarray:
    logs = np.log(shares)
    likeliest = np.partition(logs, -2, axis=1)
    lead = max(float(np.median(likeliest[:, -1] - likeliest[:, -2])), 1e-3)  # 0 where labels reach less than half
    return _softmax(logs * (_CERTAINTY / lead))


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

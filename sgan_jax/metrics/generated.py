"""How near generated images come to real ones, measured on features of a separately trained classifier.

All functions take features as `[N, F]`, one row an image, and compute in float64. Figures depend on the features and on
the number of images, so only those of the same classifier and number can be compared. What training images score
against as many test images is the floor.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

NEIGHBOURS = 5  # k of precision, recall, density and coverage, as in the authors' code of the latter two
SUBSETS, SUBSET_SIZE = 100, 1000  # of the kernel distance, as in torch-fidelity
_ROWS = 1000  # of a block of distances


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Distance of two normal distributions with the means and covariances of the features.

    Heusel et al., arXiv 1706.08500, eq. 6: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)). The last trace is that of
    (C^(1/2) C' C^(1/2))^(1/2), which is symmetric. It is biased: with fewer images it is larger.

    Args:
      real: `[N, F]`.
      generated: `[M, F]`.

    Returns:
      In squared units of the features; 0 for the same features. At least 0, which rounding may miss by a little where
      there are fewer images than features.
    """
    return Real(real).frechet_distance(generated)


def _normal(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[F]` and covariance `[F, F]` of the features."""
    features = np.asarray(features, np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


class KernelDistance(NamedTuple):
    """The kernel distance over subsets of the images."""

    mean: float
    deviation: float  # of the subsets


def kernel_distance(real: np.ndarray, generated: np.ndarray, seed: int = 0) -> KernelDistance:
    """Squared maximum mean discrepancy with the kernel (x y / F + 1)^3, unbiased.

    Binkowski et al., arXiv 1801.01401, section 4 ("KID"). Its mean does not depend on the number of images; for equal
    distributions it is 0, so that a figure may be negative.

    Args:
      real: `[N, F]`.
      generated: `[M, F]`.
      seed: of the SUBSETS subsets, each of SUBSET_SIZE images of either kind; of half of the images if these are
        fewer than twice as many, or all subsets would be the same.
    """
    random, size = np.random.default_rng(seed), min(SUBSET_SIZE, len(real) // 2, len(generated) // 2)
    estimates = []
    for _ in range(SUBSETS):
        x, y = (
            np.asarray(features[random.choice(len(features), size, False)], np.float64)
            for features in (real, generated)
        )
        within = [(kernel.sum() - np.trace(kernel)) / (size * (size - 1)) for kernel in (_kernel(x, x), _kernel(y, y))]
        estimates.append(sum(within) - 2 * _kernel(x, y).mean())
    return KernelDistance(float(np.mean(estimates)), float(np.std(estimates)))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


class Manifolds(NamedTuple):
    """How two sets of images cover each other; each is a fraction 0..1, except `density`, which may be larger."""

    precision: float  # of generated images that lie among real ones
    recall: float  # of real images that lie among generated ones
    density: float  # how many real neighbourhoods a generated image lies in, by k
    coverage: float  # of real images in whose neighbourhood a generated one lies


def manifolds(real: np.ndarray, generated: np.ndarray, neighbours: int = NEIGHBOURS) -> Manifolds:
    """Precision and recall, density and coverage.

    The neighbourhood of an image reaches to its k-th nearest of its own kind, which is outside of it, as in the code of
    Naeem et al. Kynkaanniemi et al., arXiv 1904.06991, eq. 1 and 2; Naeem et al., arXiv 2002.09797, eq. 2 and 4.

    Args:
      real: `[N, F]`, more images than `neighbours`.
      generated: `[M, F]`, more than `neighbours`.
      neighbours: k.
    """
    return Real(real, neighbours).manifolds(generated)


class Real:
    """Features of real images beside which others are compared. What depends on them alone is computed once."""

    def __init__(self, features: np.ndarray, neighbours: int = NEIGHBOURS):
        """Computes nothing yet.

        Args:
          features: `[N, F]`.
          neighbours: k of `manifolds`.
        """
        self.features, self.neighbours = features, neighbours

    @cached_property
    def _mean_covariance_and_root(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mean, covariance = _normal(self.features)
        values, vectors = np.linalg.eigh(covariance)
        return mean, covariance, (vectors * np.sqrt(values.clip(0))) @ vectors.T

    @cached_property
    def _radii(self) -> np.ndarray:
        return _radii(self.features, self.neighbours)

    def frechet_distance(self, generated: np.ndarray) -> float:
        """As of the function of that name."""
        (mean, covariance, root), (of_generated, other) = self._mean_covariance_and_root, _normal(generated)
        of_product = np.linalg.eigvalsh(root @ other @ root)
        traces = np.trace(covariance) + np.trace(other) - 2 * np.sqrt(of_product.clip(0)).sum()
        return float(max(0.0, np.square(mean - of_generated).sum() + traces))

    def manifolds(self, generated: np.ndarray) -> Manifolds:
        """As of the function of that name."""
        of_generated = _radii(generated, self.neighbours)
        inside, recalled, covered = np.zeros(len(generated), np.int64), [], []
        for rows, distances in _distances(self.features, generated):
            near = distances < self._radii[rows, None]
            inside += near.sum(axis=0)
            covered.append(near.any(axis=1))
            recalled.append((distances < of_generated).any(axis=1))
        return Manifolds(
            float((inside > 0).mean()),
            float(np.concatenate(recalled).mean()),
            float(inside.mean() / self.neighbours),
            float(np.concatenate(covered).mean()),
        )


def nearest(images: np.ndarray, others: np.ndarray, own: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of other images to each image.

    Args:
      images: `[N, F]`.
      others: `[M, F]`.
      own: where an image itself stands among the others, integers `[N]`; None: it is not among them.

    Returns:
      Its index, int64 `[N]`, and its squared distance, float64 `[N]`.
    """
    indices, squares = [], []
    for rows, distances in _distances(images, others):
        if own is not None:
            distances[np.arange(len(distances)), own[rows]] = np.inf
        indices.append(distances.argmin(axis=1))
        squares.append(distances[np.arange(len(distances)), indices[-1]])
    return np.concatenate(indices), np.concatenate(squares)


def too_near(squares: np.ndarray, usual: np.ndarray) -> float:
    """The fraction of images that are nearer to their nearest one than 99 of 100 real images are to another real one.

    Real images that are there twice do not count among the 100: copies of an image would be as near as usual.

    Args:
      squares: squared distances of the images, `[N]`.
      usual: those of real images to the nearest other real one, `[M]`.
    """
    different = usual[usual > 1e-6 * usual.max()]
    return float((squares <= (np.quantile(different, 0.01) if len(different) else 0.0)).mean())


def entropy(counts: np.ndarray) -> float:
    """Entropy of a histogram `[K]`, in bits; log2 K if all classes are equally frequent."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of each image to its k-th nearest other one, `[N]`."""
    blocks = _distances(features, features)  # an image itself, at 0, comes first
    return np.concatenate([np.partition(distances, neighbours, axis=1)[:, neighbours] for _, distances in blocks])


def _distances(images: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of a block of images to all others, float64 `[rows, M]`, with the block's rows."""
    images, others = np.asarray(images, np.float64), np.asarray(others, np.float64)
    lengths = np.square(others).sum(axis=1)
    for start in range(0, len(images), _ROWS):
        block = images[start : start + _ROWS]
        squares = np.square(block).sum(axis=1)[:, None] + lengths - 2 * block @ others.T
        yield slice(start, start + _ROWS), squares.clip(0)

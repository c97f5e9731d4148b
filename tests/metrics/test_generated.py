"""Measures of generated images against loops over the papers' formulas, and by what they must be."""

import numpy as np
import pytest
import scipy.linalg

from sgan_jax.metrics import generated
from sgan_jax.metrics.generated import (
    entropy,
    frechet_distance,
    kernel_distance,
    manifolds,
    nearest,
    too_near,
)


def drawn(*shape: int, seed: int = 0, mean: float = 0.0, deviation: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, shape)


REAL, OTHER = drawn(40, 6), drawn(30, 6, seed=1, mean=0.3, deviation=1.5)


def test_the_frechet_distance_is_that_of_the_formula_with_a_matrix_root() -> None:
    covariances = [np.cov(features, rowvar=False) for features in (REAL, OTHER)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(REAL.mean(0) - OTHER.mean(0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(REAL, OTHER) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(OTHER, REAL) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-9)
    few = drawn(20, 100)  # images, and features: the covariance has no inverse
    assert 0 <= frechet_distance(few, few) < 1e-4


def test_the_frechet_distance_of_images_that_are_all_moved_is_the_square_of_the_move() -> None:
    assert frechet_distance(REAL, REAL + 2) == pytest.approx(6 * 4)
    flat = np.zeros((30, 6))  # no variance: as of a generator that draws one image
    expected = np.square(REAL.mean(0)).sum() + np.trace(np.cov(REAL, rowvar=False))
    assert frechet_distance(REAL, flat) == pytest.approx(expected)
    assert frechet_distance(REAL[:, :1], REAL[:, :1] + 3) == pytest.approx(9), "one feature"


def test_the_kernel_distance_is_that_of_pairs_of_different_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "SUBSETS", 1)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 6 + 1) ** 3)

    random = np.random.default_rng(5)
    x, y = (images[random.choice(len(images), 15, False)] for images in (REAL, OTHER))
    within = [np.mean([kernel(one[i], one[j]) for i in range(15) for j in range(15) if i != j]) for one in (x, y)]
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_distance(REAL, OTHER, seed=5).mean == pytest.approx(sum(within) - 2 * between, rel=1e-9)


def test_the_kernel_distance_of_equal_distributions_is_zero_within_its_deviation(monkeypatch) -> None:
    monkeypatch.setattr(generated, "SUBSET_SIZE", 300)
    one, other = drawn(2, 1200, 6)
    same, moved = kernel_distance(one, other), kernel_distance(one, other + 0.5)
    assert abs(same.mean) < 2 * same.deviation / np.sqrt(4)  # four subsets have no image in common
    assert moved.mean > 10 * same.deviation
    assert kernel_distance(one, other) == same, "the subsets are drawn by the seed"
    few = kernel_distance(one[:200], other[:200])
    assert abs(few.mean) < 2 * few.deviation, "subsets of few images differ as well"


def test_precision_recall_density_and_coverage_are_those_of_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "_ROWS", 7)  # several blocks, and one that is not full

    def radius(images: np.ndarray, index: int, k: int) -> float:
        return float(np.sort([np.linalg.norm(images[index] - other) for other in images])[k])

    for k in (1, 3):
        real, other = ([radius(images, i, k) for i in range(len(images))] for images in (REAL, OTHER))
        far = np.array([[np.linalg.norm(a - b) for b in OTHER] for a in REAL])
        in_real = np.array([[far[i, j] < real[i] for j in range(30)] for i in range(40)])
        in_other = np.array([[far[i, j] < other[j] for j in range(30)] for i in range(40)])
        assert manifolds(REAL, OTHER, k) == pytest.approx(
            (in_real.any(0).mean(), in_other.any(1).mean(), in_real.sum() / (k * 30), in_real.any(1).mean())
        )


def test_a_generator_of_one_shape_is_precise_and_covers_little() -> None:
    real, one = drawn(500, 2), drawn(500, 2, seed=1, deviation=1e-3)
    precision, recall, density, coverage = manifolds(real, one)
    assert precision == 1.0 and density > 1 and recall < 0.05 and coverage < 0.1
    assert manifolds(real, real + 100) == (0, 0, 0, 0)
    same = manifolds(real, drawn(500, 2, seed=2))
    assert min(same) > 0.85


def test_the_nearest_image_is_not_the_image_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "_ROWS", 2)
    points = np.array([[0.0], [1.0], [3.0], [3.5], [9.0]])
    indices, squares = nearest(points, points, np.arange(5))
    assert indices.tolist() == [1, 0, 3, 2, 3]
    np.testing.assert_allclose(squares, [1, 1, 0.25, 0.25, 5.5**2])
    indices, squares = nearest(points, points[[4, 0]])
    assert indices.tolist() == [1, 1, 1, 1, 0]
    np.testing.assert_allclose(squares, [0, 1, 9, 12.25, 0])
    assert nearest(points[[2, 0]], points, np.array([2, 0]))[0].tolist() == [3, 1]


def test_copies_are_too_near_and_one_real_image_in_a_hundred() -> None:
    real = drawn(1000, 4)
    usual = nearest(real, real, np.arange(1000))[1]
    assert too_near(usual, usual) == pytest.approx(0.01, abs=1e-3)
    copies = np.concatenate([real[:30], drawn(70, 4, seed=1)])
    assert 0.3 <= too_near(nearest(copies, real)[1], usual) < 0.4


def test_copies_are_too_near_where_real_images_are_there_twice() -> None:
    real = np.concatenate([drawn(940, 4), drawn(60, 4)])  # 60 of the first ones again
    usual = nearest(real, real, np.arange(1000))[1]
    assert too_near(nearest(real[:100] + 1e-6, real)[1], usual) == 1.0
    assert too_near(usual, usual) == pytest.approx(0.12, abs=0.02)
    twice = np.repeat(drawn(50, 4), 2, axis=0)
    all_twice = nearest(twice, twice, np.arange(100))[1]
    assert too_near(np.zeros(3), np.zeros(4)) == 1.0 and too_near(np.ones(3), all_twice) == 0.0


def test_entropy_is_in_bits() -> None:
    assert entropy(np.array([5, 5, 5, 5])) == pytest.approx(2)
    assert entropy(np.array([7, 0, 0])) == 0
    assert entropy(np.array([1, 3])) == pytest.approx(0.8112781)

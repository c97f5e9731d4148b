"""Facts about the edges of the graph."""

from collections.abc import Callable
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from drawings import bar, slanted_stroke

from sgan_jax.config import PropagationConfig
from sgan_jax.graph import neighbours as algorithms
from sgan_jax.graph.neighbours import (
    Neighbours,
    edges_per_image,
    nearest,
    nearest_by_deformation,
    nearest_by_embeddings,
    nearest_by_orientations,
)
from sgan_jax.graph.similarity import deformation_distances, gradients, orientation_histograms


def test_neighbours_are_the_nearest_candidates_in_order_and_never_the_image_itself() -> None:
    images = np.concatenate([bar(2), bar(3), bar(5), bar(8)])
    edges = nearest_by_deformation(images, PropagationConfig(neighbours=2, candidates=3))
    assert edges.indices.dtype == np.int32 and edges.weights.dtype == np.float32
    assert (edges.indices != np.arange(4)[:, None]).all()
    assert (np.diff(edges.weights, axis=1) <= 0).all()
    assert edges.indices[0, 0] == 1 and edges.indices[3, 0] == 2


def test_pixels_may_be_displaced_by_the_reach() -> None:
    images = np.concatenate([bar(2), bar(5), bar(9), bar(2) // 2])

    def first_weight(reach: int) -> float:
        config = PropagationConfig(neighbours=2, candidates=3, reach=reach)
        return float(nearest_by_deformation(images, config).weights[0, 0])

    assert first_weight(2) < 0.9
    assert first_weight(3) == pytest.approx(1, abs=1e-5)  # the bar three columns farther is at no distance


@pytest.mark.parametrize("sharpness", [8.0, 2.0])
def test_the_weight_of_an_edge_decreases_exponentially_with_its_fraction_of_the_kth_distance(sharpness: float) -> None:
    config = PropagationConfig(neighbours=2, sharpness=sharpness)
    edges = nearest(np.array([[7, 5, 9]]), np.array([[4.0, 1.0, 2.0]]), config, weight=0.5)
    np.testing.assert_array_equal(edges.indices, [[5, 9]])
    np.testing.assert_allclose(edges.weights, [[0.5 * np.exp(-sharpness / 2), 0.5 * np.exp(-sharpness)]], rtol=1e-5)
    np.testing.assert_array_equal(nearest(np.array([[1, 2]]), np.zeros((1, 2)), config).weights, 1)


def with_foot(image: np.ndarray) -> np.ndarray:
    footed = image.copy()
    footed[:, 9:, 1:11] = 255
    return footed


def test_by_their_upper_half_images_with_and_without_a_foot_are_neighbours() -> None:
    """Two strokes, upright and across, each four times without a foot and twice with one."""
    upright, across = bar(5), bar(5).transpose(0, 2, 1, 3)
    strokes = [np.roll(stroke, shift, axis=2) for stroke in (upright, across) for shift in (-1, 0, 0, 1)]
    images = np.concatenate([*strokes, *(with_foot(strokes[i]) for i in (1, 2, 5, 6))])
    images = images // 2 + np.random.default_rng(0).integers(0, 20, images.shape, dtype=np.uint8)  # no ties
    config = PropagationConfig(neighbours=3, candidates=11)
    whole = nearest_by_deformation(images, config)
    parts = nearest_by_deformation(images, replace(config, parts=True))
    assert whole.indices.shape == (12, 3) and parts.indices.shape == parts.weights.shape == (12, 12)
    np.testing.assert_array_equal(parts.indices[:, :3], whole.indices)
    np.testing.assert_array_equal(parts.weights[:, :3], whole.weights)
    for first in range(0, 12, 3):  # a neighbour by several regions is compared once, and once in each group
        assert all(len(set(row)) == 3 for row in parts.indices[:, first : first + 3].tolist())
    assert parts.weights[:, 9:].max() <= 0.3 + 1e-6
    assert not set(whole.indices[8]) <= set(range(4)) | {9}
    assert set(parts.indices[8, 9:]) <= set(range(4)) | {9}


def test_each_region_adds_candidates() -> None:
    """Forty images share the lower three quarters of the first image, and two others its upper half."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (43, 8, 8, 1), dtype=np.uint8)
    images[1:41, 2:] = images[0, 2:]
    images[41:, :4] = images[0, :4]
    config = PropagationConfig(neighbours=2, candidates=6)
    assert not set(nearest_by_deformation(images, config).indices[0]) & {41, 42}
    assert set(nearest_by_deformation(images, replace(config, parts=True)).indices[0, 6:]) == {41, 42}


def test_deslanted_strokes_of_different_slant_are_neighbours() -> None:
    thick = slanted_stroke(0.0)
    thick[0, 5:15, 7:14] = 200
    images = np.concatenate([slanted_stroke(0.0), slanted_stroke(0.9), thick])
    config = PropagationConfig(neighbours=1, candidates=2)
    assert nearest_by_deformation(images, config).indices[0] == 2
    assert nearest_by_deformation(images, replace(config, deslant=True)).indices[0] == 1


def test_reverse_edges_lead_to_the_images_whose_pixels_an_image_explains_best() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    derivatives = gradients(jnp.asarray(images))
    first, second = np.divmod(np.arange(49), 7)
    of_others = np.asarray(deformation_distances(derivatives[first], derivatives[second], 2)[1]).sum(axis=1)
    of_others = of_others.reshape(7, 7)
    of_others[np.arange(7), np.arange(7)] = np.inf
    config = PropagationConfig(neighbours=2, candidates=6)
    by_hand = nearest(np.tile(np.arange(7), (7, 1)), of_others, config, 0.25)
    edges = nearest_by_deformation(images, replace(config, reverse_weight=0.25))
    forward = nearest_by_deformation(images, config)
    assert edges.indices.shape == (7, 4)
    np.testing.assert_array_equal(edges.indices[:, :2], forward.indices)
    np.testing.assert_array_equal(edges.weights[:, :2], forward.weights)
    np.testing.assert_array_equal(edges.indices[:, 2:], by_hand.indices)
    np.testing.assert_allclose(edges.weights[:, 2:], by_hand.weights, rtol=1e-4)


def test_neighbours_by_orientations_are_the_nearest_vectors_in_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    edges = nearest_by_orientations(images, PropagationConfig(neighbours=3))
    vectors = np.asarray(orientation_histograms(jnp.asarray(images)), np.float64)
    distances = np.square(vectors[:, None] - vectors[None]).sum(axis=2) + 9 * np.eye(40)
    np.testing.assert_array_equal(edges.indices, np.argsort(distances, axis=1)[:, :3])
    nearest_three = np.sort(distances, axis=1)[:, :3]
    np.testing.assert_allclose(edges.weights, np.exp(-8 * nearest_three / nearest_three[:, 2:]), rtol=1e-3)
    assert edges.indices.dtype == np.int32 and edges.weights.dtype == np.float32


class Recorder:
    """A configuration that records which settings are read."""

    def __init__(self, config: PropagationConfig) -> None:
        self.config, self.read = config, set[str]()

    def __getattr__(self, name: str) -> object:
        self.read.add(name)
        return getattr(self.config, name)


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (nearest_by_deformation, algorithms.DEFORMATION_SETTINGS),
        (nearest_by_orientations, algorithms.ORIENTATIONS_SETTINGS),
    ],
)
def test_a_graph_depends_on_the_settings_that_name_it_in_the_cache_and_on_no_other(
    function: Callable[..., Neighbours], settings: tuple[str, ...]
) -> None:
    config = PropagationConfig(neighbours=3, candidates=6, parts=True, deslant=True, reverse_weight=0.5)
    recorder = Recorder(config)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    edges = function(images, recorder)
    assert recorder.read == set(settings)
    if function is nearest_by_deformation:
        assert edges.indices.shape == edges.weights.shape == (12, edges_per_image(config))


def test_neighbours_by_embeddings_are_those_of_the_smallest_angle_in_order() -> None:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(300, 7)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    config = PropagationConfig(neighbours=4, sharpness=3.0)
    indices, weights = nearest_by_embeddings(unit, config)
    cosines = unit.astype(np.float64) @ unit.astype(np.float64).T - 9 * np.eye(300)
    np.testing.assert_array_equal(indices, np.argsort(-cosines, axis=1)[:, :4])
    distances = 2 - 2 * np.take_along_axis(cosines, indices, axis=1)
    np.testing.assert_allclose(weights, np.exp(-3.0 * distances / distances[:, -1:]), rtol=1e-3)
    assert indices.dtype == np.int32 and weights.dtype == np.float32


@pytest.mark.parametrize("count", [1, 3, 30])  # of the last there are too few groups
def test_of_many_images_the_nearest_are_found_by_the_minima_of_groups(count: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((3217, 3)).astype(np.float32)
    vectors[100:200] = vectors[7] + vectors[100:200] / 1e3  # the nearest to one vector are all of one group
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    edges = nearest_by_embeddings(vectors, PropagationConfig(neighbours=count, candidates=count))
    cosines = vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    found = np.take_along_axis(cosines, edges.indices, axis=1)
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :count], atol=1e-6)

"""Identities of the mathematics of label propagation."""

import numpy as np
import pytest

from sgan_jax.graph.equations import balanced, cut_weight, edge_weights, normalized, solve, with_certainty
from sgan_jax.graph.neighbours import Neighbours

# Image 0 leads to 1 twice (by two regions) and 1 to 0 once; 2 to both others, 1 also to 2.
TRIANGLE = Neighbours(
    np.array([[1, 1], [0, 2], [0, 1]], np.int32), np.array([[1.0, 0.5], [2.0, 0.25], [3.0, 4.0]], np.float32)
)


def test_the_weight_between_two_images_is_the_sum_of_all_their_edges() -> None:
    weights = edge_weights(TRIANGLE).toarray()
    np.testing.assert_allclose(weights, [[0, 3.5, 3], [3.5, 0, 4.25], [3, 4.25, 0]])
    assert weights.dtype == np.float32


def test_the_normalized_matrix_maps_the_roots_of_the_degrees_to_themselves() -> None:
    weights = edge_weights(TRIANGLE)
    roots = np.sqrt(weights.sum(axis=1))
    np.testing.assert_allclose(normalized(weights) @ roots, roots, rtol=1e-6)


def test_scores_are_the_fixed_point_of_propagation() -> None:
    """F = alpha S F + Y, the limit of the iteration of Zhou et al."""
    adjacency = normalized(edge_weights(TRIANGLE))
    sources = np.array([[1, 0], [0, 1], [0, 0]], np.float32)
    scores = solve(adjacency, sources, 0.9)
    np.testing.assert_allclose(0.9 * (adjacency @ scores) + sources, scores, rtol=1e-4)
    assert scores.dtype == np.float32


def test_balanced_probabilities_of_each_class_have_the_same_sum() -> None:
    scores = np.random.default_rng(0).uniform(0, 1, (60, 3)) * [5, 1, 0.2]
    probabilities = balanced(scores, None)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=0), 20, rtol=1e-4)


def test_classes_are_predicted_as_often_as_the_frequencies_ask() -> None:
    scores = np.random.default_rng(0).uniform(0, 1, (200, 3)) * [5, 1, 0.2]
    frequencies = np.array([0.6, 0.3, 0.1])
    predicted = balanced(scores, frequencies).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(predicted, minlength=3), 200 * frequencies, atol=1)


@pytest.mark.parametrize("certainty", [6.0, 0.5])
def test_certainty_is_the_log_odds_of_the_median_image_and_keeps_the_order(certainty: float) -> None:
    probabilities = balanced(np.random.default_rng(0).uniform(0, 1, (101, 4)), None)
    certain = with_certainty(probabilities, certainty)
    ordered = np.sort(certain, axis=1)
    assert np.median(np.log(ordered[:, -1] / ordered[:, -2])) == pytest.approx(certainty, rel=1e-4)
    np.testing.assert_array_equal(np.argsort(certain, axis=1), np.argsort(probabilities, axis=1))


def test_the_cut_is_the_weight_between_images_of_different_classes_in_both_directions() -> None:
    weights = edge_weights(TRIANGLE)
    assert cut_weight(weights, np.array([0, 0, 0])) == 0
    assert cut_weight(weights, np.array([0, 0, 1])) == pytest.approx(2 * (3 + 4.25))

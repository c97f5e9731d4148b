"""Which images to label: the smallest margins first, and of those the ones that are farthest apart."""

import numpy as np
import pytest

from sgan_jax.metrics.uncertainty import CANDIDATES, choose_to_label, margins, spread


def test_the_margin_is_the_difference_of_the_two_largest_probabilities() -> None:
    probabilities = np.array([[0.5, 0.1, 0.4], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(margins(probabilities), [0.1, 1.0, 0.0], atol=1e-12)
    assert margins(np.zeros((0, 2))).shape == (0,)


def test_the_row_farthest_from_those_chosen_comes_next_and_its_length_does_not_count() -> None:
    angles = np.radians([0.0, 10.0, 180.0, 100.0, 0.0])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [5], [0.1], [1], [100]]
    # 180 degrees is farthest from 0; then 100 (80 away), then 10, and the copy of the first row last
    assert spread(features, 5).tolist() == [0, 2, 3, 1, 4]


def test_each_choice_is_the_farthest_of_all_rows() -> None:
    features = np.random.default_rng(0).normal(size=(60, 7))
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    chosen = spread(features, 12)
    assert len(set(chosen.tolist())) == 12
    for count in range(1, 12):
        nearest = np.linalg.norm(rows[:, None] - rows[chosen[:count]], axis=2).min(axis=1)
        assert nearest[chosen[count]] == pytest.approx(nearest.max(), abs=1e-6)


def test_rows_of_zeros_and_copies_are_chosen_once() -> None:
    assert sorted(spread(np.zeros((4, 3)), 4).tolist()) == [0, 1, 2, 3]


def test_only_the_least_certain_are_compared_and_the_least_certain_is_the_first() -> None:
    certainty = np.random.default_rng(1).permutation(np.linspace(0.5, 1, 100))
    probabilities = np.stack([certainty, 1 - certainty], axis=1)
    asked = []

    def features_of(indices: np.ndarray) -> np.ndarray:
        asked.extend(indices.tolist())
        return np.random.default_rng(2).normal(size=(len(indices), 4))

    chosen = choose_to_label(probabilities, features_of, 3)
    assert asked == np.argsort(certainty)[: 3 * CANDIDATES].tolist()
    assert chosen[0] == certainty.argmin() and len(set(chosen.tolist())) == 3 and set(chosen.tolist()) <= set(asked)


def test_all_are_chosen_where_there_are_no_more() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
    for count in (2, 5):
        assert choose_to_label(probabilities, lambda _: np.zeros((0, 1)), count).tolist() == [1, 0]

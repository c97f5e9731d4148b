"""Facts about feature matching and the complement generator: their moves, and their terms worked by hand."""

import numpy as np
import pytest
from known import PROBABILITIES, SIZE, numbers, play

from sgan_jax.objectives.matching import complement, feature_matching

SUPERVISED = -np.log(PROBABILITIES[[0, 1, 2, 0]]).mean()
REAL, FAKE = np.log(5 / 4), np.log(10 / 9)
ENTROPY = -(PROBABILITIES * np.log(PROBABILITIES)).sum()


def test_feature_matching_halves_the_scores_of_the_discriminators_move() -> None:
    discriminate, _ = feature_matching()
    terms, players = play(discriminate)
    expected = {"d/supervised": SUPERVISED, "d/real": REAL / 2, "d/fake": FAKE / 2}
    assert numbers(terms.loss) == pytest.approx(expected, rel=1e-6)
    assert numbers(terms.watch) == {"d/accuracy": 0.25, "d/real_accuracy": 1.0, "d/fake_accuracy": 1.0}
    assert players.inputs == [("lab", SIZE), ("unl", SIZE), ("fake", SIZE)]


def test_feature_matching_has_the_generator_move_by_the_distance_of_mean_features() -> None:
    assert [move.slots for move in feature_matching()] == [{"d": "d"}, {"g": "g"}]
    terms, players = play(feature_matching()[1])
    # Features are the pixels: 2 of unlabelled images and 3 of generated ones, so (3 - 2)^2 in each of four features.
    assert (numbers(terms.loss), terms.watch) == ({"g/features": 1.0}, {})
    assert players.inputs == [("unl", SIZE), ("fake", SIZE)]


def test_complement_is_feature_matching_with_two_more_terms() -> None:
    assert [move.slots for move in complement()] == [move.slots for move in feature_matching()]
    plain, more = ([play(move) for move in objective] for objective in (feature_matching(), complement()))
    # All generated images are equal, so that every cosine is 1.
    extra = [{"d/entropy": 0.1 * ENTROPY}, {"g/pull_away": 0.8}]
    for (terms, players), (expected, expected_players), one in zip(more, plain, extra, strict=True):
        assert numbers(terms.loss) == pytest.approx(numbers(expected.loss) | one, rel=1e-6)
        assert numbers(terms.watch) == numbers(expected.watch)
        assert players.inputs == expected_players.inputs, "the entropy is of the same pass through the discriminator"


def test_weights_of_complement_are_those_of_its_terms() -> None:
    moves = complement(unsupervised_weight=2, entropy_weight=3, pull_away_weight=5)
    loss = play(moves[0])[0].loss | play(moves[1])[0].loss
    expected = {"d/real": 2 * REAL, "d/fake": 2 * FAKE, "d/entropy": 3 * ENTROPY, "g/pull_away": 5, "g/features": 1}
    assert numbers(loss) == pytest.approx(expected | {"d/supervised": SUPERVISED}, rel=1e-6)

"""A fact about `supervised`: what it uses."""

import numpy as np
import pytest
from known import PROBABILITIES, SIZE, numbers, play

from sgan_jax.objectives.supervised import supervised


def test_supervised_uses_labelled_images_only_and_leaves_the_generator_alone() -> None:
    (move,) = supervised()
    assert move.slots == {"d": "d"}
    terms, players = play(move)
    expected = -np.log(PROBABILITIES[[0, 1, 2, 0]]).mean()
    assert numbers(terms.loss) == pytest.approx({"d/supervised": expected}, rel=1e-6)
    assert players.inputs == [("lab", SIZE)]

"""Facts about categorical GANs: their moves, and their terms worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, PROBABILITIES, SIZE, Players, bound, numbers, play

from sgan_jax.objectives.categorical import catgan
from sgan_jax.types import DiscOut, Move

SUPERVISED = -np.log(PROBABILITIES[[0, 1, 2, 0]]).mean()
ENTROPY = -(PROBABILITIES * np.log(PROBABILITIES)).sum()


def test_catgan_discriminator_is_certain_of_real_images_uncertain_of_generated_ones_and_even() -> None:
    assert [move.slots for move in catgan()] == [{"d": "d"}, {"g": "g"}]
    terms, players = play(catgan()[0])
    # All images have the same class probabilities, and so has their mean.
    expected = {
        "d/supervised": SUPERVISED,
        "d/entropy": ENTROPY,
        "d/imbalance": np.log(3) - ENTROPY,
        "d/fake_certainty": np.log(3) - ENTROPY,
    }
    assert numbers(terms.loss) == pytest.approx(expected, rel=1e-6)
    assert players.inputs == [("lab", SIZE), ("unl", SIZE), ("fake", SIZE)]


def test_catgan_generator_wants_certain_images_of_all_classes() -> None:
    terms, players = play(catgan()[1])
    assert numbers(terms.loss) == pytest.approx({"g/entropy": ENTROPY, "g/imbalance": np.log(3) - ENTROPY}, rel=1e-6)
    assert players.inputs == [("fake", SIZE)]


def test_catgan_terms_are_zero_at_their_best() -> None:
    def play_with(move: Move, of_unlabelled: np.ndarray, of_generated: np.ndarray) -> dict[str, float]:
        def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
            logits = {1.0: jnp.zeros((3, 3)), 2.0: of_unlabelled, 3.0: of_generated}[float(images[0, 0, 0, 0])]
            return DiscOut(images, jnp.asarray(logits), images[:, 0, 0, 0])

        batch = jax.tree.map(lambda leaf: leaf[:3], BATCH)
        return numbers(move.terms(bound(disc, Players().gen), batch, jax.random.key(0)).loss)

    certain, undecided = 100 * np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
    best = play_with(catgan()[0], certain, undecided)
    del best["d/supervised"]
    assert best == pytest.approx({"d/entropy": 0, "d/imbalance": 0, "d/fake_certainty": 0}, abs=1e-6)
    assert play_with(catgan()[1], undecided, certain) == pytest.approx({"g/entropy": 0, "g/imbalance": 0}, abs=1e-6)
    one_class = np.tile(certain[:1], (3, 1))  # what the marginal entropy is there against
    assert play_with(catgan()[1], undecided, one_class) == pytest.approx({"g/entropy": 0, "g/imbalance": np.log(3)})

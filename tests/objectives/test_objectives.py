"""Facts about the objectives: which moves, in which order, on which images, with which slots and which losses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, HALF, SHARES, UNL, Players, numbers, play

from sgan_jax.augment.spatial import Limits, distort
from sgan_jax.objectives.losses import score_as_fake, score_as_real
from sgan_jax.objectives.table import OBJECTIVES, joint, tutorial, with_augmentation
from sgan_jax.types import Batch, Bound, DiscOut, Move, Terms


def test_tutorial_makes_four_moves_with_three_slots() -> None:
    assert [move.slots for move in tutorial()] == [{"d": "c"}, {"d": "d"}, {"d": "d"}, {"g": "g"}]
    assert [list(play(move)[0].loss) for move in tutorial()] == [["d/supervised"], ["d/real"], ["d/fake"], ["g/fool"]]


def test_joint_makes_one_move_of_both_players_on_three_terms() -> None:
    assert [move.slots for move in joint()] == [{"d": "d", "g": "g"}]
    assert [list(play(move)[0].loss) for move in joint()] == [["d/supervised", "d/real", "d/fake"]]


def test_without_a_classifier_there_is_nothing_to_classify() -> None:
    assert tutorial(classifies=False) == tutorial()[1:]
    assert [move.slots for move in joint(classifies=False)] == [{"d": "d", "g": "g"}]
    assert [list(play(move)[0].loss) for move in joint(classifies=False)] == [["d/real", "d/fake"]]


def test_classify_is_the_cross_entropy_of_the_labelled_images() -> None:
    terms, players = play(tutorial()[0])
    expected = -np.log(SHARES[[0, 1, 2, 0]]).mean()
    assert numbers(terms.loss) == pytest.approx({"d/supervised": expected}, rel=1e-6)
    assert numbers(terms.watch) == {"d/accuracy": 0.25}  # class 2 is the most probable one, and one label of four
    assert players.seen == [("lab", HALF)]


def test_real_scores_the_unlabelled_images_as_real() -> None:
    terms, players = play(tutorial()[1])
    assert numbers(terms.loss) == pytest.approx({"d/real": np.log(5 / 4)}, rel=1e-6)
    assert numbers(terms.watch) == {"d/real_accuracy": 1.0}
    assert players.seen == [("unl", HALF)]


def test_fake_scores_as_many_generated_images_as_fake() -> None:
    terms, players = play(tutorial()[2])
    assert numbers(terms.loss) == pytest.approx({"d/fake": np.log(10 / 9)}, rel=1e-6)
    assert numbers(terms.watch) == {"d/fake_accuracy": 1.0}
    assert players.seen == [("fake", HALF)]


def test_fool_scores_twice_as_many_generated_images_as_real() -> None:
    terms, players = play(tutorial()[3])
    assert numbers(terms.loss) == pytest.approx({"g/fool": np.log(10)}, rel=1e-6)
    assert terms.watch == {}
    assert players.seen == [("fake", 2 * HALF)]


def test_joint_terms_are_those_of_the_tutorials_moves() -> None:
    together, players = play(joint()[0])
    apart = [play(move)[0] for move in tutorial()]
    assert numbers(together.loss) == numbers(apart[0].loss | apart[1].loss | apart[2].loss)
    watched = apart[0].watch | apart[1].watch | apart[2].watch | apart[3].loss  # "g/fool" is not summed, but reported
    assert numbers(together.watch) == pytest.approx(numbers(watched), rel=1e-6)
    assert players.seen == [("lab", HALF), ("unl", HALF), ("fake", HALF)]


def test_joint_descends_for_either_player_as_two_losses_on_the_same_images_would() -> None:
    # A discriminator and a generator of one small matrix each, where nothing is linear.
    draw = np.random.default_rng(0)
    w, v = (jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in ((4, 3), (5, 4)))

    def logit(w: jax.Array, images: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(jnp.tanh(images.reshape(-1, 4)) @ w, axis=-1)

    def latents(key: jax.Array, count: int) -> jax.Array:
        return jax.random.normal(key, (count, 5))

    def image(v: jax.Array, z: jax.Array) -> jax.Array:
        return jnp.tanh(z @ v).reshape(len(z), 2, 2, 1)

    def terms(w: jax.Array, v: jax.Array) -> dict[str, jax.Array]:
        disc = lambda images, key: DiscOut(images, images[:, 0, 0], logit(w, images))  # noqa: E731
        nets = Bound(disc, lambda z: image(v, z), disc, latents)
        return joint(False)[0].terms(nets, BATCH, jax.random.key(3)).loss

    def fakes(v: jax.Array) -> jax.Array:
        key = jax.random.split(jax.random.split(jax.random.key(3), 2)[1])[0]  # the second part's key for its images
        return image(v, latents(key, HALF))

    of_d, of_g = jax.grad(lambda w, v: sum(terms(w, v).values(), jnp.zeros(())), argnums=(0, 1))(w, v)
    expected_d = jax.grad(lambda w: score_as_real(logit(w, UNL)).mean() + score_as_fake(logit(w, fakes(v))).mean())(w)
    expected_g = jax.grad(lambda v: score_as_real(logit(w, fakes(v))).mean())(v)
    np.testing.assert_allclose(of_d, expected_d, rtol=1e-5)
    np.testing.assert_allclose(of_g, expected_g, rtol=1e-5)
    assert np.abs(expected_g).max() > 0.01


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_dropout_is_active_in_every_move_and_no_key_is_used_twice(objective: str) -> None:
    for move in OBJECTIVES[objective].objective(True):
        _, players = play(move)
        assert all(key is not None for key in players.keys.values())
        keys = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in players.keys.values()}
        assert len(keys) == len(players.keys)


def test_an_undecided_discriminator_is_right_about_the_fake_image_only() -> None:
    # Log-odds of 0: counted as fake, so that the two accuracies of a constant answer always add up to one.
    undecided = lambda images, key: DiscOut(images, images[:, 0, 0], jnp.zeros(len(images)))  # noqa: E731
    nets = Players().bound()._replace(disc=undecided)
    watch = [move.terms(nets, BATCH, jax.random.key(0)).watch for move in tutorial()[1:3]]
    assert numbers(watch[0] | watch[1]) == {"d/real_accuracy": 0.0, "d/fake_accuracy": 1.0}


def test_augmentation_distorts_the_labelled_images_of_every_move_and_nothing_else() -> None:
    given: list[Batch] = []
    keys: list[jax.Array] = []

    def note(nets: Any, batch: Batch, key: jax.Array) -> Terms:
        given.append(batch)
        keys.append(key)
        return Terms({}, {})

    moves, limits = tuple(Move({player: player}, note) for player in ("d", "g")), Limits(rotation=20.0, shift=2.0)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (HALF, 8, 8, 1)), jnp.float32)
    augmented = with_augmentation(moves, limits)
    assert [move.slots for move in augmented] == [move.slots for move in moves]
    for move in augmented:
        move.terms(None, Batch(images, BATCH.lab_labels, images), jax.random.key(5))
    for batch, key in zip(given, keys, strict=True):
        np.testing.assert_array_equal(batch.unl_images, images)
        np.testing.assert_array_equal(batch.lab_labels, BATCH.lab_labels)
        k_images, k_terms = jax.random.split(jax.random.key(5))
        np.testing.assert_array_equal(batch.lab_images, distort(images, k_images, limits))
        assert (jax.random.key_data(key) == jax.random.key_data(k_terms)).all(), "no key serves two purposes"
        assert not np.allclose(batch.lab_images, images)

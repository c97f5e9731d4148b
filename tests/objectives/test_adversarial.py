"""Facts about `tutorial` and `joint`: which moves, in which order, on which images, with which slots and losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, PROBABILITIES, SIZE, UNL, Players, bound, numbers, play

from sgan_jax.models.heads import HEADS
from sgan_jax.objectives.adversarial import joint, tutorial
from sgan_jax.objectives.losses import cross_entropy, score_as_fake, score_as_real
from sgan_jax.types import DiscOut


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
    expected = -np.log(PROBABILITIES[[0, 1, 2, 0]]).mean()
    assert numbers(terms.loss) == pytest.approx({"d/supervised": expected}, rel=1e-6)
    assert numbers(terms.watch) == {"d/accuracy": 0.25}  # class 2 is the most probable one, and one label of four
    assert players.inputs == [("lab", SIZE)]


def test_real_scores_the_unlabelled_images_as_real() -> None:
    terms, players = play(tutorial()[1])
    assert numbers(terms.loss) == pytest.approx({"d/real": np.log(5 / 4)}, rel=1e-6)
    assert numbers(terms.watch) == {"d/real_accuracy": 1.0}
    assert players.inputs == [("unl", SIZE)]


def test_fake_scores_as_many_generated_images_as_fake() -> None:
    terms, players = play(tutorial()[2])
    assert numbers(terms.loss) == pytest.approx({"d/fake": np.log(10 / 9)}, rel=1e-6)
    assert numbers(terms.watch) == {"d/fake_accuracy": 1.0}
    assert players.inputs == [("fake", SIZE)]


def test_fool_scores_twice_as_many_generated_images_as_real() -> None:
    terms, players = play(tutorial()[3])
    assert numbers(terms.loss) == pytest.approx({"g/fool": np.log(10)}, rel=1e-6)
    assert terms.watch == {}
    assert players.inputs == [("fake", 2 * SIZE)]


def test_joint_terms_are_those_of_the_tutorials_moves() -> None:
    together, players = play(joint()[0])
    apart = [play(move)[0] for move in tutorial()]
    assert numbers(together.loss) == numbers(apart[0].loss | apart[1].loss | apart[2].loss)
    watched = apart[0].watch | apart[1].watch | apart[2].watch | apart[3].loss  # "g/fool" is not summed, but reported
    assert numbers(together.watch) == pytest.approx(numbers(watched), rel=1e-6)
    assert players.inputs == [("lab", SIZE), ("unl", SIZE), ("fake", SIZE)]


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

    def loss(w: jax.Array, v: jax.Array) -> jax.Array:
        disc = lambda images, key: DiscOut(images, images[:, 0, 0], logit(w, images))  # noqa: E731
        nets = bound(disc, lambda z: image(v, z), latents=latents)
        terms = joint(False)[0].terms(nets, BATCH, jax.random.key(3)).loss
        return sum(terms.values(), jnp.zeros(()))

    def fakes(v: jax.Array) -> jax.Array:
        key = jax.random.split(jax.random.split(jax.random.key(3), 2)[1])[0]  # the second term's key for its images
        return image(v, latents(key, SIZE))

    def of_d_alone(w: jax.Array) -> jax.Array:
        return score_as_real(logit(w, UNL)).mean() + score_as_fake(logit(w, fakes(v))).mean()

    of_d, of_g = jax.jit(jax.grad(loss, argnums=(0, 1)))(w, v)
    expected_d = jax.jit(jax.grad(of_d_alone))(w)
    expected_g = jax.jit(jax.grad(lambda v: score_as_real(logit(w, fakes(v))).mean()))(v)
    np.testing.assert_allclose(of_d, expected_d, rtol=1e-5)
    np.testing.assert_allclose(of_g, expected_g, rtol=1e-5)
    assert np.abs(expected_g).max() > 0.01


def test_an_undecided_discriminator_is_right_about_the_fake_image_only() -> None:
    # Log-odds of 0 count as fake, so that the two accuracies of a constant output always add up to one.
    undecided = lambda images, key: DiscOut(images, images[:, 0, 0], jnp.zeros(len(images)))  # noqa: E731
    nets = bound(undecided, Players().gen)
    watch = [move.terms(nets, BATCH, jax.random.key(0)).watch for move in tutorial()[1:3]]
    assert numbers(watch[0] | watch[1]) == {"d/real_accuracy": 0.0, "d/fake_accuracy": 1.0}


def test_joint_with_the_head_k_plus_one_has_the_losses_of_a_softmax_over_k_plus_one() -> None:
    # Odena, arXiv 1606.01583: class K + 1 for generated images; unlabelled ones, and what the generator wants, are any
    # of the other K. The cross-entropy of a labelled image over K + 1 is that over K and that of "not class K + 1".
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 4, (50, 4)), jnp.float32)  # K = 3
    labels = jnp.arange(50, dtype=jnp.int32) % 3
    class_logits, real_logit = HEADS["k_plus_one"].split(logits)
    extra = jnp.full(50, 3, jnp.int32)
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(score_as_fake(real_logit), cross_entropy(logits, extra), **tolerance)
    any_real = np.exp(np.asarray(jax.nn.log_softmax(logits), np.float64))[:, :3].sum(axis=1)
    np.testing.assert_allclose(score_as_real(real_logit), -np.log(any_real), **tolerance)
    over_k = cross_entropy(class_logits, labels)
    np.testing.assert_allclose(over_k + score_as_real(real_logit), cross_entropy(logits, labels), **tolerance)

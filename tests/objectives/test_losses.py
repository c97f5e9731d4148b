"""Facts about the losses: hand-worked numbers, identities, and what happens where exp would overflow."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.objectives.losses import (
    cross_entropy,
    entropy,
    feature_distance,
    hits,
    marginal_entropy,
    pull_away,
    score_as_fake,
    score_as_real,
    score_for_both_players,
)

LOGITS = jnp.asarray(np.linspace(-30, 30, 601), jnp.float32)


def slope(loss: Callable[[jax.Array], jax.Array], at: jax.Array) -> jax.Array:
    """Derivative of a loss that treats each example apart, `[B]`."""
    return jax.jit(jax.grad(lambda x: loss(x).sum()))(at)


def test_cross_entropy_is_minus_log_of_the_probability_of_the_labelled_class() -> None:
    logits = jnp.asarray(np.log([[1, 2, 5], [1, 2, 5], [3, 3, 3]]), jnp.float32)
    labels = jnp.array([1, 2, 0], jnp.int32)  # probabilities 2/8, 5/8, 1/3
    np.testing.assert_allclose(cross_entropy(logits, labels), [np.log(4), np.log(8 / 5), np.log(3)], rtol=1e-6)


def test_cross_entropy_of_ten_equal_logits_is_the_tutorials_first_classifier_loss() -> None:
    np.testing.assert_allclose(cross_entropy(jnp.zeros((1, 10)), jnp.array([7], jnp.int32)), [2.302585], rtol=1e-6)


def test_cross_entropy_ignores_what_is_added_to_all_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 10)).astype(np.float32)
    labels = jnp.arange(50, dtype=jnp.int32) % 10
    values = cross_entropy(jnp.asarray(logits), labels)
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits + 64), labels), values, atol=3e-5)


def test_gradient_of_cross_entropy_is_softmax_minus_one_hot() -> None:
    logits = jnp.asarray(np.log([[1, 2, 5]]), jnp.float32)
    grad = slope(lambda x: cross_entropy(x, jnp.array([1], jnp.int32)), logits)
    np.testing.assert_allclose(grad, [[1 / 8, 2 / 8 - 1, 5 / 8]], rtol=1e-6)


def test_cross_entropy_at_logits_of_ten_thousand() -> None:
    logits = jnp.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]])
    labels = jnp.array([1, 0], jnp.int32)
    np.testing.assert_array_equal(cross_entropy(logits, labels), [2e4, 0.0])
    grad = slope(lambda x: cross_entropy(x, labels), logits)
    np.testing.assert_array_equal(grad, [[1, -1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("odds", "as_real", "as_fake"),
    [
        (1.0, np.log(2), np.log(2)),
        (3.0, -np.log(0.75), -np.log(0.25)),
        (10.0, 0.0953102, 2.3978953),  # ten equal logits of 0: the tutorial's first d[0.096,2.399], g[0.095]
    ],
)
def test_scores_are_minus_log_probability(odds: float, as_real: float, as_fake: float) -> None:
    real_logit = jnp.asarray(np.log([odds]), jnp.float32)
    np.testing.assert_allclose(score_as_real(real_logit), [as_real], rtol=1e-6)
    np.testing.assert_allclose(score_as_fake(real_logit), [as_fake], rtol=1e-6)


def test_probabilities_of_real_and_fake_add_up_to_one() -> None:
    real, fake = (np.exp(-np.asarray(score(LOGITS))) for score in (score_as_real, score_as_fake))
    np.testing.assert_allclose(real + fake, 1, rtol=2e-6)


def test_scores_differ_by_the_logit() -> None:
    np.testing.assert_allclose(score_as_fake(LOGITS) - score_as_real(LOGITS), LOGITS, rtol=1e-6, atol=1e-6)


def test_scores_sum_to_the_even_softplus() -> None:
    x = np.asarray(LOGITS, np.float64)
    expected = np.abs(x) + 2 * np.log1p(np.exp(-np.abs(x)))
    np.testing.assert_allclose(score_as_real(LOGITS) + score_as_fake(LOGITS), expected, rtol=1e-6)


def test_slopes_of_the_scores_are_the_probability_and_its_complement() -> None:
    p = 1 / (1 + np.exp(-np.asarray(LOGITS, np.float64)))
    np.testing.assert_allclose(slope(score_as_real, LOGITS), p - 1, atol=1e-6)
    np.testing.assert_allclose(slope(score_as_fake, LOGITS), p, atol=1e-6)


def test_scores_at_logits_of_ten_thousand_grow_linearly_and_keep_their_slope() -> None:
    # There sigmoid rounds to 0 and 1, so that -log(sigmoid) would be infinite and its slope NaN.
    far = jnp.array([-1e4, 1e4])
    np.testing.assert_array_equal(score_as_real(far), [1e4, 0])
    np.testing.assert_array_equal(score_as_fake(far), [0, 1e4])
    np.testing.assert_array_equal(slope(score_as_real, far), [-1, 0])
    np.testing.assert_array_equal(slope(score_as_fake, far), [0, 1])


def test_losses_are_one_value_an_example() -> None:
    logits, labels = jnp.zeros((5, 3)), jnp.zeros((5,), jnp.int32)
    one_each = jax.ShapeDtypeStruct((5,), jnp.float32)
    assert jax.eval_shape(cross_entropy, logits, labels) == one_each
    assert jax.eval_shape(hits, logits, labels) == one_each
    assert jax.eval_shape(score_as_real, one_each) == one_each
    assert jax.eval_shape(score_as_fake, one_each) == one_each


def test_hits_are_one_where_the_largest_logit_is_the_labels() -> None:
    logits = jnp.array([[0.1, 0.2, 0.0], [-1.0, -3.0, -2.0], [0.0, 0.0, 9.0], [5.0, 6.0, 4.0]])
    np.testing.assert_array_equal(hits(logits, jnp.array([1, 0, 0, 2], jnp.int32)), [1, 1, 0, 0])


# --- one backward pass for both players


@pytest.mark.parametrize("shift", [-60.0, -5.0, 0.0, 5.0, 60.0])
def test_one_pass_gives_the_discriminators_gradient_and_the_generators(shift: float) -> None:
    draw = np.random.default_rng(1)
    w, x = (jnp.asarray(draw.normal(size=shape), jnp.float32) for shape in ((4, 3), (6, 2, 2, 1)))
    (value, (of_w, of_x)), (as_fake, expected_of_w), expected_of_x = in_one_pass_and_in_two(jnp.float32(shift), w, x)
    assert float(value) == float(as_fake)
    np.testing.assert_allclose(of_w, expected_of_w, rtol=1e-5, atol=1e-37)
    np.testing.assert_allclose(of_x, expected_of_x, rtol=1e-5, atol=1e-37)


@jax.jit
def in_one_pass_and_in_two(shift: jax.Array, w: jax.Array, x: jax.Array) -> Any:
    """A small discriminator's score and gradients by parameters and images: of one pass, and of a pass a player."""

    def logit(w: jax.Array, x: jax.Array) -> jax.Array:
        return shift + jax.nn.logsumexp(jnp.tanh(x.reshape(-1, 4)) @ w, axis=-1)

    def both(w: jax.Array, x: jax.Array) -> jax.Array:
        return score_for_both_players(lambda x: logit(w, x), x)[0].mean()

    return (
        jax.value_and_grad(both, argnums=(0, 1))(w, x),
        jax.value_and_grad(lambda w: score_as_fake(logit(w, x)).mean())(w),
        jax.grad(lambda x: score_as_real(logit(w, x)).mean())(x),
    )


def test_one_pass_stays_finite_where_exponentials_do_not() -> None:
    @jax.jit
    @jax.grad
    def gradient(x: jax.Array, logit: jax.Array) -> jax.Array:
        return score_for_both_players(lambda x: logit + x[:, 0, 0, 0], x)[0].sum()

    for logit in (-1e4, -100.0, 100.0, 1e4):
        assert np.isfinite(gradient(jnp.ones((2, 1, 1, 1)), jnp.float32(logit))).all()


# --- entropies


def test_entropy_is_that_of_the_class_probabilities() -> None:
    logits = jnp.asarray(np.log([[1, 1, 2], [4, 4, 4], [1, 2, 5]]), jnp.float32)
    # 1/4, 1/4, 1/2: half of the time two bits, half of it one; three equal ones; 1/8, 2/8, 5/8
    expected = [1.5 * np.log(2), np.log(3), np.log(8) - (2 * np.log(2) + 5 * np.log(5)) / 8]
    np.testing.assert_allclose(entropy(logits), expected, rtol=1e-6)


def test_entropy_is_zero_where_the_class_is_certain_and_ignores_what_is_added_to_all_logits() -> None:
    np.testing.assert_array_equal(entropy(jnp.array([[100.0, -100.0, 0.0]])), [0.0])
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 3, (50, 10)), jnp.float32)
    np.testing.assert_allclose(entropy(logits + 64), entropy(logits), atol=3e-5)


def test_gradient_of_the_entropy_is_minus_p_times_log_p_plus_entropy() -> None:
    p = np.array([[1, 2, 5]]) / 8
    h = -(p * np.log(p)).sum()
    np.testing.assert_allclose(slope(entropy, jnp.asarray(np.log(p), jnp.float32)), -p * (np.log(p) + h), atol=1e-7)


def test_marginal_entropy_is_that_of_the_mean_probabilities() -> None:
    certain_of_two = jnp.array([[50.0, 0.0, -50.0], [-50.0, 50.0, 0.0]])  # mean probabilities 1/2, 1/2, 0
    assert float(marginal_entropy(certain_of_two)) == pytest.approx(np.log(2), rel=1e-6)
    logits = jnp.asarray(np.log([[1, 2, 5], [3, 2, 3]]), jnp.float32)  # mean probabilities 4/16, 4/16, 8/16
    assert float(marginal_entropy(logits)) == pytest.approx(1.5 * np.log(2), rel=1e-6)


def test_marginal_entropy_is_at_least_the_mean_entropy_and_equals_it_where_all_images_are_equal() -> None:
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 2, (20, 5)), jnp.float32)
    assert float(marginal_entropy(logits)) > float(entropy(logits).mean()) + 0.1
    equal = jnp.tile(logits[:1], (20, 1))
    assert float(marginal_entropy(equal)) == pytest.approx(float(entropy(logits[:1])[0]), rel=1e-6)


@pytest.mark.parametrize("far", [100.0, 1e4])
def test_entropies_stay_finite_and_so_do_their_gradients_where_exp_does_not(far: float) -> None:
    logits = jnp.array([[far, -far, 0.0], [-far, far, -far], [far, far, -far]])
    for total in (lambda x: entropy(x).sum(), marginal_entropy):
        value, gradient = jax.jit(jax.value_and_grad(total))(logits)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
    np.testing.assert_allclose(entropy(logits), [0, 0, np.log(2)], rtol=1e-6)
    assert float(marginal_entropy(logits)) == pytest.approx(np.log(2), rel=1e-6)  # mean probabilities 1/2, 1/2, 0


# --- features


def test_feature_distance_is_the_mean_square_of_differences_of_means() -> None:
    features, others = jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[0.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    # means (2, 3) and (0, 1): differences 2 and 2
    assert float(feature_distance(features, others)) == 4.0
    assert float(feature_distance(features, features[::-1])) == 0.0


def test_pull_away_is_the_mean_squared_cosine_of_pairs() -> None:
    assert float(pull_away(jnp.array([[1.0, 0.0], [0.0, 7.0]]))) == 0.0
    assert float(pull_away(jnp.array([[1.0, 2.0], [-3.0, -6.0]]))) == pytest.approx(1.0, rel=1e-6)
    # two at 45 degrees, one pair at 90: squares 1/2, 1/2, 0
    assert float(pull_away(jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))) == pytest.approx(1 / 3, rel=1e-6)


def test_pull_away_of_features_without_a_direction_and_of_one_image_is_zero_with_a_finite_gradient() -> None:
    for features in (jnp.zeros((3, 2)), jnp.array([[0.0, 0.0], [1.0, 2.0]]), jnp.ones((1, 2))):
        value, gradient = jax.jit(jax.value_and_grad(pull_away))(features)
        assert float(value) == 0.0
        assert np.isfinite(gradient).all()

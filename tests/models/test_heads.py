"""Facts about the heads: the identities that make them one family, and the numbers of the stacked activation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from sgan_jax.models.heads import HEADS
from sgan_jax.objectives.losses import score_as_fake, score_as_real

LOGITS = jnp.asarray(np.random.default_rng(0).normal(0, 4, (64, 11)), jnp.float32)
EXP = np.exp(np.asarray(LOGITS, np.float64))


def real_logit(head: str, logits: jax.Array) -> jax.Array:
    return HEADS[head].split(logits)[1]


@pytest.mark.parametrize(
    ("logit", "probability"), [(-10, 0.000136), (-1, 0.524633), (0, 0.75), (1, 0.890768), (10, 0.999985)]
)
def test_stacked_activation_of_three_equal_logits(logit: float, probability: float) -> None:
    value = jax.nn.sigmoid(real_logit("stacked", jnp.full((1, 3), logit, jnp.float32)))
    np.testing.assert_allclose(value, [probability], atol=6e-7)


def test_stacked_probability_is_z_over_z_plus_one() -> None:
    z = EXP.sum(axis=1)
    np.testing.assert_allclose(jax.nn.sigmoid(real_logit("stacked", LOGITS)), z / (z + 1), rtol=2e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(logsumexp(LOGITS, axis=-1)), z / (z + 1), rtol=2e-6)


def test_stacked_at_ten_thousand_is_exact_and_keeps_its_gradients() -> None:
    far = jnp.array([[-1e4] * 3, [1e4] * 3])

    def loss(score: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
        return lambda logits: score(real_logit("stacked", logits)).sum()

    np.testing.assert_array_equal(jax.nn.sigmoid(real_logit("stacked", far)), [0, 1])
    np.testing.assert_allclose(score_as_real(real_logit("stacked", far)), [1e4 - np.log(3), 0], rtol=1e-6)
    np.testing.assert_allclose(score_as_fake(real_logit("stacked", far)), [0, 1e4 + np.log(3)], rtol=1e-6)
    # The losses drop by a third for each of three equal logits; a saturated example has no gradient.
    np.testing.assert_allclose(jax.grad(loss(score_as_real))(far), [[-1 / 3] * 3, [0.0] * 3], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(loss(score_as_fake))(far), [[0.0] * 3, [1 / 3] * 3], rtol=1e-6)


def test_stacked_activation_itself_has_finite_gradients_at_ten_thousand() -> None:
    activation = lambda logits: jax.nn.sigmoid(real_logit("stacked", logits)).sum()  # noqa: E731
    for logits in ([[-1e4] * 3], [[1e4] * 3], [[-1e4, 0, 1e4]]):
        assert np.isfinite(jax.grad(activation)(jnp.array(logits))).all(), logits


def test_k_plus_one_with_pinned_fake_logit_is_stacked() -> None:
    pinned = LOGITS.at[:, -1].set(0.0)
    ours, theirs = HEADS["k_plus_one"].split(pinned), HEADS["stacked"].split(LOGITS[:, :-1])
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_k_plus_one_is_stacked_on_logits_relative_to_the_fake_class() -> None:
    # A softmax does not see what is added to all its logits: the K + 1 logits have one too many, which stacked pins.
    relative = LOGITS[:, :-1] - LOGITS[:, -1:]
    np.testing.assert_allclose(real_logit("k_plus_one", LOGITS), real_logit("stacked", relative), atol=1e-5)


def test_k_plus_one_real_probability_is_one_minus_the_fake_class() -> None:
    fake = EXP[:, -1] / EXP.sum(axis=1)
    value = real_logit("k_plus_one", LOGITS)
    np.testing.assert_allclose(jax.nn.sigmoid(value), 1 - fake, rtol=1e-5)
    np.testing.assert_allclose(score_as_fake(value), -np.log(fake), rtol=1e-5)  # the extra class's cross-entropy


def test_softmax_over_k_plus_one_given_real_is_softmax_over_k() -> None:
    given_real = EXP[:, :-1] / EXP[:, :-1].sum(axis=1, keepdims=True)
    class_logits, _ = HEADS["k_plus_one"].split(LOGITS)
    np.testing.assert_allclose(jax.nn.softmax(class_logits), given_real, rtol=1e-5)


def test_heads_with_two_outputs_of_equal_logits() -> None:
    logits = jnp.zeros((1, 11))
    np.testing.assert_allclose(jax.nn.sigmoid(real_logit("stacked", logits[:, :-1])), [10 / 11], rtol=1e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(real_logit("k_plus_one", logits)), [10 / 11], rtol=1e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(real_logit("separate", logits)), [1 / 2], rtol=1e-6)


def test_separate_real_logit_does_not_see_the_class_logits_and_stacked_sees_all() -> None:
    grad = jax.grad(lambda logits, head: real_logit(head, logits).sum())(LOGITS, "separate")
    np.testing.assert_array_equal(grad, np.broadcast_to([0] * 10 + [1], (64, 11)))
    grad = jax.grad(lambda logits: real_logit("stacked", logits).sum())(LOGITS)
    np.testing.assert_allclose(grad, EXP / EXP.sum(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "outputs", "classes"),
    [("stacked", 10, 10), ("separate", 11, 10), ("k_plus_one", 11, 10), ("real_fake", 1, 0)],
)
def test_outputs_and_shapes_for_ten_classes(name: str, outputs: int, classes: int) -> None:
    head = HEADS[name]
    assert head.outputs(10) == outputs
    class_logits, real = jax.eval_shape(head.split, jax.ShapeDtypeStruct((64, outputs), jnp.float32))
    assert class_logits.shape == (64, classes)
    assert real.shape == (64,)
    assert head.classifies == (classes > 0)


def test_there_are_the_tutorials_four_heads() -> None:
    assert sorted(HEADS) == ["k_plus_one", "real_fake", "separate", "stacked"]

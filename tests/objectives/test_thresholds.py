"""Facts about the rules: each against a plain transcription of its paper's equations, and by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.objectives.thresholds import RULES, Rule, Settings, Weighed

CLASSES, THRESHOLD, DECAY = 3, 0.8, 0.5
SETTINGS = Settings(CLASSES, THRESHOLD, DECAY)
# Predictions of twelve steps for eight images: class 0 often and surely, class 2 seldom.
STEPS = np.random.default_rng(3).dirichlet((2.0, 0.3, 0.1), (12, 8))

Expected = tuple[np.ndarray, np.ndarray]  # weights and thresholds


def steps(rule: Rule, predictions: np.ndarray) -> Iterator[Weighed]:
    """What the rule makes of the steps, one after the other."""
    state = rule.first
    for p in predictions:
        weighed = rule.weigh(state, jnp.log(jnp.asarray(p, jnp.float32)))
        state = weighed.state
        yield weighed


def flexmatch(predictions: np.ndarray) -> Iterator[Expected]:
    sigma = np.zeros(CLASSES)  # of all images, those that were last sure of a class
    for q in predictions:
        beta = sigma / max(sigma.max(), 1 - sigma.sum())  # eq. 11
        limits = beta / (2 - beta) * THRESHOLD  # eq. 12
        yield (q.max(1) > limits[q.argmax(1)]).astype(float), limits
        marks = [((q.argmax(1) == c) & (q.max(1) > THRESHOLD)).mean() for c in range(CLASSES)]
        sigma = DECAY * sigma + (1 - DECAY) * np.array(marks)


def freematch(predictions: np.ndarray) -> Iterator[Expected]:
    tau, p = 1 / CLASSES, np.full(CLASSES, 1 / CLASSES)
    for q in predictions:
        tau = DECAY * tau + (1 - DECAY) * q.max(1).mean()  # eq. 5
        p = DECAY * p + (1 - DECAY) * q.mean(0)  # eq. 6
        limits = p / p.max() * tau  # eq. 7
        yield (q.max(1) >= limits[q.argmax(1)]).astype(float), limits


def softmatch(predictions: np.ndarray) -> Iterator[Expected]:
    mu, variance = 1 / CLASSES, 1.0
    for q in predictions:
        mu = DECAY * mu + (1 - DECAY) * q.max(1).mean()
        variance = DECAY * variance + (1 - DECAY) * q.max(1).var(ddof=1)
        half = variance / 2**2  # n_sigma = 2
        yield np.where(q.max(1) < mu, np.exp(-((q.max(1) - mu) ** 2) / (2 * half)), 1.0), np.array(mu)


def fixed(predictions: np.ndarray) -> Iterator[Expected]:
    for q in predictions:
        yield (q.max(1) > THRESHOLD).astype(float), np.array(THRESHOLD)


TRANSCRIBED: dict[str, Callable[[np.ndarray], Iterator[Expected]]] = {
    "fixed": fixed,
    "flexmatch": flexmatch,
    "freematch": freematch,
    "softmatch": softmatch,
}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_is_that_of_its_paper(name: str) -> None:
    kinds = set()
    for weighed, (weights, limits) in zip(steps(RULES[name](SETTINGS), STEPS), TRANSCRIBED[name](STEPS), strict=True):
        np.testing.assert_allclose(weighed.weights, weights, rtol=1e-4)
        np.testing.assert_allclose(weighed.thresholds, limits, rtol=1e-5, atol=1e-7)
        kinds |= set(weights)
    assert len(kinds) > 1, "some images count more than others"


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_state_keeps_its_shapes_and_types_and_weights_lie_in_0_to_1(name: str) -> None:
    rule = RULES[name](SETTINGS)

    def kinds(state: Any) -> Any:
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)

    for p in (STEPS[0], np.full((1, CLASSES), 1 / CLASSES), np.eye(CLASSES)[:2] + 1e-30):
        weighed = rule.weigh(rule.first, jnp.log(jnp.asarray(p, jnp.float32)))
        assert kinds(weighed.state) == kinds(rule.first)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weighed))
        assert ((weighed.weights >= 0) & (weighed.weights <= 1)).all()


def test_a_batch_of_equal_images_counts_fully_in_softmatch() -> None:
    (weighed,) = steps(RULES["softmatch"](Settings(2, decay=0.0)), np.full((1, 4, 2), 0.5))
    np.testing.assert_array_equal(weighed.weights, 1.0)


def test_flexmatch_counts_as_its_paper_where_each_step_has_all_images_that_stay_sure() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 1, (30, CLASSES)) + np.array([1.5, 0.5, 0.0])
    predictions = [np.exp(scale * logits) for scale in (0.5, 1.0, 2.0, 4.0, 8.0)]  # ever surer, of the same classes
    predictions = [p / p.sum(1, keepdims=True) for p in predictions]
    marks = np.full(30, -1)
    levels = []
    for p, weighed in zip(
        predictions, steps(RULES["flexmatch"](SETTINGS._replace(decay=0.0)), np.array(predictions)), strict=True
    ):
        sigma = np.array([(marks == c).sum() for c in range(CLASSES)])  # algorithm 1, line 5
        unused = (marks == -1).sum()
        beta = sigma / (unused if sigma.max() < unused else sigma.max())
        limits = beta / (2 - beta) * THRESHOLD
        np.testing.assert_allclose(weighed.thresholds, limits, rtol=1e-5)
        np.testing.assert_array_equal(weighed.weights, p.max(1) > limits[p.argmax(1)])
        marks = np.where(p.max(1) > THRESHOLD, p.argmax(1), marks)
        levels.append(limits.max())
    assert levels[0] == 0 < levels[2] < THRESHOLD == levels[-1], "from 0 up to the threshold of the surest class"


# Two classes, four images: mean probabilities 0.7 and 0.3, mean confidence 0.75.
BY_HAND = np.array([[0.9, 0.1], [0.4, 0.6], [0.55, 0.45], [0.95, 0.05]])


def test_freematch_by_hand() -> None:
    (weighed,) = steps(RULES["freematch"](Settings(2, decay=0.5)), BY_HAND[None])
    np.testing.assert_allclose(weighed.state["confidence"], 0.625)
    np.testing.assert_allclose(weighed.state["marginal"], [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(weighed.state["histogram"], [0.625, 0.375])
    np.testing.assert_allclose(weighed.thresholds, [0.625, 0.625 * 0.4 / 0.6], rtol=1e-6)
    np.testing.assert_array_equal(weighed.weights, [1, 1, 0, 1])  # 0.6 passes as class 1, and 0.55 not as class 0


def test_fairness_by_hand() -> None:
    rule = RULES["freematch"](Settings(2, decay=0.5))
    (weighed,) = steps(rule, BY_HAND[None])
    student = np.array([[0.8, 0.2], [0.3, 0.7], [0.5, 0.5], [0.6, 0.4]])
    assert rule.fairness is not None
    loss = rule.fairness(weighed.state, weighed.weights, jnp.log(student))
    expected = np.array([0.6 / 0.625, 0.4 / 0.375])
    of_student = np.array([1.7 / 2, 1.3 / 1])  # of the images that count: sums of probabilities by predictions
    expected, of_student = expected / expected.sum(), of_student / of_student.sum()
    assert float(loss) == pytest.approx((expected * np.log(of_student)).sum(), rel=1e-5)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
def test_fairness_is_finite_without_images_and_with_classes_that_nobody_predicts(weights: list[float]) -> None:
    rule = RULES["freematch"](SETTINGS)
    assert rule.fairness is not None
    state = rule.first | {"histogram": jnp.array([0.5, 0.5, 0.0])}
    logits = jnp.array([[3.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    value, slope = jax.value_and_grad(lambda x: rule.fairness(state, jnp.array(weights), x))(logits)
    assert np.isfinite(value) and np.isfinite(slope).all()
    # All are predicted as class 0: B is 1 for it, and log B is 0.
    assert float(value) == pytest.approx(0.0, abs=1e-6)


def test_only_freematch_has_fairness() -> None:
    assert {name for name, make in RULES.items() if make(SETTINGS).fairness is not None} == {"freematch"}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_state_keeps_its_types_so_that_a_step_compiles_once(name: str) -> None:
    rule = RULES[name](Settings(classes=3))
    after = jax.eval_shape(rule.weigh, rule.first, jnp.zeros((4, 3))).state
    assert after.keys() == rule.first.keys()
    for key, value in rule.first.items():
        first = jax.eval_shape(jnp.array, value)
        assert (after[key].shape, after[key].dtype) == (first.shape, first.dtype), key
        assert not first.weak_type and not after[key].weak_type, key

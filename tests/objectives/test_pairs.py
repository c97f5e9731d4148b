"""Facts about the objective of three players, worked by hand on players of known outputs."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.objectives.pairs import predicted, triple
from sgan_jax.types import Batch, Bound, DiscOut, Terms

LABELLED, UNLABELLED, CLASSES = 3, 8, 4
# The discriminator of pairs: the sum s of an image's four pixels, times so much, is the logit of "real" and of a class.
REAL, OF_CLASS = 0.3, np.array([-0.5, 0.1, 0.4, -0.2])


class Players(NamedTuple):
    """Parameters of the three players, a number each, by which outputs are multiplied or moved."""

    d: float | jax.Array = 1.0
    g: float | jax.Array = 1.0
    p: float | jax.Array = 1.0

    def bound(self) -> Bound:
        def classifier(images: jax.Array, key: jax.Array | None) -> DiscOut:
            total = images.sum(axis=(1, 2, 3))
            logits = self.d * jnp.outer(total, jnp.arange(CLASSES, dtype=jnp.float32))
            return DiscOut(images, logits, total, {"mean": total.mean()})

        def averaged(images: jax.Array, key: jax.Array | None) -> DiscOut:  # sure of class round(s)
            classes = jnp.round(images.sum(axis=(1, 2, 3))).astype(jnp.int32) % CLASSES
            return DiscOut(images, 9.0 * jax.nn.one_hot(classes, CLASSES), classes)

        def of_pairs(images: jax.Array, key: jax.Array | None) -> DiscOut:
            total = self.p * images.sum(axis=(1, 2, 3))
            return DiscOut(images, jnp.outer(total, jnp.asarray(OF_CLASS, jnp.float32)), REAL * total)

        def gen(latents: jax.Array, classes: jax.Array) -> jax.Array:
            return (
                self.g
                * jnp.broadcast_to((1.0 + classes.astype(jnp.float32))[:, None, None, None], (len(classes), 2, 2, 1))
                / 8
            )

        def inputs(key: jax.Array, count: int) -> tuple[jax.Array, ...]:
            return (jnp.zeros((count, 5)), jnp.zeros(count, jnp.int32))

        return Bound({"d": classifier, "g": gen, "p": of_pairs}, {"d": averaged}, inputs, {})


SUMS = np.linspace(-1.0, 6.0, UNLABELLED)  # of the pixels of the unlabelled images
SUMS_LABELLED = np.array([0.5, -0.7, 1.2])
LABELS = np.array([2, 0, 3])
PREDICTED = np.round(SUMS).astype(int) % CLASSES


def images(sums: np.ndarray) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(sums, jnp.float32)[:, None, None, None] / 4, (len(sums), 2, 2, 1))


BATCH = Batch(images(SUMS_LABELLED), jnp.asarray(LABELS), images(SUMS), jnp.arange(UNLABELLED))


def terms(move: int, players: Players = Players(), batch: Batch = BATCH, **weights: float) -> Terms:  # noqa: B008
    return triple(**weights)[move].terms(players.bound(), batch, jax.random.key(0))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


def logits(sums: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return sums * (REAL + OF_CLASS[classes])


def test_the_classifier_moves_before_the_two_others() -> None:
    assert [move.slots for move in triple()] == [{"d": "d"}, {"p": "p", "g": "g"}]


def test_labelled_pairs_and_pairs_of_the_averaged_classifier_are_real() -> None:
    loss = terms(1, classifier_pairs=0.0, gradient_penalty=0.0).loss
    sums, classes = np.concatenate([SUMS, SUMS_LABELLED]), np.concatenate([PREDICTED, LABELS])
    assert loss.keys() == {"p/real", "p/fake"}
    assert loss["p/real"] == pytest.approx(softplus(-logits(sums, classes)).mean(), rel=1e-5)


def test_the_gradient_penalty_is_half_the_squared_slope_at_a_quarter_of_the_real_images() -> None:
    loss = terms(1, classifier_pairs=0.0, gradient_penalty=6.0).loss
    slopes = REAL + OF_CLASS[PREDICTED[:3]]  # by each of four pixels; 3 is a quarter of 11, rounded up
    assert loss["p/gradient_penalty"] == pytest.approx(6.0 / 2 * (4 * slopes**2).mean(), rel=1e-5)


def test_generated_images_have_the_classes_of_the_unlabelled_ones_and_each_player_its_own_gradient() -> None:
    sums = 4 * (1.0 + PREDICTED) / 8
    expected = logits(sums, PREDICTED)

    def fake(p: jax.Array, g: jax.Array) -> jax.Array:
        return terms(1, Players(p=p, g=g), classifier_pairs=0.0).loss["p/fake"]

    value, (of_p, of_g) = jax.value_and_grad(fake, argnums=(0, 1))(1.0, 1.0)
    assert value == pytest.approx(softplus(expected).mean(), rel=1e-5)
    probability = 1 / (1 + np.exp(-expected))
    assert of_p == pytest.approx((probability * expected).mean(), rel=1e-4)  # d softplus(p l) / dp at p = 1
    assert of_g == pytest.approx((-(1 - probability) * expected).mean(), rel=1e-4)  # d softplus(-g l) / dg at g = 1
    assert terms(1, classifier_pairs=0.0).watch["g/fool"] == pytest.approx(softplus(-expected).mean(), rel=1e-5)


def test_pairs_of_the_classifier_are_not_real_and_it_wants_them_to_be() -> None:
    weight, first, second = 0.25, SUMS[:4], SUMS[4:]
    probabilities = np.exp(second[:, None] * np.arange(CLASSES))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    every = second[:, None] * (REAL + OF_CLASS)
    doubted = (probabilities * softplus(every)).sum(axis=1).mean()
    loss = terms(1, classifier_pairs=weight).loss
    assert loss["p/classifier"] == pytest.approx(weight * doubted, rel=1e-5)
    generated = logits(4 * (1.0 + PREDICTED) / 8, PREDICTED)
    assert loss["p/fake"] == pytest.approx((1 - weight) * softplus(generated).mean(), rel=1e-5)
    sums, classes = np.concatenate([first, SUMS_LABELLED]), np.concatenate([PREDICTED[:4], LABELS])
    assert loss["p/real"] == pytest.approx(softplus(-logits(sums, classes)).mean(), rel=1e-5)

    assert terms(0, classifier_pairs=weight).loss["d/pairs"] == pytest.approx(-weight * doubted, rel=1e-5)
    # E log(1 - D) falls where the classifier prefers classes that are taken for real.
    slope = jax.grad(lambda d: terms(0, Players(d=d), classifier_pairs=weight).loss["d/pairs"])(1.0)
    change = 1e-3
    moved = np.exp((1 + change) * second[:, None] * np.arange(CLASSES))
    moved /= moved.sum(axis=1, keepdims=True)
    expected = -weight * ((moved - probabilities) * softplus(every)).sum(axis=1).mean() / change
    assert slope == pytest.approx(expected, rel=2e-2)


def test_the_classifier_learns_from_generated_images_and_the_generator_not_from_that() -> None:
    sums = 4 * (1.0 + PREDICTED) / 8
    scores = sums[:, None] * np.arange(CLASSES)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(UNLABELLED), PREDICTED]

    def loss(g: jax.Array) -> jax.Array:
        return terms(0, Players(g=g), classifier_pairs=0.0, generated_weight=0.5).loss["d/generated"]

    value, slope = jax.value_and_grad(loss)(1.0)
    assert (value, slope) == (pytest.approx(0.5 * losses.mean(), rel=1e-5), 0.0)
    alone = terms(0, classifier_pairs=0.0, generated_weight=0.0)
    assert alone.loss.keys() == {"d/supervised"}


def test_pseudo_labels_and_the_averaged_classifier_predict_together() -> None:
    certain = np.eye(CLASSES)[(PREDICTED + 1) % CLASSES]
    batch = BATCH._replace(pseudo_labels=jnp.asarray(certain, jnp.float32))  # odds of 1e9 against exp(9)
    assert (predicted(Players().bound(), batch) == (PREDICTED + 1) % CLASSES).all()
    batch = BATCH._replace(pseudo_labels=jnp.full((UNLABELLED, CLASSES), 1 / CLASSES))
    assert (predicted(Players().bound(), batch) == PREDICTED).all()


def test_the_classifiers_statistics_are_those_of_all_its_passes_in_its_move() -> None:
    weights = {"classifier_pairs": 0.5, "generated_weight": 0.5}
    means = [SUMS_LABELLED.mean(), SUMS[4:].mean(), (4 * (1.0 + PREDICTED) / 8).mean()]
    assert terms(0, **weights).aux["d/statistics"]["mean"] == pytest.approx(np.mean(means), rel=1e-5)
    assert terms(1, **weights).aux == {}

"""Facts about augmentation and consistency: which images they change, for which loss, and who descends on it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, PROBABILITIES, SIZE, batch_of, bound, numbers

from sgan_jax.objectives.alignment import ALIGNMENTS
from sgan_jax.objectives.matching import feature_matching
from sgan_jax.objectives.modifiers import PseudoLabels, with_augmentation, with_consistency
from sgan_jax.objectives.supervised import supervised
from sgan_jax.objectives.thresholds import RULES, Settings
from sgan_jax.types import Batch, Bound, DiscOut, Move, Terms

KEY = jax.random.key(5)


def noisy(images: jax.Array, key: jax.Array) -> jax.Array:
    """A view that follows from its key: every pixel of it differs from that of the image."""
    return images + 0.5 + jax.random.uniform(key, images.shape)


# --- augmentation


def test_augmentation_changes_the_labelled_images_of_every_move_and_nothing_else() -> None:
    batches: list[Batch] = []
    keys: list[jax.Array] = []

    def record(nets: Any, batch: Batch, key: jax.Array) -> Terms:
        batches.append(batch)
        keys.append(key)
        return Terms({}, {})

    moves = tuple(Move({player: player}, record) for player in ("d", "g"))
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (SIZE, 8, 8, 1)), jnp.float32)
    augmented = with_augmentation(moves, noisy)
    assert [move.slots for move in augmented] == [move.slots for move in moves]
    for move in augmented:
        move.terms(bound(lambda images, key: DiscOut(images, images, images)), batch_of(images, images), KEY)
    k_images, k_terms = jax.random.split(KEY)
    for batch, key in zip(batches, keys, strict=True):
        np.testing.assert_array_equal(batch.unl_images, images)
        np.testing.assert_array_equal(batch.lab_labels, BATCH.lab_labels)
        np.testing.assert_array_equal(batch.lab_images, noisy(images, k_images))
        assert (jax.random.key_data(key) == jax.random.key_data(k_terms)).all(), "no key serves two purposes"


# --- consistency


def above(threshold: float) -> PseudoLabels:
    """Pseudo-labels above a fixed threshold."""
    return PseudoLabels(RULES["fixed"](Settings(threshold=threshold)))


SURE, LIKELY, TORN = np.log([0.98, 0.01, 0.01]), np.log([0.6, 0.3, 0.1]), np.log([0.45, 0.45, 0.1])


def agreement(
    teacher: list[np.ndarray], pseudo_labels: np.ndarray | None = None, **options: Any
) -> tuple[dict[str, float], dict[str, float]]:
    """Loss and what is watched, where the teacher has these logits and the student PROBABILITIES."""
    unl = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (len(teacher), 4, 4, 1)), jnp.float32)
    batch = batch_of(unl[:1], unl, None if pseudo_labels is None else jnp.asarray(pseudo_labels, jnp.float32))
    inputs = []

    def teach(images: jax.Array, key: jax.Array | None) -> DiscOut:
        assert key is None, "a teacher predicts without dropout"
        np.testing.assert_array_equal(images, unl)
        return DiscOut(images, jnp.asarray(np.stack(teacher), jnp.float32), images[:, 0, 0, 0])

    def predict(images: jax.Array, key: jax.Array | None) -> DiscOut:
        assert key is not None
        inputs.append(images)
        logits = np.log(np.tile(PROBABILITIES, (len(images), 1)))
        return DiscOut(images, jnp.asarray(logits, jnp.float32), images[:, 0, 0, 0])

    (move,) = with_consistency(supervised(), noisy, **options)
    terms = move.terms(bound(predict, teacher=teach), batch, jax.random.key(0))
    k_consistency = jax.random.split(jax.random.key(0))[1]
    images = noisy(unl, jax.random.split(k_consistency)[0])
    assert any(one.shape == images.shape and (one == images).all() for one in inputs), "the student gets its view"
    return numbers(terms.loss), numbers(terms.watch)


def test_consistency_is_the_cross_entropy_with_the_teachers_class_where_it_is_sure() -> None:
    loss, watch = agreement([SURE, LIKELY, np.roll(SURE, 2), TORN])
    # Two of four are above 0.95: of class 0, to which the student gives 1/8, and of class 2, to which it gives 5/8.
    assert loss["d/consistency"] == pytest.approx((np.log(8) + np.log(8 / 5)) / 4, rel=1e-5)
    assert watch["d/confident"] == 0.5
    assert agreement([SURE, TORN], pseudo=above(0.99))[0]["d/consistency"] == 0
    assert agreement([LIKELY], pseudo=above(0.5), weight=3.0)[0]["d/consistency"] == pytest.approx(
        3 * np.log(8), rel=1e-5
    )


def test_with_pseudo_labels_the_class_is_that_of_the_product_and_counts_by_its_certainty() -> None:
    pseudo_labels = np.array([[0.1, 0.8, 0.1]])
    loss, watch = agreement([LIKELY], pseudo_labels)
    product = np.exp(LIKELY) * pseudo_labels[0]
    product /= product.sum()
    certainty = 1 + (product * np.log(product)).sum() / np.log(3)
    assert product.argmax() == 1
    assert watch["d/confident"] == pytest.approx(certainty, rel=1e-5)
    assert loss["d/consistency"] == pytest.approx(certainty * np.log(4), rel=1e-5)  # of the student: a quarter


def test_the_teacher_has_a_view_of_its_own() -> None:
    views: dict[str, list[np.ndarray]] = {"teacher": [], "student": []}

    def record(who: str) -> Any:
        def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
            views[who].append(np.asarray(images))
            return DiscOut(images, jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

        return disc

    brighter, darker = (lambda images, key, by=by: images + by for by in (1.0, -1.0))
    (move,) = with_consistency(supervised(), darker, teacher=brighter)
    move.terms(bound(record("student"), teacher=record("teacher")), BATCH, KEY)
    assert [float(images.min()) for images in views["teacher"]] == [3.0]
    assert [float(images.min()) for images in views["student"]] == [1.0, 1.0]  # labelled images, and 2.0 - 1.0
    assert all((images == images.min()).all() for one in views.values() for images in one)


@pytest.mark.parametrize("pseudo_labels", [None, jnp.arange(9.0).reshape(9, 1) * jnp.ones((1, 3))])
def test_other_terms_than_consistency_get_as_many_unlabelled_images_as_labelled_ones(
    pseudo_labels: jax.Array | None,
) -> None:
    batches: list[tuple[str, Batch]] = []

    def record(name: str) -> Any:
        def terms(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            batches.append((name, batch))
            return Terms({}, {})

        return terms

    def disc(images: jax.Array, key: Any) -> DiscOut:
        sizes.append(len(images))
        return DiscOut(images, jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

    sizes: list[int] = []
    objective = Move({"d": "d"}, record("d")), Move({"g": "g"}, record("g"))
    wrapped = with_consistency(objective, noisy)
    assert [move.slots for move in wrapped] == [move.slots for move in objective]
    more = jnp.arange(9.0).reshape(9, 1, 1, 1) * jnp.ones((1, 4, 4, 1))
    for move in wrapped:
        move.terms(bound(disc, teacher=disc), batch_of(jnp.zeros((2, 4, 4, 1)), more, pseudo_labels), KEY)
    assert [name for name, _ in batches] == ["d", "g"]
    assert sizes == [9, 9], "teacher and student of the first move get all of them"
    for _, batch in batches:
        np.testing.assert_array_equal(batch.unl_images[:, 0, 0, 0], [0.0, 1.0])
        np.testing.assert_array_equal(batch.unl_indices, [0, 1])
        assert (batch.pseudo_labels is None) == (pseudo_labels is None)
        if batch.pseudo_labels is not None:  # each with its own image
            np.testing.assert_array_equal(batch.pseudo_labels[:, 0], [0.0, 1.0])


def test_feature_matching_with_consistency_has_its_passes_on_fewer_images_and_two_on_all() -> None:
    for index, (move, plain) in enumerate(
        zip(with_consistency(feature_matching(), noisy), feature_matching(), strict=True)
    ):
        sizes: list[list[int]] = []
        for one, unlabelled in ((move, 9), (plain, 2)):
            seen: list[int] = []

            def count(images: jax.Array, key: Any, seen: list[int] = seen) -> DiscOut:
                seen.append(len(images))
                return DiscOut(images.reshape(len(images), -1), jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

            nets = bound(count, lambda z: jnp.zeros((len(z), 4, 4, 1)), count)
            batch = batch_of(jnp.zeros((2, 4, 4, 1)), jnp.zeros((unlabelled, 4, 4, 1)))
            one.terms(nets, batch, jax.random.key(0))
            sizes.append(seen)
        assert sizes[0] == sizes[1] + ([9, 9] if index == 0 else [])  # teacher and student


def test_consistency_does_not_descend_on_the_teacher() -> None:
    (move,) = with_consistency(supervised(), noisy, pseudo=above(0.0))

    def loss(scale: jax.Array) -> jax.Array:
        def teach(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, scale * images[:, 0, 0, :1] * jnp.array([[1.0, 2.0, 3.0]]), images[:, 0, 0, 0])

        def predict(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

        images = jnp.ones((2, 4, 4, 1))
        batch = batch_of(images, images, jnp.full((2, 3), 1 / 3))
        return move.terms(bound(predict, teacher=teach), batch, jax.random.key(0)).loss["d/consistency"]

    assert float(jax.grad(loss)(jnp.ones(()))) == 0.0


# --- rules with a state


PREDICTED = np.array([[0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.2, 0.45, 0.35], [0.6, 0.3, 0.1]])
RULE = RULES["freematch"](Settings(3, decay=0.1))


def judged(pseudo: PseudoLabels, pseudo_labels: np.ndarray | None = None, aux: Any = None) -> Terms:
    """Terms where the teacher predicts PREDICTED and the student PROBABILITIES, classes 0, 1, 2, 0 being labelled."""

    def teach(images: jax.Array, key: jax.Array | None) -> DiscOut:
        return DiscOut(images, jnp.log(jnp.asarray(PREDICTED, jnp.float32)), images[:, 0, 0, 0])

    def predict(images: jax.Array, key: jax.Array | None) -> DiscOut:
        return DiscOut(images, jnp.log(jnp.tile(jnp.asarray(PROBABILITIES), (len(images), 1))), images[:, 0, 0, 0])

    (move,) = with_consistency(supervised(), noisy, pseudo=pseudo)
    batch = batch_of(jnp.ones((4, 4, 4, 1)), jnp.ones((4, 4, 4, 1)), pseudo_labels)
    return move.terms(bound(predict, teacher=teach, aux=move.aux if aux is None else aux), batch, KEY)


def test_a_rule_weighs_each_image_and_hands_its_state_on() -> None:
    terms = judged(PseudoLabels(RULE))
    weighed = RULE.weigh(RULE.first, jnp.log(PREDICTED))
    assert 0 < weighed.weights.sum() < 4
    of_student = -np.log(PROBABILITIES[PREDICTED.argmax(1)])
    assert float(terms.loss["d/consistency"]) == pytest.approx(float((weighed.weights * of_student).mean()), rel=1e-5)
    assert float(terms.watch["d/confident"]) == weighed.weights.mean()
    assert float(terms.watch["d/threshold"]) == pytest.approx(float(weighed.thresholds.mean()), rel=1e-6)
    again = judged(PseudoLabels(RULE), aux=terms.aux)
    twice = RULE.weigh(weighed.state, jnp.log(PREDICTED)).state
    for name, value in again.aux["pseudo_labels"]["rule"].items():
        np.testing.assert_allclose(value, twice[name], rtol=1e-6)
        assert not np.array_equal(value, RULE.first[name])


def test_a_fixed_threshold_has_no_state_and_reports_none() -> None:
    (move,) = with_consistency(supervised(), noisy)
    assert move.aux == {}
    terms = judged(PseudoLabels())
    assert terms.aux == {} and "d/threshold" not in terms.watch


def test_with_pseudo_labels_a_rule_only_follows_the_teacher() -> None:
    pseudo_labels = np.array([[0.1, 0.8, 0.1]] * 4)
    ruled, plain = judged(PseudoLabels(RULE), pseudo_labels), judged(PseudoLabels(), pseudo_labels)
    assert numbers(ruled.loss) == numbers(plain.loss)
    assert float(ruled.watch["d/confident"]) == float(plain.watch["d/confident"])
    without = judged(PseudoLabels(RULE))
    assert jax.tree.all(jax.tree.map(np.array_equal, ruled.aux, without.aux))


def test_uniform_alignment_changes_weights_and_labelled_alignment_classes_as_well() -> None:
    def aligned(name: str) -> np.ndarray:
        log_p, _ = ALIGNMENTS[name](3, 0.9).align(
            ALIGNMENTS[name](3, 0.9).first, jnp.log(PREDICTED), jnp.array([0, 1, 2, 0])
        )
        return np.exp(log_p)

    uniform, labelled = aligned("uniform"), aligned("labelled")
    assert (uniform.argmax(1) != PREDICTED.argmax(1)).any() and (labelled.argmax(1) != PREDICTED.argmax(1)).any()
    for name, p, classes in (("uniform", uniform, PREDICTED.argmax(1)), ("labelled", labelled, labelled.argmax(1))):
        terms = judged(above(0.55)._replace(alignment=ALIGNMENTS[name](3, 0.9)))
        counts = p.max(1) > 0.55
        assert 0 < counts.sum() < 4
        expected = (counts * -np.log(PROBABILITIES[classes])).mean()
        assert float(terms.loss["d/consistency"]) == pytest.approx(expected, rel=1e-5)
        assert terms.aux["pseudo_labels"]["rule"] == {} and terms.aux["pseudo_labels"]["alignment"]


def test_fairness_is_a_term_of_its_own_with_its_weight() -> None:
    terms = judged(PseudoLabels(RULE, fairness=0.05))
    weighed = RULE.weigh(RULE.first, jnp.log(PREDICTED))
    assert RULE.fairness is not None
    unfair = RULE.fairness(weighed.state, weighed.weights, jnp.log(jnp.tile(PROBABILITIES, (4, 1))))
    assert float(terms.loss["d/fairness"]) == pytest.approx(0.05 * float(unfair), rel=1e-5)
    assert "d/fairness" not in judged(PseudoLabels(RULE)).loss


def test_the_student_may_be_its_own_teacher_without_dropout_and_does_not_descend_on_what_it_teaches() -> None:
    (move,) = with_consistency(supervised(), noisy, pseudo=above(0.0)._replace(averaged=False))
    images = jnp.ones((2, 4, 4, 1))
    batch = batch_of(images, images)

    def loss(of_teacher: jax.Array, of_student: jax.Array) -> jax.Array:
        def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
            scale = of_teacher if key is None else of_student
            return DiscOut(images, scale * jnp.tile(jnp.array([1.0, 2.0, 3.0]), (len(images), 1)), images[:, 0, 0, 0])

        return move.terms(bound(disc), batch, KEY).loss["d/consistency"]  # the averaged teacher would raise

    of_teacher, of_student = jax.grad(loss, argnums=(0, 1))(jnp.ones(()), jnp.ones(()))
    assert float(of_teacher) == 0.0 != float(of_student)
    assert float(loss(jnp.array(1.0), jnp.array(1.0))) != float(loss(jnp.array(-1.0), jnp.array(1.0)))

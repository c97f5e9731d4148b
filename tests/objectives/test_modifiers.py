"""Facts about augmentation and consistency: which images they change, for which loss, and who descends on it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, PROBABILITIES, SIZE, batch_of, bound, numbers

from sgan_jax.objectives.matching import feature_matching
from sgan_jax.objectives.modifiers import with_augmentation, with_consistency
from sgan_jax.objectives.supervised import supervised
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
    assert agreement([SURE, TORN], threshold=0.99)[0]["d/consistency"] == 0
    assert agreement([LIKELY], threshold=0.5, weight=3.0)[0]["d/consistency"] == pytest.approx(3 * np.log(8), rel=1e-5)


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
    (move,) = with_consistency(supervised(), noisy, threshold=0.0)

    def loss(scale: jax.Array) -> jax.Array:
        def teach(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, scale * images[:, 0, 0, :1] * jnp.array([[1.0, 2.0, 3.0]]), images[:, 0, 0, 0])

        def predict(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

        images = jnp.ones((2, 4, 4, 1))
        batch = batch_of(images, images, jnp.full((2, 3), 1 / 3))
        return move.terms(bound(predict, teacher=teach), batch, jax.random.key(0)).loss["d/consistency"]

    assert float(jax.grad(loss)(jnp.ones(()))) == 0.0

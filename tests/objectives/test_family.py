"""Facts about the objectives beyond `tutorial` and `joint`: their moves, and their terms worked by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, HALF, SHARES, numbers, play

from sgan_jax.augment.spatial import Limits, distort
from sgan_jax.models.heads import HEADS
from sgan_jax.objectives.losses import cross_entropy, score_as_fake, score_as_real
from sgan_jax.objectives.table import (
    OBJECTIVES,
    catgan,
    complement,
    feature_matching,
    joint,
    supervised,
    with_consistency,
    with_invariance,
    with_manifold,
)
from sgan_jax.types import Batch, Bound, DiscOut, Move, Objective

SUPERVISED = -np.log(SHARES[[0, 1, 2, 0]]).mean()
REAL, FAKE = np.log(5 / 4), np.log(10 / 9)
ENTROPY = -(SHARES * np.log(SHARES)).sum()


def slots_of(objective: Objective) -> list[dict[str, str]]:
    return [move.slots for move in objective]


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_objective_of_class_logits_is_not_made_for_a_head_without_them(name: str) -> None:
    recipe = OBJECTIVES[name]
    if not recipe.needs_classifier:
        terms = [term for move in recipe.objective(False) for term in play(move)[0].loss]
        assert terms and "d/supervised" not in terms
        return
    with pytest.raises(ValueError, match="made of class logits"):
        recipe.objective(False)


# --- supervised


def test_supervised_looks_at_labelled_images_only_and_leaves_the_generator_alone() -> None:
    (move,) = supervised()
    assert move.slots == {"d": "d"}
    terms, players = play(move)
    assert numbers(terms.loss) == pytest.approx({"d/supervised": SUPERVISED}, rel=1e-6)
    assert players.seen == [("lab", HALF)]


# --- K + 1 classes


def test_joint_with_the_head_k_plus_one_has_the_losses_of_a_softmax_over_k_plus_one() -> None:
    # Odena, arXiv 1606.01583: class K + 1 for generated images; unlabelled ones, and what the generator wants, are any
    # of the other K. The cross-entropy of a labelled image over K + 1 is that over K and that of "not class K + 1".
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 4, (50, 4)), jnp.float32)  # K = 3
    labels = jnp.arange(50, dtype=jnp.int32) % 3
    class_logits, real_logit = HEADS["k_plus_one"].split(logits)
    extra = jnp.full(50, 3, jnp.int32)
    near = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(score_as_fake(real_logit), cross_entropy(logits, extra), **near)
    any_real = np.exp(np.asarray(jax.nn.log_softmax(logits), np.float64))[:, :3].sum(axis=1)
    np.testing.assert_allclose(score_as_real(real_logit), -np.log(any_real), **near)
    over_k = cross_entropy(class_logits, labels)
    np.testing.assert_allclose(over_k + score_as_real(real_logit), cross_entropy(logits, labels), **near)


# --- feature matching


def test_feature_matching_halves_the_scores_of_the_discriminators_move() -> None:
    discriminate, _ = feature_matching()
    terms, players = play(discriminate)
    expected = {"d/supervised": SUPERVISED, "d/real": REAL / 2, "d/fake": FAKE / 2}
    assert numbers(terms.loss) == pytest.approx(expected, rel=1e-6)
    assert numbers(terms.watch) == {"d/accuracy": 0.25, "d/real_accuracy": 1.0, "d/fake_accuracy": 1.0}
    assert players.seen == [("lab", HALF), ("unl", HALF), ("fake", HALF)]


def test_feature_matching_has_the_generator_move_by_the_distance_of_mean_features() -> None:
    assert slots_of(feature_matching()) == [{"d": "d"}, {"g": "g"}]
    terms, players = play(feature_matching()[1])
    # Features are the pixels: 2 of unlabelled images and 3 of generated ones, so (3 - 2)^2 in each of four features.
    assert (numbers(terms.loss), terms.watch) == ({"g/features": 1.0}, {})
    assert players.seen == [("unl", HALF), ("fake", HALF)]


# --- categorical GAN


def test_catgan_discriminator_is_certain_of_real_images_uncertain_of_generated_ones_and_even() -> None:
    assert slots_of(catgan()) == [{"d": "d"}, {"g": "g"}]
    terms, players = play(catgan()[0])
    # All images have the same shares, and so has their mean.
    expected = {
        "d/supervised": SUPERVISED,
        "d/entropy": ENTROPY,
        "d/imbalance": np.log(3) - ENTROPY,
        "d/fake_certainty": np.log(3) - ENTROPY,
    }
    assert numbers(terms.loss) == pytest.approx(expected, rel=1e-6)
    assert players.seen == [("lab", HALF), ("unl", HALF), ("fake", HALF)]


def test_catgan_generator_wants_certain_images_of_all_classes() -> None:
    terms, players = play(catgan()[1])
    assert numbers(terms.loss) == pytest.approx({"g/entropy": ENTROPY, "g/imbalance": np.log(3) - ENTROPY}, rel=1e-6)
    assert players.seen == [("fake", HALF)]


def test_catgan_terms_are_zero_at_their_best() -> None:
    def play_with(move: Move, of_unlabelled: np.ndarray, of_generated: np.ndarray) -> dict[str, float]:
        def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
            logits = {1.0: jnp.zeros((3, 3)), 2.0: of_unlabelled, 3.0: of_generated}[float(images[0, 0, 0, 0])]
            return DiscOut(images, jnp.asarray(logits), images[:, 0, 0, 0])

        generated = lambda z: jnp.full((3, 2, 2, 1), 3.0)  # noqa: E731
        batch = jax.tree.map(lambda leaf: leaf[:3], BATCH)
        nets = Bound(disc, generated, disc, lambda key, count: jnp.zeros((count, 1)))
        return numbers(move.terms(nets, batch, jax.random.key(0)).loss)

    certain, undecided = 100 * np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
    best = play_with(catgan()[0], certain, undecided)
    del best["d/supervised"]
    assert best == pytest.approx({"d/entropy": 0, "d/imbalance": 0, "d/fake_certainty": 0}, abs=1e-6)
    assert play_with(catgan()[1], undecided, certain) == pytest.approx({"g/entropy": 0, "g/imbalance": 0}, abs=1e-6)
    one_class = np.tile(certain[:1], (3, 1))  # what the marginal entropy is there against
    assert play_with(catgan()[1], undecided, one_class) == pytest.approx({"g/entropy": 0, "g/imbalance": np.log(3)})


# --- complement generator


def test_complement_is_feature_matching_with_two_more_terms() -> None:
    assert slots_of(complement()) == slots_of(feature_matching())
    plain, more = ([play(move) for move in objective] for objective in (feature_matching(), complement()))
    # All generated images are alike, so that every cosine is 1.
    extra = [{"d/entropy": 0.1 * ENTROPY}, {"g/pull_away": 0.8}]
    for (terms, players), (expected, expected_players), one in zip(more, plain, extra, strict=True):
        assert numbers(terms.loss) == pytest.approx(numbers(expected.loss) | one, rel=1e-6)
        assert numbers(terms.watch) == numbers(expected.watch)
        assert players.seen == expected_players.seen, "the entropy is of the same pass through the discriminator"


def test_weights_of_complement_are_those_of_its_terms() -> None:
    moves = complement(unsupervised_weight=2, entropy_weight=3, pull_away_weight=5)
    loss = play(moves[0])[0].loss | play(moves[1])[0].loss
    expected = {"d/real": 2 * REAL, "d/fake": 2 * FAKE, "d/entropy": 3 * ENTROPY, "g/pull_away": 5, "g/features": 1}
    assert numbers(loss) == pytest.approx(expected | {"d/supervised": SUPERVISED}, rel=1e-6)


# --- smooth along the generator's manifold

DRAW = np.random.default_rng(0)
W, V = (jnp.asarray(DRAW.normal(size=shape), jnp.float32) for shape in ((4, 3), (5, 4)))


def linear(w: jax.Array, v: jax.Array) -> Bound:
    """Class logits `x w` of images `z v`: their Jacobian by z is v w everywhere."""

    def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
        flat = images.reshape(len(images), -1)
        return DiscOut(flat, flat @ w, (flat @ w).sum(axis=-1))

    def latents(key: jax.Array, count: int) -> jax.Array:
        return jax.random.normal(key, (count, 5))

    return Bound(disc, lambda z: (z @ v).reshape(-1, 2, 2, 1), disc, latents)


def manifold_term(nets: Bound, weight: float, seed: int = 0, count: int = HALF) -> jax.Array:
    (move,) = with_manifold(supervised(), weight)
    batch = BATCH._replace(unl_images=jnp.zeros((count, 2, 2, 1)))
    return move.terms(nets, batch, jax.random.key(seed)).loss["d/manifold"]


def test_manifold_term_is_the_squared_norm_of_the_jacobian_on_average() -> None:
    # |v w u|^2 for normal u has the mean |v w|_F^2; of 20,000 draws it is within some percent.
    assert float(manifold_term(linear(W, V), 0.01, count=20_000)) == pytest.approx(
        0.01 * float(jnp.square(V @ W).sum()), rel=0.05
    )


def test_manifold_term_is_the_limit_of_differences_along_the_same_directions() -> None:
    def bend(w: jax.Array, v: jax.Array) -> Bound:
        nets = linear(w, v)
        disc = lambda x, key: nets.disc(jnp.tanh(x), key)  # noqa: E731
        return nets._replace(disc=disc, gen=lambda z: jnp.sin(nets.gen(z)))

    key = jax.random.split(jax.random.key(0))[1]  # of the second part
    k_latents, k_direction, _ = jax.random.split(key, 3)
    z, u = (np.asarray(jax.random.normal(k, (HALF, 5)), np.float64) for k in (k_latents, k_direction))

    def logits(z: np.ndarray) -> np.ndarray:
        return np.tanh(np.sin(z @ np.asarray(V, np.float64))) @ np.asarray(W, np.float64)

    slope = (logits(z + 1e-6 * u) - logits(z - 1e-6 * u)) / 2e-6
    assert float(manifold_term(bend(W, V), 1.0)) == pytest.approx((slope**2).sum(axis=1).mean(), rel=1e-5)


def test_manifold_term_moves_the_discriminator_and_not_the_generator() -> None:
    of_w, of_v = jax.grad(lambda w, v: manifold_term(linear(w, v), 1.0), argnums=(0, 1))(W, V)
    assert np.abs(of_w).max() > 0.1
    np.testing.assert_array_equal(of_v, np.zeros_like(V))


# --- invariant along its tangents


def invariance_term(nets: Bound, tangents: int, weight: float = 1.0, seed: int = 0) -> jax.Array:
    (move,) = with_invariance(supervised(), weight, tangents)
    return move.terms(nets, BATCH, jax.random.key(seed)).loss["d/invariance"]


def test_invariance_along_all_directions_is_the_squared_norm_of_the_classifiers_jacobian() -> None:
    # Four orthonormal tangents of images of four pixels: the sum of |w^T t|^2 is |w|_F^2, whatever the generator.
    assert float(invariance_term(linear(W, V), 4, 0.01)) == pytest.approx(0.01 * float(jnp.square(W).sum()), rel=1e-5)


def test_invariance_is_along_the_generators_directions_whatever_their_length() -> None:
    direction = jnp.array([[3.0, 0.0, 4.0, 0.0]])  # all that the generator can do; 3 / 5 and 4 / 5 as a tangent
    narrow = jnp.arange(1.0, 6.0).reshape(5, 1) * direction
    by_hand = float(jnp.square((direction / 5.0) @ W).sum())
    for longer in (1.0, 10.0):
        assert float(invariance_term(linear(W, longer * narrow), 1)) == pytest.approx(by_hand, rel=1e-4)


def test_invariance_moves_the_discriminator_and_not_the_generator() -> None:
    of_w, of_v = jax.grad(lambda w, v: invariance_term(linear(w, v), 2), argnums=(0, 1))(W, V)
    assert np.abs(of_w).max() > 0.1
    np.testing.assert_array_equal(of_v, np.zeros_like(V))


@pytest.mark.parametrize(("wrap", "term"), [(with_manifold, "d/manifold"), (with_invariance, "d/invariance")])
@pytest.mark.parametrize(("objective", "first"), [(joint(), 0), (feature_matching(), 0), (feature_matching()[::-1], 1)])
def test_a_term_along_the_manifold_is_in_the_discriminators_first_move_alone(
    objective: Objective, first: int, wrap: Any, term: str
) -> None:
    wrapped = wrap(objective)
    assert slots_of(wrapped) == slots_of(objective)
    nets = linear(W, V)
    for index, (move, plain) in enumerate(zip(wrapped, objective, strict=True)):
        names: list[Any] = [list(one.terms(nets, BATCH, jax.random.key(0)).loss) for one in (plain, move)]
        assert names[1] == names[0] + [term] * (index == first)


# --- consistency


LIMITS = Limits(shift=1.0)
SURE, LIKELY, TORN = np.log([0.98, 0.01, 0.01]), np.log([0.6, 0.3, 0.1]), np.log([0.45, 0.45, 0.1])


def agreement(teacher: list[Any], shares: Any = None, **options: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Loss, what is watched and what the student saw, where the teacher has these logits and the student SHARES."""
    unl = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (len(teacher), 4, 4, 1)), jnp.float32)
    batch = Batch(unl[:1], jnp.array([0], jnp.int32), unl, None if shares is None else jnp.asarray(shares, jnp.float32))
    seen = []

    def teach(images: jax.Array, key: jax.Array | None) -> DiscOut:
        assert key is None, "a teacher answers without dropout"
        np.testing.assert_array_equal(images, unl)
        return DiscOut(images, jnp.asarray(np.stack(teacher), jnp.float32), images[:, 0, 0, 0])

    def answer(images: jax.Array, key: jax.Array | None) -> DiscOut:
        assert key is not None
        seen.append(images)
        return DiscOut(images, jnp.asarray(np.log(np.tile(SHARES, (len(images), 1))), jnp.float32), images[:, 0, 0, 0])

    nets = Bound(answer, lambda z: z, teach, lambda key, count: jnp.zeros((count, 1)))
    (move,) = with_consistency(supervised(), LIMITS, **options)
    terms = move.terms(nets, batch, jax.random.key(0))
    _, key = jax.random.split(jax.random.key(0))
    images = distort(unl, jax.random.split(key)[0], LIMITS)
    assert any(one.shape == images.shape and (one == images).all() for one in seen), "the student sees them distorted"
    return numbers(terms.loss), numbers(terms.watch)


def test_consistency_is_the_cross_entropy_with_the_teachers_class_where_it_is_sure() -> None:
    loss, watch = agreement([SURE, LIKELY, np.roll(SURE, 2), TORN])
    # Two of four are above 0.95: of class 0, which the student gives 1/8, and of class 2, which it gives 5/8.
    assert loss["d/consistency"] == pytest.approx((np.log(8) + np.log(8 / 5)) / 4, rel=1e-5)
    assert watch["d/confident"] == 0.5
    assert agreement([SURE, TORN], threshold=0.99)[0]["d/consistency"] == 0
    assert agreement([LIKELY], threshold=0.5, weight=3.0)[0]["d/consistency"] == pytest.approx(3 * np.log(8), rel=1e-5)


def test_with_shares_the_class_is_that_of_the_product_and_counts_by_its_certainty() -> None:
    shares = np.array([[0.1, 0.8, 0.1]])
    loss, watch = agreement([LIKELY], shares)
    product = np.exp(LIKELY) * shares[0]
    product /= product.sum()
    certainty = 1 + (product * np.log(product)).sum() / np.log(3)
    assert product.argmax() == 1
    assert watch["d/confident"] == pytest.approx(certainty, rel=1e-5)
    assert loss["d/consistency"] == pytest.approx(certainty * np.log(4), rel=1e-5)  # of the student: a quarter


def test_what_consistency_wraps_sees_as_many_unlabelled_images_as_labelled_ones() -> None:
    first, *rest = with_consistency(feature_matching(), LIMITS)
    assert [first.slots, *(move.slots for move in rest)] == slots_of(feature_matching())
    for move, plain in zip((first, *rest), feature_matching(), strict=True):
        counts: list[list[int]] = []
        for one in (move, plain):
            seen: list[int] = []

            def count(images: jax.Array, key: Any, seen: list[int] = seen) -> DiscOut:
                seen.append(len(images))
                return DiscOut(images.reshape(len(images), -1), jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

            nets = Bound(count, lambda z: jnp.zeros((len(z), 4, 4, 1)), count, lambda key, n: jnp.zeros((n, 1)))
            more = 9 if one is move else 2
            batch = Batch(jnp.zeros((2, 4, 4, 1)), jnp.array([0, 1], jnp.int32), jnp.zeros((more, 4, 4, 1)))
            one.terms(nets, batch, jax.random.key(0))
            counts.append(seen)
        extra = [9, 9] if move is first else []  # teacher and student
        assert counts[0] == counts[1] + extra


def test_consistency_does_not_descend_on_the_teacher() -> None:
    (move,) = with_consistency(supervised(), LIMITS, threshold=0.0)

    def loss(scale: jax.Array) -> jax.Array:
        def teach(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, scale * images[:, 0, 0, :1] * jnp.array([[1.0, 2.0, 3.0]]), images[:, 0, 0, 0])

        def answer(images: jax.Array, key: Any) -> DiscOut:
            return DiscOut(images, jnp.zeros((len(images), 3)), images[:, 0, 0, 0])

        images = jnp.ones((2, 4, 4, 1))
        nets = Bound(answer, lambda z: z, teach, lambda key, count: jnp.zeros((count, 1)))
        batch = Batch(images, jnp.array([0, 1], jnp.int32), images, jnp.full((2, 3), 1 / 3))
        return move.terms(nets, batch, jax.random.key(0)).loss["d/consistency"]

    assert float(jax.grad(loss)(jnp.ones(()))) == 0.0

"""Facts about terms along the generator's manifold: what they are of, and who descends on them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, SIZE, bound

from sgan_jax.objectives.adversarial import joint
from sgan_jax.objectives.matching import feature_matching
from sgan_jax.objectives.modifiers import with_invariance, with_manifold
from sgan_jax.objectives.supervised import supervised
from sgan_jax.types import Bound, DiscOut, Objective

DRAW = np.random.default_rng(0)
W, V = (jnp.asarray(DRAW.normal(size=shape), jnp.float32) for shape in ((4, 3), (5, 4)))


def linear(w: jax.Array, v: jax.Array) -> Bound:
    """Class logits `x w` of images `z v`: their Jacobian by z is v w everywhere."""

    def disc(images: jax.Array, key: jax.Array | None) -> DiscOut:
        flat = images.reshape(len(images), -1)
        return DiscOut(flat, flat @ w, (flat @ w).sum(axis=-1))

    return bound(
        disc, lambda z: (z @ v).reshape(-1, 2, 2, 1), latents=lambda key, count: jax.random.normal(key, (count, 5))
    )


def manifold_term(nets: Bound, weight: float, seed: int = 0, count: int = SIZE) -> jax.Array:
    (move,) = with_manifold(supervised(), weight)
    batch = BATCH._replace(unl_images=jnp.zeros((count, 2, 2, 1)))
    return jax.jit(lambda key: move.terms(nets, batch, key).loss["d/manifold"])(jax.random.key(seed))


def test_manifold_term_is_the_squared_norm_of_the_jacobian_on_average() -> None:
    # |v w u|^2 for normal u has the mean |v w|_F^2; of 20,000 draws it is within a few percent.
    assert float(manifold_term(linear(W, V), 0.01, count=20_000)) == pytest.approx(
        0.01 * float(jnp.square(V @ W).sum()), rel=0.05
    )


def test_manifold_term_is_the_limit_of_differences_along_the_same_directions() -> None:
    def bend(w: jax.Array, v: jax.Array) -> Bound:
        nets = linear(w, v)
        disc = lambda x, key: nets.disc(jnp.tanh(x), key)  # noqa: E731
        return bound(disc, lambda z: jnp.sin(nets.gen(z)), latents=lambda *given: nets.inputs(*given)[0])

    key = jax.random.split(jax.random.key(0))[1]  # of the second term
    k_latents, k_direction, _ = jax.random.split(key, 3)
    z, u = (np.asarray(jax.random.normal(k, (SIZE, 5)), np.float64) for k in (k_latents, k_direction))

    def logits(z: np.ndarray) -> np.ndarray:
        return np.tanh(np.sin(z @ np.asarray(V, np.float64))) @ np.asarray(W, np.float64)

    slope = (logits(z + 1e-6 * u) - logits(z - 1e-6 * u)) / 2e-6
    assert float(manifold_term(bend(W, V), 1.0)) == pytest.approx((slope**2).sum(axis=1).mean(), rel=1e-5)


def test_manifold_term_moves_the_discriminator_and_not_the_generator() -> None:
    of_w, of_v = jax.grad(lambda w, v: manifold_term(linear(w, v), 1.0), argnums=(0, 1))(W, V)
    assert np.abs(of_w).max() > 0.1
    np.testing.assert_array_equal(of_v, np.zeros_like(V))


@partial(jax.jit, static_argnums=2)
def invariance_term(w: jax.Array, v: jax.Array, tangents: int, weight: float = 1.0) -> jax.Array:
    (move,) = with_invariance(supervised(), weight, tangents)
    return move.terms(linear(w, v), BATCH, jax.random.key(0)).loss["d/invariance"]


def test_invariance_along_all_directions_is_the_squared_norm_of_the_classifiers_jacobian() -> None:
    # Four orthonormal tangents of images of four pixels: the sum of |w^T t|^2 is |w|_F^2, whatever the generator.
    assert float(invariance_term(W, V, 4, 0.01)) == pytest.approx(0.01 * float(jnp.square(W).sum()), rel=1e-5)


def test_invariance_is_along_the_generators_directions_whatever_their_length() -> None:
    direction = jnp.array([[3.0, 0.0, 4.0, 0.0]])  # the generator's only one; 3 / 5 and 4 / 5 as a tangent
    narrow = jnp.arange(1.0, 6.0).reshape(5, 1) * direction
    by_hand = float(jnp.square((direction / 5.0) @ W).sum())
    for longer in (1.0, 10.0):
        assert float(invariance_term(W, longer * narrow, 1)) == pytest.approx(by_hand, rel=1e-4)


def test_invariance_moves_the_discriminator_and_not_the_generator() -> None:
    of_w, of_v = jax.grad(lambda w, v: invariance_term(w, v, 2), argnums=(0, 1))(W, V)
    assert np.abs(of_w).max() > 0.1
    np.testing.assert_array_equal(of_v, np.zeros_like(V))


@pytest.mark.parametrize(("wrap", "term"), [(with_manifold, "d/manifold"), (with_invariance, "d/invariance")])
@pytest.mark.parametrize(("objective", "first"), [(joint(), 0), (feature_matching(), 0), (feature_matching()[::-1], 1)])
def test_a_term_along_the_manifold_is_in_the_discriminators_first_move_alone(
    objective: Objective, first: int, wrap: Any, term: str
) -> None:
    wrapped = wrap(objective)
    assert [move.slots for move in wrapped] == [move.slots for move in objective]
    nets = linear(W, V)
    for index, (move, plain) in enumerate(zip(wrapped, objective, strict=True)):
        shapes = [jax.eval_shape(partial(one.terms, nets), BATCH, jax.random.key(0)) for one in (plain, move)]
        names = [set(terms.loss) for terms in shapes]
        assert names[1] == names[0] | ({term} if index == first else set())

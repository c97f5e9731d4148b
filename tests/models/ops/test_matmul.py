"""The product is `x @ w` in every derivative, of rounded factors or not.

Whole numbers up to 256 are exact in bfloat16: where factors and results are such, nothing may differ at all.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.models.ops.matmul import product


def rounded(x: jax.Array, w: jax.Array) -> jax.Array:
    """The product as `convolutions` calls it."""
    return product(x.astype(jnp.bfloat16), w.astype(jnp.bfloat16)).astype(x.dtype)


WIDE, NARROW = (3, 5, 4), (3, 2, 6)  # M, K, N: either gradient by w transposes the other side


def whole(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).integers(-3, 4, shape), jnp.float32)


def both(of: Callable, *arrays: jax.Array) -> None:
    expected = jax.tree.leaves(jax.jit(partial(of, jnp.matmul))(*arrays))
    for ours in (product, rounded):
        for one, other in zip(jax.tree.leaves(jax.jit(partial(of, ours))(*arrays)), expected, strict=True):
            assert one.dtype == other.dtype == jnp.float32
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [WIDE, NARROW])
def test_value_and_gradients_of_small_whole_numbers_are_exact(shape) -> None:
    m, k, n = shape

    def value_and_gradients(f, x, w, cotangent):
        value, pull = jax.vjp(f, x, w)
        return value, pull(cotangent)

    both(value_and_gradients, whole(0, m, k), whole(1, k, n), whole(2, m, n))


def test_tangents_and_gradients_of_tangents_are_exact() -> None:
    def penalty(f, x, w, dx, dw):  # reverse mode over forward mode
        return jnp.sum(jax.jvp(f, (x, w), (dx, dw))[1])

    def all_of_it(f, *arrays):
        return penalty(f, *arrays), jax.grad(partial(penalty, f), (0, 1, 2, 3))(*arrays)

    both(all_of_it, whole(0, 3, 5), whole(1, 5, 4), whole(2, 3, 5), whole(3, 5, 4))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_batches_under_vmap(axes) -> None:
    x = whole(0, 2, 3, 5) if axes[0] == 0 else whole(0, 3, 5)
    w = whole(1, 2, 5, 4) if axes[1] == 0 else whole(1, 5, 4)

    def gradient(f, x, w):
        return jax.grad(lambda w: jnp.sum(f(x, w)))(w)

    both(lambda f, x, w: (jax.vmap(f, axes)(x, w), jax.vmap(partial(gradient, f), axes)(x, w)), x, w)


def test_factors_are_rounded_to_eight_bits_and_sums_are_not() -> None:
    assert float(rounded(jnp.array([[257.0]]), jnp.array([[1.0]]))[0, 0]) == 256
    tiny = jnp.full((1, 512), 1 / 512)
    assert float(rounded(tiny, jnp.ones((512, 1)))[0, 0]) == 1  # a sum in bfloat16 stops growing at 0.5


def test_outside_of_a_compiled_function_it_is_the_same() -> None:
    np.testing.assert_array_equal(rounded(whole(0, 3, 5), whole(1, 5, 4)), jnp.matmul(whole(0, 3, 5), whole(1, 5, 4)))

"""The convolutions of sgan_jax.ops are those of jax.lax: value, gradients, tangents, batching."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sgan_jax import ops

Function = Callable[[jax.Array, jax.Array], jax.Array]

TOLERANCE = 1e-5  # of the largest entry, in float32
LAYOUT = ("NHWC", "HWIO", "NHWC")


class Case(NamedTuple):
    ours: Function
    reference: Function
    images: tuple[int, ...]  # [N, H, W, I]
    kernel: tuple[int, ...]  # [h, w, I, O]


def upsampled(x: jax.Array, kernel: jax.Array) -> jax.Array:
    padding = ((2, 2), (2, 2))
    flipped = kernel[::-1, ::-1]
    return lax.conv_general_dilated(x, flipped, (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=LAYOUT)


def stride_1(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT)


def stride_2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=LAYOUT)


def transposed(images: tuple[int, ...], features: int) -> Case:
    return Case(ops.conv_transpose_4x4_stride_2, upsampled, images, (4, 4, images[-1], features))


def to_few(images: tuple[int, ...], kernel: tuple[int, int], features: int) -> Case:
    return Case(ops.conv_to_few, stride_1, images, (*kernel, images[-1], features))


def halved(images: tuple[int, ...], features: int) -> Case:
    return Case(ops.conv_3x3_stride_2, stride_2, images, (3, 3, images[-1], features))


CASES = {
    "transposed even": transposed((2, 4, 4, 3), 5),
    "transposed odd": transposed((2, 7, 7, 8), 4),
    "transposed wide": transposed((3, 2, 5, 6), 2),
    "transposed tall": transposed((2, 5, 2, 1), 3),
    "transposed one pixel": transposed((1, 1, 1, 4), 3),
    "transposed one image": transposed((1, 6, 3, 16), 1),
    "to one channel": to_few((2, 9, 9, 8), (7, 7), 1),
    "to three channels": to_few((1, 6, 8, 5), (5, 3), 3),
    "to few, kernel over the image": to_few((2, 2, 3, 4), (7, 7), 2),
    "halved even": halved((2, 8, 6, 3), 4),
    "halved odd": halved((1, 7, 5, 4), 3),
    "halved one channel": halved((3, 6, 7, 1), 8),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def normal(seed: int, shape: tuple[int, ...]) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def same(ours, reference) -> None:
    """Equal in structure, shape and dtype, and within TOLERANCE of the largest entry."""
    assert jax.tree.structure(ours) == jax.tree.structure(reference)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(reference), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * float(jnp.abs(b).max()))


def both(case: Case, of: Callable[[Function], object]) -> None:
    same(of(case.ours), of(case.reference))


def test_value_is_that_of_lax(case):
    both(case, lambda f: jax.jit(f)(normal(0, case.images), normal(1, case.kernel)))


def test_both_gradients_are_those_of_lax(case):
    x, kernel = normal(0, case.images), normal(1, case.kernel)
    cotangent = normal(2, jax.eval_shape(case.reference, x, kernel).shape)
    both(case, lambda f: jax.jit(lambda x, k, c: jax.vjp(f, x, k)[1](c))(x, kernel, cotangent))


@pytest.mark.parametrize("argument", [0, 1])
def test_one_gradient_alone_is_that_of_lax(case, argument):
    x, kernel = normal(0, case.images), normal(1, case.kernel)
    both(case, lambda f: jax.jit(jax.grad(lambda x, k: jnp.sum(jnp.sin(f(x, k))), argument))(x, kernel))


def test_tangent_is_that_of_lax(case):
    x, kernel = normal(0, case.images), normal(1, case.kernel)
    tangents = normal(2, case.images), normal(3, case.kernel)
    both(case, lambda f: jax.jit(lambda p, t: jax.jvp(f, p, t)[1])((x, kernel), tangents))


def test_gradient_of_a_directional_derivative_is_that_of_lax(case):
    # A penalty on how the output moves along a direction, trained by its gradient: reverse mode over forward mode.
    x, kernel, direction = normal(0, case.images), normal(1, case.kernel), normal(2, case.images)

    def penalty(f: Function) -> Callable[[jax.Array], jax.Array]:
        return lambda k: jnp.sum(jax.jvp(lambda x: jnp.tanh(f(x, k)), (x,), (direction,))[1] ** 2)

    both(case, lambda f: jax.jit(jax.grad(penalty(f)))(kernel))


def test_vmap_over_kernels_and_over_both_is_that_of_lax(case):
    x, kernels = normal(0, case.images), normal(1, (3, *case.kernel))
    xs = normal(2, (3, *case.images))
    both(case, lambda f: jax.jit(jax.vmap(f, (None, 0)))(x, kernels))
    both(case, lambda f: jax.jit(jax.vmap(f))(xs, kernels))
    both(case, lambda f: jax.jit(jax.vmap(jax.grad(lambda x, k: jnp.sum(f(x, k) ** 2), (0, 1))))(xs, kernels))


def test_transposed_convolution_adds_each_input_times_the_kernel_at_twice_its_place():
    x, kernel = normal(0, (1, 3, 2, 2)), normal(1, (4, 4, 2, 3))
    expected = np.zeros((1, 6 + 2, 4 + 2, 3), np.float32)  # with a margin of one, cropped below
    for i in range(3):
        for j in range(2):
            expected[0, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("i,abio->abo", x[0, i, j], kernel)
    same(ops.conv_transpose_4x4_stride_2(x, kernel), jnp.asarray(expected[:, 1:-1, 1:-1]))


def test_whole_numbers_stay_exact():
    # Winograd's transforms add and subtract only, so small whole numbers pass through without rounding.
    x, kernel = jnp.round(4 * normal(0, (2, 7, 6, 8))), jnp.round(4 * normal(1, (4, 4, 8, 5)))
    np.testing.assert_array_equal(ops.conv_transpose_4x4_stride_2(x, kernel), upsampled(x, kernel))

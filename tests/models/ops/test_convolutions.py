"""The maps of sgan_jax.models.ops.convolutions are those of jax.lax: value, gradients, tangents, batches of kernels."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sgan_jax.models.ops import convolutions, winograd

Function = Callable[[jax.Array, jax.Array], jax.Array]

TOLERANCE = 1e-5  # of the largest entry, in float32
ROUNDING = 0.03  # the same where factors and products are rounded to 2^-9: Winograd's transforms double that, twice
LAYOUT = ("NHWC", "HWIO", "NHWC")
# The same arithmetic, compiled in half of the time.
compiled = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


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
    return Case(convolutions.conv_transpose_4x4_stride_2, upsampled, images, (4, 4, images[-1], features))


def to_few(images: tuple[int, ...], kernel: tuple[int, int], features: int) -> Case:
    return Case(convolutions.conv_to_few, stride_1, images, (*kernel, images[-1], features))


def halved(images: tuple[int, ...], features: int) -> Case:
    return Case(convolutions.conv_3x3_stride_2, stride_2, images, (3, 3, images[-1], features))


def fast(images: tuple[int, ...], features: int) -> Case:
    return Case(winograd.conv_3x3, stride_1, images, (3, 3, images[-1], features))


def any_kernel(images: tuple[int, ...], kernel: tuple[int, int], stride: int) -> Case:
    def reference(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT)

    return Case(partial(convolutions.conv, stride=stride), reference, images, (*kernel, images[-1], 4))


CASES = {
    "transposed even": transposed((2, 4, 4, 3), 5),
    "transposed odd": transposed((2, 7, 7, 8), 4),
    "transposed wide": transposed((3, 2, 5, 6), 1),
    "transposed one pixel": transposed((1, 1, 1, 4), 3),
    "to one channel": to_few((2, 9, 8, 8), (7, 7), 1),
    "to three channels": to_few((1, 6, 8, 5), (5, 3), 3),
    "to few, kernel over the image": to_few((2, 2, 3, 4), (7, 7), 2),
    "halved even": halved((2, 8, 6, 3), 4),
    "halved odd": halved((1, 7, 5, 4), 3),
    "halved one channel": halved((3, 6, 7, 1), 8),
    "fast even": fast((2, 6, 4, 3), 5),
    "fast odd": fast((1, 5, 7, 4), 3),
    "fast one pixel": fast((2, 1, 1, 3), 2),
    "patches, stride 2": any_kernel((2, 8, 7, 3), (5, 5), 2),
    "patches, stride 1": any_kernel((2, 5, 6, 3), (3, 3), 1),
    "patches, oblong kernel, stride 3": any_kernel((1, 7, 9, 2), (2, 5), 3),
}
AS_THEY_RUN = {  # not for bfloat16
    "halved, native without gradients": halved((2, 7, 6, 3), 4)._replace(ours=convolutions.MATRIX_PRODUCTS.down),
    "stride 2, native without gradients": any_kernel((2, 8, 7, 3), (5, 5), 2)._replace(
        ours=convolutions.MATRIX_PRODUCTS.strided(2)
    ),
}
ROUNDED_QUICKLY = ("transposed odd", "halved even", "fast odd", "patches, stride 2")  # one of each
each_case = pytest.mark.parametrize("case", [*CASES.values(), *AS_THEY_RUN.values()], ids=[*CASES, *AS_THEY_RUN])
one_of_each = pytest.mark.parametrize(
    "case",
    [
        transposed((1, 3, 2, 4), 2),
        to_few((1, 3, 4, 4), (3, 5), 1),
        halved((1, 4, 3, 2), 4),
        fast((1, 4, 3, 2), 4),
        any_kernel((1, 4, 3, 2), (3, 3), 2),
        AS_THEY_RUN["halved, native without gradients"],
    ],
    ids=["transposed", "to few", "halved", "fast", "patches", "native without gradients"],
)


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def same(ours, reference, tolerance: float = TOLERANCE) -> None:
    """Equal in structure, shape and dtype, and within `tolerance` of the largest entry."""
    assert jax.tree.structure(ours) == jax.tree.structure(reference)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(reference), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.abs(b).max()))


def both(case: Case, of: Callable, *arrays: jax.Array) -> None:
    """`of(function, *arrays)` is the same for both functions (no array is a constant: it would be folded)."""
    same(*(compiled(partial(of, function))(*arrays) for function in (case.ours, case.reference)))


@each_case
def test_value_and_both_gradients_are_those_of_lax(case):
    x, kernel = normal(0, *case.images), normal(1, *case.kernel)
    cotangent = normal(2, *jax.eval_shape(case.reference, x, kernel).shape)

    def value_and_gradients(f, x, kernel, cotangent):
        value, pull = jax.vjp(f, x, kernel)
        return value, pull(cotangent)

    both(case, value_and_gradients, x, kernel, cotangent)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=[pytest.mark.slow] * (name not in ROUNDED_QUICKLY))
        for name, case in CASES.items()
        if case.ours is not convolutions.conv_to_few
    ],
)
def test_rounded_value_and_both_gradients_are_those_of_lax_within_the_rounding(case):
    x, kernel = normal(0, *case.images), normal(1, *case.kernel)
    cotangent = normal(2, *jax.eval_shape(case.reference, x, kernel).shape)

    def value_and_gradients(f):
        value, pull = jax.vjp(f, x, kernel)
        return value, pull(cotangent)

    ours, reference = (
        compiled(value_and_gradients, static_argnums=0)(f)
        for f in (partial(case.ours, dtype=jnp.bfloat16), case.reference)
    )
    same(ours, reference, ROUNDING)
    with pytest.raises(AssertionError):  # something is rounded
        same(ours, reference)


@one_of_each
@pytest.mark.parametrize("argument", [0, 1])
def test_one_gradient_alone_is_that_of_lax(case, argument):
    x, kernel = normal(0, *case.images), normal(1, *case.kernel)
    both(case, lambda f, *arrays: jax.grad(lambda x, k: jnp.sum(jnp.sin(f(x, k))), argument)(*arrays), x, kernel)


@one_of_each
def test_gradient_of_a_directional_derivative_is_that_of_lax(case):
    x, kernel, direction = normal(0, *case.images), normal(1, *case.kernel), normal(2, *case.images)

    def penalty(f, kernel, x, direction):  # on how the output moves along a direction: reverse mode over forward mode
        return jnp.sum(jax.jvp(lambda x: jnp.tanh(f(x, kernel)), (x,), (direction,))[1] ** 2)

    both(case, lambda f, *arrays: jax.value_and_grad(partial(penalty, f))(*arrays), kernel, x, direction)


@one_of_each
def test_vmap_over_kernels_is_that_of_lax(case):
    x, kernels = normal(0, *case.images), normal(1, 3, *case.kernel)

    def value_and_gradient(f, x, kernel):
        return jax.value_and_grad(lambda k: jnp.sum(jnp.sin(f(x, k))))(kernel)

    both(case, lambda f, *arrays: jax.vmap(partial(value_and_gradient, f), (None, 0))(*arrays), x, kernels)


@pytest.mark.parametrize("maps", [convolutions.MATRIX_PRODUCTS, convolutions.NATIVE], ids=["matrix products", "native"])
def test_transposed_convolution_adds_each_input_times_the_kernel_at_twice_its_place(maps):
    x, kernel = normal(0, 1, 3, 2, 2), normal(1, 4, 4, 2, 3)
    expected = np.zeros((1, 6 + 2, 4 + 2, 3), np.float32)  # with a margin of one, cropped below
    for i in range(3):
        for j in range(2):
            expected[0, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("i,abio->abo", x[0, i, j], kernel)
    same(compiled(maps.up)(x, kernel), jnp.asarray(expected[:, 1:-1, 1:-1]))


def test_whole_numbers_stay_exact():
    # Winograd's transforms add and subtract only, so small whole numbers pass through without rounding.
    x, kernel = jnp.round(4 * normal(0, 2, 7, 6, 8)), jnp.round(4 * normal(1, 4, 4, 8, 5))
    np.testing.assert_array_equal(compiled(convolutions.conv_transpose_4x4_stride_2)(x, kernel), upsampled(x, kernel))


def test_on_the_cpu_maps_are_matrix_products_and_elsewhere_the_compilers_own():
    assert convolutions.maps_for("cpu", "float32") is convolutions.MATRIX_PRODUCTS
    assert convolutions.maps_for("cpu", "bfloat16") is convolutions.ROUNDED_PRODUCTS
    for platform in ("gpu", "tpu"):
        assert convolutions.maps_for(platform, "float32") == convolutions.NATIVE
        assert convolutions.maps_for(platform, "bfloat16") == convolutions.NATIVE._replace(
            dtype=jnp.dtype(jnp.bfloat16)
        )


@pytest.mark.parametrize(
    "convolve", [convolutions.MATRIX_PRODUCTS.down, convolutions.MATRIX_PRODUCTS.strided(2)], ids=["down", "strided"]
)
def test_a_convolution_in_float32_is_the_compilers_own_where_it_has_no_gradients(convolve):
    x, kernel = normal(0, 1, 4, 4, 2), normal(1, 3, 3, 2, 3)
    gradient = jax.grad(lambda k, x: convolve(x, k).sum())
    without_gradients, differentiated = (
        jax.jit(f).lower(*a).as_text() for f, a in ((convolve, (x, kernel)), (gradient, (kernel, x)))
    )
    assert "stablehlo.convolution" in without_gradients
    assert "stablehlo.convolution" not in differentiated


@pytest.mark.parametrize("stride", [1, 2])
def test_both_forms_of_a_strided_convolution_agree(stride):
    x, kernel = normal(0, 2, 7, 6, 3), normal(1, 3, 3, 3, 4)
    same(*(compiled(maps.strided(stride))(x, kernel) for maps in (convolutions.MATRIX_PRODUCTS, convolutions.NATIVE)))


@pytest.mark.parametrize("name", ["down", "to_image", "dense"])  # `up`: above
def test_both_forms_of_a_map_agree(name):
    shapes = {
        "down": ((2, 7, 6, 3), (3, 3, 3, 4)),
        "to_image": ((2, 5, 4, 6), (7, 7, 6, 1)),
        "dense": ((2, 6), (6, 5)),
    }
    images, kernel = shapes[name]
    one, other = (getattr(form, name) for form in (convolutions.MATRIX_PRODUCTS, convolutions.NATIVE))
    same(*(compiled(f)(normal(0, *images), normal(1, *kernel)) for f in (one, other)))

"""Convolutions written as the hardware likes them, equal to `jax.lax`'s within float32 rounding.

On the CPU, XLA lowers the gradient of a strided transposed convolution to a loop that is two orders of magnitude
slower than the same arithmetic as matrix products (jax issues 23783 and 31662), and that of a convolution to one
channel to another slow one. Images are `[N, H, W, C]`, kernels `[h, w, C_in, C_out]`, padding is SAME as TensorFlow
and Keras define it.

Every function is differentiable any number of times, in forward and reverse mode, and batches under `vmap`. What is
fast forwards need not be so backwards: parts are cut out by `lax.split`, whose transpose is one concatenation, where
a slice's is a padded array that must be added up.

Which form runs where is decided in one table, at the end.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# Fast minimal filtering F(2, 2) of Winograd ("Arithmetic complexity of computations", 1980): two outputs of a two-tap
# filter from three products instead of four, with no constant other than 1 and -1, so that rounding stays that of the
# direct form.
#   y0 = x0 g0 + x1 g1 = (x0 - x1) g0 + x1 (g0 + g1)
#   y1 = x1 g0 + x2 g1 = x1 (g0 + g1) - (x1 - x2) g1
# A 4x4 stride-2 transposed convolution is, along each axis, two such filters (one for even, one for odd outputs) over
# the same inputs: six products give four outputs, and the two filters share the difference in the middle.
_SHARED = ((0,), (1,), (2, 3), (4,), (5,))  # which of the six products each of the five differences enters


def conv_transpose_4x4_stride_2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles height and width: `out[2i + a - 1] += x[i] kernel[a]` along each axis, for a in 0..3.

    Equals Keras's `Conv2DTranspose(O, 4, strides=2, padding="same")` without bias, whose kernel is this one with its
    last two axes swapped. For even H and W it takes 0.56 of the direct form's multiplications (Winograd F(2, 2) along
    both axes; Lavin and Gray, arXiv 1509.09308).

    Args:
      x: `[N, H, W, I]`.
      kernel: `[4, 4, I, O]`.

    Returns:
      `[N, 2H, 2W, O]`.
    """
    n, height, width, channels = x.shape
    features = kernel.shape[-1]
    rows, columns = -(-height // 2), -(-width // 2)  # tiles of two inputs; an odd size is padded and cropped below
    x = jnp.pad(x, ((0, 0), (1, 1 + height % 2), (1, 1 + width % 2), (0, 0)))
    inputs = [_differences(part, 2) for part in _differences(x, 1)]  # 5 x 5 of [N, rows, columns, I]
    kernels = [_filters(part, 0) for part in _filters(kernel, 0)]  # 6 x 6 of [I, O]

    products = {}
    for i, slots_i in enumerate(_SHARED):
        for j, slots_j in enumerate(_SHARED):
            pairs = [(p, q) for p in slots_i for q in slots_j]
            weights = jnp.concatenate([kernels[p][q] for p, q in pairs], axis=-1)
            out = inputs[i][j].reshape(-1, channels) @ weights
            for pair, part in zip(pairs, lax.split(out, [features] * len(pairs), axis=1), strict=True):
                products[pair] = part.reshape(n, rows, columns, features)

    by_row = [_outputs([products[p, q] for p in range(6)]) for q in range(6)]
    parts = [_outputs([by_row[q][r] for q in range(6)]) for r in range(4)]  # 4 x 4 of [N, rows, columns, O]
    tiles = jnp.stack([jnp.stack(row, axis=3) for row in parts], axis=2)  # [N, rows, 4, columns, 4, O]
    return tiles.reshape(n, 4 * rows, 4 * columns, features)[:, : 2 * height, : 2 * width]


def _differences(x: jax.Array, axis: int) -> list[jax.Array]:
    """The five inputs of the six products, for tiles of two positions along `axis`, padded by one at either end."""
    (before, second), (first, after) = (_neighbours(part, axis) for part in _even_and_odd(x, axis))
    return [before - first, first, first - second, second, second - after]


def _even_and_odd(x: jax.Array, axis: int) -> list[jax.Array]:
    """Every other position along `axis`, whose length is even."""
    by_pair = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    return [jnp.squeeze(part, axis + 1) for part in lax.split(by_pair, (1, 1), axis=axis + 1)]


def _neighbours(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """All but the last, and all but the first along `axis`."""
    end = x.shape[axis]
    return lax.slice_in_dim(x, 0, end - 1, axis=axis), lax.slice_in_dim(x, 1, end, axis=axis)


def _filters(kernel: jax.Array, axis: int) -> list[jax.Array]:
    """The six filters: even outputs see taps (3, 1) of the inputs (i - 1, i), odd outputs taps (2, 0) of (i, i + 1)."""
    k0, k1, k2, k3 = (lax.index_in_dim(kernel, k, axis, keepdims=False) for k in range(4))
    return [k3, k3 + k1, k1, k2, k2 + k0, k0]


def _outputs(m: list[jax.Array]) -> list[jax.Array]:
    """Four neighbouring outputs, in order, from the six products."""
    return [m[0] + m[1], m[3] + m[4], m[1] - m[2], m[4] - m[5]]


@jax.custom_jvp
def conv_to_few(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 SAME convolution with an odd kernel to few channels (an image), whose gradients are matrix products.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[h, w, I, O]`, h and w odd.

    Returns:
      `[N, H, W, O]`.
    """
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_LAYOUT)


@conv_to_few.defjvp
def _conv_to_few_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    # Only the tangent is transposed for the gradients, so it may take another form than the value: a product with each
    # tap, then shifted adds. Its transpose gathers the h * w shifts of the output's cotangent, and either gradient is
    # then one good matrix product, where XLA's convolution has a single column.
    (x, kernel), (dx, dkernel) = primals, tangents
    n, height, width, channels = x.shape
    h, w, _, features = kernel.shape
    taps = dx.reshape(-1, channels) @ _columns(kernel) + x.reshape(-1, channels) @ _columns(dkernel)
    parts = lax.split(taps.reshape(n, height, width, h * w * features), [features] * (h * w), axis=3)
    shifts = [(a - h // 2, b - w // 2) for a in range(h) for b in range(w)]
    zero = jnp.zeros((), taps.dtype)
    shifted = [
        lax.pad(part, zero, ((0, 0, 0), (-down, down, 0), (-right, right, 0), (0, 0, 0)))
        for part, (down, right) in zip(parts, shifts, strict=True)
    ]
    return conv_to_few(x, kernel), sum(shifted[1:], shifted[0])


def _columns(kernel: jax.Array) -> jax.Array:
    h, w, channels, features = kernel.shape
    return kernel.transpose(2, 0, 1, 3).reshape(channels, h * w * features)


def conv_3x3_stride_2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Halves height and width, rounded up; an even size is padded after, not before, as SAME is in TensorFlow.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[3, 3, I, O]`.

    Returns:
      `[N, ceil(H / 2), ceil(W / 2), O]`.
    """
    _, height, width, channels = x.shape
    features = kernel.shape[-1]
    x = jnp.pad(x, ((0, 0), (height % 2, 2), (width % 2, 2), (0, 0)))  # one further row and column that no tap reaches
    taps = [tap for row in _taps(x, 1) for tap in _taps(row, 2)]
    patches = jnp.concatenate(taps, axis=-1)  # [N, rows, columns, 9 I]
    out = patches.reshape(-1, 9 * channels) @ kernel.reshape(9 * channels, features)
    return out.reshape(*patches.shape[:3], features)


def _taps(x: jax.Array, axis: int) -> list[jax.Array]:
    """What the first, second and third tap see along `axis`."""
    even, odd = _even_and_odd(x, axis)
    first, third = _neighbours(even, axis)
    second, _ = _neighbours(odd, axis)
    return [first, second, third]


class Convolutions(NamedTuple):
    """The three convolutions of the networks: of images `[N, H, W, I]` with a kernel `[h, w, I, O]`, without bias."""

    down: Callable[[jax.Array, jax.Array], jax.Array]  # 3x3, stride 2
    up: Callable[[jax.Array, jax.Array], jax.Array]  # transposed 4x4, stride 2
    to_image: Callable[[jax.Array, jax.Array], jax.Array]  # odd kernel, stride 1, few outputs


def _native_down(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=_LAYOUT)


def _native_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flipped = kernel[::-1, ::-1]  # out[2i + a - 1] += x[i] kernel[a] is a convolution of the dilated input by it
    padding = ((2, 2), (2, 2))
    return lax.conv_general_dilated(x, flipped, (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=_LAYOUT)


def _native_to_image(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_LAYOUT)


MATRIX_PRODUCTS = Convolutions(conv_3x3_stride_2, conv_transpose_4x4_stride_2, conv_to_few)
NATIVE = Convolutions(_native_down, _native_up, _native_to_image)


def convolutions_for(platform: str) -> Convolutions:
    """The form that is fast on a platform of JAX: matrix products on "cpu", the compiler's own on "gpu" and "tpu"."""
    return MATRIX_PRODUCTS if platform == "cpu" else NATIVE

"""The linear maps of the networks, in a form that is fast on a CPU; they equal those of `jax.lax` within rounding.

On the CPU, XLA lowers the gradient of a strided transposed convolution to a slow loop (jax issues 23783 and 31662),
and that of a convolution to one channel to another. As matrix products the same arithmetic is faster by one to two
orders of magnitude; README.md has figures.

Arrays are float32. A `dtype` of bfloat16 rounds the factors and the result of each product, and of the products in
its gradients (see `matmul`). Images are `[N, H, W, C]`, kernels `[h, w, C_in, C_out]`. Padding is SAME as TensorFlow
and Keras define it.

Every function is differentiable any number of times, in forward and reverse mode, and batches under `vmap`. Arrays
are divided by `lax.split`, because its transpose is one concatenation; the transpose of a slice is a padded array that
must be added to others.

The table at the end decides which form runs on which platform.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from sgan_jax.models.ops.matmul import product
from sgan_jax.models.ops.winograd import conv_3x3

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# Winograd's fast filtering F(2, 2) ("Arithmetic complexity of computations", 1980) computes two outputs of a two-tap
# filter from three products instead of four. Its only constants are 1 and -1, so it rounds as the direct form does.
#   y0 = x0 g0 + x1 g1 = (x0 - x1) g0 + x1 (g0 + g1)
#   y1 = x1 g0 + x2 g1 = x1 (g0 + g1) - (x1 - x2) g1
# A 4x4 stride-2 transposed convolution is, along each axis, two such filters (one for even, one for odd outputs) over
# the same inputs: six products give four outputs, and the two filters share the difference in the middle.
_SHARED = ((0,), (1,), (2, 3), (4,), (5,))  # which of the six products each of the five differences enters


def conv_transpose_4x4_stride_2(x: jax.Array, kernel: jax.Array, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Doubles height and width: `out[2i + a - 1] += x[i] kernel[a]` along each axis, for a in 0..3.

    Equals Keras's `Conv2DTranspose(O, 4, strides=2, padding="same")` without bias, whose kernel is this one with its
    last two axes swapped. For even H and W it takes 0.56 of the direct form's multiplications (Winograd F(2, 2) along
    both axes; Lavin and Gray, arXiv 1509.09308).

    Args:
      x: `[N, H, W, I]`.
      kernel: `[4, 4, I, O]`.
      dtype: float32 or bfloat16, of the products and their factors.

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
            weights = jnp.concatenate([kernels[p][q].astype(dtype) for p, q in pairs], axis=-1)
            out = product(inputs[i][j].astype(dtype).reshape(-1, channels), weights)
            for pair, part in zip(pairs, lax.split(out, [features] * len(pairs), axis=1), strict=True):
                products[pair] = part.astype(x.dtype).reshape(n, rows, columns, features)

    by_row = [_outputs([products[p, q] for p in range(6)]) for q in range(6)]
    parts = [_outputs([by_row[q][r] for q in range(6)]) for r in range(4)]  # 4 x 4 of [N, rows, columns, O]
    tiles = jnp.stack([jnp.stack(row, axis=3) for row in parts], axis=2)  # [N, rows, 4, columns, 4, O]
    return tiles.reshape(n, 4 * rows, 4 * columns, features)[:, : 2 * height, : 2 * width]


def _differences(x: jax.Array, axis: int) -> list[jax.Array]:
    """The five inputs of the six products, for tiles of two positions along `axis`, padded by one at both ends."""
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


def conv_to_few(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Stride-1 SAME convolution with an odd kernel to few channels (an image).

    It is a product with all taps, then a sum of shifted results. The gradients of XLA's own form are products with a
    single column, which are slow. Here taps come before positions: a shift moves whole rows, and both gradients are
    products of many rows and columns.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[h, w, I, O]`, h and w odd.

    Returns:
      `[N, H, W, O]`.
    """
    n, height, width, channels = x.shape
    h, w, _, features = kernel.shape
    rows = kernel.transpose(0, 1, 3, 2).reshape(h * w * features, channels)
    taps = lax.dot_general(rows, x.reshape(-1, channels), (((1,), (1,)), ((), ())))
    parts = lax.split(taps.reshape(h * w * features, n, height, width), [features] * (h * w), axis=0)
    shifts = [(a - h // 2, b - w // 2) for a in range(h) for b in range(w)]
    zero = jnp.zeros((), taps.dtype)
    shifted = [
        lax.pad(part, zero, ((0, 0, 0), (0, 0, 0), (-down, down, 0), (-right, right, 0)))
        for part, (down, right) in zip(parts, shifts, strict=True)
    ]
    return jnp.moveaxis(sum(shifted[1:], shifted[0]), 0, -1)


def conv_3x3_stride_2(x: jax.Array, kernel: jax.Array, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Halves height and width, rounded up; an even size is padded after, not before, as SAME is in TensorFlow.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[3, 3, I, O]`.
      dtype: float32 or bfloat16, of the product and its factors.

    Returns:
      `[N, ceil(H / 2), ceil(W / 2), O]`.
    """
    _, height, width, channels = x.shape
    features = kernel.shape[-1]
    x = jnp.pad(x, ((0, 0), (height % 2, 2), (width % 2, 2), (0, 0)))  # one further row and column that no tap reaches
    taps = [tap.astype(dtype) for row in _taps(x, 1) for tap in _taps(row, 2)]
    patches = jnp.concatenate(taps, axis=-1)  # [N, rows, columns, 9 I]
    out = product(patches.reshape(-1, 9 * channels), kernel.astype(dtype).reshape(9 * channels, features))
    return out.astype(x.dtype).reshape(*patches.shape[:3], features)


def _taps(x: jax.Array, axis: int) -> list[jax.Array]:
    """What the first, second and third tap see along `axis`."""
    even, odd = _even_and_odd(x, axis)
    first, third = _neighbours(even, axis)
    second, _ = _neighbours(odd, axis)
    return [first, second, third]


def conv(x: jax.Array, kernel: jax.Array, stride: int, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """A convolution with any kernel and stride, padded SAME as TensorFlow defines it, as one product of patches.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[h, w, I, O]`.
      stride: of rows and of columns.
      dtype: float32 or bfloat16, of the product and its factors.

    Returns:
      `[N, ceil(H / stride), ceil(W / stride), O]`.
    """
    count, height, width, channels = x.shape
    h, w, _, features = kernel.shape
    rows, columns = -(-height // stride), -(-width // stride)
    spare = max((rows - 1) * stride + h - height, 0), max((columns - 1) * stride + w - width, 0)
    padding = ((0, 0), *((one // 2, one - one // 2) for one in spare), (0, 0))
    padded = jnp.pad(x.astype(dtype), padding)
    ends = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    taps = [
        padded[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i in range(h) for j in range(w)
    ]  # each [N, rows, columns, I]
    patches = jnp.concatenate(taps, axis=-1).reshape(-1, h * w * channels)
    out = product(patches, kernel.astype(dtype).reshape(h * w * channels, features))
    return out.astype(x.dtype).reshape(count, rows, columns, features)


def dense(x: jax.Array, kernel: jax.Array, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """`x @ kernel`: `[N, I]` and `[I, O]` to `[N, O]`."""
    return product(x.astype(dtype), kernel.astype(dtype)).astype(x.dtype)


Map = Callable[[jax.Array, jax.Array], jax.Array]


class Maps(NamedTuple):
    """The linear maps of the networks, of images `[N, H, W, I]` with a kernel `[h, w, I, O]`, without bias."""

    down: Map  # 3x3, stride 2
    up: Map  # transposed 4x4, stride 2
    same: Map  # 3x3, stride 1
    to_image: Map  # odd kernel, stride 1, few outputs
    dense: Map  # of [N, I] with [I, O]
    strided: Callable[[int], Map]  # by stride: any kernel
    dtype: DTypeLike = jnp.float32  # of their arguments and results, and of the arrays between them


def _native_up(x: jax.Array, kernel: jax.Array) -> jax.Array:
    flipped = kernel[::-1, ::-1]  # out[2i + a - 1] += x[i] kernel[a] is a convolution of the dilated input by it
    padding = ((2, 2), (2, 2))
    return lax.conv_general_dilated(x, flipped, (1, 1), padding, lhs_dilation=(2, 2), dimension_numbers=_LAYOUT)


def _native_strided(stride: int) -> Map:
    return lambda x, k: lax.conv_general_dilated(x, k, (stride, stride), "SAME", dimension_numbers=_LAYOUT)


def _or_native(stride: int, patches: Map) -> Map:
    """A convolution by patches where it is differentiated, else XLA's own, which does not write patches to memory."""
    convolve = jax.custom_jvp(_native_strided(stride))
    convolve.defjvp(lambda primals, tangents: jax.jvp(patches, primals, tangents))
    return convolve


MATRIX_PRODUCTS = Maps(
    _or_native(2, conv_3x3_stride_2),
    conv_transpose_4x4_stride_2,
    _native_strided(1),
    conv_to_few,
    dense,
    lambda stride: _or_native(stride, partial(conv, stride=stride)),
)
ROUNDED_PRODUCTS = Maps(
    partial(conv_3x3_stride_2, dtype=jnp.bfloat16),
    partial(conv_transpose_4x4_stride_2, dtype=jnp.bfloat16),
    partial(conv_3x3, dtype=jnp.bfloat16),
    conv_to_few,
    partial(dense, dtype=jnp.bfloat16),
    lambda stride: partial(conv, stride=stride, dtype=jnp.bfloat16),
)
NATIVE = Maps(_native_strided(2), _native_up, _native_strided(1), _native_strided(1), jnp.matmul, _native_strided)


def maps_for(platform: str, precision: str) -> Maps:
    """The form that is fast on a platform of JAX in a precision.

    "cpu": matrix products; arrays stay float32. The convolution to an image is never rounded, because adding its taps
    takes longer than multiplying. In float32 a convolution without gradients (a teacher's, an evaluation's) is XLA's.

    "gpu" and "tpu": XLA's own convolutions. Arrays have the precision as well, because moving them takes the time.

    Args:
      platform: "cpu", "gpu" or "tpu".
      precision: "float32" or "bfloat16".
    """
    if platform != "cpu":
        return NATIVE._replace(dtype=jnp.dtype(precision))
    return ROUNDED_PRODUCTS if precision == "bfloat16" else MATRIX_PRODUCTS

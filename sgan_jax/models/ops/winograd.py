"""A 3x3 convolution of stride 1 as sixteen matrix products: Winograd's F(2x2, 3x3).

Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv 1509.09308, section 4.1: a tile of four
outputs takes 16 multiplications for each pair of an input and an output channel, where the direct form takes 36. Along
each axis, with inputs d, filter g and outputs y:

    y = A^T [(G g) * (B^T d)],  B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3),  A^T m = (m0 + m1 + m2, m1 - m2 - m3)

The constants are 1, -1 and 1/2, so that it rounds nearly as the direct form does. XLA's own convolution computes
bfloat16 in float32, and its gradients take more than twice its time; here each gradient is sixteen products as well.
Hence a primitive with its own rules, as in `matmul`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import DTypeLike

from sgan_jax.models.ops.matmul import product, transposed_product

_G = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


def conv_3x3(x: jax.Array, kernel: jax.Array, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """A convolution of stride 1, padded SAME.

    Args:
      x: `[N, H, W, I]`.
      kernel: `[3, 3, I, O]`.
      dtype: float32 or bfloat16, of the products and their factors.

    Returns:
      `[N, H, W, O]`.
    """
    return _convolution.bind(x, kernel, dtype=jnp.dtype(dtype).name)


def _forward(x: jax.Array, kernel: jax.Array, *, dtype: str) -> jax.Array:
    count, height, width, _ = x.shape
    inputs, features = kernel.shape[2:]
    g = jnp.asarray(_G)
    filters = jnp.einsum("ai,bj,ijco->abco", g, g, kernel).reshape(16, inputs, features).astype(dtype)
    products = [
        product(tile.astype(dtype), filters[place]).astype(x.dtype) for place, tile in enumerate(_input_tiles(x))
    ]
    columns = [_sums(products[place : place + 4]) for place in range(0, 16, 4)]  # 4 x 2
    parts = zip(*(_sums([row[side] for row in columns]) for side in range(2)), strict=True)  # 2 x 2, rows first
    shape = count, _half(height), _half(width), features
    rows = [jnp.stack([part.reshape(shape) for part in row], axis=3) for row in parts]
    whole = jnp.stack(rows, axis=2).reshape(count, 2 * shape[1], 2 * shape[2], features)
    return whole[:, :height, :width]


def _gradient_by_kernel(cotangent: jax.Array, x: jax.Array, dtype: str) -> jax.Array:
    shape = 4, 4, x.shape[-1], cotangent.shape[-1]
    products = [
        transposed_product(tile.astype(dtype), of_output.astype(dtype)).astype(x.dtype)
        for tile, of_output in zip(_input_tiles(x), _output_tiles(cotangent), strict=True)
    ]
    g = jnp.asarray(_G)
    return jnp.einsum("ai,bj,abco->ijco", g, g, jnp.stack(products).reshape(shape))


def _half(size: int) -> int:
    """Tiles along an axis, of two outputs each."""
    return -(-size // 2)


def _input_tiles(x: jax.Array) -> list[jax.Array]:
    """B^T d B of each tile: sixteen of `[N H/2 W/2, C]`."""
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1 + height % 2), (1, 1 + width % 2), (0, 0)))
    return [tile.reshape(-1, x.shape[-1]) for row in _differences(x, 1) for tile in _differences(row, 2)]


def _differences(x: jax.Array, axis: int) -> list[jax.Array]:
    """B^T d along `axis`, of windows of four at every other position."""
    last = x.shape[axis] - 3
    d = [lax.slice_in_dim(x, first, first + last, 2, axis) for first in range(4)]
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _sums(m: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """A^T m."""
    return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def _output_tiles(y: jax.Array) -> list[jax.Array]:
    """A y A^T of each tile: sixteen of `[N H/2 W/2, C]`."""
    height, width = y.shape[1:3]
    y = jnp.pad(y, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    return [tile.reshape(-1, y.shape[-1]) for row in _spread(y, 1) for tile in _spread(row, 2)]


def _spread(y: jax.Array, axis: int) -> list[jax.Array]:
    """A y along `axis`, of pairs."""
    first, second = (lax.slice_in_dim(y, start, y.shape[axis], 2, axis) for start in range(2))
    return [first, first + second, first - second, -second]


def _turned(kernel: jax.Array) -> jax.Array:
    """The kernel whose convolution is the gradient by the images."""
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def _batch(arrays: Any, axes: Any, *, dtype: str) -> Any:
    return jax.vmap(lambda x, kernel: _forward(x, kernel, dtype=dtype), in_axes=axes)(*arrays), 0


def _abstract(x: Any, kernel: Any, *, dtype: str) -> Any:
    return jax.core.ShapedArray((*x.shape[:3], kernel.shape[3]), x.dtype)


_convolution = Primitive("convolution_3x3")
_convolution.def_impl(jax.jit(_forward, static_argnames="dtype"))
_convolution.def_abstract_eval(_abstract)
mlir.register_lowering(_convolution, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(
    _convolution,
    lambda cotangent, x, kernel, *, dtype: conv_3x3(cotangent, _turned(kernel), dtype),
    lambda cotangent, x, kernel, *, dtype: _gradient_by_kernel(cotangent, x, dtype),
)
batching.primitive_batchers[_convolution] = _batch

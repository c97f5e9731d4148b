"""Matrix products whose gradients are fast on a CPU.

A CPU has bfloat16 instructions for products only. XLA computes any other operation on bfloat16 arrays in float32 and
rounds after it, which is slow. So `convolutions` rounds factors just before a product and converts the result to
float32 at once.

The gradient of a product by its right factor contracts the first axis of both sides. XLA has no fast form of that,
and JAX's own rules make no other. Hence a primitive with its own rules. It is bilinear, and its rules consist of
ordinary operations: it can be differentiated any number of times, in both modes, and batches under `vmap`.
"""

from typing import Any

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def product(x: jax.Array, w: jax.Array) -> jax.Array:
    """`x @ w`; sums are float32 in both precisions.

    Args:
      x: `[M, K]`, float32 or bfloat16.
      w: `[K, N]`, of the same dtype.

    Returns:
      `[M, N]`, of the same dtype, as the gradients are.
    """
    return _product.bind(x, w)


def _contract(a: jax.Array, axis_a: int, b: jax.Array, axis_b: int) -> jax.Array:
    # The result has the factors' dtype: not every implementation in XLA returns float32 for bfloat16 factors.
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())))


def _forward(x: jax.Array, w: jax.Array) -> jax.Array:
    return _contract(x, 1, w, 0)


def transposed_product(x: jax.Array, y: jax.Array) -> jax.Array:
    """`x.T @ y` of `[M, K]` and `[M, N]`, as fast as a product; differentiable as any operation."""
    # The fast form transposes one side first. The narrower side is cheaper.
    if x.shape[1] <= y.shape[1]:
        return _contract(_transposed(x), 1, y, 0)
    return lax.optimization_barrier(_contract(_transposed(y), 1, x, 0)).T


def _transposed(x: jax.Array) -> jax.Array:
    """`x.T` in blocks of rows: XLA would fold a plain transposition into the product, which is the slow form."""
    rows, columns = x.shape
    x = lax.optimization_barrier(x)  # else XLA computes x again, across its rows
    block = next(block for block in (4, 2, 3, 5, 7, 1) if rows % block == 0)
    return x.reshape(rows // block, block, columns).transpose(2, 0, 1).reshape(columns, rows)


_product = Primitive("matrix_product")
_product.def_impl(jax.jit(_forward))
_product.def_abstract_eval(lambda x, w: jax.core.ShapedArray((x.shape[0], w.shape[1]), x.dtype))
mlir.register_lowering(_product, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_product, lambda ct, x, w: _contract(ct, 1, w, 1), lambda ct, x, w: transposed_product(x, ct))


def _batch(arrays: Any, axes: Any) -> Any:
    return jax.vmap(_forward, in_axes=axes)(*arrays), 0


batching.primitive_batchers[_product] = _batch

"""Matrix products as a CPU is quick at them, with gradients of a form of their own.

Arithmetic on bfloat16 arrays is slow on a CPU, which has instructions for their products only: XLA computes anything
else in float32 and rounds after every operation. So what is multiplied is rounded just before, and what comes out is
float32 again before anything else is done with it (see `ops`).

A product's gradients are products, too, and XLA has no fast form of one that contracts the first axis of its left
side, as the gradient by the right side does. JAX's own rules make no other form; hence a primitive with rules of its
own. It is bilinear, and its rules are made of ordinary operations: it can be differentiated any number of times,
forwards and backwards, and batches under `vmap`.
"""

from typing import Any

import jax
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def product(x: jax.Array, w: jax.Array) -> jax.Array:
    """`x @ w`, whose sums are float32 in either precision.

    Args:
      x: `[M, K]`, float32 or bfloat16.
      w: `[K, N]`, of the same.

    Returns:
      `[M, N]`, of the same; so are the gradients.
    """
    return _product.bind(x, w)


def _contract(a: jax.Array, axis_a: int, b: jax.Array, axis_b: int) -> jax.Array:
    # The result is rounded as well: not every product that XLA may choose has a float32 one of bfloat16 factors.
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())))


def _forward(x: jax.Array, w: jax.Array) -> jax.Array:
    return _contract(x, 1, w, 0)


def _gradient_by_w(cotangent: jax.Array, x: jax.Array) -> jax.Array:
    # Either side transposed first gives the fast form. The narrower side is the cheaper one.
    if x.shape[1] <= cotangent.shape[1]:
        return _contract(_transposed(x), 1, cotangent, 0)
    return lax.optimization_barrier(_contract(_transposed(cotangent), 1, x, 0)).T


def _transposed(x: jax.Array) -> jax.Array:
    """`x.T`, which XLA would fold into the product and have the slow form again: in blocks of rows it does not."""
    rows, columns = x.shape
    x = lax.optimization_barrier(x)  # or what x is made of is computed once more, across its rows
    block = next(block for block in (4, 2, 3, 5, 7, 1) if rows % block == 0)
    return x.reshape(rows // block, block, columns).transpose(2, 0, 1).reshape(columns, rows)


_product = Primitive("matrix_product")
_product.def_impl(jax.jit(_forward))
_product.def_abstract_eval(lambda x, w: jax.core.ShapedArray((x.shape[0], w.shape[1]), x.dtype))
mlir.register_lowering(_product, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_product, lambda ct, x, w: _contract(ct, 1, w, 1), lambda ct, x, w: _gradient_by_w(ct, x))


def _batch(arrays: Any, axes: Any) -> Any:
    return jax.vmap(_forward, in_axes=axes)(*arrays), 0


batching.primitive_batchers[_product] = _batch

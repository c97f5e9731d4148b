"""Matrix products in bfloat16 between float32 arrays, as a CPU is quick at them.

Arithmetic on bfloat16 arrays is slow on a CPU, which has instructions for their products only: XLA computes anything
else in float32 and rounds after every operation. So arrays stay float32, and what is multiplied is rounded just before.

A product's gradients are products, too, and XLA has no fast form of one in bfloat16 that contracts the first axis of
its left side, as the gradient by the right side does: it converts both sides to float32 instead. JAX's own rules make
no other form; hence a primitive with rules of its own. It is bilinear, and its rules are made of ordinary operations:
it can be differentiated any number of times, forwards and backwards, and batches under `vmap`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def product(x: jax.Array, w: jax.Array, bfloat16: bool) -> jax.Array:
    """`x @ w`.

    Args:
      x: float32 `[M, K]`.
      w: float32 `[K, N]`.
      bfloat16: round the factors and the result, here and in the gradients; sums stay float32.

    Returns:
      float32 `[M, N]`.
    """
    return _product.bind(x, w) if bfloat16 else x @ w


def _contract(a: jax.Array, axis_a: int, b: jax.Array, axis_b: int) -> jax.Array:
    # The result is rounded as well: not every product that XLA may choose has a float32 one of bfloat16 factors.
    dimensions = (((axis_a,), (axis_b,)), ((), ()))
    return lax.dot_general(a.astype(jnp.bfloat16), b.astype(jnp.bfloat16), dimensions)


def _forward(x: jax.Array, w: jax.Array) -> jax.Array:
    return _contract(x, 1, w, 0).astype(jnp.float32)


def _gradient_by_x(cotangent: jax.Array, w: jax.Array) -> jax.Array:
    return _contract(cotangent, 1, w, 1).astype(jnp.float32)


def _gradient_by_w(cotangent: jax.Array, x: jax.Array) -> jax.Array:
    # Either side transposed first gives the fast form; the product with an identity matrix is the fastest transposition
    # there is, and exact. The narrower side is the cheaper one.
    if x.shape[1] <= cotangent.shape[1]:
        gradient = _contract(_transposed(x), 1, cotangent, 0)
    else:
        gradient = lax.optimization_barrier(_contract(_transposed(cotangent), 1, x, 0)).T
    return gradient.astype(jnp.float32)


def _transposed(x: jax.Array) -> jax.Array:
    return _contract(jnp.eye(x.shape[1], dtype=jnp.bfloat16), 1, x, 1)


_product = Primitive("bfloat16_product")
_product.def_impl(jax.jit(_forward))
_product.def_abstract_eval(lambda x, w: jax.core.ShapedArray((x.shape[0], w.shape[1]), jnp.float32))
mlir.register_lowering(_product, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_product, lambda ct, x, w: _gradient_by_x(ct, w), lambda ct, x, w: _gradient_by_w(ct, x))


def _batch(arrays: Any, axes: Any) -> Any:
    return jax.vmap(_forward, in_axes=axes)(*arrays), 0


batching.primitive_batchers[_product] = _batch

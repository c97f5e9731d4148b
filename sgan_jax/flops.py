"""Counts the floating-point operations of a function from the shapes in its jaxpr."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count(function: Callable[..., Any], *args: Any) -> int:
    """Operations of the matrix products and convolutions that `function(*args)` makes; a multiply-add is two.

    A model of the work, not of the program: give it networks in their native form, or it counts the tricks as well.
    Zeros that a dilation puts between inputs are not counted, those that padding puts around them are. Loops count as
    often as they run where that is known (a scan), branches as the largest of them.

    Args:
      function: traced abstractly, never run.
      *args: arrays or `jax.ShapeDtypeStruct`.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: Any) -> int:
    total = 0
    for eqn in jaxpr.eqns:
        match eqn.primitive.name:
            case "dot_general":
                (contracted, _), _ = eqn.params["dimension_numbers"]
                depth = math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
                total += 2 * eqn.outvars[0].aval.size * depth
            case "conv_general_dilated":
                kernel, spec = eqn.invars[1].aval, eqn.params["dimension_numbers"].rhs_spec
                depth = kernel.size // kernel.shape[spec[0]]
                total += 2 * eqn.outvars[0].aval.size * depth // math.prod(eqn.params["lhs_dilation"])
            case "cond":
                total += max(_count(branch.jaxpr) for branch in eqn.params["branches"])
            case "scan":
                total += eqn.params["length"] * _count(eqn.params["jaxpr"].jaxpr)
            case _:
                total += sum(map(_count, _inner(eqn.params)))
    return total


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs that an equation calls."""
    for value in params.values():
        value = getattr(value, "jaxpr", value)
        if hasattr(value, "eqns"):
            yield value

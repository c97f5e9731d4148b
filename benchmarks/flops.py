"""Counts the floating-point operations of a function from the shapes in its jaxpr."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count(function: Callable[..., Any], *args: Any) -> int:
    """Operations of the matrix products and convolutions that `function(*args)` makes; a multiply-add is two.

    It models the work, not the program: give it networks in their native form. Zeros that a dilation inserts between
    inputs are not counted; zeros of a padding are. A scan counts as often as it runs, a branch as its largest case.

    Args:
      function: traced abstractly, never run.
      *args: arrays or `jax.ShapeDtypeStruct`.
    """
    return sum(times * _operations(eqn) for times, eqn in equations(jax.make_jaxpr(function)(*args).jaxpr))


def equations(jaxpr: Any) -> Iterator[tuple[int, Any]]:
    """The equations of a jaxpr and of the jaxprs that it calls, each with the number of times it runs."""
    for eqn in jaxpr.eqns:
        inner = [list(equations(part)) for part in _inner(eqn.params)]
        if eqn.primitive.name == "cond":
            inner = [max(inner, key=lambda branch: sum(times * _operations(part) for times, part in branch))]
        repeats = eqn.params["length"] if eqn.primitive.name == "scan" else 1
        if not inner:
            yield 1, eqn
        for part in inner:
            yield from ((repeats * times, each) for times, each in part)


def _operations(eqn: Any) -> int:
    match eqn.primitive.name:
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            depth = math.prod(eqn.invars[0].aval.shape[axis] for axis in contracted)
            return 2 * eqn.outvars[0].aval.size * depth
        case "matrix_product":  # of models/ops/matmul.py
            return 2 * eqn.outvars[0].aval.size * eqn.invars[0].aval.shape[1]
        case "conv_general_dilated":
            kernel, spec = eqn.invars[1].aval, eqn.params["dimension_numbers"].rhs_spec
            depth = kernel.size // kernel.shape[spec[0]]
            return 2 * eqn.outvars[0].aval.size * depth // math.prod(eqn.params["lhs_dilation"])
        case _:
            return 0


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs that an equation calls."""
    for value in params.values():
        for each in value if isinstance(value, tuple) else (value,):  # a cond's branches are a tuple
            each = getattr(each, "jaxpr", each)
            if hasattr(each, "eqns"):
                yield each

"""Translates a function of one array into an ONNX graph: its jaxpr, operation by operation.

A new network needs nothing here unless it uses an operation that no table below has. Values that depend only on the
parameters are computed during the translation and become constants. The first axis of the argument may have any size:
in the jaxpr it is a symbol. ONNX's operations: https://onnx.ai/onnx/operators
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

OPSET = 18

Value = np.ndarray | str  # a constant, or the name of a node's output


class Unsupported(Exception):
    """An operation that no table here has; the text of the error names it."""


class Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self, argument: str):
        from onnx import helper

        self.helper = helper
        self.argument = argument
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def node(self, kind: str, *inputs: Value, **attributes: Any) -> str:
        """Adds a node; returns the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, [self.name(value) for value in inputs], [name], **attributes))
        return name

    def name(self, value: Value) -> str:
        """The name under which nodes find a value."""
        if isinstance(value, str):
            return value
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def batch(self) -> str:
        """The size of the argument's first axis, int64 [1]."""
        return self.node("Shape", self.argument, start=0, end=1)

    def shape(self, sizes: Sequence[Any]) -> Value:
        """Sizes as a tensor, int64; one of them may be the symbol."""
        if all(isinstance(size, int) for size in sizes):
            return np.asarray(sizes, np.int64)
        tensors = [np.asarray([size], np.int64) if isinstance(size, int) else self.batch() for size in sizes]
        return self.node("Concat", *tensors, axis=0)


def graph_of(function: Callable[[jax.Array], jax.Array], argument: jax.ShapeDtypeStruct, names: tuple[str, str]) -> Any:
    """The ONNX graph of `function`.

    Args:
      function: a function of one array, with its parameters bound.
      argument: shape and dtype of the array; the first size is a symbol of `jax.export.symbolic_shape`.
      names: of argument and result.

    Raises:
      Unsupported: the function uses an operation that no table below has.
    """
    from onnx import numpy_helper

    closed = jax.make_jaxpr(function)(argument)
    graph = Graph(names[0])
    (result,) = _evaluate(graph, closed.jaxpr, closed.consts, [names[0]])
    graph.nodes.append(graph.helper.make_node("Identity", [graph.name(result)], [names[1]]))
    (out,) = closed.out_avals
    nodes = _needed(graph.nodes, names[1])
    read = {name for node in nodes for name in node.input}
    return graph.helper.make_graph(
        nodes,
        "sgan_jax",
        [_described(graph, names[0], argument)],
        [_described(graph, names[1], out)],
        initializer=[
            numpy_helper.from_array(np.ascontiguousarray(value), name)
            for name, value in graph.constants.items()
            if name in read
        ],
    )


def _described(graph: Graph, name: str, aval: Any) -> Any:
    sizes = [size if isinstance(size, int) else "batch" for size in aval.shape]
    return graph.helper.make_tensor_value_info(name, _type(graph, aval.dtype), sizes)


def _type(graph: Graph, dtype: Any) -> int:
    return int(graph.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def _needed(nodes: list[Any], result: str) -> list[Any]:
    """The nodes that the result depends on; a jaxpr may have others."""
    names, needed = {result}, []
    for node in reversed(nodes):
        if names.intersection(node.output):
            needed.append(node)
            names.update(node.input)
    return needed[::-1]


def _evaluate(graph: Graph, jaxpr: core.Jaxpr, constants: Sequence[Any], arguments: Sequence[Value]) -> list[Value]:
    """The values of a jaxpr's results."""
    known: dict[Any, Value] = {}

    def read(atom: Any) -> Value:
        return np.asarray(atom.val) if isinstance(atom, core.Literal) else known[atom]

    known.update(zip(jaxpr.constvars, map(np.asarray, constants), strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        values = [read(atom) for atom in equation.invars]
        known.update(zip(equation.outvars, _apply(graph, equation, values), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(graph: Graph, equation: Any, values: list[Value]) -> list[Value]:
    name, settings = equation.primitive.name, equation.params
    inner = settings.get("jaxpr") or settings.get("call_jaxpr")
    if inner is not None:  # jit, and functions with custom derivatives
        return _evaluate(graph, inner.jaxpr, inner.consts, values)
    if values and all(isinstance(value, np.ndarray) for value in values) and not _symbolic(settings):
        made = equation.primitive.bind(*map(jax.numpy.asarray, values), **settings)
        return [np.asarray(one) for one in (made if equation.primitive.multiple_results else [made])]
    if name in _NAMED:
        return [graph.node(_NAMED[name], *_numeric(equation, values))]
    if name not in _TABLE:
        raise Unsupported(f"operation '{name}'")
    made = _TABLE[name](graph, equation, *values)
    return made if isinstance(made, list) else [made]


def _symbolic(settings: dict[str, Any]) -> bool:
    sizes = (*settings.get("shape", ()), *(settings.get("new_sizes") or ()))
    return any(not isinstance(size, int) for size in sizes)


def _numeric(equation: Any, values: list[Value]) -> list[Value]:
    """The values with constants in the dtypes of the jaxpr: ONNX converts nothing by itself."""
    dtypes = [atom.aval.dtype for atom in equation.invars]
    return [v.astype(d) if isinstance(v, np.ndarray) else v for v, d in zip(values, dtypes, strict=True)]


# Operations that ONNX has under another name.
_NAMED = {
    "abs": "Abs",
    "add": "Add",
    "and": "And",
    "div": "Div",
    "eq": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "not": "Not",
    "or": "Or",
    "sign": "Sign",
    "sqrt": "Sqrt",
    "stop_gradient": "Identity",
    "copy": "Identity",
    "sub": "Sub",
    "tanh": "Tanh",
}


def _one(equation: Any) -> np.ndarray:
    return np.ones((), equation.outvars[0].aval.dtype)


def _reshape(graph: Graph, equation: Any, x: Value) -> str:
    return graph.node("Reshape", x, graph.shape(equation.outvars[0].aval.shape))


def _broadcast(graph: Graph, equation: Any, x: Value) -> str:
    shape = equation.outvars[0].aval.shape
    places = equation.params["broadcast_dimensions"]
    given = equation.invars[0].aval.shape
    thin: list[Any] = [1] * len(shape)
    for place, size in zip(places, given, strict=True):
        thin[place] = size
    return graph.node("Expand", graph.node("Reshape", x, graph.shape(thin)), graph.shape(shape))


def _reduce(kind: str) -> Callable[..., str]:
    def reduce(graph: Graph, equation: Any, x: Value) -> str:
        axes = np.asarray(equation.params["axes"], np.int64)
        return graph.node(kind, x, axes, keepdims=0)

    return reduce


def _argmax(graph: Graph, equation: Any, x: Value) -> str:
    (axis,) = equation.params["axes"]
    index = graph.node("ArgMax", x, axis=axis, keepdims=0)
    return graph.node("Cast", index, to=_type(graph, equation.params["index_dtype"]))


def _iota(graph: Graph, equation: Any) -> str:
    shape, axis = equation.params["shape"], equation.params["dimension"]
    if not all(isinstance(size, int) for size in shape):
        raise Unsupported("operation 'iota' over the batch")
    along = np.arange(shape[axis], dtype=equation.params["dtype"])
    row = along.reshape([-1 if place == axis else 1 for place in range(len(shape))])
    return graph.name(np.broadcast_to(row, shape).copy())


def _matmul(graph: Graph, equation: Any, a: Value, b: Value) -> str:
    (contract, batch) = equation.params["dimension_numbers"]
    if tuple(map(tuple, contract)) != ((1,), (0,)) or any(batch):
        raise Unsupported(f"operation 'dot_general' over {contract}")
    return graph.node("MatMul", a, b)


def _select(graph: Graph, equation: Any, which: Value, *cases: Value) -> str:
    if len(cases) != 2 or equation.invars[0].aval.dtype != np.bool_:
        raise Unsupported("operation 'select_n' of other than two cases")
    return graph.node("Where", which, cases[1], cases[0])


def _convolution(graph: Graph, equation: Any, x: Value, kernel: Value) -> str:
    """NHWC by HWIO, by a constant kernel. With dilated inputs: a transposed convolution by the flipped kernel."""
    settings = equation.params
    layout = settings["dimension_numbers"]
    plain = settings["rhs_dilation"] == (1, 1) and settings["feature_group_count"] == settings["batch_group_count"] == 1
    nhwc, hwio = (0, 3, 1, 2), (3, 2, 0, 1)
    if not plain or not isinstance(kernel, np.ndarray) or (*layout,) != (nhwc, hwio, nhwc):
        raise Unsupported("operation 'conv_general_dilated' in this form")
    moved = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    pads = settings["padding"]
    if settings["lhs_dilation"] == (1, 1):
        weights = kernel.transpose(3, 2, 0, 1)
        flat = [*(low for low, _ in pads), *(high for _, high in pads)]
        out = graph.node("Conv", moved, weights, strides=list(settings["window_strides"]), pads=flat)
    elif settings["window_strides"] == (1, 1):
        weights = kernel[::-1, ::-1].transpose(2, 3, 0, 1)
        left = [size - 1 - low for size, (low, _) in zip(kernel.shape, pads, strict=False)]
        right = [size - 1 - high for size, (_, high) in zip(kernel.shape, pads, strict=False)]
        out = graph.node("ConvTranspose", moved, weights, strides=list(settings["lhs_dilation"]), pads=left + right)
    else:
        raise Unsupported("operation 'conv_general_dilated' with strides and dilated inputs")
    return graph.node("Transpose", out, perm=[0, 2, 3, 1])


def _slice(graph: Graph, equation: Any, x: Value) -> str:
    settings, shape = equation.params, equation.invars[0].aval.shape
    axes = [axis for axis, size in enumerate(shape) if isinstance(size, int)]
    starts, ends = ([settings[name][axis] for axis in axes] for name in ("start_indices", "limit_indices"))
    strides = settings["strides"] or (1,) * len(shape)
    steps = [strides[axis] for axis in axes]
    return graph.node("Slice", x, *(np.asarray(part, np.int64) for part in (starts, ends, axes, steps)))


def _concatenate(graph: Graph, equation: Any, *parts: Value) -> str:
    return graph.node("Concat", *_numeric(equation, list(parts)), axis=equation.params["dimension"])


def _split(graph: Graph, equation: Any, x: Value) -> list[Value]:
    """Slices: unlike "Split" they are translated one by one."""
    axis, start = equation.params["axis"], 0
    parts: list[Value] = []
    for size in equation.params["sizes"]:
        ends = (np.asarray([number], np.int64) for number in (start, start + size, axis))
        parts.append(graph.node("Slice", x, *ends))
        start += size
    return parts


def _is_finite(graph: Graph, equation: Any, x: Value) -> str:
    return graph.node("Not", graph.node("Or", graph.node("IsInf", x), graph.node("IsNaN", x)))


def _power(graph: Graph, equation: Any, x: Value) -> str:
    return graph.node("Pow", x, np.asarray(equation.params["y"], equation.invars[0].aval.dtype))


def _cast(graph: Graph, equation: Any, x: Value) -> str:
    return graph.node("Cast", x, to=_type(graph, equation.params["new_dtype"]))


def _batch_size(graph: Graph, equation: Any) -> str:
    (size,) = (equation.params["dim"],)
    if math.prod(np.shape(size)) != 1:
        raise Unsupported("operation 'dim_as_value' of several sizes")
    scalar = graph.node("Squeeze", graph.batch(), np.zeros(1, np.int64))
    return graph.node("Cast", scalar, to=_type(graph, equation.outvars[0].aval.dtype))


_TABLE: dict[str, Callable[..., str | list[Value]]] = {
    "argmax": _argmax,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "convert_element_type": _cast,
    "dim_as_value": _batch_size,
    "dot_general": _matmul,
    "erfc": lambda graph, equation, x: graph.node("Sub", _one(equation), graph.node("Erf", x)),
    "integer_pow": _power,
    "iota": _iota,
    "is_finite": _is_finite,
    "log1p": lambda graph, equation, x: graph.node("Log", graph.node("Add", _one(equation), x)),
    "ne": lambda graph, equation, a, b: graph.node("Not", graph.node("Equal", a, b)),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_sum": _reduce("ReduceSum"),
    "reshape": _reshape,
    "round": lambda graph, equation, x: graph.node("Round", x),
    "rsqrt": lambda graph, equation, x: graph.node("Reciprocal", graph.node("Sqrt", x)),
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "square": lambda graph, equation, x: graph.node("Mul", x, x),
    "squeeze": _reshape,
    "transpose": lambda graph, equation, x: graph.node("Transpose", x, perm=list(equation.params["permutation"])),
}

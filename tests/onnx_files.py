"""ONNX files of one matrix each, as a user's network for features."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]


def weights(rows: int, features: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, features)).astype(np.float32)


def write_net(path: Path, shape: Shape, features: int = 4, **changes: Any) -> Path:
    """A network whose features are sums of pixels, each with its weight, of images of a fixed size."""
    rows = int(np.prod([int(size) for size in shape[1:]]))
    nodes = [helper.make_node("Flatten", ["x"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["y"])]
    return write(path, nodes, shape, {"w": weights(rows, features)}, **changes)


def write_means(path: Path, shape: Shape = ("N", 3, "H", "W"), **changes: Any) -> Path:
    """A network whose features are the means of the channels, [N, 3, 1, 1], of images of any size."""
    return write(path, [helper.make_node("GlobalAveragePool", ["x"], ["y"])], shape, {}, **changes)


def write(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: Shape,
    arrays: dict[str, np.ndarray],
    kind: int = TensorProto.FLOAT,
    outside: bool = False,
) -> Path:
    """A file of some nodes from `x` to `y`, whose arrays are inside of the file or lie beside it."""
    inputs = [helper.make_tensor_value_info("x", kind, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, path, save_as_external_data=outside, size_threshold=0, location="beside.bin")
    return path

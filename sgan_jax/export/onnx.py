"""ONNX files: the network with its metadata, for onnxruntime and other runtimes."""

import json

from sgan_jax.errors import UserError, missing_extra
from sgan_jax.export.onnx_graph import OPSET, Unsupported, graph_of
from sgan_jax.export.prepare import Exported

IR_VERSION = 10  # of the file format


def to_onnx(exported: Exported) -> bytes:
    """An ONNX model. Each entry of the metadata is a property of the model, as JSON.

    Raises:
      UserError: the package onnx is not installed, or the network has an operation that is not translated.
    """
    try:
        import onnx
    except ImportError:
        raise UserError(f"‹format› onnx: {missing_extra('onnx', 'export').marked}") from None
    argument = exported.argument
    try:
        graph = graph_of(exported.function, argument.symbolic(), (argument.name, exported.result))
    except Unsupported as error:
        raise UserError(f"‹format› onnx: {error} is not translated; ‹format› stablehlo takes every network") from None
    opset = [onnx.helper.make_opsetid("", OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="sgan_jax")
    properties = {name: json.dumps(value) for name, value in exported.metadata.items()}
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content

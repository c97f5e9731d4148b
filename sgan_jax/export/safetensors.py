"""Safetensors files: the parameters by name, for programs that build the network themselves."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.config import from_json
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError, missing_extra
from sgan_jax.export.prepare import Exported, ExportedFunction, classifier, generator
from sgan_jax.models.ops.convolutions import maps_for
from sgan_jax.types import Model


def to_safetensors(exported: Exported) -> bytes:
    """The parameters by name, such as `conv_1/kernel`. Each entry of the metadata is JSON.

    Raises:
      UserError: the package safetensors is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError:
        raise _missing_package() from None
    leaves = jax.tree_util.tree_leaves_with_path(_tree(exported.model))
    tensors = {_name(path): np.asarray(leaf) for path, leaf in leaves}
    metadata = {name: json.dumps(value) for name, value in exported.metadata.items()}
    return bytes(save(tensors, metadata=metadata))


def load_safetensors(path: Path) -> tuple[ExportedFunction, dict[str, Any]]:
    """The function that a .safetensors file of `to_safetensors` holds, and its metadata.

    Raises:
      UserError: the file is damaged or of another program, or the package safetensors is not installed.
    """
    try:
        from safetensors import safe_open
    except ImportError:
        raise _missing_package() from None
    try:
        with safe_open(path, "numpy") as file:
            metadata = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        return _function(tensors, metadata), metadata
    except (UserError, OSError):
        raise
    except Exception as error:  # safetensors raises its own kind; a file of another program may lack any entry
        raise UserError(f"{path}: not a .safetensors file that `export` wrote ({error})") from None


def _function(tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> ExportedFunction:
    """The classifier or generator that the metadata describes, with the tensors as its parameters."""
    height, width, channels = metadata["image_shape"]
    config = from_json(metadata["config"])
    system = build(config, (height, width, channels), len(metadata["class_names"]), maps_for("gpu", "float32"))
    like = system.abstract_state()
    if metadata["kind"] == "generator":
        return generator(system.gen, _model(tensors, like.model("g")))
    return classifier(system.disc, _model(tensors, like.model("d")))


def _tree(model: Model) -> Any:
    """The parameters by layer; statistics, where there are any, beside the layers."""
    return model.params if model.statistics is None else model.params | {"statistics": model.statistics}


def _model(tensors: dict[str, np.ndarray], like: Model) -> Model:
    """The tensors in the structure of `like`, whose shapes and dtypes they must have."""

    def leaf(path: Any, expected: Any) -> jax.Array:
        name = _name(path)
        tensor = tensors.get(name)
        if tensor is None or (tensor.shape, tensor.dtype) != (expected.shape, expected.dtype):
            raise ValueError(f"{name} is missing or of another shape")
        return jnp.asarray(tensor)

    tree = jax.tree_util.tree_map_with_path(leaf, _tree(like))
    statistics = None if like.statistics is None else tree.pop("statistics")
    return Model(tree, statistics)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _missing_package() -> UserError:
    return UserError(f"‹format› safetensors: {missing_extra('safetensors', 'export').marked}")

"""Classifier and generator in files that do without this package: ONNX, StableHLO, or the parameters as safetensors.

A classifier takes plain images, uint8 [N, H, W, C], scaling included, and gives probabilities; a generator takes
latents and gives images of 0 to 1. Both compute in float32, and their files carry the class names. A new format is a
function and a row in FORMATS.
"""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax import __version__
from sgan_jax.config import choose, to_json
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.export import onnx_graph
from sgan_jax.files import write_atomically
from sgan_jax.models.layers import with_moments_of
from sgan_jax.models.ops.convolutions import maps_for
from sgan_jax.models.pixels import scale
from sgan_jax.runs.opened import Opened, open_run
from sgan_jax.types import Net, Params

__all__ = ["FORMATS", "KINDS", "Exported", "export", "load_safetensors", "prepare"]

KINDS = ("classifier", "generator")
NORMALISED_BY = 1000  # latents whose moments stand for those of a batch


class Exported(NamedTuple):
    """What goes into a file."""

    function: Callable[[jax.Array], jax.Array]  # images -> probabilities [N, K], or latents -> images
    argument: tuple[str, tuple[int, ...], Any]  # name, shape without the batch, dtype
    result: str  # name
    params: Params
    about: dict[str, Any]  # what whoever uses it has to know


def prepare(opened: Opened, kind: str, averaged: bool = False) -> Exported:
    """Classifier or generator of a run as a function of one array, in float32 whatever it was trained in.

    Raises:
      UserError: the kind is unknown, or the run has no classifier.
    """
    if kind not in KINDS:
        raise UserError(f"‹kind›: {kind}; choose one of {', '.join(KINDS)}")
    system = build(opened.config, opened.image_shape, len(opened.class_names), maps_for("gpu", "float32"))
    players = opened.state.ema if averaged else opened.state.params
    about = {
        "kind": kind,
        "image_shape": list(opened.image_shape),
        "class_names": list(opened.class_names),
        "pixels": "uint8, 0 to 255, scaled inside",
        "notice": opened.notice,
        "step": opened.step,
        "averaged": averaged,
        "version": f"sgan_jax {__version__}",
        "config": to_json(opened.config),
    }
    if kind == "generator":
        about["pixels"] = "float32, 0 to 1"
        about["latents"] = "normally distributed, of mean 0 and deviation 1"
        argument = "latents", system.gen.input_shape, jnp.float32
        return Exported(generator(system.gen, players.g), argument, "images", players.g, about)
    opened.needs_classifier("export")
    argument = "images", opened.image_shape, jnp.uint8
    return Exported(classifier(system.disc, players.d), argument, "probabilities", players.d, about)


def classifier(disc: Net, params: Params) -> Callable[[jax.Array], jax.Array]:
    """uint8 images `[N, H, W, C]` to probabilities, float32 `[N, K]`."""
    return lambda images: jax.nn.softmax(disc.apply(params, scale(images), None).class_logits)


def generator(gen: Net, params: Params) -> Callable[[jax.Array], jax.Array]:
    """Latents `[N, latent]` to images, float32 `[N, H, W, C]` in 0..1, each the same whatever is beside it."""
    some = jax.random.normal(jax.random.key(0), (NORMALISED_BY, *gen.input_shape))
    apply = with_moments_of(gen, params, some)
    return lambda latents: (apply(latents) + 1.0) / 2.0


def export(format: str, kind: str, path: Path | None, ckpt: str, averaged: bool, out: Path | None) -> int:
    """Writes the file and prints its name.

    Args:
      format: a row of FORMATS.
      kind: one of KINDS.
      path: run directory; by default the newest run's.
      ckpt: `latest`, `step_7200` or a path.
      averaged: the averaged weights instead of the last ones.
      out: the file; by default in the run directory, under `export/`.

    Raises:
      UserError: no such run or format, or a package that is not installed.
    """
    write: Format = choose(FORMATS, format, "format")
    opened = open_run(path, ckpt)
    made = prepare(opened, kind, averaged)
    chosen = out or opened.run.path / "export" / f"{kind}{write.suffix}"
    write_atomically(chosen, write.make(made))
    print(chosen)
    return 0


def _argument(made: Exported) -> jax.ShapeDtypeStruct:
    (batch,) = jax.export.symbolic_shape("batch")
    return jax.ShapeDtypeStruct((batch, *made.argument[1]), made.argument[2])


def to_onnx(made: Exported) -> bytes:
    """An ONNX model, what is to be known of it in its metadata.

    Raises:
      UserError: the package onnx is not installed, or the networks do something that is not translated.
    """
    try:
        import onnx
    except ImportError:
        raise _missing("onnx") from None
    try:
        graph = onnx_graph.graph_of(made.function, _argument(made), (made.argument[0], made.result))
    except onnx_graph.Unsupported as error:
        raise UserError(f"‹format› onnx: {error} is not translated; ‹format› stablehlo takes every network") from None
    opset = [onnx.helper.make_opsetid("", onnx_graph.OPSET)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10, producer_name="sgan_jax")
    onnx.helper.set_model_props(model, _as_text(made.about))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def to_stablehlo(made: Exported) -> bytes:
    """A zip of `program`, for `jax.export.deserialize` on CPU, GPU and TPU, and about.json."""
    program = jax.export.export(jax.jit(made.function), platforms=("cpu", "cuda", "tpu"))(_argument(made)).serialize()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("program", bytes(program))
        archive.writestr("about.json", json.dumps(made.about, indent=1))
    return held.getvalue()


def to_safetensors(made: Exported) -> bytes:
    """The parameters by name (`conv_1/kernel`), and in the metadata what the network is.

    Raises:
      UserError: the package safetensors is not installed.
    """
    try:
        from safetensors.numpy import save
    except ImportError:
        raise _missing("safetensors") from None
    leaves = jax.tree_util.tree_leaves_with_path(made.params)
    tensors = {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}
    return bytes(save(tensors, metadata=_as_text(made.about)))


def load_safetensors(path: Path) -> tuple[Callable[[jax.Array], jax.Array], dict[str, Any]]:
    """The function that a .safetensors file of ours holds, and what is to be known of it.

    Raises:
      UserError: the file is damaged or none of ours.
    """
    from sgan_jax.config import from_json

    try:
        from safetensors import safe_open
    except ImportError:
        raise _missing("safetensors") from None
    try:
        with safe_open(path, "numpy") as file:
            about = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
        height, width, channels = about["image_shape"]
        config = from_json(about["config"])
        system = build(config, (height, width, channels), len(about["class_names"]), maps_for("gpu", "float32"))
        state = system.abstract_state().params
        like = state.g if about["kind"] == "generator" else state.d
        params = jax.tree_util.tree_map_with_path(lambda where, leaf: _matching(tensors, where, leaf), like)
    except (UserError, OSError):
        raise
    except Exception as error:  # safetensors has an exception of its own; a file of others may lack anything
        raise UserError(f"{path}: no .safetensors file that `export` wrote ({error})") from None
    if about["kind"] == "generator":
        return generator(system.gen, params), about
    return classifier(system.disc, params), about


def _matching(tensors: dict[str, np.ndarray], where: Any, leaf: Any) -> jax.Array:
    name = jax.tree_util.keystr(where, simple=True, separator="/")
    if name not in tensors or tensors[name].shape != leaf.shape or tensors[name].dtype != leaf.dtype:
        raise ValueError(f"{name} is missing or of another shape")
    return jnp.asarray(tensors[name])


def _as_text(about: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in about.items()}


def _missing(package: str) -> UserError:
    return UserError(
        f"‹format› {package}: the package {package} is not installed; set SGAN_EXTRAS=export for bin/export, or "
        "pip install 'sgan-jax[export]'"
    )


class Format(NamedTuple):
    """A row of FORMATS."""

    suffix: str
    make: Callable[[Exported], bytes]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", to_onnx),
    "stablehlo": Format(".stablehlo.zip", to_stablehlo),
    "safetensors": Format(".safetensors", to_safetensors),
}

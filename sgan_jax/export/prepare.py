"""A run's classifier or generator as a function of one array, ready to be written in any format.

A classifier takes plain images, uint8 `[N, H, W, C]`, and returns probabilities; scaling is inside. A generator takes
latents and returns images in 0..1. Both compute in float32.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sgan_jax import __version__
from sgan_jax.config import to_json, without_folders
from sgan_jax.data import preprocess
from sgan_jax.engine.system import MOMENT_LATENTS, build
from sgan_jax.errors import UserError
from sgan_jax.models.layers import with_moments_of
from sgan_jax.models.ops.convolutions import maps_for
from sgan_jax.models.pixels import scale
from sgan_jax.runs.opened import Opened
from sgan_jax.types import Model, Net

KINDS = ("classifier", "generator")

ExportedFunction = Callable[[jax.Array], jax.Array]  # images -> probabilities [N, K], or latents -> images


class Argument(NamedTuple):
    """The argument of an exported function."""

    name: str
    shape: tuple[int, ...]  # without the batch
    dtype: Any

    def symbolic(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype with a batch of any size, whose symbol is `batch`."""
        (batch,) = jax.export.symbolic_shape("batch")
        return jax.ShapeDtypeStruct((batch, *self.shape), self.dtype)


class Exported(NamedTuple):
    """What a file holds."""

    function: ExportedFunction
    argument: Argument
    result: str  # the name of the result
    model: Model
    metadata: dict[str, Any]  # what a user of the file has to know, as JSON values


def prepare(opened: Opened, kind: str, averaged: bool = False) -> Exported:
    """The classifier or generator of a run, in float32 whatever precision it was trained in.

    Args:
      opened: the run, opened at a checkpoint.
      kind: one of KINDS.
      averaged: use the averaged weights.

    Raises:
      UserError: the kind is unknown, or the run has no classifier.
    """
    if kind not in KINDS:
        raise UserError(f"‹kind›: {kind}; choose one of {', '.join(KINDS)}")
    system = build(opened.config, opened.image_shape, len(opened.class_names), maps_for("gpu", "float32"))
    metadata = {
        "kind": kind,
        "image_shape": list(opened.image_shape),
        "class_names": list(opened.class_names),
        "pixels": "uint8, 0 to 255, scaled inside",
        "notice": opened.notice,
        "step": opened.step,
        "averaged": averaged,
        "version": f"sgan_jax {__version__}",
        "config": to_json(without_folders(opened.config)),
    }
    if kind == "generator":
        metadata["pixels"] = "float32, 0 to 1"
        metadata["averaged"] = averaged or system.draws_averaged
        metadata["latents"] = "normally distributed, of mean 0 and deviation 1"
        size = system.gen.input_shape[0] + system.gen.classes
        if system.gen.classes:
            metadata["class"] = "after the latents a number for each class: that with the largest is drawn"
        argument = Argument("latents", (size,), jnp.float32)
        model = system.drawing(opened.state, averaged)
        return Exported(generator(system.gen, model), argument, "images", model, metadata)
    opened.needs_classifier("export")
    metadata["preprocessing"] = preprocess.steps(opened.image_shape)
    metadata["preprocessing_python"] = inspect.getsource(preprocess)
    argument = Argument("images", opened.image_shape, jnp.uint8)
    model = opened.state.model("d", averaged)
    return Exported(classifier(system.disc, model), argument, "probabilities", model, metadata)


def classifier(disc: Net, model: Model) -> ExportedFunction:
    """A function of uint8 images `[N, H, W, C]` that returns probabilities, float32 `[N, K]`."""
    return lambda images: jax.nn.softmax(disc.bound(model)(scale(images), None).class_logits)


def generator(gen: Net, model: Model) -> ExportedFunction:
    """A function of latents `[N, latent]` that returns images, float32 `[N, H, W, C]` in 0..1.

    A conditional generator's latents are followed by a number for each class, `[N, latent + K]`; that with the largest
    is drawn.

    An image does not depend on the other latents of its batch: where the generator normalises over a batch, it does
    so here by the moments of fixed latents.
    """
    apply = with_moments_of(gen, model, *gen.inputs(jax.random.key(0), MOMENT_LATENTS))

    def images(latents: jax.Array) -> jax.Array:
        if not gen.classes:
            return (apply(latents) + 1.0) / 2.0
        (length,) = gen.input_shape
        latents, of_classes = jax.lax.split(latents, (length, gen.classes), axis=1)
        return (apply(latents, jnp.argmax(of_classes, axis=1)) + 1.0) / 2.0

    return images

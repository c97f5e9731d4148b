"""This project's programs as accelerators get them, with shapes in the place of arrays."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

sys.path.insert(0, str(Path(__file__).resolve().parent))  # bin/_python leaves it out
import flops

from sgan_jax.config import Config
from sgan_jax.engine.devices import Team
from sgan_jax.engine.system import System, build
from sgan_jax.graph.neighbours import PAIRS, REGIONS, distances_by_region
from sgan_jax.metrics.classify import BATCH_SIZE
from sgan_jax.models.ops import convolutions
from sgan_jax.presets import PRESETS

MNIST, CIFAR = (28, 28, 1), (32, 32, 3)
CLASSES = 10
EVALUATION, COMPARISON = "evaluation", "comparison"  # programs; the others are presets


class Program(NamedTuple):
    """A compiled function of the project and what it takes, as shapes and dtypes."""

    function: Any  # of jax.jit
    arguments: tuple[Any, ...]
    static: tuple[Any, ...] = ()  # the arguments after those
    state: Any = ()  # the argument that is given up
    operations: Callable[[], int] = lambda: 0  # counted, of a step or of one call
    turns: int = 0  # of its loop in one call; 0 where a turn is a step

    def trace(self) -> Any:
        """The traced function, to be lowered."""
        return self.function.trace(*self.arguments, *self.static)


def _mesh(devices: list[jax.Device]) -> Mesh:
    return jax.make_mesh((len(devices),), ("batch",), axis_types=(AxisType.Auto,), devices=devices)


def program(name: str, mesh: Mesh | None = None, precision: str = "bfloat16") -> Program:
    """A program by its name: a preset's epoch as one scan, the evaluation of a batch, or the comparison of images.

    Args:
      name: a preset, "evaluation" or "comparison".
      mesh: the chips; by default one that is here. Only training is split over several.
      precision: "float32" or "bfloat16".
    """
    mesh = mesh or _mesh(jax.devices()[:1])
    if name == EVALUATION:
        one = _evaluation(precision)
    elif name == COMPARISON:
        one = _comparison()
    else:
        one = _training(name, mesh, precision)
    everywhere = NamedSharding(mesh, PartitionSpec())
    placed = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=everywhere), one.arguments)
    return one._replace(arguments=placed)


def _training(preset: str, mesh: Mesh, precision: str) -> Program:
    """An epoch of a preset: on all of CIFAR-10 for networks of photographs, else on all of MNIST."""
    config = shared(replace(PRESETS[preset], precision=precision), mesh.size)
    photographs = config.model.networks in ("residual", "wide_residual")
    shape, labelled, unlabelled = (CIFAR, 4000, 50_000) if photographs else (MNIST, 100, 60_000)

    def arguments(system: System) -> tuple[Any, ...]:
        state, data, key = system.abstract_arguments(labelled, unlabelled)
        if config.propagation.neighbours:
            data = data._replace(pseudo_labels=jax.eval_shape(lambda: jnp.zeros((unlabelled, CLASSES))))
        return state, data, key

    def operations() -> int:
        native = build(config, shape, CLASSES, convolutions.NATIVE)
        return flops.count(native.train_step(), *arguments(native))

    system = build(config, shape, CLASSES, convolutions.maps_for("tpu", precision))
    state, *others = arguments(system)
    advance = system.advance(Team(mesh), streamed=False)
    return Program(advance, (state, *others), (config.steps_per_epoch,), state, operations)


def shared(config: Config, chips: int) -> Config:
    """The configuration with batches of which each chip gets as many images: they are rounded up."""

    def up(images: int) -> int:
        return -(-images // chips) * chips

    return replace(config, batch_size=up(config.batch_size), unlabelled=config.unlabelled and up(config.unlabelled))


def _evaluation(precision: str) -> Program:
    """Class logits of a batch of MNIST by `tutorial`'s discriminator."""
    system = build(PRESETS["tutorial"], MNIST, CLASSES, convolutions.maps_for("tpu", precision))
    model = system.abstract_state().model("d")
    images = jax.ShapeDtypeStruct((BATCH_SIZE, *MNIST), jnp.uint8)

    def operations() -> int:
        native = build(PRESETS["tutorial"], MNIST, CLASSES, convolutions.NATIVE)
        return flops.count(native.outputs("class_logits"), model, images)

    return Program(system.outputs("class_logits"), (model, images), operations=operations)


def _comparison() -> Program:
    """The distances of a block of pairs of MNIST's images as `best` compares them."""
    config, (height, width, channels) = PRESETS["best"].propagation, MNIST
    derivatives = jax.ShapeDtypeStruct((60_000, height, width, 2 * channels), jnp.float32)
    indices = jax.ShapeDtypeStruct((PAIRS,), jnp.int32)
    rows = tuple(region.rows(height) for region in REGIONS)
    displacements = (2 * config.reach + 1) ** 2
    return Program(distances_by_region, (derivatives, indices, indices), (rows, config.reach), turns=displacements)

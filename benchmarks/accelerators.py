"""Compiles this project's programs for accelerators that are not here, and prints what the compilers estimate.

    python benchmarks/accelerators.py --target tpu-v5e --chips 8 --program best     one program, as JSON

Nothing is run. The compilers are those of the extra `compile`; lowering alone needs neither. `compile_only.py` sets the
environment that they need, and makes tables.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

sys.path.insert(0, str(Path(__file__).resolve().parent))  # bin/_python leaves it out
import flops
import hlo

from sgan_jax.config import Config
from sgan_jax.engine.devices import Team
from sgan_jax.engine.system import System, build
from sgan_jax.graph.neighbours import PAIRS, REGIONS, distances_by_region
from sgan_jax.metrics.classify import BATCH_SIZE
from sgan_jax.models.ops import convolutions
from sgan_jax.presets import PRESETS

MNIST, CIFAR = (28, 28, 1), (32, 32, 3)
CLASSES = 10
COSTLY = 10  # places of a program that are listed
EVALUATION, COMPARISON = "evaluation", "comparison"  # programs; the others are presets


class Target(NamedTuple):
    """A kind of chip."""

    platform: str  # JAX's name
    package: str  # the compiler
    topologies: dict[int, str]  # by number of chips
    peak: float  # operations a second of one chip in bfloat16, by its maker's data sheet
    hertz: float | None = None  # of the cycles that the compiler estimates; None where it estimates none


TARGETS = {
    "tpu-v5e": Target("tpu", "libtpu", {1: "v5e:1x1", 4: "v5e:2x2", 8: "v5e:2x4"}, 197e12, 1.5e9),
    "h200": Target("cuda", "jax-cuda12-plugin", {1: "1x1x1", 4: "1x1x4", 8: "1x1x8"}, 989e12),
}


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


def mesh_of(target: str, chips: int) -> Mesh:
    """A mesh of chips that are not here."""
    chosen = TARGETS[target]
    name, options = chosen.topologies[chips], {}
    if chosen.platform == "cuda":
        kind = Path(__file__).with_name(f"{target}.txtpb").read_text()
        name, options = target, {"topology": name, "target_config": kind}
    return _mesh(topologies.get_topology_desc(name, chosen.platform, **options).devices)


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
    shape = (height, width, 2 * channels)
    derivatives = jax.ShapeDtypeStruct((60_000, math.prod(shape)), jnp.float32)
    indices = jax.ShapeDtypeStruct((PAIRS,), jnp.int32)
    rows = tuple(region.rows(height) for region in REGIONS)
    displacements = (2 * config.reach + 1) ** 2
    return Program(
        distances_by_region, (derivatives, indices, indices), (shape, rows, config.reach), turns=displacements
    )


def figures(name: str, target: str, chips: int) -> dict[str, Any]:
    """Compiles a program in bfloat16; what the compiler estimates, and what the program consists of.

    The figures are those of a step of training, or of one call of another program.
    """
    chosen = TARGETS[target]
    one = program(name, mesh_of(target, chips))
    compiled = one.trace().lower().compile()
    module, memory, operations = hlo.read(compiled.as_text()), compiled.memory_analysis(), one.operations()
    unit = module.turn
    if one.turns and module.loops:
        unit = one.turns * unit + module.computations[module.entry]
    cycles = sum(operation.cycles for operation in unit)
    return {
        "program": name,
        "target": target,
        "chips": chips,
        "compiler": f"{chosen.package} {metadata.version(chosen.package)}",
        "operations": operations,
        "floor_ms": 1e3 * operations / chips / chosen.peak,
        "cycles": cycles,
        "estimated_ms": 1e3 * cycles / chosen.hertz if chosen.hertz else None,
        "loops": len(module.loops),
        "instructions": sum(not operation.is_bookkeeping for operation in unit),
        "kernels": sum(operation.is_kernel for operation in unit),
        "collectives": {kind: found._asdict() for kind, found in hlo.collectives(unit).items()},
        "of_host": sorted({operation.opcode for operation in unit if operation.reaches_host}),
        "state_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(one.state)),
        "state_arrays": len(jax.tree.leaves(one.state)),
        "donated": module.donated,
        "argument_bytes": memory.argument_size_in_bytes,
        "scratch_bytes": memory.temp_size_in_bytes,
        "costly": hlo.costly(unit, COSTLY),
    }


def main() -> None:
    """Parses, compiles and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, choices=TARGETS)
    parser.add_argument("--chips", type=int, default=1)
    parser.add_argument("--program", required=True, choices=[*PRESETS, EVALUATION, COMPARISON])
    args = parser.parse_args()
    print(json.dumps(figures(args.program, args.target, args.chips)))


if __name__ == "__main__":
    main()

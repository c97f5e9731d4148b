"""Matrix products alone: the machine's rate as JAX reaches it, or those of a training step at their own shapes.

BENCHMARKS.md compares steps with the machine's rate. The products of a step are run each by itself, as often as the
step has them, and nothing else: no program that consists of them can be faster.
"""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path[:0] = [str(folder) for folder in Path(__file__).resolve().parents[:2]]
from worker import serve  # noqa: E402

SIZE = 2048
PRODUCTS = ("dot_general", "matrix_product", "convolution_3x3", "conv_general_dilated")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--preset", help="the products of this preset's training step")
    parser.add_argument("--shape", type=int, nargs=3, default=(28, 28, 1), help="height, width and channels of images")
    args = parser.parse_args()

    from sgan_jax.engine.memory import keep_scratch

    keep_scratch()
    import jax

    step = of_a_step(args.preset, args.precision, tuple(args.shape)) if args.preset else of_the_machine(args.precision)
    serve(f"jax {jax.__version__}", step, BEGAN)


def of_the_machine(precision: str) -> Callable[[], object]:
    """One large product."""
    import jax

    one, other = (jax.random.normal(jax.random.key(k), (SIZE, SIZE)).astype(precision) for k in (0, 1))
    product = jax.jit(lambda a, b: a @ b)
    return lambda: product(one, other).block_until_ready()


def of_a_step(preset: str, precision: str, shape: tuple[int, int, int]) -> Callable[[], object]:
    """All products and convolutions that the step of a preset makes on this machine, one after the other."""
    import dataclasses

    import flops
    import jax
    import jax.numpy as jnp

    from sgan_jax.engine.system import build
    from sgan_jax.presets import PRESETS

    system = build(dataclasses.replace(PRESETS[preset], precision=precision), shape, 10)
    step = jax.make_jaxpr(system.train_step())(*system.abstract_arguments(100, 4000))
    often: Counter[str] = Counter()
    products: dict[str, tuple[Callable[..., jax.Array], list[jax.Array]]] = {}
    for times, eqn in flops.equations(step.jaxpr):
        if eqn.primitive.name in PRODUCTS:
            sides = [variable.aval for variable in eqn.invars]
            name = f"{eqn.primitive} {sides} {eqn.params}"
            often[name] += times
            if name not in products:
                product = jax.jit(lambda a, b, eqn=eqn: eqn.primitive.bind(a, b, **eqn.params))
                products[name] = product, [jnp.ones(side.shape, side.dtype) for side in sides]

    def all_of_them() -> None:
        for name, (product, sides) in products.items():
            for _ in range(often[name]):
                product(*sides).block_until_ready()

    return all_of_them


if __name__ == "__main__":
    main()

"""The machine's matrix-product rate, as JAX reaches it: the yardstick of the shares in BENCHMARKS.md."""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from worker import serve  # noqa: E402

SIZE = 2048
FLOPS = 2 * SIZE**3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    args = parser.parse_args()
    import jax

    one, other = (jax.random.normal(jax.random.key(k), (SIZE, SIZE)).astype(args.precision) for k in (0, 1))
    product = jax.jit(lambda a, b: a @ b)
    serve(f"jax {jax.__version__}", lambda: product(one, other).block_until_ready(), BEGAN)


if __name__ == "__main__":
    main()

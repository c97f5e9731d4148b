"""This project's step, as `bench.py` measures it."""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from worker import serve  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--evaluate", action="store_true", help="classify 70,000 images instead of training")
    parser.add_argument("--cache", help="folder for compiled programs; without it each is compiled anew")
    args = parser.parse_args()

    from sgan_jax.memory import keep_scratch

    keep_scratch()
    import jax

    if args.cache:
        jax.config.update("jax_compilation_cache_dir", args.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    import dataclasses

    import numpy as np

    from sgan_jax.config import PRESETS
    from sgan_jax.data import choose_labelled, load
    from sgan_jax.evaluate import evaluate, make_classify
    from sgan_jax.system import build, derive_keys
    from sgan_jax.types import Data

    config = dataclasses.replace(PRESETS[args.preset], precision=args.precision)
    dataset = load("mnist-5k")  # a batch of 100 costs the same whatever it is drawn from
    system, keys = build(config, dataset.train_images.shape[1:], dataset.num_classes), derive_keys(0)
    labelled = choose_labelled(dataset.train_labels, 100, dataset.num_classes, 0)
    arrays = dataset.train_images[labelled], dataset.train_labels[labelled], dataset.train_images
    data = Data(*map(jax.device_put, arrays))
    state = jax.jit(system.init)(keys.init)
    version = f"jax {jax.__version__}"
    if args.evaluate:
        images = np.resize(dataset.train_images, (70_000, *dataset.train_images.shape[1:]))
        labels = np.resize(dataset.train_labels, 70_000)
        classify = make_classify(system.disc)
        serve(version, lambda: evaluate(classify, state.params.d, images, labels, dataset.num_classes), BEGAN)
        return
    train_step = jax.jit(system.train_step(), donate_argnums=0)

    def step() -> None:
        nonlocal state
        state, metrics = train_step(state, data, keys.train)
        jax.block_until_ready((state, metrics))

    serve(version, step, BEGAN)


if __name__ == "__main__":
    main()

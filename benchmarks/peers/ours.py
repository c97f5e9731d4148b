"""This project's step, as `bench.py` measures it."""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from worker import serve  # noqa: E402

AT_ONCE = 50  # steps of a dispatch on an accelerator, where training takes an epoch's at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tutorial")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--shape", type=int, nargs=3, default=(28, 28, 1), help="height, width and channels of images")
    parser.add_argument("--evaluate", action="store_true", help="classify 70,000 images instead of training")
    parser.add_argument("--rows", type=int, default=1, help="runs that are trained together, under vmap")
    parser.add_argument("--cache", help="folder for compiled programs; without it each is compiled anew")
    args = parser.parse_args()

    from sgan_jax.engine.memory import keep_scratch, trim_growth

    keep_scratch()
    import jax

    if args.cache:
        jax.config.update("jax_compilation_cache_dir", args.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    import dataclasses

    import numpy as np

    from sgan_jax.data.load import choose_labelled, load
    from sgan_jax.engine.step import repeat
    from sgan_jax.engine.system import build, derive_keys
    from sgan_jax.metrics.accuracy import accuracy
    from sgan_jax.metrics.classify import class_logits
    from sgan_jax.presets import PRESETS
    from sgan_jax.types import Data

    config = dataclasses.replace(PRESETS[args.preset], precision=args.precision)
    dataset = load("mnist-5k")  # a batch of 100 costs the same whatever it is drawn from
    if (shape := tuple(args.shape)) != dataset.train_images.shape[1:]:
        pixels = np.random.default_rng(0).integers(0, 256, (len(dataset.train_images), *shape), np.uint8)
        dataset = dataclasses.replace(dataset, train_images=pixels)
    system, keys = build(config, shape, dataset.num_classes), derive_keys(0)
    labelled = choose_labelled(dataset.train_labels, 100, dataset.num_classes, 0)
    arrays = dataset.train_images[labelled], dataset.train_labels[labelled], dataset.train_images
    data = Data(*map(jax.device_put, arrays))
    if config.propagation.neighbours:  # any values will do: propagation is not timed
        data = data._replace(pseudo_labels=jax.numpy.full((len(data.unl_images), dataset.num_classes), 0.1))
    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    version = f"jax {jax.__version__}" + ("" if on_cpu else f", {device.device_kind}")
    init, key, advance = system.init, keys.init, repeat(system.train_step())
    if args.rows > 1:
        init, advance = jax.vmap(init, in_axes=(0, None)), jax.vmap(advance, in_axes=(0, None, 0, None))
        key, keys = jax.random.split(key, args.rows), keys._replace(train=jax.random.split(keys.train, args.rows))
    state = jax.jit(init)(key, dataset.train_images[:500])
    if args.evaluate:
        images = np.resize(dataset.train_images, (70_000, *dataset.train_images.shape[1:]))
        labels = np.resize(dataset.train_labels, 70_000)

        def evaluate() -> float:
            return accuracy(class_logits(system.classify, state.model("d"), images, dataset.num_classes), labels)

        serve(version, evaluate, BEGAN)
        return
    at_once = 1 if on_cpu else AT_ONCE
    compiled = jax.jit(advance, static_argnums=3, donate_argnums=0)

    def step() -> None:
        nonlocal state
        state, metrics = compiled(state, data, keys.train, at_once)
        jax.block_until_ready((state, metrics))
        trim_growth()  # as training does

    serve(version, step, BEGAN, at_once)


if __name__ == "__main__":
    main()

"""Trains the tutorial's system in Keras with the labelled images of one of our runs.

    .venv-keras/bin/python benchmarks/keras_accuracy.py RUN IDX_FOLDER --steps 2400 --seed 0

Prints accuracy on the training and test images every 600 steps. A difference from ours at equal steps is then not due
to the draw of the labels. `bin/bench --make-peers` makes the environment.
"""

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))
from keras_peer import BATCH, HALF, LATENT, build, keras


def read(folder: Path, name: str, offset: int) -> np.ndarray:
    """The bytes of one IDX file after its header."""
    return np.frombuffer(gzip.open(folder / f"{name}.gz").read(), np.uint8, offset=offset)


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory whose labels.json is used")
    parser.add_argument("data", type=Path, help="folder with MNIST's four IDX files, gzipped")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and noise")
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    sets = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read(args.data, f"{prefix}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)
        sets[part] = (images.astype("float32") - 127.5) / 127.5, read(args.data, f"{prefix}-labels-idx1-ubyte", 8)
    x, y = sets["train"]
    labelled = np.array(json.loads((args.run / "labels.json").read_text())["indices"])
    assert np.bincount(y[labelled]).tolist() == [len(labelled) // 10] * 10, "labels.json is of other images"
    classifier, critic, generator, gan = build()

    def latents(count: int) -> np.ndarray:
        return rng.standard_normal((count, LATENT), dtype="float32")

    start = time.monotonic()
    for step in range(1, args.steps + 1):
        lab, unl = rng.choice(labelled, HALF), rng.integers(0, len(x), HALF)
        losses = [
            classifier.train_on_batch(x[lab], y[lab])[0],
            critic.train_on_batch(x[unl], np.ones((HALF, 1))),
            critic.train_on_batch(generator.predict_on_batch(latents(HALF)), np.zeros((HALF, 1))),
            gan.train_on_batch(latents(BATCH), np.ones((BATCH, 1))),
        ]
        if step == 1:
            print("first losses:", *(f"{float(np.ravel(loss)[0]):.3f}" for loss in losses), flush=True)
        if step % 600 == 0 or step == args.steps:
            hits = {
                part: np.mean(classifier.predict(images, batch_size=1000, verbose=0).argmax(1) == labels)
                for part, (images, labels) in sets.items()
            }
            figures = ", ".join(f"{part} {100 * share:.3f}" for part, share in hits.items())
            print(f"step {step}: {figures} ({(time.monotonic() - start) / step:.3f} s/step)", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""SHA-256 of what every preset trains in a few steps: to show that a redesign changes no figure.

    bin/_python --dev benchmarks/digests.py > before.txt        # then change the code
    bin/_python --dev benchmarks/digests.py > after.txt
    diff before.txt after.txt

Each preset trains a few steps on the digits inside the package, and two presets on a small folder of colour images. A
line has the digest of all parameters (last and averaged), of the losses of the last step and of the class
probabilities of the test images. Everything is read from the run directory, so that the script works on any version
whose `train` takes these flags. Bits differ between kinds of processors and versions of packages: compare on one
machine.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STEPS = {"best": ("--epochs", "7", "--steps-per-epoch", "1")}  # the graph is used, not used, and used again
FEW = ("--epochs", "2", "--steps-per-epoch", "2")
COLOUR = ("joint", "best-objects")  # also trained on a folder of colour images


def colour_folder(folder: Path) -> Path:
    """Three classes of 24 x 24 noise, 12 labelled and 40 unlabelled images each, and 10 to test on."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for index, name in enumerate(("blue", "green", "red")):
        for where, count in ((name, 12), ("unlabelled", 40), (f"test/{name}", 10)):
            (folder / where).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = draw.integers(0, 160, (24, 24, 3))
                pixels[..., 2 - index] += 90
                Image.fromarray(pixels.astype(np.uint8)).save(folder / where / f"{name}-{number}.png")
    return folder


def short(value: object) -> str:
    """The first half of a SHA-256 of something that JSON can write."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def parameters(checkpoint: Path) -> str:
    """A digest of the arrays under `params` and `ema`, in the order of their names."""
    import jax
    import orbax.checkpoint as ocp

    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(checkpoint / "state").item_metadata.tree
        wanted = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        state = reader.restore(checkpoint / "state", restore_args=wanted)
    leaves = []
    for part in ("params", "ema"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(state[part]):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            array = np.ascontiguousarray(leaf)
            leaves.append((part, name, str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()))
    return short(sorted(leaves))


def digest(run: Path) -> str:
    """The line of a run."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {
        name: value
        for name, value in lines[-1].items()
        if "/" in name and isinstance(value, float)  # terms are "player/term"; figures of whole sets have no player
    }
    step = lines[-1]["step"]
    predicted = "none"
    if (file := run / "eval" / f"step_{step}-predictions.npz").exists():
        with np.load(file) as arrays:
            predicted = hashlib.sha256(arrays["probabilities"].tobytes()).hexdigest()[:32]
    checkpoint = (run / "checkpoints" / f"step_{step}").absolute()
    return f"parameters {parameters(checkpoint)} losses {short(losses)} predictions {predicted}"


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", help="by default all")
    asked = parser.parse_args().presets
    names = (
        asked
        or subprocess.run([sys.executable, "-c", _LIST], check=True, capture_output=True, text=True).stdout.split()
    )
    with tempfile.TemporaryDirectory() as folder:
        images = colour_folder(Path(folder) / "colour")
        trials = [(name, ("--dataset", "mnist-5k", "--labels", "100")) for name in names]
        trials += [(name, ("--data-dir", str(images))) for name in names if name in COLOUR]
        for number, (name, data) in enumerate(trials):
            run = Path(folder) / f"run-{number}"
            length = STEPS.get(name, FEW)
            command = [sys.executable, "-m", "sgan_jax", "train", "--preset", name, *data, *length, "--run", str(run)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"{name}: {done.stderr}")
            print(f"{name:22} {'colour' if '--data-dir' in data else 'digits'}  {digest(run)}", flush=True)


_LIST = """
try:
    from sgan_jax.presets import PRESETS
except ImportError:
    from sgan_jax.config import PRESETS
print(*PRESETS)
"""

if __name__ == "__main__":
    main()

"""Prints a run's accuracy after each epoch beside the tutorial's own log, as the Markdown table of BENCHMARKS.md.

    .venv/bin/python benchmarks/tutorial_table.py runs/mnist-100-tutorial-s0

Works on any run directory, finished or not.
"""

import sys
from pathlib import Path

from sgan_jax.runs.directory import RunDir

# "How to Implement a Semi-Supervised GAN (SGAN) From Scratch in Keras": accuracy in % on the 60,000 training images
# after each epoch of 600 steps. Its test accuracy of step 7200 is 95.920.
TUTORIAL = (
    *(85.543, 91.487, 92.628, 94.017, 94.252, 93.828, 94.122, 93.597, 95.283, 95.287),
    *(95.263, 95.432, 95.270, 95.212, 94.803, 94.640, 93.622, 91.870, 92.525, 92.180),
)


def table(run: Path) -> str:
    """The table of the run's checkpoints; a dash where the tutorial has no figure."""
    directory = RunDir(run)
    comparable = directory.record()["dataset"]["name"] == "mnist" and directory.config().steps_per_epoch == 600
    rows = ["| step | train accuracy | test accuracy | tutorial, train | minutes |", "|---|---|---|---|---|"]
    for line in directory.metrics():
        if "test_accuracy" not in line:
            continue
        epoch, within = divmod(line["step"], 600)
        known = comparable and not within and epoch <= len(TUTORIAL)
        tutorial = f"{TUTORIAL[epoch - 1]:.3f}" if known else "-"
        train, test = 100 * line["train_accuracy"], 100 * line["test_accuracy"]
        rows.append(f"| {line['step']} | {train:.3f} | {test:.3f} | {tutorial} | {line['seconds'] / 60:.1f} |")
    return "\n".join(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: benchmarks/tutorial_table.py RUN_DIRECTORY")
    print(table(Path(sys.argv[1])))

"""A run directory without training: its record, and what a training call makes of it."""

from pathlib import Path

import numpy as np

from sgan_jax.config import Config, DataConfig
from sgan_jax.runs.begin import begin
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.record import DatasetRecord, Part, RunRecord

CONFIG = Config(data=DataConfig(dataset="mnist-5k", labels=3))
LABELLED = np.array([7, 0, 5])
DATASET = DatasetRecord(
    "mnist-5k", "d" * 64, "mnist-5k: not comparable with MNIST", 8, (28, 28, 1), tuple("0123456789")
)
PART = Part({"jax": "1.0"}, "a" * 40, {"platform": "cpu", "precision": "float32"}, ("sgan", "train"))
RECORD = RunRecord(CONFIG, DATASET, (PART,))


def begun(path: str | Path = "runs/a", config: Config = CONFIG, record: RunRecord = RECORD) -> RunDir:
    """The run, begun or joined."""
    run = RunDir(Path(path))
    begin(run, record._replace(config=config), LABELLED)
    return run


def with_checkpoints(run: RunDir, *names: str) -> RunDir:
    """The run with empty checkpoints."""
    for name in names:
        (run.checkpoints / name).mkdir(parents=True)
    return run

"""The run directory: the contract between training and every other command. No JAX here.

config.json     what decides the result: configuration, data set and its digest, versions, commit, device, command
labels.json     indices of the labelled images
metrics.jsonl   losses every 100 steps, figures at every checkpoint
checkpoints/    step_600 ... (Orbax)
samples/        step_600.png ...
eval/           class probabilities of test images, after each epoch; confusion matrices
tensorboard/    the same figures, samples and confusion for TensorBoard
result.json     final figures
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.files import finite, locked, named, read_json, write_atomically, write_json
from sgan_jax.graph.verdict import Trust
from sgan_jax.runs.record import RunRecord, read_record
from sgan_jax.runs.retention import steps


class Warned(NamedTuple):
    """A warning that training made of a run."""

    step: int
    name: str  # of the check
    text: str


class RunDir:
    """Paths and files of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.labels_file = path / "labels.json"
        self.metrics_file = path / "metrics.jsonl"
        self.result_file = path / "result.json"
        self.checkpoints = path / "checkpoints"
        self.tensorboard = path / "tensorboard"

    @property
    def baseline(self) -> "RunDir":
        """Where `train --baseline` trains the classifier on the labels alone: beside the run."""
        path = self.path.resolve() if self.path.is_symlink() else self.path  # `runs/latest` is a link
        return RunDir(path.with_name(f"{path.name or path.resolve().name}-baseline"))

    def sample_file(self, step: int) -> Path:
        """The grid of generated images at a checkpoint."""
        return self.path / "samples" / f"step_{step}.png"

    def confusion_file(self, step: int) -> Path:
        """The confusion matrix that `eval` draws."""
        return self.path / "eval" / f"step_{step}-confusion.png"

    def predictions_file(self, step: int) -> Path:
        """The class probabilities of the test images, or of those for validation."""
        return self.path / "eval" / f"step_{step}-predictions.npz"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the directory and keeps other trainings out: each would remove the other's unfinished checkpoints.

        Raises:
          UserError: the directory cannot be made, or another process trains in it.
        """
        with locked(self.path, "‹run›"):
            yield

    def holds_results(self) -> bool:
        """Whether there is a checkpoint or a line of metrics."""
        saved = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        return saved or any(self.metrics())

    @property
    def usable(self) -> bool:
        """Whether there is a checkpoint, which every command but `train` and `report` needs."""
        return bool(steps(self.checkpoints))

    def record(self) -> RunRecord:
        """All of config.json.

        Raises:
          UserError: it is missing, damaged or of another version.
        """
        return read_record(self.config_file)

    def write_record(self, record: RunRecord) -> None:
        """Writes config.json, whole or not at all."""
        write_json(self.config_file, record.to_json())

    def note_rollback(self, why: str) -> None:
        """Adds a rollback to the record: the steps after it have other randomness, also after a resume."""
        record = self.record()
        self.write_record(record._replace(rollbacks=(*record.rollbacks, why)))

    def note_trust(self, trust: Trust) -> None:
        """Has the record contain what the test of the graph found."""
        record = self.record()
        if record.trust != trust:
            self.write_record(record._replace(trust=trust))

    def dataset(self) -> str:
        """The run's data set by name; "auto" as the set that it was when the run began."""
        record = self.record()
        data = record.config.data
        resolved = data.dataset == "auto" and data.data_dir is None  # it cannot be loaded by a folder's name
        return record.dataset.name if resolved else data.dataset

    def labelled(self) -> np.ndarray:
        """Indices of the labelled images, int64.

        Raises:
          UserError: labels.json is missing or damaged.
        """
        values, record = read_json(self.labels_file), self.record()
        indices = values.get("indices") if isinstance(values, dict) else None
        count, images = record.config.data.labels, range(record.dataset.train)
        if not isinstance(indices, list) or len(indices) != count or not all(index in images for index in indices):
            raise UserError(
                f"{self.labels_file}: damaged: expected {count} indices below {len(images)}; start a new run with ‹run›"
            )
        return np.asarray(indices, np.int64)

    def write_labelled(self, indices: np.ndarray) -> None:
        """Writes labels.json."""
        write_json(self.labels_file, {"indices": [int(index) for index in indices]})

    def result(self) -> dict[str, Any]:
        """Final figures, empty where the run has not ended.

        Raises:
          UserError: result.json is damaged.
        """
        figures = read_json(self.result_file) if self.result_file.exists() else {}
        if not isinstance(figures, dict):
            raise UserError(f"{self.result_file}: damaged: expected figures by name; the same `train` writes it anew")
        return figures

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl; one that a kill cut off is left out."""
        if self.metrics_file.exists():
            for text in self.metrics_file.read_text(errors="replace").splitlines():
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    continue
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    yield line

    def metrics_of(self, step: int) -> dict[str, Any]:
        """The line of a step, empty where there is none."""
        return next((line for line in self.metrics() if line["step"] == step), {})

    def warnings(self) -> list[Warned]:
        """The warnings in metrics.jsonl, in order."""
        lines = [(line["step"], line.get("warnings")) for line in self.metrics()]
        named = [(step, warnings) for step, warnings in lines if isinstance(warnings, dict)]
        return [Warned(step, str(name), str(text)) for step, warnings in named for name, text in warnings.items()]

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resume will take again."""
        lines = [json.dumps(line) + "\n" for line in self.metrics() if line["step"] <= step]
        write_atomically(self.metrics_file, "".join(lines))

    def log(self, line: dict[str, Any]) -> None:
        """Appends one line to metrics.jsonl."""
        with named(self.metrics_file), self.metrics_file.open("a") as file:
            file.write(json.dumps(finite(line)) + "\n")

"""The run directory: the contract between training and every other command. No JAX here.

config.json     what decides the result: configuration, dataset and its digest, versions, device, command
labels.json     indices of the labelled images
metrics.jsonl   losses every 100 steps, accuracy at every checkpoint
checkpoints/    step_600 ... (Orbax)
samples/        step_600.png ...
eval/           confusion matrices
result.json     final figures
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sgan_jax.config import LENGTH_FIELDS, Config, flatten, from_json, to_json
from sgan_jax.errors import UserError

ROOT = Path("runs")
LATEST = ROOT / "latest"


def default_path(config: Config, dataset: str) -> Path:
    """`runs/mnist-100-tutorial-s0`; what differs from the preset in the head or label seed is appended."""
    parts = [dataset, str(config.data.labels), config.preset]
    if config.model.head != "stacked":
        parts.append(config.model.head)
    parts.append(f"s{config.seed}")
    if config.data.label_seed:
        parts.append(f"l{config.data.label_seed}")
    return ROOT / "-".join(parts)


def write_atomically(path: Path, text: str) -> None:
    """Writes all of the file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_text(text)
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Writes all of the file or nothing, as readable JSON."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """The file's value.

    Raises:
      UserError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: not found; expected a run directory made by `train`") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None


class RunDir:
    """Paths and records of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.labels_file = path / "labels.json"
        self.metrics_file = path / "metrics.jsonl"
        self.result_file = path / "result.json"
        self.checkpoints = path / "checkpoints"

    def sample_file(self, step: int) -> Path:
        """The grid of generated images at a checkpoint."""
        return self.path / "samples" / f"step_{step}.png"

    def confusion_file(self, step: int) -> Path:
        """The confusion matrix that `eval` draws."""
        return self.path / "eval" / f"step_{step}-confusion.png"

    def begin(self, config: Config, record: dict[str, Any], labelled: np.ndarray) -> np.ndarray:
        """Makes the directory, or joins the run that is in it; returns the indices of the labelled images.

        Args:
          config: what is asked for now.
          record: further fields of config.json: dataset, versions, device, command.
          labelled: the subset that a new run takes; an existing run keeps its own.

        Raises:
          UserError: the directory holds a run of other settings; names the fields that differ.
        """
        try:
            if self.config_file.exists():
                self._refuse_other(config, record)
            elif self.path.exists() and any(self.path.iterdir()):
                raise UserError(
                    f"{self.path}: holds files but no config.json; give an empty or new directory with --run"
                )
            else:
                write_json(self.labels_file, {"indices": [int(i) for i in labelled]})
            write_json(self.config_file, {"config": to_json(config), **record})  # last: with it, the directory is a run
            self._point_latest()
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror or error}); choose another directory with --run"
            ) from None
        return self.labelled()

    def _refuse_other(self, config: Config, record: dict[str, Any]) -> None:
        old, new = flatten(self.config()), flatten(config)
        old["dataset"], new["dataset"] = self.record()["dataset"]["digest"], record["dataset"]["digest"]
        moved = {
            "data.data_dir",
            "data.dataset",
        }  # the same images may lie elsewhere or have come another way: the digest decides
        names = [n for n in new if n not in LENGTH_FIELDS | moved and old.get(n) != new[n]]
        if names:
            differences = "; ".join(f"{n} was {_short(old.get(n))}, now {_short(new[n])}" for n in names)
            raise UserError(f"{self.path}: holds a run of other settings ({differences}); use those, or another --run")

    def _point_latest(self) -> None:
        if self.path.parent != ROOT:
            ROOT.mkdir(exist_ok=True)
        link = LATEST.with_name(f".latest.{os.getpid()}.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(self.path.absolute(), ROOT.absolute()))
        os.replace(link, LATEST)

    def record(self) -> dict[str, Any]:
        """All of config.json."""
        return read_json(self.config_file)

    def config(self) -> Config:
        """The run's configuration."""
        return from_json(self.record()["config"])

    def labelled(self) -> np.ndarray:
        """Indices of the labelled images, int64."""
        return np.asarray(read_json(self.labels_file)["indices"], np.int64)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that a kill cut off is left out."""
        if self.metrics_file.exists():
            for line in self.metrics_file.read_text().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    return

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resume will take again."""
        kept = [json.dumps(line) + "\n" for line in self.metrics() if line["step"] <= step]
        write_atomically(self.metrics_file, "".join(kept))

    def log(self, line: dict[str, Any]) -> None:
        """Appends one line to metrics.jsonl."""
        with self.metrics_file.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "..." if len(text) > 40 else text


def existing(path: Path | None) -> RunDir:
    """The run at `path`, by default the newest.

    Raises:
      UserError: there is none.
    """
    chosen = LATEST if path is None else path
    if not chosen.exists():
        hint = "train first, or name a run directory with --run" if path is None else _runs_listing()
        raise UserError(f"{chosen}: no such run directory; {hint}")
    run = RunDir(chosen.resolve() if path is None else chosen)
    run.record()
    return run


def _runs_listing() -> str:
    names = sorted(entry.name for entry in ROOT.iterdir() if (entry / "config.json").exists()) if ROOT.is_dir() else []
    names = [name for name in names if name != LATEST.name]
    return f"runs/ holds {', '.join(names)}" if names else "runs/ holds no run"


def checkpoint_path(run: RunDir, name: str, steps: list[int]) -> Path:
    """`latest`, `step_7200`, `7200` or a path, as a path; whether it is there is for `checkpoint.restore` to say.

    Raises:
      UserError: `latest` is asked for and there is none.
    """
    if name == "latest":
        if not steps:
            raise UserError(f"{run.path}: no checkpoint yet; `train` writes one after each epoch")
        return run.checkpoints / f"step_{steps[-1]}"
    if name.isdecimal():
        name = f"step_{name}"
    if Path(name).is_dir() or os.sep in name:
        return Path(name)
    return run.checkpoints / name

"""The run directory: the contract between training and every other command. No JAX here.

config.json     what decides the result: configuration, dataset and its digest, versions, commit, device, command
labels.json     indices of the labelled images
metrics.jsonl   losses every 100 steps, accuracy at every checkpoint
checkpoints/    step_600 ... (Orbax)
samples/        step_600.png ...
eval/           what the classifier says of test images, after each epoch; confusion matrices
tensorboard/    the same figures, samples and confusion for TensorBoard
result.json     final figures
"""

import fcntl
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.config import LENGTH_FIELDS, Config, differences, from_json, to_json, usual_head, validate
from sgan_jax.errors import UserError
from sgan_jax.files import named, write_atomically
from sgan_jax.limits import LARGEST_SIDE

ROOT = Path("runs")
LATEST = ROOT / "latest"
_RECORD_FIELDS = {"config": dict, "dataset": dict}
_PART_FIELDS = ("versions", "device")  # of a run, and of each time that it went on
_DATASET_FIELDS = {"name": str, "digest": str, "notice": str, "train": int, "image_shape": list, "class_names": list}
_MAY_HOLD = {"resumed": list, "rollbacks": list, "estimator": dict}
_DATASET_MAY_HOLD = {"labels_per_class": list}


class Images(NamedTuple):
    """A data set, as a run and a row of a sweep remember it."""

    name: str
    digest: str  # SHA-256, hex

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:12]}...)"

    def differences(self, now: "Images") -> list[str]:
        """That the images now are others, if they are; what they are called does not matter."""
        return [f"dataset was {self}, now {now}"] if self.digest != now.digest else []


def default_path(config: Config, dataset: str) -> Path:
    """`runs/mnist-100-tutorial-s0`; what differs from the preset in the head or label seed is appended."""
    parts = [dataset.replace("/", "-"), str(config.data.labels), config.preset]  # TFDS has names like emnist/letters
    if config.model.head != usual_head(config.preset):
        parts.append(config.model.head)
    parts.append(f"s{config.seed}")
    if config.data.label_seed:
        parts.append(f"l{config.data.label_seed}")
    return ROOT / "-".join(parts)


def write_json(path: Path, value: Any) -> None:
    """Writes all of the file or nothing, as readable JSON; NaN and infinities, which JSON lacks, as null."""
    write_atomically(path, json.dumps(_finite(value), indent=2) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """The file's value.

    Raises:
      UserError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: not found; expected a run directory made by `train`") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: no JSON ({error}); start a new run with ‹run›") from None


@contextmanager
def locked(path: Path, flag: str) -> Iterator[None]:
    """Makes the directory that `flag` names and keeps out other processes that ask for the same.

    The system frees the lock of a process that is killed.

    Raises:
      UserError: the directory cannot be made, or another process has locked it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        directory = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path, flag, error) from None
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process trains in it; stop that one, or another {flag}") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(directory)


def _unwritable(path: Path, flag: str, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror or error}); choose another {flag}")


class RunDir:
    """Paths and records of one run."""

    def __init__(self, path: Path):
        self.path = path
        self.config_file = path / "config.json"
        self.labels_file = path / "labels.json"
        self.metrics_file = path / "metrics.jsonl"
        self.result_file = path / "result.json"
        self.checkpoints = path / "checkpoints"
        self.tensorboard = path / "tensorboard"

    def sample_file(self, step: int) -> Path:
        """The grid of generated images at a checkpoint."""
        return self.path / "samples" / f"step_{step}.png"

    def confusion_file(self, step: int) -> Path:
        """The confusion matrix that `eval` draws."""
        return self.path / "eval" / f"step_{step}-confusion.png"

    def predictions_file(self, step: int) -> Path:
        """What the classifier said of the test images, or of those for validation."""
        return self.path / "eval" / f"step_{step}-predictions.npz"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the directory and keeps other trainings out: each would remove the other's unfinished checkpoints.

        Raises:
          UserError: the directory cannot be made, or another process trains in it.
        """
        with locked(self.path, "‹run›"):
            yield

    def begin(self, config: Config, record: dict[str, Any], labelled: np.ndarray, newest: bool = True) -> np.ndarray:
        """Makes the directory, or joins the run that is in it; returns the indices of the labelled images.

        Args:
          config: what is asked for now.
          record: further fields of config.json: dataset, versions, commit, device, command.
          labelled: the subset that a new run takes; an existing run keeps its own.
          newest: have `runs/latest` point at it.

        Raises:
          UserError: the directory holds a run of other settings; names the fields that differ.
        """
        try:
            if self._joins(config, record):
                write_json(self.config_file, self._joined(config, record))
            else:
                self.config_file.unlink(missing_ok=True)
                write_json(self.labels_file, {"indices": [int(i) for i in labelled]})
                write_json(self.config_file, {"config": to_json(config), **record})  # last: now it is a run
        except OSError as error:
            raise _unwritable(self.path, "‹run›", error) from None
        try:
            if newest:
                self._point_latest()
        except OSError as error:  # a convenience: the run itself may lie elsewhere
            print(f"sgan: warning: {LATEST} cannot be written ({error.strerror or error})", file=sys.stderr)
        return self.labelled()

    def _joins(self, config: Config, record: dict[str, Any]) -> bool:
        """Whether the directory holds this run already.

        A run that ended before its first result, perhaps because its settings do not fit the machine, holds nothing
        that others could not replace.
        """
        if not self.config_file.exists():
            if self.path.exists() and not self._left_by_begin():
                raise UserError(
                    f"{self.path}: holds files but no config.json; give an empty or new directory with ‹run›"
                )
            return False
        found = self._differences(config, record)
        if found and self.holds_results():
            raise UserError(
                f"{self.path}: holds a run of other settings ({'; '.join(found)}); use those, or another ‹run›"
            )
        return not found

    def _left_by_begin(self) -> bool:
        """Whether what is there may come of a `begin` that was killed, perhaps while it replaced a run of no result."""
        kept = {path.name for path in (self.labels_file, self.metrics_file, self.checkpoints, self.tensorboard)}
        partial = tuple(f".{path.name}." for path in (self.labels_file, self.config_file, self.metrics_file))
        names = [entry.name for entry in self.path.iterdir()]
        known = all(name in kept or (name.startswith(partial) and name.endswith(".tmp")) for name in names)
        return known and not self.holds_results()

    def holds_results(self) -> bool:
        """Whether there is a checkpoint or a line of metrics."""
        saved = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        return saved or any(self.metrics())

    def _differences(self, config: Config, record: dict[str, Any]) -> list[str]:
        held = self.record()
        was = self._config(held)
        found = differences(was, config)
        if was.total_steps != config.total_steps:
            lengths = f"steps was {was.total_steps}, now {config.total_steps}"
            if config.adam.schedule != "constant":
                found.append(f"{lengths}: its learning rate was to end with the former")
            elif config.propagation.pause_until:
                found.append(f"{lengths}: its graph was to be heard in steps that the former gives")
            elif not found and config.total_steps < was.total_steps and not self.result_file.exists():
                found.append(f"{lengths}: it has not ended yet")
        called, call = held["dataset"]["class_names"], record["dataset"].get("class_names")
        if record["dataset"].get("own") and called != call:
            found.append(f"classes were {_shown(called)}, now {_shown(call)}")
        then, now = (Images(one["dataset"]["name"], one["dataset"]["digest"]) for one in (held, record))
        return found + then.differences(now)

    def _joined(self, config: Config, record: dict[str, Any]) -> dict[str, Any]:
        """config.json of a run that goes on: as it was, with what this part of it runs on, and never shorter."""
        held = self.record()
        was = self._config(held)
        length = config if config.total_steps > was.total_steps else was
        values = to_json(config) | {name: getattr(length, name) for name in LENGTH_FIELDS}
        part = {name: record[name] for name in ("versions", "commit", "device", "command")}
        before = _parts(held)[-1]
        then, now = (one["versions"] | {"precision": one["device"].get("precision")} for one in (before, part))
        changed = [f"{name} was {was}" for name, was in then.items() if now.get(name) != was]
        if changed:
            print(f"sgan: warning: {'; '.join(changed)}: the run's last bits may now differ", file=sys.stderr)
        parts = held.get("resumed", [])
        if any(before.get(name) != value for name, value in part.items()):
            parts = [*parts, part]
        return held | {"config": values} | ({"resumed": parts} if parts else {})

    def _point_latest(self) -> None:
        if self.path.parent != ROOT:
            ROOT.mkdir(exist_ok=True)
        link = LATEST.with_name(f".latest.{os.getpid()}.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(self.path.resolve(), ROOT.resolve()))  # --run may itself be runs/latest
        os.replace(link, LATEST)

    def record(self) -> dict[str, Any]:
        """All of config.json.

        Raises:
          UserError: it is missing, damaged or of another version.
        """
        record = read_json(self.config_file)
        try:
            whole = all(isinstance(record[name], kind) for name, kind in _RECORD_FIELDS.items())
            whole &= all(isinstance(record["dataset"][name], kind) for name, kind in _DATASET_FIELDS.items())
            for held, may_hold in ((record, _MAY_HOLD), (record["dataset"], _DATASET_MAY_HOLD)):
                whole &= all(isinstance(held.get(name, kind()), kind) for name, kind in may_hold.items())
            sides = record["dataset"]["image_shape"]
            whole &= [type(side) for side in sides] == [int] * 3 and all(1 <= side <= LARGEST_SIDE for side in sides)
            whole &= all(isinstance(part[name], dict) for part in _parts(record) for name in _PART_FIELDS)
        except (KeyError, TypeError):
            whole = False
        if not whole:
            raise UserError(f"{self.config_file}: damaged or of another version; start a new run with ‹run›")
        return record

    def commits(self) -> list[str]:
        """Those of the sources that trained the run, each once: one, or more where it went on with others."""
        return list(dict.fromkeys(str(part["commit"]) for part in self.parts() if part.get("commit")))

    def parts(self) -> list[dict[str, Any]]:
        """Versions, commit, device and command of the run's first part, and of each time that it went on otherwise."""
        return _parts(self.record())

    def rollbacks(self) -> list[str]:
        """Why the run went back to a checkpoint, each time that it did."""
        return list(map(str, self.record().get("rollbacks", [])))

    def note_rollback(self, why: str) -> None:
        """Adds to them: what follows has other randomness, also after a resume."""
        record = self.record()
        write_json(self.config_file, record | {"rollbacks": [*record.get("rollbacks", []), why]})

    def config(self) -> Config:
        """The run's configuration.

        Raises:
          UserError: config.json is missing, damaged or of another version.
        """
        return self._config(self.record())

    def _config(self, record: dict[str, Any]) -> Config:
        try:
            config = from_json(record["config"])
        except UserError as error:
            raise UserError(f"{self.path}: {error.marked}") from None
        try:
            validate(config)
        except UserError as error:
            raise UserError(f"{self.config_file}: {error.marked}") from None
        return config

    def dataset(self) -> str:
        """The run's data set by name; "auto" as what it was found to be when the run began."""
        record = self.record()
        data = self._config(record).data
        resolved = data.dataset == "auto" and data.data_dir is None  # a folder's name is no name to load it by
        return record["dataset"]["name"] if resolved else data.dataset

    def labelled(self) -> np.ndarray:
        """Indices of the labelled images, int64.

        Raises:
          UserError: labels.json is missing or damaged.
        """
        held, record = read_json(self.labels_file), self.record()
        indices = held.get("indices") if isinstance(held, dict) else None
        count, images = self._config(record).data.labels, range(record["dataset"]["train"])
        if not isinstance(indices, list) or len(indices) != count or not all(index in images for index in indices):
            raise UserError(
                f"{self.labels_file}: damaged: expected {count} indices below {len(images)}; start a new run with ‹run›"
            )
        return np.asarray(indices, np.int64)

    def result(self) -> dict[str, Any]:
        """Final figures, empty where the run has not ended.

        Raises:
          UserError: result.json is damaged.
        """
        found = read_json(self.result_file) if self.result_file.exists() else {}
        if not isinstance(found, dict):
            raise UserError(f"{self.result_file}: damaged: expected figures by name; the same `train` writes it anew")
        return found

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

    def forget_after(self, step: int) -> None:
        """Drops the metrics of steps that a resume will take again."""
        kept = [json.dumps(line) + "\n" for line in self.metrics() if line["step"] <= step]
        write_atomically(self.metrics_file, "".join(kept))

    def log(self, line: dict[str, Any]) -> None:
        """Appends one line to metrics.jsonl."""
        with named(self.metrics_file), self.metrics_file.open("a") as file:
            file.write(json.dumps(_finite(line)) + "\n")


def _parts(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [record, *record.get("resumed", [])]


def _shown(names: list[str]) -> str:
    return ", ".join(map(str, names[:10])) + (", ..." if len(names) > 10 else "")


def existing(path: Path | None, ckpt: str = "latest") -> RunDir:
    """The run at `path`; by default the one that the checkpoint lies in if that is given as a path, else the newest.

    Raises:
      UserError: there is none.
    """
    chosen = LATEST if path is None else path
    if os.sep in ckpt and Path(ckpt).is_dir():
        holder = Path(ckpt).resolve().parent.parent  # RUN/checkpoints/step_600
        in_a_run = (holder / "config.json").exists()
        if path is None and not in_a_run:
            raise UserError(f"‹ckpt› {ckpt}: lies in no run directory; name the run that it is of with ‹run›")
        if path is not None and in_a_run and holder != path.resolve():
            raise UserError(f"‹ckpt› {ckpt}: lies in another run, {holder}; leave ‹run› out")
        if path is None:
            return RunDir(holder)
    if not chosen.exists():
        hint = "train first, or name a run directory with ‹run›" if path is None else _runs_listing()
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
        name = f"step_{name.lstrip('0') or '0'}"
    own, other = run.checkpoints / name, Path(name)
    return other if os.sep in name or (other.is_dir() and not own.is_dir()) else own

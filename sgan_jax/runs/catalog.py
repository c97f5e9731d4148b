"""The runs of a folder: a table of them, two of them compared, one of them removed. No JAX here."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sgan_jax.config import flatten
from sgan_jax.errors import UserError
from sgan_jax.files import InUse
from sgan_jax.metrics.measure import Measure, is_number, measures
from sgan_jax.runs import retention
from sgan_jax.runs.begin import point_latest
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import LATEST, ROOT

FINISHED, UNFINISHED, NO_CHECKPOINT, DAMAGED = "finished", "unfinished", "no checkpoint", "damaged"
_UNNAMED = ".{}.removed"  # what a run is called while its files are removed
SUBSETS = ("test", "validation", "train")  # whose accuracy is shown, the first that a run has


class RunSummary(NamedTuple):
    """A row of the table of runs. Of a damaged run only path, state, size and problem are known."""

    path: Path
    state: str  # FINISHED, UNFINISHED, NO_CHECKPOINT or DAMAGED
    size: int  # bytes on the disk
    checkpoints: tuple[int, ...] = ()  # their steps, ascending
    preset: str = ""
    dataset: str = ""
    labels: int = 0
    step: int = 0  # of the newest checkpoint
    total: int = 0  # steps that the run was to take
    accuracy: float | None = None  # 0..1, the newest
    subset: str = ""  # whose images `accuracy` is of: "test", else "validation", else "train"
    begun: float = 0.0  # when training began, or resumed for the last time: seconds since the epoch
    early_end: str = ""  # why the run ended before step `total`
    problem: str = ""  # what is damaged

    @property
    def usable(self) -> bool:
        """Whether commands can work with the run."""
        return self.state in (FINISHED, UNFINISHED)


class Comparison(NamedTuple):
    """Two runs side by side; None where one of them lacks a figure."""

    runs: tuple[RunSummary, RunSummary]
    settings: dict[str, tuple[Any, Any]]  # those that differ, by place; and the images, where these differ
    figures: dict[str, tuple[Measure | None, Measure | None]]  # the newest of each measure, steps and seconds


class Removed(NamedTuple):
    """A run that is gone."""

    run: RunSummary
    latest: Path | None  # the run that `runs/latest` leads to now, if it led to the removed one


def runs_in(folder: Path = ROOT) -> list[RunSummary]:
    """The runs of a folder, in the order in which they were begun or last resumed.

    Raises:
      UserError: the folder does not exist; `runs/` may be missing.
    """
    if not folder.is_dir():
        if folder == ROOT:
            return []
        raise UserError(f"{folder}: no such folder of runs")
    entries = [entry for entry in folder.iterdir() if entry.name[0] != "." and entry.name != LATEST.name]
    rows = [summary(RunDir(entry)) for entry in entries if (entry / "config.json").is_file()]
    return sorted(rows, key=lambda row: (row.begun, row.path.name))


def summary(run: RunDir) -> RunSummary:
    """The run's row."""
    saved, size = tuple(retention.steps(run.checkpoints)), _size(run.path)
    begun = run.config_file.stat().st_mtime
    try:
        record, result = run.record(), run.result()
    except UserError as error:
        return RunSummary(run.path, DAMAGED, size, saved, begun=begun, problem=error.marked)
    accuracy, subset = _accuracy(run.metrics())
    return RunSummary(
        run.path,
        (FINISHED if result else UNFINISHED) if saved else NO_CHECKPOINT,
        size,
        saved,
        preset=record.config.preset,
        dataset=record.dataset.name,
        labels=record.config.data.labels or 0,
        step=saved[-1] if saved else 0,
        total=record.config.total_steps,
        accuracy=accuracy,
        subset=subset,
        begun=begun,
        early_end=str(result.get("early_end", "")),
    )


def compare(one: RunDir, other: RunDir) -> Comparison:
    """Settings that differ, and figures.

    Raises:
      UserError: a run is damaged.
    """
    records = one.record(), other.record()
    before, after = (flatten(record.config) for record in records)
    settings = {place: (before[place], after[place]) for place in before if before[place] != after[place]}
    images = tuple(record.dataset.images for record in records)
    if images[0].digest != images[1].digest:
        settings["images"] = (str(images[0]), str(images[1]))
    first, second = _figures(one), _figures(other)
    figures = {name: (first.get(name), second.get(name)) for name in first | second}
    return Comparison((summary(one), summary(other)), settings, figures)


def find(name: str, folder: Path = ROOT) -> RunDir:
    """The run of that name in the folder, or at that path.

    Raises:
      UserError: there is none.
    """
    for path in (folder / name, Path(name)):
        if (path / "config.json").is_file():
            return RunDir(path)
    names = [row.path.name for row in runs_in(folder)] if folder.is_dir() else []
    listing = f"{folder}/ holds {', '.join(names)}" if names else f"{folder}/ holds no run"
    raise UserError(f"{name}: no such run; {listing}")


def remove(run: RunDir) -> Removed:
    """Removes a run with all its files. `runs/latest` then leads to the newest run that has a checkpoint.

    The run loses its name first, so that a kill leaves no half of a run.

    Raises:
      UserError: the directory is not a run's or holds other runs, a process trains in it, or it cannot be removed.
    """
    path = _behind_latest(run.path) if run.path.name == LATEST.name else run.path
    if path.is_symlink():
        raise UserError(f"{path}: is a link to {path.resolve()}; name that")
    row = summary(RunDir(path))
    if row.state == DAMAGED and not (path / "labels.json").exists():
        raise UserError(f"{path}: its config.json is not a run's; remove the folder yourself if it is not needed")
    inner = [file.parent for file in path.rglob("config.json") if file.parent != path]
    if inner:
        raise UserError(f"{path}: holds another run, {inner[0]}; move or remove that first")
    unnamed = path.with_name(_UNNAMED.format(path.name))
    try:
        with RunDir(path).locked():
            if unnamed.exists():  # a kill came while a run of this name was removed
                shutil.rmtree(unnamed)
            path.rename(unnamed)
            latest = _repair_latest()
            shutil.rmtree(unnamed)
    except InUse:
        raise UserError(f"{path}: another process trains in it; stop that one first") from None
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be removed ({error.strerror or error})") from None
    return Removed(row, latest)


def leftovers(folder: Path = ROOT) -> list[Path]:
    """What is left of runs where a kill came while they were removed."""
    return sorted(entry for entry in folder.glob(_UNNAMED.format("*")) if entry.is_dir())


def _behind_latest(link: Path) -> Path:
    """The run that the link leads to, by its path beside the link if it lies there."""
    real = link.resolve()
    return link.parent / real.name if real.parent == link.parent.resolve() else real


def _repair_latest() -> Path | None:
    """Has `runs/latest` lead to the newest usable run if it leads nowhere, or removes it; returns that run."""
    if not LATEST.is_symlink() or LATEST.exists():
        return None
    usable = [row.path for row in runs_in(ROOT) if row.usable]
    if not usable:
        LATEST.unlink()
        return None
    point_latest(RunDir(usable[-1]))
    return usable[-1]


def _size(path: Path) -> int:
    """Bytes of the files in a folder and below; what vanishes meanwhile does not count."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue
    return total


def _accuracy(lines: Iterable[Mapping[str, Any]]) -> tuple[float | None, str]:
    """The newest accuracy on the first of `SUBSETS` that has one."""
    newest: dict[str, float] = {}
    for line in lines:
        newest |= {name: line[f"{name}_accuracy"] for name in SUBSETS if is_number(line.get(f"{name}_accuracy"))}
    return next(((newest[name], name) for name in SUBSETS if name in newest), (None, ""))


def _figures(run: RunDir) -> dict[str, Measure]:
    """The newest of each measure, then steps and seconds."""
    figures: dict[str, Measure] = {}
    step, seconds = 0, 0.0
    for line in run.metrics():
        figures |= measures(line)
        step, seconds = line["step"], line["seconds"] if is_number(line.get("seconds")) else seconds
    return figures | {"steps": Measure(step), "seconds": Measure(seconds)}

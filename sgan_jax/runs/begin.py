"""How a training call begins in a run directory: it makes the run, or joins the one that is there."""

import logging
import os
from pathlib import Path

import numpy as np

from sgan_jax.config import LENGTH_SETTINGS, Config, changed, differences, flatten, most_telling
from sgan_jax.errors import UserError
from sgan_jax.files import unwritable
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import LATEST, ROOT
from sgan_jax.runs.record import Part, RunRecord

log = logging.getLogger(__name__)


def begin(run: RunDir, record: RunRecord, labelled: np.ndarray, newest: bool = True) -> np.ndarray:
    """Makes the run, or joins it; returns the indices of the labelled images.

    Args:
      run: the directory.
      record: what is asked for now, with one part.
      labelled: the subset that a new run takes; an existing run has its own.
      newest: have `runs/latest` point at it, if it is usable or the run that is there is not.

    Raises:
      UserError: the directory holds a run of other settings; names the settings that differ.
    """
    try:
        if _joins(run, record):
            there = run.record()
            run.write_record(_joined(there, _with_own_paths(run, record)))
        else:
            run.config_file.unlink(missing_ok=True)
            run.write_labelled(labelled)
            run.write_record(record)  # last: now it is a run
    except OSError as error:
        raise unwritable(run.path, "‹run›", error) from None
    if newest and (run.usable or not RunDir(LATEST).usable):
        point_latest(run)
    return run.labelled()


def point_latest(run: RunDir) -> None:
    """Has `runs/latest` point at the run; a warning where that cannot be, for the run itself may lie elsewhere."""
    try:
        if run.path.parent != ROOT:
            ROOT.mkdir(exist_ok=True)
        link = LATEST.with_name(f".latest.{os.getpid()}.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(run.path.resolve(), ROOT.resolve()))  # the run may itself be runs/latest
        os.replace(link, LATEST)
    except OSError as error:
        log.warning("%s cannot be written (%s)", LATEST, error.strerror or error)


def _joins(run: RunDir, record: RunRecord) -> bool:
    """Whether the directory holds this run already.

    A run that ended before its first result, perhaps because its settings do not fit the machine, holds nothing
    that others could not replace.
    """
    if not run.config_file.exists():
        if run.path.exists() and not _left_by_begin(run):
            raise UserError(f"{run.path}: holds files but no config.json; give an empty or new directory with ‹run›")
        return False
    there = run.record()
    differing = _differences(run, there, _with_own_paths(run, record))
    if differing and run.holds_results():
        raise UserError(
            f"{run.path}: holds a run of other settings ({most_telling(differing)}); use those, or another ‹run›"
        )
    return not differing


def _with_own_paths(run: RunDir, asked: RunRecord) -> RunRecord:
    return asked._replace(config=with_own_paths(run, asked.config))


def with_own_paths(run: RunDir, config: Config) -> Config:
    """The configuration with the run's own `init_from` and `features` for `runs/latest`, which is this very run now.

    Args:
      run: the directory, perhaps of no run yet.
      config: what is asked for, its paths located.

    Raises:
      UserError: the run's record is damaged.
    """
    asked = {place: getattr(config, place) for place in ("init_from", "features")}
    itself = [place for place, path in asked.items() if path is not None and Path(path) == run.path.resolve()]
    if not itself or not run.config_file.exists():
        return config
    there = run.record().config
    own = {"init_from": there.init_from, "features": there.features or config.features}
    return changed(config, {place: own[place] for place in itself})


def _left_by_begin(run: RunDir) -> bool:
    """Whether the files may come of a `begin` that was killed, perhaps while it replaced a run of no result."""
    whole = {path.name for path in (run.labels_file, run.metrics_file, run.checkpoints, run.tensorboard)}
    partial = tuple(f".{path.name}." for path in (run.labels_file, run.config_file, run.metrics_file))
    names = [entry.name for entry in run.path.iterdir()]
    known = all(name in whole or (name.startswith(partial) and name.endswith(".tmp")) for name in names)
    return known and not run.holds_results()


def _differences(run: RunDir, there: RunRecord, asked: RunRecord) -> list[str]:
    was, now = there.config, asked.config
    differing = differences(was, now)
    if was.total_steps != now.total_steps:
        lengths = f"steps was {was.total_steps}, now {now.total_steps}"
        if now.adam.schedule != "constant":
            differing.append(f"{lengths}: its learning rate was to end with the former")
        elif now.propagation.pause_until:
            differing.append(f"{lengths}: its propagated labels were to pause in steps that the former gives")
        elif not differing and now.total_steps < was.total_steps and not run.result_file.exists():
            differing.append(f"{lengths}: it has not ended yet")
    images = there.dataset.images.differences(asked.dataset.images)
    was_compared, compared = there.dataset.embeddings, asked.dataset.embeddings
    if was_compared != compared:
        images.append(f"embeddings were {_short(was_compared)}, now {_short(compared)}")
    names, asked_names = there.dataset.class_names, asked.dataset.class_names
    if asked.dataset.custom and names != asked_names:
        images.append(f"classes were {_shown(names)}, now {_shown(asked_names)}")
    return images + differing  # the most telling first


def _joined(there: RunRecord, asked: RunRecord) -> RunRecord:
    """The record of a run that is resumed: as it was, with what this part of it runs on, and never shorter."""
    length = asked.config if asked.config.total_steps > there.config.total_steps else there.config
    config = changed(asked.config, {place: flatten(length)[place] for place in LENGTH_SETTINGS})
    before, (part,) = there.parts[-1], asked.parts
    was, now = _environment(before), _environment(part)
    changes = [f"{name} was {value}" for name, value in was.items() if now.get(name) != value]
    if changes:
        log.warning("%s: the run's last bits may now differ", "; ".join(changes))
    parts = there.parts if part == before else (*there.parts, part)
    return there._replace(config=config, parts=parts, origin=asked.origin or there.origin)


def _environment(part: Part) -> dict[str, object]:
    return part.versions | {"precision": part.device.get("precision")}


def _short(digest: str) -> str:
    return f"{digest[:12]}..." if digest else "none"


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")

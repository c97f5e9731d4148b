"""The sweep directory: trials that are done, and their runs. No JAX here.

results.jsonl   one line a trial: a preset, a number of labels, a draw of them; configuration, figures, versions
runs/           fast-100-s0 ... one run directory a trial; fast-100-s0-m1 for a second run on the same draw
table.md        means and deviations over the draws
error.png       the same as a plot, beside published figures

A trial is recorded when its run has ended. A kill may cut the last line off: that trial is then recorded again.
Three fields have names of their own in the file: `fall` is the drop of accuracy from the best epoch to the last,
`member` counts the runs on the same draw, and `together` is the number of runs in an ensemble.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgan_jax import config as settings
from sgan_jax.config import MAX_DRAWS, Config, from_json, most_telling
from sgan_jax.errors import UserError
from sgan_jax.files import named, write_atomically
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.record import Images

ROOT = Path("sweeps")

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "preset": str,
    "labels": int,
    "draw": int,
    "head": str,
    "dataset": str,
    "notice": str,
    "digest": str,
    "steps": int,
    "seconds": (int, float),
    "test_accuracy": (int, float),
    "ema_test_accuracy": (int, float),
    "config": dict,
}
_OPTIONAL_FIELDS: dict[str, type | tuple[type, ...]] = {
    "member": int,
    "together": int,
    "fall": (int, float),
    "device": dict,
    "versions": dict,
    "units": dict,
    "watched": list,
    "images": dict,
    "features": dict,
}
_FREE = frozenset({"seed", "data.labels", "data.label_seed"})  # may differ between trials of one preset

Record = dict[str, Any]  # a line of results.jsonl


class Key(NamedTuple):
    """What identifies a trial within its sweep."""

    preset: str
    labels: int
    draw: int
    member: int = 0  # of the runs on the same draw
    together: int = 1  # number of runs whose classifiers are averaged

    def __str__(self) -> str:
        member = f"-m{self.member}" if self.member else ""
        return f"{self.preset}-{self.labels}-s{self.draw}{member}" + (
            f", {self.together} together" if self.together > 1 else ""
        )

    def averaged(self, members: int) -> "Key":
        """What identifies the average of so many runs on the same draw."""
        return self._replace(member=0, together=members)


def key(config: Config) -> Key:
    """What identifies the trial of a configuration."""
    draw, labels = config.data.label_seed, config.data.labels
    assert labels is not None  # a sweep is asked for numbers
    return Key(config.preset, labels, draw, (config.seed - draw) // MAX_DRAWS)


def key_of(record: Record) -> Key:
    """What identifies the trial of a line of results.jsonl."""
    return Key(record["preset"], record["labels"], record["draw"], record.get("member", 0), record.get("together", 1))


class SweepDir:
    """Paths and records of one sweep."""

    def __init__(self, path: Path):
        self.path = path
        self.results_file = path / "results.jsonl"
        self.table_file = path / "table.md"
        self.plot_file = path / "error.png"
        self.runs = path / "runs"

    def run(self, trial: Key) -> RunDir:
        """The run directory of a trial."""
        return RunDir(self.runs / str(trial))

    def records(self) -> list[Record]:
        """The trials that are done, in the order in which they ended; none before the sweep.

        Raises:
          UserError: a line is of another version or cannot be read.
        """
        records: dict[Key, Record] = {}
        for number, text in enumerate(self._text().splitlines(), 1):
            try:
                record = json.loads(text)
            except ValueError:  # cut off by a kill
                continue
            if not _is_valid(record):
                raise UserError(f"{self.results_file}: line {number} is damaged or of another version; another ‹out›")
            records[key_of(record)] = record
        return list(records.values())

    def _text(self) -> str:
        try:
            return self.results_file.read_text(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def dataset(self) -> str | None:
        """The data set's name in what is there already; None where there is nothing, or where names differ."""
        names = {record["config"]["data"]["dataset"] for record in self.records()}
        names |= {RunDir(path.parent).dataset() for path in self.runs.glob("*/config.json")}
        return names.pop() if len(names) == 1 else None

    def begin(self, configs: Sequence[Config], images: Images) -> set[Key]:
        """Joins what is in the directory; returns the trials that are done of the draws in `configs`.

        Args:
          configs: one for each trial.
          images: what all of them are trained on.

        Raises:
          UserError: the directory holds trials or runs of other settings (names the fields that differ), or files
            that are not of a sweep.
          OSError: it cannot be written.
        """
        self._check_is_sweep()
        records = self.records()
        self._check_settings(records, configs, images)
        done = set(map(key_of, records))
        # Written now, so that a file that cannot be written is noticed before the first trial.
        text = "".join(map(_line, records))
        if not self.results_file.exists() or self._text() != text:
            write_atomically(self.results_file, text)
        with self.results_file.open("a"):
            draws = {key(config)._replace(member=0) for config in configs}
            return {trial for trial in done if trial.averaged(1) in draws}

    def _check_is_sweep(self) -> None:
        ours = {file.name for file in (self.results_file, self.table_file, self.plot_file, self.runs)}
        others = [entry.name for entry in self.path.iterdir() if entry.name not in ours and entry.name[0] != "."]
        if others and not self.results_file.exists():
            raise UserError(f"{self.path}: holds files but no results.jsonl; give an empty or new directory with ‹out›")

    def _check_settings(self, records: Sequence[Record], configs: Sequence[Config], images: Images) -> None:
        """Refuses recorded trials and unfinished runs whose settings differ from what is asked for now."""
        presets = {config.preset: config for config in configs}
        for record in records:
            recorded = from_json(record["config"])
            now = presets.get(record["preset"], recorded)
            self._refuse(key_of(record), _differences(recorded, _images(record), now, images))
        done = set(map(key_of, records))
        for config in configs:
            run = self.run(key(config))
            if key(config) not in done and run.config_file.exists() and run.holds_results():
                was = run.record()
                self._refuse(key(config), _differences(was.config, was.dataset.images, config, images))

    def _refuse(self, trial: Key, differences: list[str]) -> None:
        if differences:
            raise UserError(
                f"{self.path}: its trial {trial} has other settings ({most_telling(differences)}); "
                f"use those, or another ‹out›"
            )

    def append(self, record: Record) -> None:
        """Adds a record; it is on the disk when this returns."""
        with named(self.results_file), self.results_file.open("a") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())


def differences(one: Record, other: Record) -> list[str]:
    """What keeps two trials of a preset out of one table, a phrase each."""
    return _differences(from_json(one["config"]), _images(one), from_json(other["config"]), _images(other))


def _is_valid(record: Any) -> bool:
    """Whether a line of results.jsonl has all fields, with values of their types."""
    try:
        valid = all(isinstance(record[name], kind) for name, kind in _FIELDS.items())
        valid &= all(isinstance(record[name], kind) for name, kind in _OPTIONAL_FIELDS.items() if name in record)
        valid &= all(math.isfinite(value) for value in record.values() if isinstance(value, int | float))
        from_json(record["config"])
    except (KeyError, TypeError, AttributeError, OverflowError, UserError):
        return False
    return valid


def _images(record: Record) -> Images:
    return Images(record["dataset"], record["digest"])


def _line(record: Record) -> str:
    return json.dumps(record) + "\n"


def _differences(was: Config, was_images: Images, now: Config, images: Images) -> list[str]:
    phrases = settings.differences(was, now, _FREE)
    if was.total_steps != now.total_steps:  # whether given as epochs or as steps
        phrases.append(f"steps was {was.total_steps}, now {now.total_steps}")
    if was.patience != now.patience:  # it decides with which step a trial ends
        phrases.append(f"patience was {was.patience}, now {now.patience}")
    return phrases + was_images.differences(images)

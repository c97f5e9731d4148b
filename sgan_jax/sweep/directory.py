"""The sweep directory: rows that are done, and the runs that they came of. No JAX here.

results.jsonl   one line a row: a preset, a number of labels, a draw of them; configuration, figures, versions
runs/           fast-100-s0 ... one run directory a row; fast-100-s0-m1 for a second run on the same draw
table.md        means and deviations over the draws
error.png       the same, drawn, beside published figures

A row is appended when its run has ended. A kill may cut the last line off: it is then no row, and is written again.
"""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgan_jax import config as settings
from sgan_jax.config import MAX_DRAWS, Config, from_json
from sgan_jax.errors import UserError
from sgan_jax.files import named, write_atomically
from sgan_jax.runs.directory import Images, RunDir

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
_MAY_HOLD: dict[str, type | tuple[type, ...]] = {
    "member": int,
    "together": int,
    "fall": (int, float),
    "device": dict,
    "versions": dict,
}
_FREE = frozenset({"seed", "data.labels", "data.label_seed"})  # what differs from row to row of a preset

Row = dict[str, Any]


class Key(NamedTuple):
    """What tells a row from the others of its sweep."""

    preset: str
    labels: int
    draw: int
    member: int = 0  # of the runs on the same draw
    together: int = 1  # how many of them are averaged

    def __str__(self) -> str:
        member = f"-m{self.member}" if self.member else ""
        return f"{self.preset}-{self.labels}-s{self.draw}{member}" + (
            f", {self.together} together" if self.together > 1 else ""
        )

    def averaged(self, members: int) -> "Key":
        """The row of so many runs on the draw together."""
        return self._replace(member=0, together=members)


def key(config: Config) -> Key:
    """The row that a configuration is."""
    draw, labels = config.data.label_seed, config.data.labels
    assert labels is not None  # a sweep is asked for numbers
    return Key(config.preset, labels, draw, (config.seed - draw) // MAX_DRAWS)


class SweepDir:
    """Paths and rows of one sweep."""

    def __init__(self, path: Path):
        self.path = path
        self.results_file = path / "results.jsonl"
        self.table_file = path / "table.md"
        self.plot_file = path / "error.png"
        self.runs = path / "runs"

    def run(self, row: Key) -> RunDir:
        """The run directory of a row."""
        return RunDir(self.runs / str(row))

    def rows(self) -> list[Row]:
        """The rows that are done, in the order in which they ended; none where there is no sweep yet.

        Raises:
          UserError: a line is of another version or cannot be read.
        """
        rows: dict[Key, Row] = {}
        for number, text in enumerate(self._text().splitlines(), 1):
            try:
                row = json.loads(text)
            except ValueError:  # cut off by a kill
                continue
            try:
                whole = all(isinstance(row[name], kind) for name, kind in _FIELDS.items())
                whole &= all(isinstance(row[name], kind) for name, kind in _MAY_HOLD.items() if name in row)
                whole &= all(math.isfinite(value) for value in row.values() if isinstance(value, int | float))
                from_json(row["config"])
            except (KeyError, TypeError, AttributeError, OverflowError, UserError):
                whole = False
            if not whole:
                raise UserError(f"{self.results_file}: line {number} is damaged or of another version; another ‹out›")
            rows[key_of(row)] = row
        return list(rows.values())

    def _text(self) -> str:
        try:
            return self.results_file.read_text(errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def dataset(self) -> str | None:
        """The data set's name in what is there already; None where there is nothing, or where names differ."""
        names = {row["config"]["data"]["dataset"] for row in self.rows()}
        names |= {RunDir(path.parent).dataset() for path in self.runs.glob("*/config.json")}
        return names.pop() if len(names) == 1 else None

    def begin(self, configs: Sequence[Config], images: Images) -> set[Key]:
        """Joins what is in the directory; returns what is done of the draws in `configs`.

        Args:
          configs: a row each.
          images: what all of them are trained on.

        Raises:
          UserError: the directory holds rows or runs of other settings (names the fields that differ), or something
            else than a sweep.
          OSError: it cannot be written.
        """
        ours = {file.name for file in (self.results_file, self.table_file, self.plot_file, self.runs)}
        others = [entry.name for entry in self.path.iterdir() if entry.name not in ours and entry.name[0] != "."]
        if others and not self.results_file.exists():
            raise UserError(f"{self.path}: holds files but no results.jsonl; give an empty or new directory with ‹out›")
        rows, asked = self.rows(), {config.preset: config for config in configs}
        for row in rows:
            held = from_json(row["config"])
            self._refuse(key_of(row), _differences(held, _images(row), asked.get(row["preset"], held), images))
        done = set(map(key_of, rows))
        for config in configs:
            run = self.run(key(config))
            if key(config) not in done and run.config_file.exists() and run.holds_results():
                dataset = run.record()["dataset"]
                held_images = Images(dataset["name"], dataset["digest"])
                self._refuse(key(config), _differences(run.config(), held_images, config, images))
        # Also tells now, and not after the first row, whether the file can be written.
        whole = "".join(map(_line, rows))
        if not self.results_file.exists() or self._text() != whole:
            write_atomically(self.results_file, whole)
        with self.results_file.open("a"):
            draws = {key(config)._replace(member=0) for config in configs}
            return {row for row in done if row.averaged(1) in draws}

    def _refuse(self, row: Key, differences: list[str]) -> None:
        if differences:
            raise UserError(
                f"{self.path}: its row {row} is of other settings ({'; '.join(differences)}); "
                f"use those, or another ‹out›"
            )

    def append(self, row: Row) -> None:
        """Adds a row, on the disk when this returns."""
        with named(self.results_file), self.results_file.open("a") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())


def key_of(row: Row) -> Key:
    """What a line of results.jsonl is the row of."""
    return Key(row["preset"], row["labels"], row["draw"], row.get("member", 0), row.get("together", 1))


def differences(held: Row, other: Row) -> list[str]:
    """What keeps two rows of a preset out of one table, a phrase each."""
    return _differences(from_json(held["config"]), _images(held), from_json(other["config"]), _images(other))


def _images(row: Row) -> Images:
    return Images(row["dataset"], row["digest"])


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def _differences(held: Config, held_images: Images, asked: Config, images: Images) -> list[str]:
    found = settings.differences(held, asked, _FREE)
    if held.total_steps != asked.total_steps:  # said as epochs or as steps
        found.append(f"steps was {held.total_steps}, now {asked.total_steps}")
    return found + held_images.differences(images)

"""`runs`: a table of runs, two of them compared, one of them removed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from sgan_jax.cli.spelling import command
from sgan_jax.errors import UserError

if TYPE_CHECKING:
    from sgan_jax.metrics.measure import Measure
    from sgan_jax.runs.catalog import Comparison, RunSummary

COLUMNS = ("run", "preset", "data", "labels", "steps", "accuracy", "size", "state")
RIGHT = ("labels", "steps", "size")  # columns of numbers


@dataclass(frozen=True)
class Runs:
    """List runs, compare two of them, or remove one; needs no JAX.

    `runs` lists them, `runs compare A B` shows settings that differ and figures, `runs remove A` removes a run.
    """

    action: Annotated[Literal["list", "compare", "remove"], tyro.conf.Positional] = "list"
    """list, compare or remove."""
    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(help_behavior_hint="")] = ()
    """Runs to compare or to remove: names in the folder, or paths."""
    folder: Path = Path("runs")
    """The folder of runs."""
    json: bool = False
    """Print JSON instead of text; of list and compare."""

    def __call__(self) -> int:
        """Runs the command.

        Raises:
          UserError: a run does not exist, or cannot be removed.
        """
        expected = {"list": 0, "compare": 2, "remove": 1}[self.action]
        if len(self.names) != expected:
            what = {0: "no run", 1: "one run", 2: "two runs"}[expected]
            raise UserError(
                f"runs {self.action}: {len(self.names)} name{'s' * (len(self.names) != 1)}; expected {what}"
            )
        {"list": self._list, "compare": self._compare, "remove": self._remove}[self.action]()
        return 0

    def _list(self) -> None:
        from sgan_jax.runs.catalog import leftovers, runs_in
        from sgan_jax.runs.find import LATEST

        rows = runs_in(self.folder)
        latest = (self.folder / LATEST.name).resolve()
        if self.json:
            print(json.dumps([_as_json(row) | {"latest": row.path.resolve() == latest} for row in rows], indent=2))
        elif not rows:
            print(f"{self.folder}: no runs; {command('train')} makes one")
        else:
            _print_runs(rows, latest, self.folder / LATEST.name)
        for left in [] if self.json else leftovers(self.folder):
            print(f"{left}: left by a removal that was killed; remove the folder")

    def _compare(self) -> None:
        from sgan_jax.runs.catalog import compare, find

        one, other = (find(name, self.folder) for name in self.names)
        comparison = compare(one, other)
        if self.json:
            print(json.dumps(_comparison_as_json(comparison), indent=2))
        else:
            _print_comparison(comparison)

    def _remove(self) -> None:
        from sgan_jax.report.text import size_text
        from sgan_jax.runs.catalog import find, remove
        from sgan_jax.runs.find import LATEST

        if self.json:
            raise UserError("‹json›: is of list and compare; leave it out")
        removed = remove(find(self.names[0], self.folder))
        row = removed.run
        what = f"{row.preset}, {row.dataset}, {row.labels} labels, " if row.preset else ""
        count = len(row.checkpoints)
        checkpoints = f"{count} checkpoint{'' if count == 1 else 's'}"
        print(f"removed {row.path} ({what}{row.state}): {checkpoints}, {size_text(row.size)}")
        if removed.latest:
            print(f"{LATEST}: is {removed.latest.name} now")


def _print_runs(rows: "Sequence[RunSummary]", latest: Path, link: Path) -> None:
    from sgan_jax.report.text import size_text

    cells = [_cells(row) for row in rows]
    _print_table(COLUMNS, cells, RIGHT)
    for row in rows:
        if row.problem:
            print(f"{row.path.name}: {UserError(row.problem)}")
        elif row.early_end:
            print(f"{row.path.name}: {row.early_end}")
    count = f"{len(rows)} run{'' if len(rows) == 1 else 's'}"
    print(f"\n{count}, {size_text(sum(row.size for row in rows))}")
    if newest := next((row.path.name for row in rows if row.path.resolve() == latest), ""):
        print(f"{link}: {newest}")


def _cells(row: "RunSummary") -> tuple[str, ...]:
    from sgan_jax.report.text import size_text

    known = bool(row.preset)
    steps = f"{row.step:,}" if row.step >= row.total else f"{row.step:,} of {row.total:,}"
    accuracy = "-" if row.accuracy is None else f"{100 * row.accuracy:.2f} % {row.subset}"
    about = (row.preset, row.dataset, f"{row.labels:,}", steps, accuracy) if known else ("-",) * 5
    return (row.path.name, *about, size_text(row.size), row.state)


def _print_table(titles: "Sequence[str]", rows: "Sequence[Sequence[str]]", right: "Sequence[str]" = ()) -> None:
    """Columns two spaces apart, each as wide as its widest cell."""
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    for row in (titles, *rows):
        cells = [
            cell.rjust(width) if title in right else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _print_comparison(comparison: "Comparison") -> None:
    from sgan_jax.metrics.measure import label
    from sgan_jax.report.text import size_text

    names = [row.path.name for row in comparison.runs]
    if comparison.settings:
        rows = [(place, *map(_value, values)) for place, values in comparison.settings.items()]
        _print_table(("setting", *names), rows)
    else:
        print("the settings and the images are the same")
    print()
    figures = [(label(name), *map(_figure, values)) for name, values in comparison.figures.items()]
    figures.append(("size", *(size_text(row.size) for row in comparison.runs)))
    figures.append(("state", *(row.state for row in comparison.runs)))
    _print_table(("figure", *names), figures)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _figure(measure: "Measure | None") -> str:
    if measure is None:
        return "-"
    whole = measure.unit == "" and measure.value == int(measure.value)
    return f"{int(measure.value):,}" if whole else str(measure)


def _as_json(row: "RunSummary") -> dict[str, Any]:
    return row._asdict() | {"path": str(row.path), "name": row.path.name, "problem": str(UserError(row.problem))}


def _comparison_as_json(comparison: "Comparison") -> dict[str, Any]:
    figures = {
        name: [None if measure is None else measure.value for measure in values]
        for name, values in comparison.figures.items()
    }
    return {"runs": list(map(_as_json, comparison.runs)), "settings": comparison.settings, "figures": figures}

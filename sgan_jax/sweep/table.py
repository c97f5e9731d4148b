"""What sweeps found, as a table and a plot. No JAX here: `report --sweep DIR` answers at once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

from sgan_jax.config import usual_head
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.report import pictures
from sgan_jax.sweep.directory import Row, SweepDir, differences, key_of
from sgan_jax.sweep.published import PUBLISHED
from sgan_jax.training.progress import duration

COLUMNS = (
    "preset",
    "labels",
    "n",
    "test error %",
    "deviation",
    "averaged weights %",
    "deviation",
    "largest fall",
    "steps",
    "time a run (median)",
)


class Origin(NamedTuple):
    """What trained a row, and how exactly: `(["1062d2d"], ["float32"])`; several where it went on otherwise."""

    commits: list[str]
    precisions: list[str]

    def __str__(self) -> str:
        return ", ".join([*self.commits, *self.precisions]) or "not told"


class Cell(NamedTuple):
    """The draws of one preset and number of labels."""

    preset: str  # and the head, where it is not the preset's
    labels: int
    steps: int
    errors: list[float]  # of the test images by the last weights, %, [n]
    ema_errors: list[float]  # by the averaged weights, %, [n]
    falls: list[float]  # from a run's best epoch to its last, points, [n] where it is known
    seconds: list[float]  # that the runs took, [n]
    origins: list[Origin]  # of the runs, each once


def report(path: Path, *others: Path) -> int:
    """Prints the table of the rows of sweeps, writes it to table.md and draws error.png, both in the first directory.

    Raises:
      UserError: a directory has no row, they are of different images or settings, or a file cannot be written.
    """
    folder = SweepDir(path)
    rows: list[Row] = []
    for one in (folder, *map(SweepDir, others)):
        found_here = one.rows()
        if not found_here:
            raise UserError(f"{one.results_file}: holds no row; expected a directory made by `sweep`")
        rows += found_here
        if rows[0]["digest"] != found_here[0]["digest"]:
            raise UserError(f"{one.path}: is of other images ({found_here[0]['dataset']}) than {path}")
    twice = [name for (name, _), count in Counter((key_of(row), row["head"]) for row in rows).items() if count > 1]
    if twice:
        raise UserError(f"‹sweep›: row {twice[0]} is in two of the directories; give sweeps of different rows")
    firsts: dict[tuple[str, str], Row] = {}
    for row in rows:
        first = firsts.setdefault((row["preset"], row["head"]), row)
        if differing := differences(first, row):
            raise UserError(
                f"‹sweep›: rows {key_of(first)} and {key_of(row)} are of different settings ({'; '.join(differing)}); "
                "no table is made of both"
            )
    found, about = cells(rows), rows[0]["notice"] or rows[0]["dataset"]
    text = table(found, about)
    print(f"\n{text}", end="", flush=True)
    write_atomically(folder.table_file, text)
    pictures.save_errors(_curves(found, rows[0]), folder.plot_file, f"{about}: test error")
    print(f"\ntable: {folder.table_file}\nplot: {folder.plot_file}")
    return 0


def cells(rows: Sequence[Row]) -> list[Cell]:
    """Rows gathered by preset, in the order of their first row, and number of labels, ascending."""
    gathered: dict[tuple[str, int], Cell] = {}
    order: list[str] = []
    for row in rows:
        if row.get("member", 0):  # one run a draw is what the others are compared with
            continue
        preset = row["preset"]
        if row["head"] != usual_head(preset):
            preset += f", {row['head']}"
        if row.get("together", 1) > 1:
            preset += f", {row['together']} together"
        if preset not in order:
            order.append(preset)
        cell = gathered.setdefault(
            (preset, row["labels"]),
            Cell(preset, row["labels"], row["steps"], errors=[], ema_errors=[], falls=[], seconds=[], origins=[]),
        )
        cell.errors.append(100 * (1 - row["test_accuracy"]))
        cell.ema_errors.append(100 * (1 - row["ema_test_accuracy"]))
        cell.falls.extend([100 * row["fall"]] if "fall" in row else [])
        cell.seconds.append(row["seconds"])
        if (origin := _origin(row)) not in cell.origins:
            cell.origins.append(origin)
    return sorted(gathered.values(), key=lambda cell: (order.index(cell.preset), cell.labels))


def table(found: Sequence[Cell], about: str) -> str:
    """A Markdown table, a line a cell, under a line that says what is measured and on which data."""
    lines = [
        f"Error on the test images in %, mean and sample deviation over n draws of the labelled images ({about})",
        "",
        _table_row(COLUMNS),
        _table_row(["---", *["---:"] * (len(COLUMNS) - 1)]),
    ]
    for cell in found:
        figures = [
            figure for values in (cell.errors, cell.ema_errors) for figure in (_mean(values), _deviation(values))
        ]
        counts = [str(cell.labels), str(len(cell.errors))]
        fall = f"{max(cell.falls):.2f}" if cell.falls else "-"
        lines.append(
            _table_row([cell.preset, *counts, *figures, fall, str(cell.steps), duration(median(cell.seconds))])
        )
    notes = [
        f"{cell.preset}, {cell.labels} labels: not of one state: {'; '.join(map(str, cell.origins))}"
        for cell in found
        if len(cell.origins) > 1 or any(len(values) > 1 for values in cell.origins[0])
    ]
    return "\n".join([*lines, *[f"\n{note}" for note in notes]]) + "\n"


def _origin(row: Row) -> Origin:
    """As much of it as the row tells."""
    commits, precisions = (
        list(filter(None, str(held or "").split(", ")))
        for held in (row.get("commit"), row.get("device", {}).get("precision"))
    )
    return Origin([commit[:7] + "+" * commit.endswith("+") for commit in commits], precisions)


def _table_row(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _mean(values: Sequence[float]) -> str:
    return f"{mean(values):.2f}"


def _deviation(values: Sequence[float]) -> str:
    return f"{stdev(values):.2f}" if len(values) > 1 else "-"


def _curves(found: Sequence[Cell], about: Row) -> list[pictures.Curve]:
    """A curve a preset, then the published ones on the same data."""
    ours: dict[str, list[pictures.Point]] = {}
    for cell in found:
        deviation = stdev(cell.errors) if len(cell.errors) > 1 else None
        ours.setdefault(cell.preset, []).append(pictures.Point(cell.labels, mean(cell.errors), deviation))
    curves = [pictures.Curve(name, points) for name, points in ours.items()]
    for one in PUBLISHED if not about["notice"] else ():
        if one.dataset == about["dataset"]:
            name = f"{one.method}, {one.source}" if one.source else one.method
            points = [pictures.Point(labels, *error) for labels, error in one.errors.items()]
            curves.append(pictures.Curve(name, points, published=True))
    return curves

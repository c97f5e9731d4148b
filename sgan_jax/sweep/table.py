"""The trials of sweeps as a table and a plot. No JAX here: `report --sweep DIR` answers at once."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import NamedTuple

from sgan_jax.config import most_telling
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.metrics.features import DIGITS, FIGURES, Basis, basis_of
from sgan_jax.metrics.measure import Measure, label, measures, number
from sgan_jax.presets import usual_head
from sgan_jax.report import pictures
from sgan_jax.report.text import duration
from sgan_jax.sweep.directory import Record, SweepDir, differences, key_of
from sgan_jax.sweep.published import PUBLISHED

COLUMNS = (
    "preset",
    "labels",
    "n",
    "test error %",
    "deviation",
    "averaged weights %",
    "deviation",
    "largest drop",
    "steps",
    "time a run (median)",
)
# Measures without such columns: two are shown as errors, no error of training images is reported, and the generator's
# figures have columns where some trials have them.
NO_COLUMNS = frozenset({"test_accuracy", "ema_test_accuracy", "train_accuracy", *FIGURES})


class Report(NamedTuple):
    """The report on the trials of sweeps."""

    text: str  # the table, Markdown
    table_file: Path
    plot_file: Path


class Origin(NamedTuple):
    """Commit and precision that trained a trial: `(["1062d2d"], ["float32"])`; several where a resume had others."""

    commits: list[str]
    precisions: list[str]

    def __str__(self) -> str:
        return ", ".join([*self.commits, *self.precisions]) or "not recorded"


class Cell(NamedTuple):
    """The draws of one preset and number of labels; n is the number of draws."""

    preset: str  # and the head, where it differs from the preset's
    labels: int
    steps: int
    ensemble: bool  # whether classifiers of several runs are averaged
    errors: list[float]  # on the test images with the last weights, %, [n]
    ema_errors: list[float]  # on the test images with the averaged weights, %, [n]
    drops: list[float]  # from a run's best epoch to its last, percentage points, [n] where recorded
    seconds: list[float]  # training time of each run, [n]
    measures: dict[str, list[Measure]]  # further measures by name, [n] each where every draw has them
    bases: list[Basis | None]  # of the generator's figures, [n]
    origins: list[Origin]  # of the runs, each once


def report(path: Path, *others: Path) -> Report:
    """Writes the table of the trials of sweeps to table.md and draws error.png, both in the first directory.

    Args:
      path: a sweep directory.
      others: further ones, reported together with the first.

    Raises:
      UserError: a directory has no trial, they are of different images or settings, or a file cannot be written.
    """
    folder, records = SweepDir(path), gather(path, *others)
    table_cells, about = cells(records), records[0]["notice"] or records[0]["dataset"]
    text = table(table_cells, about)
    write_atomically(folder.table_file, text)
    pictures.save_errors(_curves(table_cells, records[0]), folder.plot_file, f"{about}: test error")
    return Report(text, folder.table_file, folder.plot_file)


def gather(path: Path, *others: Path) -> list[Record]:
    """The records of sweeps that can be compared with one another; arguments and errors as of `report`."""
    records: list[Record] = []
    for folder in map(SweepDir, (path, *others)):
        its_records = folder.records()
        if not its_records:
            raise UserError(f"{folder.results_file}: holds no trial; expected a directory made by `sweep`")
        records += its_records
        if records[0]["digest"] != its_records[0]["digest"]:
            raise UserError(f"{folder.path}: is of other images ({its_records[0]['dataset']}) than {path}")
    counts = Counter((key_of(record), record["head"]) for record in records)
    twice = [trial for (trial, _), count in counts.items() if count > 1]
    if twice:
        raise UserError(f"‹sweep›: trial {twice[0]} is in two of the directories; give sweeps of different trials")
    firsts: dict[tuple[str, str], Record] = {}
    for record in records:
        first = firsts.setdefault((record["preset"], record["head"]), record)
        if differing := differences(first, record):
            raise UserError(
                f"‹sweep›: trials {key_of(first)} and {key_of(record)} have different settings "
                f"({most_telling(differing)}); no table is made of both"
            )
    return records


def cells(records: Sequence[Record]) -> list[Cell]:
    """Trials gathered by preset, in the order of their first trial, and by number of labels, ascending."""
    gathered: dict[tuple[str, int], Cell] = {}
    presets: dict[str, None] = {}  # in order
    for record in records:
        if record.get("member", 0):  # presets are compared by one run a draw
            continue
        preset = _preset(record)
        presets.setdefault(preset)
        ensemble = record.get("together", 1) > 1
        empty = Cell(preset, record["labels"], record["steps"], ensemble, [], [], [], [], {}, [], [])
        cell = gathered.setdefault((preset, record["labels"]), empty)
        cell.errors.append(100 * (1 - record["test_accuracy"]))
        cell.ema_errors.append(100 * (1 - record["ema_test_accuracy"]))
        cell.drops.extend([100 * record["fall"]] if "fall" in record else [])
        cell.seconds.append(record["seconds"])
        for name, measure in measures(record).items():
            cell.measures.setdefault(name, []).append(measure)
        cell.bases.append(basis_of(record))
        if (origin := _origin(record)) not in cell.origins:
            cell.origins.append(origin)
    order = list(presets)
    return sorted(gathered.values(), key=lambda cell: (order.index(cell.preset), cell.labels))


def table(table_cells: Sequence[Cell], about: str) -> str:
    """A Markdown table, a line a cell, under a line that names the figures and the data.

    Args:
      table_cells: from `cells`.
      about: the data set's name, or a notice about it.
    """
    bases = _bases(table_cells)
    further = [*_further(table_cells), *_of_generator(table_cells, bases)]
    columns = [*COLUMNS, *(text for one in further for text in (one.title(several=len(bases) > 1), "deviation"))]
    lines = [
        f"Error on the test images in %, mean and sample deviation over n draws of the labelled images ({about})",
        "",
        _line(columns),
        _line(["---", *["---:"] * (len(columns) - 1)]),
    ]
    lines += [_line([*_entries(cell), *_further_entries(cell, further)]) for cell in table_cells]
    notes = [
        f"{cell.preset}, {cell.labels} labels: not of one state: {'; '.join(map(str, cell.origins))}"
        for cell in table_cells
        if len(cell.origins) > 1 or any(len(values) > 1 for values in cell.origins[0])
    ]
    notes += map(_described, bases)
    return "\n".join([*lines, *[f"\n{note}" for note in notes]]) + "\n"


class _Column(NamedTuple):
    """A measure that is shown beside the errors."""

    name: str
    unit: str
    basis: Basis | None = None  # of a figure of the generator

    def title(self, several: bool) -> str:
        """Name and unit; and which features, where there are `several`."""
        which = f"({self.basis.about.digest[:DIGITS]}, {self.basis.images:,})" if several and self.basis else ""
        return " ".join(filter(None, (label(self.name), self.unit, which)))

    def of(self, cell: Cell) -> list[float]:
        """The values of a cell; nothing where a draw has none, or one of another unit or basis."""
        values = cell.measures.get(self.name, [])
        fit = len(values) == len(cell.errors) and {measure.unit for measure in values} == {self.unit}
        if self.basis is not None:
            fit = fit and all(basis is not None and basis.same_as(self.basis) for basis in cell.bases)
        return [measure.value for measure in values] if fit else []


def _further(table_cells: Sequence[Cell]) -> list[_Column]:
    """The measures that every trial has in the same unit, apart from `NO_COLUMNS`. Ensembles may lack them."""
    single = [cell for cell in table_cells if not cell.ensemble]
    columns = [
        _Column(name, values[0].unit)
        for name, values in (single[0].measures if single else {}).items()
        if name not in NO_COLUMNS
    ]
    return [column for column in columns if all(map(column.of, single))]


def _of_generator(table_cells: Sequence[Cell], bases: Sequence[Basis]) -> list[_Column]:
    """The figures of the generator that some trials have: of other presets it is not measured."""
    units = {name: values[0].unit for cell in table_cells for name, values in cell.measures.items()}
    columns = [_Column(name, units[name], basis) for basis in bases for name in FIGURES if name in units]
    return [column for column in columns if any(map(column.of, table_cells))]


def _bases(table_cells: Sequence[Cell]) -> list[Basis]:
    """What the figures of generators rest on, each once."""
    bases: list[Basis] = []
    for basis in (basis for cell in table_cells for basis in cell.bases):
        if basis is not None and not any(basis.same_as(other) for other in bases):
            bases.append(basis)
    return bases


def _described(basis: Basis) -> str:
    """A note about the figures of the generator."""
    floor = ", ".join(f"{label(name)} {measure}" for name, measure in basis.floor.items())
    text = f"generator: {basis.images:,} images, features of {basis.about.named}"
    return f"{text}; test images: {floor}" if floor else text


def _preset(record: Record) -> str:
    """The preset of a trial, and how it differs from the preset's usual trial."""
    preset: str = record["preset"]
    if record["head"] != usual_head(preset):
        preset += f", {record['head']}"
    if record.get("together", 1) > 1:
        preset += f", {record['together']} together"
    return preset


def _origin(record: Record) -> Origin:
    """As much of it as the record holds."""
    commits, precisions = (
        list(filter(None, str(value or "").split(", ")))
        for value in (record.get("commit"), record.get("device", {}).get("precision"))
    )
    return Origin([commit[:7] + "+" * commit.endswith("+") for commit in commits], precisions)


def _entries(cell: Cell) -> Iterator[str]:
    """What stands below `COLUMNS`."""
    yield from (cell.preset, str(cell.labels), str(len(cell.errors)))
    for errors in (cell.errors, cell.ema_errors):
        yield from (f"{mean(errors):.2f}", f"{stdev(errors):.2f}" if len(errors) > 1 else "-")
    yield from (f"{max(cell.drops):.2f}" if cell.drops else "-", str(cell.steps), duration(median(cell.seconds)))


def _further_entries(cell: Cell, columns: Sequence[_Column]) -> Iterator[str]:
    for column in columns:
        values = column.of(cell)
        yield number(Measure(mean(values), column.unit)) if values else "-"
        yield number(Measure(stdev(values), column.unit)) if len(values) > 1 else "-"


def _line(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _curves(table_cells: Sequence[Cell], about: Record) -> list[pictures.Curve]:
    """A curve for each preset, then the published ones on the same data."""
    ours: dict[str, list[pictures.Point]] = {}
    for cell in table_cells:
        deviation = stdev(cell.errors) if len(cell.errors) > 1 else None
        ours.setdefault(cell.preset, []).append(pictures.Point(cell.labels, mean(cell.errors), deviation))
    curves = [pictures.Curve(name, points) for name, points in ours.items()]
    for one in PUBLISHED if not about["notice"] else ():
        if one.dataset == about["dataset"]:
            name = f"{one.method}, {one.source}" if one.source else one.method
            points = [pictures.Point(labels, *error) for labels, error in one.errors.items()]
            curves.append(pictures.Curve(name, points, published=True))
    return curves

"""Reads a CSV file, such as labels.csv, that has a line for each image with its file and its label.

    file,label
    beach/1.png,cat
    beach/2.png,

An empty label means none. The header names the columns, in any order and beside others.
"""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sgan_jax.data.classes import Meaning, check_names, has_control, meaning, note_missing
from sgan_jax.data.csv_file import lines_of
from sgan_jax.data.splits import LeftOut
from sgan_jax.errors import RAISED, Problems, UserError

FILE_COLUMNS = ("file", "filename", "file_name", "image", "path")
LABEL_COLUMNS = ("label", "class")
_EXPECTED = "expected a header with the columns file and label"
TABLES = (".csv", ".tsv")  # suffixes of files with columns


class Row(NamedTuple):
    """A line of the file."""

    line: int
    file: str
    label: str


class FileLabels(NamedTuple):
    """The labels of the files that a CSV file names."""

    table: Path  # the CSV file
    labels: dict[Path, str | None]  # None: no label
    missing: tuple[LeftOut, ...]  # files that are not there, or not in the folder
    lines: int  # lines with a file

    @property
    def known(self) -> dict[Path, str]:
        """The files with a label."""
        return {path: label for path, label in self.labels.items() if label is not None}


def read_labels(path: Path, folder: Path, files: Sequence[Path], problems: Problems = RAISED) -> FileLabels:
    """Reads the labels of images.

    Args:
      path: the CSV file, UTF-8.
      folder: what the names in the file are relative to.
      files: the images of `folder` and below.
      problems: around the check of each line.

    Raises:
      UserError: the file cannot be read, has no header, names an image twice with other labels or none of the images.
    """
    rows = list(_rows(path, problems))
    by_path, by_name = _index(folder, files)
    labels: dict[Path, str | None] = {}
    missing: list[LeftOut] = []
    for row in rows:
        with problems:
            image = _find(row, path, folder, by_path, by_name)
            label = None if meaning(row.label) is Meaning.NO_LABEL else composed(row.label)
            if image is None:
                place = "outside of the folder" if _is_outside(row.file, folder) else "not there"
                missing.append(LeftOut(row.file, f"named in {path.name}, and {place}"))
            elif labels.setdefault(image, label) != label:
                both = f"'{labels[image] or ''}' and '{row.label}'"
                raise UserError(f"{path}: line {row.line}: {row.file} has two labels, {both}")
    if not labels:
        what = (
            f"none of {len(rows)} lines names an image of {folder} ({rows[0].file})" if rows else "no line with a file"
        )
        raise UserError(f"{path}: {what}; expected paths from {folder}, such as cats/1.png")
    known = [label for label in labels.values() if label is not None]
    with problems:
        check_names(sorted(set(known)), path)
    note_missing((row.label for row in rows if meaning(row.label) is Meaning.NO_LABEL), path)
    return FileLabels(path, labels, tuple(missing), len(rows))


def _rows(path: Path, problems: Problems) -> Iterator[Row]:
    """The lines with a file."""
    with lines_of(path, str(path), f"; {_EXPECTED}") as lines:
        header = [name.strip().casefold() for name in next(lines, [])]
        columns = _column(header, FILE_COLUMNS, path), _column(header, LABEL_COLUMNS, path)
        for values in lines:
            name, label = (values[column].strip() if column < len(values) else "" for column in columns)
            with problems:
                _check_line(f"{path}: line {lines.line_num}", values[len(header) :], name, label)
                if name:
                    yield Row(lines.line_num, name, label)


def _check_line(where: str, surplus: Sequence[str], name: str, label: str) -> None:
    """Checks that a line has no values beyond the header's columns, no quotation that runs on, and a file."""
    if any(map(str.strip, surplus)):
        raise UserError(f"{where}: more values than columns; put a value that has commas in quotation marks")
    if has_control(name + label):
        raise UserError(f"{where}: a value of several lines or with tabs; a quotation mark may be missing")
    if label and not name:
        raise UserError(f"{where}: label '{label}' without a file")


def _column(header: list[str], names: Sequence[str], path: Path) -> int:
    """The place of the one column that has one of the names."""
    places = [place for place, name in enumerate(header) if name in names]
    if len(places) != 1:
        count, there = "several columns" if places else "no column", ", ".join(header) or "none"
        raise UserError(
            f"{path}: {count} named {', '.join(names[:-1])} or {names[-1]} (there are {there}); {_EXPECTED}"
        )
    return places[0]


def _index(folder: Path, files: Sequence[Path]) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """The images by path from the folder, and by name alone."""
    by_path, by_name = {}, defaultdict(list)
    for file in files:
        by_path[composed(file.relative_to(folder).as_posix())] = file
        by_name[composed(file.name)].append(file)
    return by_path, by_name


def _find(row: Row, table: Path, folder: Path, by_path: dict[str, Path], by_name: dict[str, list[Path]]) -> Path | None:
    """The image that a line names by its path, or by its name where only one image has it."""
    written = composed(row.file.replace("\\", "/"))
    name = posixpath.normpath(written)  # without ./
    if name in by_path:
        return by_path[name]
    if "/" in name:  # perhaps absolute, or from the current folder
        place, top = Path(os.path.abspath(name)), folder.absolute()
        return by_path.get(place.relative_to(top).as_posix()) if top in place.parents else None
    images = by_name.get(name, [])
    if len(images) > 1:
        several = " and ".join(image.relative_to(folder).as_posix() for image in images[:2])
        raise UserError(f"{table}: line {row.line}: {row.file} may be {several}; expected its path from {folder}")
    return images[0] if images else None


def _is_outside(name: str, folder: Path) -> bool:
    """Whether the name of a file that is not there leads out of the folder."""
    written = posixpath.normpath(name.replace("\\", "/"))
    leads_out = written.startswith("../") or posixpath.isabs(written)
    return leads_out and folder.absolute() not in Path(os.path.abspath(written)).parents


def composed(text: str) -> str:
    """The text in composed form (NFC): systems store accents differently."""
    return unicodedata.normalize("NFC", text)

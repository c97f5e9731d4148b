"""What the readers of published sets' files share: rows of bytes, names of classes, checksums, and their errors."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sgan_jax.data import memory
from sgan_jax.data.classes import check_spelling
from sgan_jax.data.published import local_name
from sgan_jax.errors import RAISED, Problems, UserError

_ROWS = 1000  # read at a time


def is_any_in(folder: Path, names: Sequence[str], least: int = 1) -> bool:
    """Whether at least `least` of the files are in a folder, which may be no folder or not readable."""
    return sum(os.path.exists(folder / name) for name in names) >= least


def paths_in(folder: Path, names: Sequence[str], what: str, problems: Problems = RAISED) -> list[Path]:
    """The files of these names in a folder.

    Args:
      folder: where they must be.
      names: of the files.
      what: the files together, for the message.
      problems: around the check of each file; those that are missing are not returned.

    Raises:
      UserError: names the first that is missing.
    """
    there = []
    for name in names:
        with problems:
            if not is_any_in(folder, [name]):
                raise UserError(f"‹data.data_dir› {folder}: no file {name}; expected {what}: {', '.join(names)}")
            there.append(folder / name)
    return there


def count_rows(path: Path, row: int, of: str) -> int:
    """How many rows of `row` bytes a file has.

    Args:
      path: the file.
      row: bytes of a row.
      of: what a row is, for the message.

    Raises:
      UserError: the file cannot be read, is empty, or ends within a row.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None
    if size == 0 or size % row:
        raise UserError(f"{path}: {size} bytes; expected a multiple of {row} ({of}): copy it again")
    return size // row


def count_all(paths: Sequence[Path], row: int, of: str, problems: Problems) -> dict[Path, int]:
    """How many rows each file has, for those files in which `count_rows` finds no error."""
    counts = {}
    for path in paths:
        with problems:
            counts[path] = count_rows(path, row, of)
    return counts


def rows(path: Path, row: int) -> Iterator[np.ndarray]:
    """Yields the rows of a file whose length `count_rows` has checked, some at a time, uint8 `[n, row]`.

    Raises:
      UserError: the file cannot be read, or no longer has that length.
    """
    try:
        with path.open("rb") as file:
            while piece := file.read(_ROWS * row):
                yield np.frombuffer(piece, np.uint8).reshape(-1, row)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:
        raise UserError(f"{path}: has changed while it was read; expected whole rows of {row} bytes") from None


def read_names(path: Path) -> tuple[str, ...]:
    """The names of classes in a text file, one a line.

    Raises:
      UserError: the file cannot be read, or has fewer than two names or one twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except OSError as error:
        raise _unreadable(path, error) from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: no UTF-8 text; expected the name of a class in each line") from None
    if len(names) < 2:
        raise UserError(f"{path}: {len(names)} names of classes; expected two at least, one a line")
    check_spelling(names, path)
    return names


def check_memory(folder: Path, needed: int) -> None:
    """Checks that images fit in memory before they are read.

    Args:
      folder: that contains them, for the message.
      needed: their bytes.

    Raises:
      UserError: they do not.
    """
    if too_large := memory.excess(needed):
        raise UserError(f"‹data.data_dir› {folder}: {too_large}; expected fewer images, or a machine with more memory")


def name_of(folder: Path, dataset: str, record: Mapping[str, Mapping[str, str]], problems: Problems = RAISED) -> str:
    """The name of the set in a folder, by the checksums of its files.

    Args:
      folder: that contains the files.
      dataset: the set that the files must be, or "auto" to recognise it.
      record: for each set whose checksums are on record the MD5 sums of its files.
      problems: around the check of each file of `dataset`.

    Returns:
      The name of the set; for files that are not recognised, the name of their folder.

    Raises:
      UserError: a file is not that of `dataset`.
    """
    md5 = functools.cache(lambda file: _md5(folder / file) if is_any_in(folder, [file]) else "")
    if dataset == "auto":
        matches = (name for name, sums in record.items() if all(md5(file) == digest for file, digest in sums.items()))
        return next(matches, None) or local_name(folder, "set")
    for file, digest in record.get(dataset, {}).items():
        with problems:
            if md5(file) not in ("", digest):  # a file that is missing is named by `paths_in`
                raise UserError(
                    f"{folder / file}: not the file of {dataset} (MD5 {md5(file)[:12]}..., expected {digest[:12]}...); "
                    "‹data.dataset› auto takes the folder for what it is"
                )
    return dataset


def _md5(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror or error})")

"""Reads the vectors by which the graph compares images in the place of pixels: `propagation.embeddings`.

    .npy   [N, F], a row for each training image, in their order
    .npz   names, text [N]: files relative to the folder of images; vectors [N, F]
    .csv   a line for each image: its file, then F numbers; a header that begins with `file` is skipped;
            separated by commas, semicolons or tabs

Rows of test images may stand beside the others, by name, and are not used. Nothing in a file is unpickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.csv_file import lines_of
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.labels_file import FILE_COLUMNS, composed
from sgan_jax.data.layout import few
from sgan_jax.errors import UserError, reason

_SHOWN = 3  # names or rows that a message lists


class _Table(NamedTuple):
    """The rows of a file."""

    vectors: np.ndarray  # [N, F] of some type
    names: Sequence[str] | None  # N; None: rows are in the images' order


def with_embeddings(dataset: Dataset, file: str | Path) -> Dataset:
    """The data set with a vector for each training image, scaled to length 1.

    Args:
      dataset: its training images get the vectors.
      file: .npy, .npz or .csv.

    Raises:
      UserError: the file cannot be read, its rows are not those of the images, or a vector has no direction.
    """
    path = Path(file)
    place = f"‹propagation.embeddings› {path}"
    if path.suffix.casefold() not in _READERS:
        raise UserError(f"{place}: expected a file {', '.join(_READERS)}")
    if not path.is_file():
        raise UserError(f"{place}: {'a folder' if path.is_dir() else 'no such file'}")
    try:
        table = _READERS[path.suffix.casefold()](path, place)
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from None
    vectors = _checked(table.vectors, place)
    if table.names is not None:
        vectors = vectors[_order(table.names, vectors, dataset, place)]
    elif len(vectors) != len(dataset.train_images):
        raise UserError(
            f"{place}: {len(vectors)} rows for {len(dataset.train_images)} training images; expected a row for each, "
            "in their order, or an .npz or .csv file with the images' names"
        )
    return replace(dataset, embeddings=_unit(vectors, place), known_digest=dataset.digest)


def _of_npy(path: Path, place: str) -> _Table:
    try:
        with path.open("rb") as file:  # NumPy would leave open a file that it opens itself and cannot read
            array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{place}: damaged, or not .npy ({reason(error)})") from None
    except MemoryError as error:  # a damaged header may ask for any size
        raise UserError(f"{place}: damaged, or too large for the memory ({reason(error)})") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{place}: not .npy; an archive has the suffix .npz")
    return _Table(array, None)


def _of_npz(path: Path, place: str) -> _Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            there = list(arrays)
            if missing := [name for name in ("names", "vectors") if name not in there]:
                raise UserError(f"{place}: no array {' and '.join(missing)}; there are {few(there) or 'none'}")
            names, vectors = arrays["names"], arrays["vectors"]
    except UserError:
        raise
    except Exception as error:  # NumPy and zipfile raise errors of many kinds
        raise UserError(f"{place}: damaged, or not .npz ({reason(error)})") from None
    if names.ndim != 1 or names.dtype.kind != "U":
        raise UserError(f"{place}: names is {names.dtype} {list(names.shape)}; expected text, a name for each row")
    return _Table(vectors, names.tolist())


def _of_csv(path: Path, place: str) -> _Table:
    names: list[str] = []
    rows: list[np.ndarray] = []
    with lines_of(path, place) as lines:
        for values in lines:
            if not values or (not names and values[0].strip().casefold() in FILE_COLUMNS):
                continue
            row = _numbers(values[1:], f"{place}: line {lines.line_num}")
            if rows and len(row) != len(rows[0]):
                raise UserError(f"{place}: line {lines.line_num}: {len(row)} numbers, {len(rows[0])} before it")
            names.append(values[0].strip())
            rows.append(row)
    return _Table(np.stack(rows) if rows else np.zeros((0, 0), np.float32), names)


def _numbers(texts: Sequence[str], place: str) -> np.ndarray:
    try:
        return np.array([float(text) for text in texts], np.float64)
    except ValueError as error:
        raise UserError(f"{place}: {reason(error)}; expected the image's file, then numbers") from None


_READERS = {".npy": _of_npy, ".npz": _of_npz, ".csv": _of_csv}


def _checked(vectors: np.ndarray, place: str) -> np.ndarray:
    """The vectors as float32 `[N, F]`."""
    if vectors.ndim != 2 or not vectors.size:
        raise UserError(f"{place}: vectors are {list(vectors.shape)}; expected [images, numbers]")
    if vectors.dtype.kind not in "fiu":
        raise UserError(f"{place}: vectors are {vectors.dtype}; expected numbers, such as float32")
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(vectors, np.float32)  # in one order: sums, and so the digest, have one value
    if len(odd := np.flatnonzero(~np.isfinite(numbers).all(axis=1))):
        raise UserError(f"{place}: {_rows(odd)} with a number that is NaN, infinite or too large for float32")
    return numbers


def _unit(vectors: np.ndarray, place: str) -> np.ndarray:
    """The vectors scaled to length 1."""
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    if len(zero := np.flatnonzero(largest[:, 0] == 0)):
        raise UserError(f"{place}: {_rows(zero)} of zeros only, which cannot be compared by their angle")
    scaled = vectors / largest  # first, so that no square overflows or vanishes
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), np.float32)


def _order(names: Sequence[str], vectors: np.ndarray, dataset: Dataset, place: str) -> np.ndarray:
    """The row of each training image, int `[N]`."""
    if not dataset.train_files:
        raise UserError(f"{place}: rows by name, and the images of {dataset.name} have no files; expected .npy")
    if len(names) != len(vectors):
        raise UserError(f"{place}: {len(names)} names for {len(vectors)} vectors; expected as many")
    rows = {_as_compared(name): row for row, name in enumerate(names)}
    if len(rows) < len(names):
        raise UserError(f"{place}: {len(names) - len(rows)} of {len(names)} rows repeat a name; expected each once")
    files = [_as_compared(name) for name in dataset.train_files]
    known = {*files, *(_as_compared(name) for name in dataset.test_files)}
    missing, unknown = [name for name in files if name not in rows], [name for name in rows if name not in known]
    if missing or unknown:
        raise UserError(
            f"{place}: of {len(files)} training images {_listed(missing)} without a row; of {len(names)} rows "
            f"{_listed(unknown)} without an image; expected files relative to the folder, such as {files[0]}"
        )
    return np.array([rows[name] for name in files])


def _as_compared(name: str) -> str:
    """The name as it is compared: systems store accents and separators differently."""
    return composed(name.replace("\\", "/")).removeprefix("./")


def _listed(names: Sequence[str]) -> str:
    """How many, and the first of them."""
    return f"{len(names)} ({few(names[:_SHOWN])}{', ...' * (len(names) > _SHOWN)})" if names else "0"


def _rows(indices: np.ndarray) -> str:
    """How many rows, and the first of them, counted from 0."""
    first = ", ".join(map(str, indices[:_SHOWN])) + ", ..." * (len(indices) > _SHOWN)
    return f"{len(indices)} row{'s' * (len(indices) > 1)} (number {first})"

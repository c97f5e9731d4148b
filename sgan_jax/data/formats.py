"""The file formats of published sets, as a table. A new format is a module that reads it, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sgan_jax.data import cifar, idx, stl10, svhn
from sgan_jax.data.dataset import Dataset
from sgan_jax.errors import Problems, UserError


class FileFormat(NamedTuple):
    """Files of one format in a folder."""

    what: str  # the files, as messages name them
    names: tuple[str, ...]  # the published sets that such files may be
    on_record: frozenset[str]  # those of them whose checksums are known
    has_files: Callable[[Path], bool]  # whether a folder contains any of the files
    load: Callable[[Path, str, Problems], Dataset]  # of the folder and a name, or "auto"


FORMATS = (
    FileFormat("IDX files", idx.NAMES, frozenset(idx.CANONICAL), idx.has_idx_files, idx.load_idx),
    FileFormat(cifar.CIFAR10.what, ("cifar10",), frozenset(cifar.RECORD), cifar.has_cifar10_files, cifar.load_cifar10),
    FileFormat(cifar.CIFAR100.what, ("cifar100",), frozenset(), cifar.has_cifar100_files, cifar.load_cifar100),
    FileFormat(svhn.WHAT, tuple(svhn.RECORD), frozenset(svhn.RECORD), svhn.has_svhn_files, svhn.load_svhn),
    FileFormat(stl10.WHAT, ("stl10",), frozenset(), stl10.has_stl10_files, stl10.load_stl10),
)


def format_of_set(name: str) -> FileFormat | None:
    """The format of the files of a published set; None if the set has none here."""
    return next((one for one in FORMATS if name in one.names), None)


def format_in(folder: Path, dataset: str = "auto") -> FileFormat | None:
    """The format of the files in a folder; None if it contains none of the table's files.

    Args:
      folder: the folder.
      dataset: the set that the files are to be, which decides where a folder contains files of several formats.

    Raises:
      UserError: the folder contains files of several formats.
    """
    there = [one for one in FORMATS if one.has_files(folder)]
    named = [one for one in there if dataset in one.names]
    if len(named or there) > 1:
        kinds = " and ".join(one.what for one in there)
        raise UserError(f"‹data.data_dir› {folder}: {kinds}; expected one of them: name the set with ‹data.dataset›")
    return next(iter(named or there), None)

"""Finds files and folders, without those that operating systems and storage devices add."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sgan_jax.data.layout import EXPECTED, LABELS_FILE
from sgan_jax.errors import UserError

# Names in small letters; hidden files are left out as well.
_CLUTTER = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "__pycache__", "lost+found", "system volume information"}
    | {"$recycle.bin", "recycler", "recycled", "@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot"}
    | {"@tmp", "network trash folder", "temporary items", "icon\r", "picasa.ini", "found.000"}
)


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in the folders below it, by name.

    A link to a folder is not followed: it is listed as if it were a file.

    Raises:
      UserError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror or error})")

    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if is_wanted(name))
        links = [name for name in folders if Path(where, name).is_symlink()]
        yield from (Path(where, name) for name in sorted(files + links) if is_wanted(name))


def folders_in(folder: Path) -> list[str]:
    """The names of the folders, and of links to folders, in a folder."""
    return sorted(entry.name for entry in entries_in(folder) if entry.is_dir() and is_wanted(entry.name))


def files_in(folder: Path) -> list[Path]:
    """The files in a folder."""
    return sorted(Path(entry.path) for entry in entries_in(folder) if entry.is_file() and is_wanted(entry.name))


def entries_in(folder: Path) -> list[os.DirEntry[str]]:
    """All that lies in a folder.

    Raises:
      UserError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(f"‹data.data_dir› {folder}: cannot be read ({error.strerror or error}); {EXPECTED}") from None


def is_wanted(name: str) -> bool:
    """Whether a file or folder of this name is the user's own, and not hidden."""
    return not name.startswith(".") and name.casefold() not in _CLUTTER


def named_as_images(paths: Iterable[Path]) -> list[Path]:
    """The files whose suffix is that of an image format."""
    from PIL import Image

    suffixes = Image.registered_extensions()
    return [path for path in paths if path.suffix.lower() in suffixes]


def labels_file_in(folder: Path) -> Path | None:
    """The labels.csv in a folder."""
    return next((path for path in files_in(folder) if path.name.casefold() == LABELS_FILE), None)

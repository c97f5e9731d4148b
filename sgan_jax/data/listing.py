"""Lists a folder of images: one folder for each class, `unlabelled` beside them, `test` with the same folders.

    DIR/cat/1.png  DIR/dog/1.png  DIR/unlabelled/1.png  DIR/test/cat/2.png  DIR/test/dog/2.png

Folders may contain folders. Classes are in the order of their names, numbers by their value.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.errors import UserError

UNLABELLED = ("unlabelled", "unlabeled")
TEST = "test"
EXPECTED = f"expected a folder for each class, '{UNLABELLED[0]}' beside them, and '{TEST}' in the same form if you like"

_CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # operating systems add these, and hidden files


@dataclass(frozen=True)
class Split:
    """The files of the training or the test split, in a fixed order, each with its label."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)  # UNKNOWN for an unlabelled image

    def add(self, path: Path, label: int) -> None:
        """Appends a file."""
        self.paths.append(path)
        self.labels.append(label)


@dataclass(frozen=True)
class Listing:
    """The files of a folder of images, before any of them is opened."""

    folder: Path
    class_names: tuple[str, ...]
    train: Split  # classes in order, then the unlabelled images
    test: Split
    stray: list[Path]  # files outside the folders of classes; they may be images

    def name(self, path: Path) -> str:
        """The file as messages name it: its path relative to the folder."""
        return path.relative_to(self.folder).as_posix()


def list_images(folder: Path) -> Listing:
    """Lists the files of `folder` by split and class.

    Raises:
      UserError: fewer than two classes, two classes whose names differ in spelling only, or a test class that is not
        a training class.
    """
    names = _folders(folder)
    unlabelled = [name for name in names if name.casefold() in UNLABELLED]
    tests = [name for name in names if name.casefold() == TEST]
    classes = _classes(folder, [name for name in names if name not in unlabelled + tests])
    train, test = Split(), Split()
    for label, name in enumerate(classes):
        _add(train, folder / name, label)
    for name in unlabelled:
        _add(train, folder / name, UNKNOWN)
    stray = _files(folder)
    for test_folder in (folder / name for name in tests):
        stray += _files(test_folder)
        for name in _classes(test_folder, _folders(test_folder), at_least=1):
            if name not in classes:
                raise UserError(f"{test_folder / name}: no class of {folder}, whose classes are {_few(classes)}")
            _add(test, test_folder / name, classes.index(name))
    return Listing(folder, tuple(map(_text, classes)), train, test, stray)


def is_listing(folder: Path) -> bool:
    """Whether `folder` contains folders, as a folder of images does."""
    return folder.is_dir() and bool(_folders(folder))


def _classes(folder: Path, names: list[str], at_least: int = 2) -> list[str]:
    """The names of the folders in order; checks that each is text and no two differ in spelling only."""
    if len(names) < at_least:
        classes = f"one class only, '{names[0]}'" if names else "no folder of a class"
        raise UserError(f"‹data.data_dir› {folder}: {classes}; {EXPECTED}")
    by_key: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFKC", _text(name, folder)).casefold()
        if key in by_key:
            raise UserError(f"{folder}: classes '{by_key[key]}' and '{name}' differ in spelling only; join them")
        by_key[key] = name
    return sorted(names, key=_order)


def _order(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 9 before 10, and letters after numbers."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _text(name: str, folder: Path | None = None) -> str:
    """The name in composed form (NFC): systems store accents differently, and a class has one name on all of them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{folder}: the name of folder {name!a} is not UTF-8; rename it") from None
    return unicodedata.normalize("NFC", name)


def _add(split: Split, folder: Path, label: int) -> None:
    for path in files_below(folder):
        split.add(path, label)


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and in the folders below it, by name.

    A link to a folder is not followed: it is listed as if it were a file.

    Raises:
      UserError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror or error})")

    for where, folders, files in os.walk(folder, onerror=refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if _wanted(name))
        links = [name for name in folders if Path(where, name).is_symlink()]
        yield from (Path(where, name) for name in sorted(files + links) if _wanted(name))


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in _entries(folder) if entry.is_dir() and _wanted(entry.name))


def _files(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in _entries(folder) if entry.is_file() and _wanted(entry.name))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(f"‹data.data_dir› {folder}: cannot be read ({error.strerror or error}); {EXPECTED}") from None


def _wanted(name: str) -> bool:
    return not name.startswith(".") and name.casefold() not in _CLUTTER


def _few(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")

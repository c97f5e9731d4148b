"""What lies in a folder of images: one folder a class, `unlabelled` beside them, `test` in the same form.

    DIR/cat/1.png  DIR/dog/1.png  DIR/unlabelled/1.png  DIR/test/cat/2.png  DIR/test/dog/2.png

Folders may hold folders. Classes are in the order of their names, numbers by their value.
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

_CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # what systems leave everywhere, beside hidden files


@dataclass(frozen=True)
class Part:
    """Files of the training or of the test part, in a fixed order, with a label each."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)  # UNKNOWN for those without


@dataclass(frozen=True)
class Listing:
    """All of a folder of images, before any of them is opened."""

    folder: Path
    class_names: tuple[str, ...]
    train: Part  # classes in order, then the unlabelled ones
    test: Part
    stray: list[Path]  # files that lie in no folder of a class; some may be images

    def name(self, path: Path) -> str:
        """The file as messages name it: from the folder on."""
        return path.relative_to(self.folder).as_posix()


def list_images(folder: Path) -> Listing:
    """What lies in `folder`.

    Raises:
      UserError: there are no classes, or two that cannot be told apart, or test images of another class.
    """
    names = _folders(folder)
    unlabelled = [name for name in names if name.casefold() in UNLABELLED]
    tests = [name for name in names if name.casefold() == TEST]
    classes = _classes(folder, [name for name in names if name not in unlabelled + tests])
    train, test = Part(), Part()
    for label, name in enumerate(classes):
        _add(train, folder / name, label)
    for name in unlabelled:
        _add(train, folder / name, UNKNOWN)
    stray = _files(folder)
    for part in tests:
        stray += _files(folder / part)
        for name in _classes(folder / part, _folders(folder / part), at_least=1):
            if name not in classes:
                raise UserError(f"{folder / part / name}: no class of {folder}, whose classes are {_few(classes)}")
            _add(test, folder / part / name, classes.index(name))
    return Listing(folder, tuple(map(_text, classes)), train, test, stray)


def is_listing(folder: Path) -> bool:
    """Whether `folder` has folders, as one of images does."""
    return folder.is_dir() and bool(_folders(folder))


def _classes(folder: Path, names: list[str], at_least: int = 2) -> list[str]:
    """The folders' names in order, each known to be text and unlike the others."""
    if len(names) < at_least:
        found = f"one class only, '{names[0]}'" if names else "no folder of a class"
        raise UserError(f"‹data.data_dir› {folder}: {found}; {EXPECTED}")
    seen: dict[str, str] = {}
    for name in names:
        alike = unicodedata.normalize("NFKC", _text(name, folder)).casefold()
        if alike in seen:
            raise UserError(f"{folder}: classes '{seen[alike]}' and '{name}' are one but for the spelling; join them")
        seen[alike] = name
    return sorted(names, key=_order)


def _order(name: str) -> list[tuple[int, int, str]]:
    """9 before 10, and letters after numbers."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _text(name: str, folder: Path | None = None) -> str:
    """The name as it is told: composed as on other systems, so that it is one name everywhere."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{folder}: the name of folder {name!a} is no UTF-8; rename it") from None
    return unicodedata.normalize("NFC", name)


def _add(part: Part, folder: Path, label: int) -> None:
    paths = list(files_below(folder))
    part.paths.extend(paths)
    part.labels.extend([label] * len(paths))


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of those in it, by name; a link to a folder as if it were a file, and not followed.

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

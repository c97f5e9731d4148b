"""Lists a folder of images: one folder for each class, `unlabelled` beside them, `test` with the same folders.

    DIR/cat/1.png  DIR/dog/1.png  DIR/unlabelled/1.png  DIR/test/cat/2.png  DIR/test/dog/2.png

Folders may contain folders. The classes may lie in DIR/train instead. Classes are in the order of their names, numbers
by their value. Or DIR/labels.csv, or another CSV file, names the label of each image, and folders mean nothing but
`test`. Or it names labels of images in `unlabelled`, beside the folders of classes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from sgan_jax.data.classes import check_spelling, check_together
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.labels_file import TABLES
from sgan_jax.data.layout import (
    EXPECTED,
    EXPECTED_IN_TEST,
    LABELS_FILE,
    Role,
    check_depth,
    few,
    read_layout,
    role,
    train_folder,
)
from sgan_jax.data.listing_by_file import add_labels, adds_labels, contents, labels_of, list_by_file
from sgan_jax.data.scan import entries_in, files_below, files_in, folders_in, is_wanted, labels_file_in, named_as_images
from sgan_jax.data.splits import LeftOut, Listing, Split, class_order
from sgan_jax.errors import RAISED, Problems, UserError


def list_images(
    folder: Path, labels_file: Path | None = None, at_least: int = 2, problems: Problems = RAISED
) -> Listing:
    """Lists the files of `folder` by split and class.

    Args:
      folder: the folder.
      labels_file: a CSV file of files and labels; by default `labels.csv` in the folder, if it is there.
      at_least: how many classes there must be.
      problems: around each check.

    Raises:
      UserError: fewer classes, two classes whose names differ in spelling only, a test class that is not a
        training class, or names that may mean two things.
    """
    table = labels_file or labels_file_in(folder)
    if table is None:
        return _by_folders(folder, at_least, problems)
    files = contents(folder, table)
    read = labels_of(files, table, problems)
    if adds_labels(files, read):
        return add_labels(_by_folders(folder, at_least=1, problems=problems), read, at_least)
    return list_by_file(files, read, at_least, problems)


def is_listing(folder: Path) -> bool:
    """Whether `folder` contains folders, images or labels.csv, as a folder of images does."""
    if not folder.is_dir():
        return False
    return bool(folders_in(folder) or labels_file_in(folder) or named_as_images(files_in(folder)))


def _by_folders(folder: Path, at_least: int = 2, problems: Problems = RAISED) -> Listing:
    """Lists a folder in which each class has a folder; `at_least` so many."""
    names = folders_in(folder)
    with problems:
        _check_no_table_below(folder, names)
    train_name = train_folder(folder, names, problems)
    layout = read_layout(folder, names, [] if train_name is None else folders_in(folder / train_name), problems)
    top = folder if layout.train is None else folder / layout.train
    classes = _classes(top, layout.classes, at_least, problems)
    with problems:
        check_together(classes, top)
    _check_depth(top, classes, problems)
    train, test = Split(), Split()
    for label, name in enumerate(classes):
        _add(train, top / name, label)
    for name in layout.unlabelled:
        _add(train, folder / name, UNKNOWN)
    stray = [path for where in dict.fromkeys((folder, top)) for path in files_in(where)]
    for test_folder in (folder / name for name in layout.test):
        stray += files_in(test_folder)
        for name in _classes(test_folder, folders_in(test_folder), at_least=1, problems=problems):
            with problems:
                if name not in classes:
                    raise UserError(f"{test_folder / name}: no class of {top}, whose classes are {few(classes)}")
                _add(test, test_folder / name, classes.index(name))
    left_out = [
        LeftOut(path.relative_to(folder).as_posix(), "lies in no folder of a class") for path in named_as_images(stray)
    ]
    places = tuple(str(top / name) for name in classes)
    return Listing(folder, tuple(map(_text, classes)), places, train, test, tuple(left_out))


def _check_no_table_below(folder: Path, names: Iterable[str]) -> None:
    """Checks that no split has a labels.csv, which would not be read."""
    for name in names:
        if role(name) in (Role.TRAIN, Role.VALIDATION, Role.TEST) and (table := labels_file_in(folder / name)):
            raise UserError(
                f"{table}: not read there; expected one {folder / LABELS_FILE} for all images, with paths such as "
                f"{name}/1.png"
            )


def _check_depth(folder: Path, classes: Iterable[str], problems: Problems) -> None:
    """Checks by the folders in them that the folders of classes are classes."""
    inside, without_files = {}, []
    for name in classes:
        entries = [entry for entry in entries_in(folder / name) if is_wanted(entry.name)]
        inside[name] = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        if 0 < len(inside[name]) == len(entries):
            without_files.append(name)
    check_depth(folder, inside, without_files, problems)


def _classes(folder: Path, names: list[str], at_least: int, problems: Problems) -> list[str]:
    """The names of the folders in order; checks that each is text and no two differ in spelling only."""
    with problems:
        if len(names) < at_least:
            classes = f"one class only, '{names[0]}'" if names else "no folder of a class"
            expected = EXPECTED + _hint(folder, names) if at_least > 1 else EXPECTED_IN_TEST
            raise UserError(f"‹data.data_dir› {folder}: {classes}; {expected}")
    texts = {}
    for name in names:
        with problems:
            texts[name] = _text(name, folder)
    with problems:
        check_spelling(texts.values(), folder)
    return sorted(texts, key=class_order)


def _hint(folder: Path, names: Sequence[str]) -> str:
    """What the user may have meant where there are too few classes; empty without an idea."""
    if names and len(below := folders_in(folder / names[0])) > 1:
        return f"; if {few(below)} are the classes, name {folder / names[0]}"
    tables = [path.name for path in files_in(folder) if path.suffix.lower() in TABLES]
    return f"; if {few(tables)} holds labels, give it as ‹data.labels_file›" if tables else ""


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

"""Lists a folder of images whose labels are in a CSV file.

    DIR/labels.csv  DIR/1.png  DIR/more/2.png  DIR/unlabelled/3.png  DIR/test/4.png

Folders mean nothing then, except `test`. Or the file adds labels to those of folders of classes (`add_labels`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sgan_jax.data.classes import check_spelling, check_together, spelling
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.labels_file import FileLabels, read_labels
from sgan_jax.data.layout import Role, check_splits, few, role
from sgan_jax.data.scan import files_below, files_in, folders_in, named_as_images
from sgan_jax.data.splits import LeftOut, Listing, Split, class_order
from sgan_jax.errors import RAISED, Problems, UserError


class Contents(NamedTuple):
    """The files of a folder, without the CSV file itself."""

    folder: Path
    at_top: list[Path]
    inside: dict[str, list[Path]]  # for each folder at the top the files in it and below


def contents(folder: Path, table: Path) -> Contents:
    """Lists the files of a folder, whose labels are in the CSV file `table`."""

    def others(paths: Iterable[Path]) -> list[Path]:
        return [path for path in paths if path.absolute() != table.absolute()]

    inside = {name: others(files_below(folder / name)) for name in folders_in(folder)}
    return Contents(folder, others(files_in(folder)), inside)


def labels_of(files: Contents, table: Path, problems: Problems = RAISED) -> FileLabels:
    """Reads the labels of a folder's images.

    Raises:
      UserError: as of `read_labels`.
    """
    images = [*files.at_top, *(path for paths in files.inside.values() for path in paths)]
    return read_labels(table, files.folder, images, problems)


def list_by_file(files: Contents, read: FileLabels, at_least: int = 2, problems: Problems = RAISED) -> Listing:
    """Lists a folder whose folders are not classes.

    Args:
      files: of the folder.
      read: the labels; files without one are unlabelled.
      at_least: how many classes there must be.
      problems: around each check.

    Raises:
      UserError: the CSV file cannot be used.
    """
    folder, table, inside = files.folder, read.table, files.inside
    splits = check_splits(folder, list(inside), problems)
    images = set(named_as_images(files.at_top))
    train = [path for path in files.at_top if path in images or path in read.labels]
    train += [path for name in inside if name not in splits.test + splits.left_out for path in inside[name]]
    classes = _classes_of(read, {label for path in train if (label := read.labels.get(path)) is not None}, at_least)
    index = {name: label for label, name in enumerate(classes)}
    test = [path for name in splits.test for path in inside[name]]
    left_out = []
    for path in test:
        label = read.labels.get(path)
        if label is None:
            left_out.append(LeftOut(path.relative_to(folder).as_posix(), "a test image without a label"))
        with problems:
            if label is not None and label not in index:
                raise UserError(f"{table}: test image {path.name} has label '{label}'; the classes are {few(classes)}")
    return Listing(
        folder,
        tuple(classes),
        tuple(f"{table}: label '{name}'" for name in classes),
        train=_by_label((path, index.get(read.labels.get(path) or "", UNKNOWN)) for path in train),
        test=_by_label((path, index[label]) for path in test if (label := read.labels.get(path)) in index),
        left_out=tuple(left_out),
        labels_file=table,
        missing=read.missing,
        lines=read.lines,
    )


def add_labels(listing: Listing, read: FileLabels, at_least: int = 2) -> Listing:
    """Adds the labels in a CSV file to those that folders of classes give.

    Args:
      listing: the folder, by its folders of classes.
      read: labels of images that lie in none of these folders, perhaps of further classes.
      at_least: how many classes there must be.

    Raises:
      UserError: two classes differ in spelling only, or there are fewer classes.
    """
    labels, table = read.known, read.table
    names = {*listing.class_names, *labels.values()}
    check_spelling(sorted(names), table)
    check_together(sorted(names), table)
    classes = _classes_of(read, names, at_least)
    index = {name: label for label, name in enumerate(classes)}
    places = dict(zip(listing.class_names, listing.places, strict=True))
    by_folder = [index[name] for name in listing.class_names] + [UNKNOWN]  # the last is that of UNKNOWN, -1

    def relabelled(split: Split, further: Iterable[Path] = ()) -> Split:
        pairs = [(path, by_folder[label]) for path, label in zip(split.paths, split.labels, strict=True)]
        pairs += [(path, UNKNOWN) for path in further]
        return _by_label((path, index[labels[path]] if path in labels else label) for path, label in pairs)

    stray = sorted(labels.keys() - set(listing.train.paths))
    used = {listing.name(path) for path in stray}
    return dataclasses.replace(
        listing,
        class_names=tuple(classes),
        places=tuple(places.get(name, f"{table}: label '{name}'") for name in classes),
        train=relabelled(listing.train, stray),
        test=relabelled(listing.test),
        left_out=tuple(file for file in listing.left_out if file.name not in used),
        labels_file=table,
        missing=read.missing,
        lines=read.lines,
    )


def adds_labels(files: Contents, read: FileLabels) -> bool:
    """Whether folders of classes lie beside the CSV file, which labels other images.

    A folder is one of a class if its name is a label in the file, or if the file labels images in `unlabelled` only.

    Raises:
      UserError: the file labels images that lie in folders of classes, or what the folders are is unclear.
    """
    folder, table = files.folder, read.table
    labels = {spelling(label) for label in read.known.values()}
    parts = [name for name in files.inside if role(name) in (Role.TRAIN, Role.VALIDATION, Role.TEST)]
    folders = [name for name in files.inside if role(name) is Role.CLASS]
    folders += [f"{part}/{name}" for part in parts for name in folders_in(folder / part)]
    named = [name for name in folders if spelling(name.rpartition("/")[2]) in labels]
    classes = [name for name in folders if name in named or role(name.rpartition("/")[2]) is Role.CLASS]
    unread = len(classes) > 1 and not any(folder / name in path.parents for path in read.labels for name in classes)
    if not named and not unread:
        return False
    places = [path.relative_to(folder).parts[:-1] for path in read.labels]
    in_unlabelled = all(any(role(name) is Role.UNLABELLED for name in place) for place in places)
    in_classes = any("/".join(place[:depth]) in classes for place in places for depth in (1, 2))
    in_test = any(place and place[0] in parts and role(place[0]) is not Role.TRAIN for place in places)
    if in_classes or in_test or not (named or in_unlabelled):
        raise UserError(
            f"{folder}: labels in {table.name} and folders of classes beside it ({few(named or classes)}); remove "
            f"{table.name} if the folders are the classes, or name only images outside of them in it, such as "
            f"unlabelled/1.png; else move their images out or give them other names"
        )
    return True


def _by_label(labelled: Iterable[tuple[Path, int]]) -> Split:
    """The files with their labels, by label, unlabelled ones last; the order within a label stays."""
    split = Split()
    for path, label in sorted(labelled, key=lambda pair: (pair[1] == UNKNOWN, pair[1])):
        split.add(path, label)
    return split


def _classes_of(read: FileLabels, labels: Iterable[str], at_least: int) -> list[str]:
    """The labels of a CSV file, or of folders as well, in the order of classes."""
    classes = sorted(labels, key=class_order)
    if len(classes) < at_least:
        reason = f"one class only, '{classes[0]}'" if classes else "no training image has a label"
        if read.missing:  # perhaps why: files of another spelling
            lines, first = f"{len(read.missing)} of {read.lines} lines", read.missing[0].name
            reason += f", and {lines} name no image ({first})"
        raise UserError(f"{read.table}: {reason}; expected at least two classes")
    return classes

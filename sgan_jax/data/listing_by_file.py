"""Lists a folder of images whose labels are in a CSV file. Folders mean nothing then, but for `test`.

DIR/labels.csv  DIR/1.png  DIR/more/2.png  DIR/unlabelled/3.png  DIR/test/4.png
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sgan_jax.data.classes import spelling
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.labels_file import FileLabels, read_labels
from sgan_jax.data.layout import Role, check_splits, few, role
from sgan_jax.data.scan import files_below, files_in, folders_in, named_as_images
from sgan_jax.data.splits import LeftOut, Listing, Split, class_order
from sgan_jax.errors import UserError


def list_by_file(folder: Path, table: Path) -> Listing:
    """Lists a folder.

    Args:
      folder: the folder.
      table: the CSV file; files that it does not name are unlabelled.

    Raises:
      UserError: the CSV file cannot be used, or folders of classes lie beside it.
    """
    names = folders_in(folder)
    splits = check_splits(folder, names)
    files = {name: list(files_below(folder / name)) for name in names}
    at_top = [path for path in files_in(folder) if path.absolute() != table.absolute()]
    read = read_labels(table, folder, [*at_top, *(path for paths in files.values() for path in paths)])
    _check_no_classes(folder, table, files, read)
    images = set(named_as_images(at_top))
    train = [path for path in at_top if path in images or path in read.labels]
    train += [path for name in names if name not in splits.test + splits.left_out for path in files[name]]
    classes = _classes_of(table, {label for path in train if (label := read.labels.get(path)) is not None})
    index = {name: label for label, name in enumerate(classes)}
    test = [path for name in splits.test for path in files[name]]
    left_out = [LeftOut(name, f"named in {table.name}, and not there") for name in read.missing]
    for path in test:
        label = read.labels.get(path)
        if label is None:
            left_out.append(LeftOut(path.relative_to(folder).as_posix(), "a test image without a label"))
        elif label not in index:
            raise UserError(f"{table}: test image {path.name} has label '{label}'; the classes are {few(classes)}")
    return Listing(
        folder,
        tuple(classes),
        tuple(f"{table}: label '{name}'" for name in classes),
        train=_by_label((path, index.get(read.labels.get(path) or "", UNKNOWN)) for path in train),
        test=_by_label((path, index[label]) for path in test if (label := read.labels.get(path)) is not None),
        left_out=tuple(left_out),
    )


def _by_label(labelled: Iterable[tuple[Path, int]]) -> Split:
    """The files with their labels, by label, unlabelled ones last; the order within a label stays."""
    split = Split()
    for path, label in sorted(labelled, key=lambda pair: (pair[1] == UNKNOWN, pair[1])):
        split.add(path, label)
    return split


def _classes_of(table: Path, labels: Iterable[str]) -> list[str]:
    """The labels of a CSV file in the order of classes."""
    classes = sorted(labels, key=class_order)
    if len(classes) < 2:
        reason = f"one class only, '{classes[0]}'" if classes else "no training image has a label"
        raise UserError(f"{table}: {reason}; expected at least two classes")
    return classes


def _check_no_classes(folder: Path, table: Path, files: dict[str, list[Path]], read: FileLabels) -> None:
    """Checks that the folders beside labels.csv do not name classes, too.

    Args:
      folder: that contains them.
      table: the CSV file.
      files: for each folder at the top the files in it.
      read: the labels in the CSV file.
    """
    labels = {spelling(label) for label in read.labels.values() if label is not None}
    parts = [name for name in files if role(name) in (Role.TRAIN, Role.VALIDATION, Role.TEST)]
    inside = [f"{part}/{name}" for part in parts for name in folders_in(folder / part)]
    others = [name for name in files if role(name) is Role.CLASS]
    named = [name for name in others + inside if spelling(name.rpartition("/")[2]) in labels]
    unread = len(others) > 1 and not any(path in read.labels for name in others for path in files[name])
    if named or unread:
        raise UserError(
            f"{folder}: labels in {table.name} and folders of classes beside it ({few(named or others)}); remove "
            f"{table.name} if the folders are the classes, else move their images out or give them other names"
        )

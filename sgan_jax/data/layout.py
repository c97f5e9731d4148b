"""What the folders of a folder of images are, by their names alone: classes, splits, or images without a label."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from sgan_jax.data.classes import Meaning, letters, meaning
from sgan_jax.errors import RAISED, Problems, UserError

log = logging.getLogger(__name__)

UNLABELLED = ("unlabelled", "unlabeled")
TEST = "test"
LABELS_FILE = "labels.csv"
EXPECTED_IN_TEST = f"expected a folder for each class; images whose class is not known can be in '{UNLABELLED[0]}'"
EXPECTED = (
    f"expected a folder for each class, '{UNLABELLED[0]}' beside them, and '{TEST}' in the same form if you like; or "
    f"{LABELS_FILE} with columns file and label"
)


class Role(Enum):
    """What the name of a folder stands for."""

    CLASS = "class"
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    UNLABELLED = "unlabelled"
    LIKE_A_SPLIT = "like a split"
    LIKE_UNLABELLED = "like unlabelled"


_SPLITS = {
    Role.TRAIN: ("train", "training"),
    Role.VALIDATION: ("val", "valid", "validation"),
    Role.TEST: ("test", "testing"),
}
_WORDS = "|".join(word for words in _SPLITS.values() for word in words) + "|dev|eval|evaluation|holdout|heldout"
_WORDS += "|tests|trn|tst|validate|validating|validations|devel|development|evaluate|evaluating"
_NOUN = "(set|data|dataset|images?|imgs?|photos?|pictures?|split|part|files?|samples?|examples?)"
_WHICH = "(all|full|small|mini|new|old|final|public|private|hidden|labelled|labeled|annotated)"
_LIKE_A_SPLIT = re.compile(rf"{_NOUN}?{_WHICH}?({_WORDS})((and)?({_WORDS}))?{_NOUN}?{_WHICH}?\d*|(train|test|val)[ab]")
_LABELLED = frozenset({"labelled", "labeled", "annotated"})  # as of all labelled images
_LIKE_UNLABELLED = re.compile(rf"(extras?|additional|unknowns){_NOUN}?\d*")


class Layout(NamedTuple):
    """The folders of a folder of images, by what they are for."""

    train: str | None  # the folder with the folders of classes; None: they lie at the top
    classes: list[str]  # in `train`, or at the top
    unlabelled: list[str]  # relative to the top
    test: list[str]
    left_out: list[str]  # validation images beside test images


def role(name: str) -> Role:
    """What a folder of this name is for."""
    key = letters(name)
    for split, words in _SPLITS.items():
        if key in words:
            return split
    if _LIKE_A_SPLIT.fullmatch(key):
        return Role.LIKE_A_SPLIT
    if meaning(name) is Meaning.NO_LABEL:
        return Role.UNLABELLED
    if meaning(name) is Meaning.UNCLEAR or _LIKE_UNLABELLED.fullmatch(key):
        return Role.LIKE_UNLABELLED
    return Role.CLASS


def read_layout(
    folder: Path, names: Sequence[str], names_in_train: Sequence[str], problems: Problems = RAISED
) -> Layout:
    """Sorts the folders of a folder of images, and warns of what is not the plain form.

    Args:
      folder: for messages.
      names: of the folders at the top.
      names_in_train: of the folders in the one that `train_folder` names.
      problems: around each check.

    Raises:
      UserError: a folder's name may mean two things; names what to rename or move.
    """
    splits = check_splits(folder, names, problems)
    _check_names(folder, names, problems)
    train, classes = train_folder(folder, names, problems), [name for name in names if role(name) is Role.CLASS]
    unlabelled = [name for name in names if role(name) is Role.UNLABELLED]
    if train is not None:
        with problems:
            _check_nothing_beside(train, folder, classes)
        _check_inside_train(folder / train, names_in_train, problems)
        classes = [name for name in names_in_train if role(name) is Role.CLASS]
        unlabelled += [f"{train}/{name}" for name in names_in_train if role(name) is Role.UNLABELLED]
    for name in unlabelled:
        if Path(name).name.casefold() not in UNLABELLED:
            log.warning("%s: the images in '%s' are used as unlabelled images", folder, name)
    return Layout(train, classes, unlabelled, splits.test, splits.left_out)


class Splits(NamedTuple):
    """The folders of the test part, and those that are left out."""

    test: list[str]
    left_out: list[str]


def check_splits(folder: Path, names: Sequence[str], problems: Problems = RAISED) -> Splits:
    """Finds the test part, and warns if it is made of validation images or if these are left out.

    Raises:
      UserError: a name is like that of a split, or validation images lie beside classes, without test images.
    """
    for name in names:
        with problems:
            if role(name) is Role.LIKE_A_SPLIT:
                raise UserError(
                    f"{folder / name}: named like a part of the data; rename it 'train' or '{TEST}' with a folder for "
                    "each class inside, or give it another name if it is a class"
                )
    test = [name for name in names if role(name) is Role.TEST]
    validation = [name for name in names if role(name) is Role.VALIDATION]
    shown = " and ".join(f"'{name}'" for name in validation)
    if not validation:
        return Splits(test, [])
    if test:
        log.warning(
            "%s: %s is left out, as '%s' is the test part; to use its images, move them to the training images or "
            "into '%s'",
            *(folder, shown, test[0], test[0]),
        )
        return Splits(test, validation)
    if train_folder(folder, names, problems) is None:
        with problems:
            raise UserError(
                f"{folder / validation[0]}: validation images, or a class? Rename it '{TEST}' to test on its images, "
                "or give the class another name"
            )
        return Splits([], validation)
    log.warning("%s: %s is used as the test part, as there is no '%s'", folder, shown, TEST)
    return Splits(validation, [])


def train_folder(folder: Path, names: Sequence[str], problems: Problems = RAISED) -> str | None:
    """The folder of the training images, or None.

    Raises:
      UserError: there are two.
    """
    train = [name for name in names if role(name) is Role.TRAIN]
    with problems:
        if len(train) > 1:
            raise UserError(f"{folder}: both '{train[0]}' and '{train[1]}'; join them")
    return train[0] if train else None


def check_depth(
    folder: Path, inside: dict[str, list[str]], without_files: Sequence[str], problems: Problems = RAISED
) -> None:
    """Checks that the folders of classes are classes, by the folders in them.

    Args:
      folder: that the folders of classes lie in.
      inside: for each folder of a class the names of its folders.
      without_files: the folders of classes that hold no file, only folders.
      problems: around each check.

    Raises:
      UserError: a class holds a split or unlabelled images, or several classes hold the same folders and no files.
    """
    for name, below in inside.items():
        for other in below:
            with problems:
                _check_below(folder, name, other)
    with problems:
        _check_differ(folder, inside, without_files)
    if without_files:
        log.warning(
            "%s: folders of folders, taken as classes with all images below: %s", folder, few(sorted(without_files))
        )


def _check_below(folder: Path, name: str, other: str) -> None:
    """Checks that the folder `other` in class `name` does not belong to the data."""
    if role(other) in (Role.TRAIN, Role.VALIDATION, Role.TEST, Role.LIKE_A_SPLIT, Role.UNLABELLED):
        raise UserError(
            f"{folder / name / other}: a part of the data inside class '{name}'; move its images to where they "
            f"belong, such as '{TEST}/{name}' or '{UNLABELLED[0]}' beside the classes, or rename it"
        )


def _check_differ(folder: Path, inside: dict[str, list[str]], without_files: Sequence[str]) -> None:
    """Checks that no two classes hold the same folders and no files."""
    for first in without_files:
        for second in without_files:
            common = sorted(set(inside[first]) & set(inside[second]))
            if first < second and len(common) > 1:
                raise UserError(
                    f"{folder}: '{first}' and '{second}' hold the same folders ({few(common)}) and no images; if these "
                    f"are the classes, join them over '{first}', '{second}' ...; if not, move the images up"
                )


def few(names: Sequence[str]) -> str:
    """At most ten of the names."""
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def _check_nothing_beside(train: str, folder: Path, classes: Sequence[str]) -> None:
    """Checks that no class lies beside the folder `train`."""
    if classes:
        raise UserError(
            f"{folder}: other folders beside '{train}': {few(classes)}; move classes into '{train}', and anything "
            f"else elsewhere; or give '{train}' another name if it is a class itself"
        )


def _check_names(folder: Path, names: Sequence[str], problems: Problems) -> None:
    for name in names:
        with problems:
            if letters(name) in _LABELLED:
                raise UserError(
                    f"{folder / name}: a class, or all images with a label? Move the folders of classes up and out of "
                    "it, or give the class another name"
                )
            if role(name) is Role.LIKE_UNLABELLED:
                raise UserError(
                    f"{folder / name}: a class, or images without a label? Rename it '{UNLABELLED[0]}' if they have "
                    "none, or give the class another name"
                )


def _check_inside_train(train: Path, names: Sequence[str], problems: Problems) -> None:
    _check_names(train, names, problems)
    for name in names:
        with problems:
            if role(name) not in (Role.CLASS, Role.UNLABELLED, Role.LIKE_UNLABELLED):
                raise UserError(
                    f"{train / name}: a part of the data inside '{train.name}'; move it beside '{train.name}', or give "
                    "it another name if it is a class"
                )
    with problems:
        if not any(role(name) is Role.CLASS for name in names):
            raise UserError(
                f"{train}: no folder of a class in it; put a folder for each class into it, or give it another name if "
                "it is a class itself"
            )

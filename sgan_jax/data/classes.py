"""What a label means: a class, or no label. Folders, labels.csv, arrays and the estimator share these rules."""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import numpy as np

from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

# What pandas reads as a missing value: https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html (na_values).
# "na" in small letters is a class there and here: it is a syllable of KMNIST.
# R and SQL write some of the others.
_MISSING = frozenset({"", "NA", "#NA", "#N/A", "#N/A N/A", "None", "\\N"})
_MISSING_IN_ANY_CASE = frozenset(
    {"nan", "-nan", "nat", "<na>", "n/a", "n.a.", "n.a", "null", "(null)", "<null>"}
    | {"1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
)
_NEGATIVE = re.compile(r"[-\u2212\u2013] ?0*(\d+)(\.0*)?")  # with a minus, a mathematical minus or a dash
_OF_SPREADSHEETS = frozenset({"#value!", "#ref!", "#name?", "#div/0!", "#num!", "#null!"})  # errors of formulas

_NOUN = "(images?|imgs?|data|datasets?|sets?|photos?|pictures?|files?|samples?|examples?|pool|part|split)?"
_UNLABELLED = (
    "un(lab|label|labelled|labeled|sup|supervised)|nolabels?(yet)?|(without|not|notyet|non)(labels?|labelled|labeled)"
    "|labelless"
)
_NO_LABEL = re.compile(rf"(images?|data|train|training)?({_UNLABELLED}){_NOUN}\d*")
_UNCLEAR = frozenset(
    {"unknown", "none", "undefined", "unspecified", "unannotated", "unsorted", "unclassified", "uncategorised"}
    | {"uncategorized", "unassigned", "unidentified", "undetermined", "untagged", "unsure", "notsure", "undef", "unk"}
    | {"nil", "tbd", "todo", "tosort", "tolabel", "toannotate", "tobelabelled", "tobelabeled", "tobeannotated"}
    | {f"{no}{what}" for no in ("no", "not", "non", "without") for what in ("annotation", "annotated", "class", "tag")}
    | {"classless", "tagless", "needslabel", "needlabel", "missing", "notavailable", "unavailable", "pending"}
)
_ENDINGS = ("", "s", "es", "class", "label", "images")  # `unknowns`, `no classes`, `unknown class`
_MINUS_ONE = {2**bits - 1: f"uint{bits}" for bits in (8, 16, 32, 64)}  # what -1 becomes in a type without a sign


class Meaning(Enum):
    """What a text means as a label or as the name of a folder."""

    CLASS = "a class"
    NO_LABEL = "no label"
    UNCLEAR = "a class, or no label"


def meaning(text: str) -> Meaning:
    """What a label or the name of a folder means."""
    bare, key = _visible(text).strip(), letters(text)
    negative = _NEGATIVE.fullmatch(bare)
    if bare in _MISSING or bare.casefold() in _MISSING_IN_ANY_CASE or _NO_LABEL.fullmatch(key):
        return Meaning.NO_LABEL
    if negative and negative[1] == "1":
        return Meaning.NO_LABEL
    unclear = any(key.removesuffix(ending) in _UNCLEAR for ending in _ENDINGS) or "unlabel" in key
    return Meaning.UNCLEAR if unclear or negative or bare.casefold() in _OF_SPREADSHEETS else Meaning.CLASS


def _visible(text: str) -> str:
    """The text without characters that have no shape, such as a zero-width space or a byte order mark."""
    return "".join(character for character in text if unicodedata.category(character) != "Cf")


def letters(name: str) -> str:
    """The name in small letters and digits alone: `Un-labelled data` is `unlabelleddata`."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def has_control(text: str) -> bool:
    """Whether the text has control characters, such as the end of a line or a tab, or surrogates, which are no text."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def spelling(name: str) -> str:
    """The name without differences of case, blanks, the form of characters and that of numbers: `01`, `1.0`."""
    text = " ".join(unicodedata.normalize("NFKC", _visible(name)).casefold().split())
    number = re.fullmatch(r"0*([0-9]+)(\.0*)?", text)
    return number[1] if number else text


def check_spelling(names: Iterable[str], where: object) -> None:
    """Checks that no two classes differ only in case, blanks, the form of their characters or that of a number.

    Raises:
      UserError: names two such classes, or a class whose name has control characters, such as the end of a line, or
        surrogates.
    """
    first: dict[str, str] = {}
    for name in names:
        if has_control(name):
            raise UserError(f"{where}: class {name!a:.60}: control characters or surrogates in its name; rename it")
        key = spelling(name)
        if key in first:
            raise UserError(f"{where}: classes '{first[key]}' and '{name}' differ in spelling only; join them")
        first[key] = name


def as_labels(values: Any, where: str) -> np.ndarray:
    """Labels as an array of integers or text; what is neither stays as it is, and `as_classes` refuses it.

    Bytes are UTF-8. None, NaN and masked values, as tables have them, are not labels.

    Args:
      values: labels of any shape.
      where: the name of the labels in messages.

    Raises:
      UserError: bytes are not UTF-8.
    """
    array = np.asarray(values)
    if np.ma.isMA(values):
        array = np.where(np.ma.getmaskarray(values), np.asarray(None), array)
    try:
        if array.dtype.kind == "S":
            return np.char.decode(array, "utf-8")
        if array.dtype.kind == "f":
            return _of_floats(array)
        return _of_objects(array.astype(object)) if array.dtype.kind in "OT" else array
    except UnicodeDecodeError:
        raise UserError(f"{where}: bytes that are not UTF-8; expected text, or integers (-1: no label)") from None


def are_known(labels: np.ndarray) -> np.ndarray:
    """Which labels, integers or text `[N]`, name a class, bool `[N]`."""
    if labels.dtype.kind != "U":
        known: np.ndarray = labels != UNKNOWN
        return known
    values, codes = np.unique(labels, return_inverse=True)
    return np.asarray([meaning(value) is not Meaning.NO_LABEL for value in values], bool)[codes]


def as_classes(labels: np.ndarray, where: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Numbers the classes of labels.

    Args:
      labels: integers or text `[N]`; -1 marks an unlabelled image, and so does text that means no label.
      where: the name of the labels in messages.

    Returns:
      The names of the classes, sorted by label, and the index of each image's class, int32 `[N]`, or UNKNOWN.

    Raises:
      UserError: the labels have another type or range, a label may mean no label, or there are fewer than two classes.
    """
    check_one_each(labels, where)
    if labels.dtype.kind not in "iuU":
        raise UserError(f"{where}: type {labels.dtype}; expected integers (-1: no label) or text")
    known = are_known(labels)
    values, codes = np.unique(labels[known], return_inverse=True)
    if labels.dtype.kind == "U":
        check_names(map(str, values), where)
        note_missing(map(str, labels[~known]), where)
    else:
        _check_numbers(values, where)
    if len(values) < 2:
        classes = f"one class only, {values[0]}" if len(values) else "no label"
        raise UserError(f"{where}: {classes}; expected at least two classes")
    indices = np.full(len(labels), UNKNOWN, np.int32)
    indices[known] = codes
    return tuple(map(str, values)), indices


def check_one_each(labels: np.ndarray, where: str) -> None:
    """Checks that labels are a row, as opposed to a column or a row of zeros and a one for each image.

    Raises:
      UserError: gives their shape.
    """
    if labels.ndim != 1:
        raise UserError(f"{where}: shape {labels.shape}; expected [N], one label for each image")


def check_names(names: Iterable[str], where: object) -> None:
    """Checks that each label is clearly a class, and that each class is spelled in one way.

    Raises:
      UserError: names the label, and what to write instead.
    """
    names = list(names)
    for name in names:
        if meaning(name) is Meaning.UNCLEAR:
            raise UserError(f"{where}: label '{name}' may mean no label; use -1 if it does, else rename the class")
    check_spelling(names, where)
    check_together(names, where)


def check_together(names: Sequence[str], where: object) -> None:
    """Checks for classes that may mean no label beside the others, though not by their name alone.

    Raises:
      UserError: the only class without letters and digits, such as `?`; or a number that -1 becomes without its sign.
    """
    signs = [name for name in names if not letters(name)]
    if len(signs) == 1 < len(names):
        raise UserError(f"{where}: label '{signs[0]}' may mean no label; use -1 if it does, else rename the class")
    if all(name.isdecimal() for name in names):
        _check_numbers(np.array(sorted({int(name) for name in names}), object), where)


def note_missing(labels: Iterable[str], where: object) -> None:
    """Warns of labels that are read as no label, other than the usual -1 and empty text."""
    counts = Counter(text.strip() for text in labels)
    unusual = sorted((text, count) for text, count in counts.items() if text not in ("", "-1"))
    if unusual:
        shown = ", ".join(f"'{text}' ({count} images)" for text, count in unusual)
        log.warning("%s: labels that are read as no label: %s", where, shown)


def _of_objects(array: np.ndarray) -> np.ndarray:
    """Objects as integers, or as text if one of them is text; the array itself if an object is something else."""
    values = [_plain(value) for value in array.ravel()]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int}:
        fit = all(value is None or abs(value) < 2**63 for value in values)
        labels = [UNKNOWN if value is None else value for value in values]
        return np.asarray(labels, np.int64).reshape(array.shape) if fit else array
    if kinds <= {int, str}:
        return np.asarray([str(UNKNOWN if value is None else value) for value in values]).reshape(array.shape)
    if kinds <= {int, float}:
        return _of_floats(np.asarray([math.nan if value is None else float(value) for value in values]))
    return array


def _of_floats(array: np.ndarray) -> np.ndarray:
    """Integers, if the floats are whole numbers and NaN: tables store integers so where some are missing."""
    missing = np.isnan(array)
    values = np.where(missing, UNKNOWN, array)
    whole = missing.any() and (np.abs(values, dtype=np.float64) < 2**53).all() and (values == np.rint(values)).all()
    return values.astype(np.int64) if whole else array


def _plain(value: Any) -> Any:
    """Python's own value for NumPy's and for bytes; None for whatever marks a missing value."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bytes):
        return value.decode()
    is_nan = isinstance(value, float) and math.isnan(value)
    return None if is_nan or type(value).__name__ in ("NAType", "NaTType") else value  # the latter are those of pandas


def _check_numbers(values: np.ndarray, where: object) -> None:
    """Checks the different labels, sorted, of an array of integers."""
    if values.size and values[0] < 0:
        raise UserError(f"{where}: label {values[0]}; expected 0 or more, or {UNKNOWN} for no label")
    *others, last = values.tolist() or [0]
    in_order = len(others) >= 2 and others[0] in (0, 1) and others[-1] - others[0] == len(others) - 1
    if last in _MINUS_ONE and in_order and others[-1] < last - 1:
        raise UserError(
            f"{where}: label {last} is what -1 becomes as {_MINUS_ONE[last]}, and the others are {others[0]} to "
            f"{others[-1]}; use -1 for no label, in a type with a sign, or number this class {others[-1] + 1}"
        )

"""Which labels are classes and which are no label: one rule for folders, labels.csv, arrays and the estimator."""

import logging

import numpy as np
import pytest
from pets import make

from sgan_jax.data.classes import Meaning, are_known, as_classes, as_labels, meaning
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.load import load
from sgan_jax.errors import UserError


class NAType:
    """As the missing value of pandas: it compares as missing, too."""

    def __eq__(self, other):
        return self

    def __hash__(self):
        return 0

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


MISSING = ("", " ", "\t\n", "nan", "NaN", "NAN", "NA", "#N/A", "n/a", "None", "NULL", "<NA>", "-1", "-1.0", " -1 ")
MISSING += (
    "\u200b",
    "\ufeff",
    "n.a.",
    "N.A.",
    "#N/A N/A",
    "(null)",
    "\\N",
    "-1.#IND",
    "1.#QNAN",
    "-1.",
    "-01",
    "\u22121",
    "\u20131",
)
SPELLINGS = ("unlabelled", "Unlabeled", "UNLABELLED images", "un-labeled_data", "unsup", "Unsupervised", "no_label")
OTHERS = (
    "non-labelled",
    "Non_Labeled",
    "labelless",
    "nolabel",
    "without label",
    "not-labelled",
    "unlabelled2",
    "train_unlabeled",
    "not yet labelled",
    "no label yet",
    "unlabelled-pool",
)
UNCLEAR = (
    "unknown",
    "Unknown",
    "none",
    "NONE",
    "un-sorted",
    "unlabelled cats",
    "to label",
    "unknown class",
    "Unknowns",
)
UNCLEAR += (
    "UNK",
    "no tag",
    "not-annotated",
    "no classes",
    "unassigned",
    "TBD",
    "to-sort",
    "nil",
    "-2",
    "-9999",
    "#REF!",
    "missing",
    "not available",
)


@pytest.mark.parametrize("text", MISSING + SPELLINGS + OTHERS)
def test_texts_that_mean_no_label(text):
    assert meaning(text) is Meaning.NO_LABEL


@pytest.mark.parametrize("text", UNCLEAR)
def test_texts_that_may_mean_no_label(text):
    assert meaning(text) is Meaning.UNCLEAR


@pytest.mark.parametrize(
    "text",
    [
        "cat",
        "na",
        "Nana",
        "0",
        "1",
        "-",
        "+",
        "?",
        "other",
        "nano",
        "label",
        "union",
        "日本",
        "-",
        "unicorn",
        "node",
        "-1a",
        "1-2",
    ],
)
def test_texts_that_are_classes(text):
    assert meaning(text) is Meaning.CLASS


@pytest.mark.parametrize(
    ("values", "names", "indices"),
    [
        ([3, 5, -1, 5], ("3", "5"), [0, 1, UNKNOWN, 1]),
        (["cat", "", "dog", "  "], ("cat", "dog"), [0, UNKNOWN, 1, UNKNOWN]),
        (["b", "NA", "a", "-1"], ("a", "b"), [1, UNKNOWN, 0, UNKNOWN]),
        ([b"dog", "caf\u00e9".encode(), b"nan"], ("café", "dog"), [1, 0, UNKNOWN]),
        (np.array([7, None, 3, float("nan")], object), ("3", "7"), [1, UNKNOWN, 0, UNKNOWN]),
        (np.array(["b", NAType(), b"a", np.float32("nan")], object), ("a", "b"), [1, UNKNOWN, 0, UNKNOWN]),
        (np.array(["b", 4, -1, None], object), ("4", "b"), [1, 0, UNKNOWN, UNKNOWN]),
        (np.array([2.0, np.nan, 1.0, -1.0]), ("1", "2"), [1, UNKNOWN, 0, UNKNOWN]),
        (np.array([2, np.nan, 1], np.float16), ("1", "2"), [1, UNKNOWN, 0]),
        (np.array([2.0, None, 1, np.nan], object), ("1", "2"), [1, UNKNOWN, 0, UNKNOWN]),
        (np.ma.array([4, 9, 6], mask=[False, False, True]), ("4", "9"), [0, 1, UNKNOWN]),
        (np.ma.array(["x", "y", "z"], mask=[True, False, False]), ("y", "z"), [UNKNOWN, 0, 1]),
        (np.array(["x", "", "w"], np.dtypes.StringDType()), ("w", "x"), [1, UNKNOWN, 0]),
    ],
)
def test_missing_labels_are_no_class(values, names, indices):
    labels = as_labels(values, "y")
    assert as_classes(labels, "y")[0] == names
    assert as_classes(labels, "y")[1].tolist() == indices
    assert are_known(labels).tolist() == [index != UNKNOWN for index in indices]


@pytest.mark.parametrize(
    "values",
    [[0.0, 1.0], [0.5, np.nan, 1], [True, False], np.array([10**30, 1], object), np.array([1.5, None], object)],
)
def test_other_types_are_errors(values):
    with pytest.raises(UserError, match=r"y: type .*; expected integers \(-1: no label\) or text"):
        as_classes(as_labels(values, "y"), "y")


def test_bytes_that_are_not_utf_8_are_an_error():
    for values in ([b"caf\xe9", b"dog"], np.array([b"caf\xe9", "dog"], object)):
        with pytest.raises(UserError, match="y: bytes that are not UTF-8"):
            as_labels(values, "y")


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("1", "01"), ("0", "0."), ("7", "007")])
def test_classes_that_are_the_same_number_are_an_error(one, other):
    with pytest.raises(UserError, match="y: classes '.*' and '.*' differ in spelling only"):
        as_classes(np.array([one, other, "cat"]), "y")


@pytest.mark.parametrize("other", ["c\nd", "a\0b", "\x1b[1m", "a\tb", "\udce9"])
def test_a_class_with_control_characters_is_an_error_of_one_line(other):
    with pytest.raises(
        UserError, match="y: class '.*': control characters or surrogates in its name; rename it"
    ) as error:
        as_classes(np.array(["cat", other]), "y")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("other", ["Cat", "CAT", "cat ", " cat", "ca\u0074\u00a0", "c\u200bat", "\ufeffcat"])
def test_classes_that_differ_in_case_or_blanks_only_are_an_error(other):
    with pytest.raises(UserError, match="y: classes '.*' and '.*' differ in spelling only"):
        as_classes(np.array(["cat", "dog", other]), "y")


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("first", [0, 1])
def test_a_minus_one_without_its_sign_is_an_error(bits, first):
    labels = [*range(first, first + 4), 2**bits - 1]
    with pytest.raises(
        UserError, match=rf"label {2**bits - 1} is what -1 becomes as uint{bits}.*; use -1 for no label"
    ):
        as_classes(np.array(labels, f"uint{bits}"), "y")
    if bits < 64:
        with pytest.raises(UserError, match="use -1 for no label"):
            as_classes(np.array(labels, np.int64), "y")


@pytest.mark.parametrize("label", ["255", "?", "--", "\u2026"])
def test_texts_that_may_mean_no_label_beside_the_others_are_an_error_everywhere(tmp_path, label):
    others = ("0", "1", "2") if label == "255" else ("cat", "dog", "cow")
    with pytest.raises(UserError, match="no label; use -1 if|use -1 for no label"):
        as_classes(np.array([*others, label]), "y")
    folders = make(tmp_path / "folders", dict.fromkeys((*others, label), 1))
    with pytest.raises(UserError, match=f"{folders}: label .*use -1"):
        load(data_dir=folders)
    more = make(
        tmp_path / "more",
        dict.fromkeys(others, 1) | {"unlabelled": 1, "labels.csv": f"file,label\nunlabelled/0.png,{label}\n"},
    )
    with pytest.raises(UserError, match=r"labels\.csv: label .*use -1"):
        load(data_dir=more)


def test_signs_are_classes_beside_others():
    assert as_classes(np.array(["+", "-", "?", "0"]), "y")[0] == ("+", "-", "0", "?")


@pytest.mark.parametrize("labels", [range(256), (0, 255), (0, 128, 255), range(250, 256), (0, 1, 254)])
def test_large_numbers_that_fit_the_others_are_classes(labels):
    labels = np.array(labels)
    assert as_classes(labels, "y")[0] == tuple(str(label) for label in labels if label >= 0)


def test_a_label_that_may_mean_no_label_is_an_error():
    with pytest.raises(
        UserError, match="y: label 'Unknown' may mean no label; use -1 if it does, else rename the class"
    ):
        as_classes(np.array(["cat", "dog", "Unknown"]), "y")


def test_unusual_texts_for_no_label_are_a_warning(caplog):
    caplog.set_level(logging.WARNING)
    as_classes(np.array(["cat", "dog", "", "-1"]), "y")
    assert not caplog.records
    as_classes(np.array(["cat", "dog", "NA", "unsup", "NA"]), "y")
    (record,) = caplog.records
    assert record.message == "y: labels that are read as no label: 'NA' (2 images), 'unsup' (1 images)"

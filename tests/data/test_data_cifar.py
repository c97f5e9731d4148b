"""CIFAR-10's and CIFAR-100's binary files: the arrays are those written, and each error names the file in one line."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import sets

from sgan_jax.data import cifar, load, memory
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.errors import UserError

WRITE = {"cifar10": sets.cifar10, "cifar100": sets.cifar100}


@pytest.mark.parametrize("version", WRITE)
def test_the_arrays_are_those_written(tmp_path, version):
    written = WRITE[version](tmp_path / "my animals")
    got = load.load(data_dir=tmp_path / "my animals")
    assert (got.name, got.class_names, got.custom) == ("my-animals", sets.ANIMALS, False)
    for part, array in written._asdict().items():
        assert getattr(got, part).dtype == (np.int32 if part.endswith("labels") else np.uint8)
        np.testing.assert_array_equal(getattr(got, part), array)


def test_a_byte_of_each_colour_lies_where_the_format_has_it(tmp_path):
    """By the description of the format: label, then 1024 bytes of red, of green and of blue, row by row."""
    sets.cifar10(tmp_path)
    row = bytearray(3073)
    row[0], row[1 + 2 * 32 + 5], row[1 + 1024], row[1 + 2048 + 31] = 3, 200, 100, 50
    (tmp_path / "test_batch.bin").write_bytes(bytes(row))
    got = load.load(data_dir=tmp_path)
    assert (got.test_labels.tolist(), got.test_images.shape) == ([3], (1, 32, 32, 3))
    assert np.argwhere(got.test_images[0]).tolist() == [[0, 0, 1], [0, 31, 2], [2, 5, 0]]
    assert got.test_images[0][got.test_images[0] > 0].tolist() == [100, 50, 200]


@pytest.fixture
def on_record(tmp_path, monkeypatch):
    """Ten classes in files whose training batches are recorded as those of CIFAR-10."""
    sets.cifar10(tmp_path / "cifar10", CLASS_NAMES["cifar10"])
    sums = {
        path.name: hashlib.md5((path).read_bytes()).hexdigest() for path in (tmp_path / "cifar10").glob("data_batch_*")
    }
    monkeypatch.setitem(cifar.RECORD, "cifar10", sums)
    return tmp_path / "cifar10"


def test_cifar10_is_recognised_by_its_training_batches(on_record):
    (on_record / "batches.meta.txt").unlink()  # the names of its classes are known
    (on_record / "test_batch.bin").write_bytes((on_record / "test_batch.bin").read_bytes()[3073:])
    for name in ("auto", "cifar10"):
        got = load.load(name, on_record)
        assert (got.name, got.class_names[1], len(got.test_images)) == ("cifar10", "automobile", sets.TEST - 1)


def test_other_contents_are_not_taken_for_cifar10(on_record):
    batch = on_record / "data_batch_4.bin"
    batch.write_bytes(batch.read_bytes()[:-1] + b"\0")
    assert load.load(data_dir=on_record).name == "cifar10-local"
    with pytest.raises(UserError, match=r"data_batch_4\.bin: not the file of cifar10 \(MD5 .*data.dataset auto"):
        load.load("cifar10", on_record)


def test_cifar100_is_taken_on_the_users_word(tmp_path, caplog):
    sets.cifar100(tmp_path)
    assert load.load("cifar100", tmp_path).class_names[99] == "worm"
    assert "taken for cifar100 on your word" in caplog.text


def _bytes(name, fault):
    def apply(folder: Path) -> Path:
        (folder / name).write_bytes(fault((folder / name).read_bytes()))
        return folder / name

    return apply


def _remove(name):
    def apply(folder: Path) -> Path:
        (folder / name).unlink()
        return folder

    return apply


def _folder(name):
    def apply(folder: Path) -> Path:
        (folder / name).unlink()
        (folder / name).mkdir()
        return folder / name

    return apply


ERRORS = {
    "missing batch": ("cifar10", _remove("data_batch_3.bin"), "no file data_batch_3.bin; expected CIFAR-10's binary"),
    "missing test": ("cifar10", _remove("test_batch.bin"), "no file test_batch.bin; expected CIFAR-10's"),
    "missing names": ("cifar10", _remove("batches.meta.txt"), "no file batches.meta.txt; expected the names"),
    "truncated": ("cifar10", _bytes("data_batch_2.bin", lambda b: b[:-1]), "9218 bytes; expected a multiple of 3073"),
    "too long": ("cifar10", _bytes("test_batch.bin", lambda b: b + b"\0"), "30731 bytes; expected a multiple of 3073"),
    "empty": ("cifar10", _bytes("data_batch_5.bin", lambda b: b""), "0 bytes; expected a multiple"),
    "label": ("cifar10", _bytes("data_batch_2.bin", lambda b: b[:3073] + b"\5" + b[3074:]), "label 5 of example 1"),
    "one name": ("cifar10", _bytes("batches.meta.txt", lambda b: b"ant\n"), "1 names of classes; expected two"),
    "a name twice": ("cifar10", _bytes("batches.meta.txt", lambda b: b"ant\nAnt\n"), "differ in spelling only"),
    "no text": ("cifar10", _bytes("batches.meta.txt", lambda b: b"\xff\xfe"), "no UTF-8 text; expected"),
    "a folder": ("cifar10", _folder("batches.meta.txt"), "cannot be read"),
    "100: missing": ("cifar100", _remove("test.bin"), "no file test.bin; expected CIFAR-100's binary files"),
    "100: CIFAR-10's rows": ("cifar100", _bytes("train.bin", lambda b: b[:3073]), "3073 bytes; expected a multiple of"),
    "100: fine label": ("cifar100", _bytes("test.bin", lambda b: b[:1] + b"\x63" + b[2:]), "label 99 of example 0"),
    "100: missing names": ("cifar100", _remove("fine_label_names.txt"), "no file fine_label_names.txt; expected"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_each_error_is_one_line_that_names_the_file(tmp_path, case):
    version, fault, expected = ERRORS[case]
    WRITE[version](tmp_path / "set")
    named = fault(tmp_path / "set")
    with pytest.raises(UserError, match=expected) as raised:
        load.load(data_dir=tmp_path / "set")
    assert str(named) in str(raised.value) and "\n" not in str(raised.value)


def test_what_would_not_fit_in_memory_is_an_error_before_it_is_read(tmp_path, monkeypatch):
    sets.cifar10(tmp_path)
    monkeypatch.setattr(memory, "total", lambda: 2 * 25 * 3072 - 1)
    with pytest.raises(UserError, match=r"data.data_dir .*: 0\.0 GB of images, more than half of"):
        load.load(data_dir=tmp_path)
    monkeypatch.setattr(memory, "total", lambda: 2 * 25 * 3072)
    assert load.load(data_dir=tmp_path).train_images.nbytes == 15 * 3072


def test_dark_images_of_an_unknown_set_cause_a_warning(tmp_path, caplog):
    sets.cifar10(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073))
    with caplog.at_level(logging.WARNING):
        load.load(data_dir=tmp_path)
    assert "test_batch.bin: the largest value is 0" in caplog.text

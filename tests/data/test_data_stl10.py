"""STL-10's binary files: the arrays are those written, images without a label come last, errors name the file."""

import numpy as np
import pytest
import sets

from sgan_jax.data import load, memory
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.errors import UserError


def test_the_arrays_are_those_written_and_the_unlabelled_images_come_last(tmp_path):
    written = sets.stl10(tmp_path / "animals")
    got = load.load(data_dir=tmp_path / "animals")
    assert (got.name, got.class_names) == ("animals", sets.ANIMALS)
    np.testing.assert_array_equal(got.train_images, np.concatenate([written.train_images, written.train_images[:4]]))
    assert got.train_labels.tolist() == [*written.train_labels, *[UNKNOWN] * 4]
    np.testing.assert_array_equal(got.test_images, written.test_images)
    np.testing.assert_array_equal(got.test_labels, written.test_labels)


def test_a_byte_lies_where_the_format_has_it(tmp_path):
    """By the description of the format: planes of red, green and blue, each column by column."""
    sets.stl10(tmp_path)
    image = bytearray(3 * 96 * 96)
    image[96 * 96 + 5 * 96 + 2] = 200
    (tmp_path / "test_X.bin").write_bytes(bytes(image))
    (tmp_path / "test_y.bin").write_bytes(b"\1")
    assert np.argwhere(load.load(data_dir=tmp_path).test_images[0]).tolist() == [[2, 5, 1]]


def test_a_set_without_unlabelled_images_and_one_taken_on_the_users_word(tmp_path, caplog):
    sets.stl10(tmp_path)
    (tmp_path / "unlabeled_X.bin").unlink()
    got = load.load("stl10", tmp_path)
    assert got.known.all() and (got.name, got.class_names[7]) == ("stl10", "monkey")
    assert "taken for stl10 on your word" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("train_X.bin", bytes(27649), "27649 bytes; expected a multiple of 27648"),
        ("unlabeled_X.bin", b"", "0 bytes; expected a multiple of 27648"),
        ("train_y.bin", bytes([1] * 14), "14 labels for 15 images; expected as many"),
        ("train_y.bin", bytes([1] * 14 + [0]), r"label 0 of example 14 is out of range; expected 1\.\.5"),
        ("test_y.bin", bytes([6] * 10), r"label 6 of example 0 is out of range; expected 1\.\.5"),
        ("test_y.bin", None, "no file test_y.bin; expected STL-10's binary files"),
        ("class_names.txt", None, "no file class_names.txt; expected the names"),
    ],
)
def test_each_error_is_one_line_that_names_the_file(tmp_path, name, content, expected):
    sets.stl10(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=expected) as raised:
        load.load(data_dir=tmp_path)
    assert name in str(raised.value) and "\n" not in str(raised.value)


def test_what_would_not_fit_in_memory_is_an_error_before_it_is_read(tmp_path, monkeypatch):
    sets.stl10(tmp_path)
    monkeypatch.setattr(memory, "total", lambda: 29 * 27648)
    with pytest.raises(UserError, match=r"of images, more than half of .*memory"):
        load.load(data_dir=tmp_path)

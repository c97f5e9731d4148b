"""SVHN's .mat files: the arrays are those written, 10 is the digit 0, and each error names the file in one line."""

import hashlib
import logging

import numpy as np
import pytest
import sets
from scipy import io

from sgan_jax.data import load, memory, svhn
from sgan_jax.errors import UserError


def test_the_arrays_are_those_written_and_ten_is_the_digit_zero(tmp_path):
    written = sets.svhn(tmp_path / "house numbers")
    stored = io.loadmat(tmp_path / "house numbers" / "train_32x32.mat")
    assert stored["X"].shape == (32, 32, 3, sets.TRAIN) and stored["y"][0, 0] == 10
    got = load.load(data_dir=tmp_path / "house numbers")
    assert (got.name, got.class_names) == ("house-numbers", tuple("0123456789"))
    for part, array in written._asdict().items():
        np.testing.assert_array_equal(getattr(got, part), array)
    assert got.train_labels.dtype == np.int32 and got.train_images.flags.c_contiguous


def test_grey_images_of_any_size_and_labels_as_matlab_stores_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 36, 1, 4), np.uint8)
    for name in ("train", "test"):
        io.savemat(tmp_path / f"{name}_32x32.mat", {"X": images, "y": np.array([[1.0, 10.0, 3.0, 1.0]])})
    got = load.load(data_dir=tmp_path)
    assert (got.train_images.shape, got.train_labels.tolist()) == ((4, 20, 36, 1), [1, 0, 3, 1])
    np.testing.assert_array_equal(got.train_images[2, ..., 0], images[..., 0, 2])


def test_extra_images_are_used_on_demand_only(tmp_path, caplog):
    sets.svhn(tmp_path, extra=True)
    with caplog.at_level(logging.INFO):
        without = load.load(data_dir=tmp_path)
    assert len(without.train_images) == sets.TRAIN
    assert "extra_32x32.mat is left out; ‹data.dataset› svhn_extra trains on its images" in caplog.text


@pytest.fixture
def on_record(tmp_path, monkeypatch):
    """Files whose checksums are recorded as those of SVHN."""
    folder = tmp_path / "svhn"
    written = sets.svhn(folder, extra=True)
    for files in svhn.RECORD.values():
        for name in files:
            monkeypatch.setitem(files, name, hashlib.md5((folder / name).read_bytes()).hexdigest())
    return folder, written


def test_svhn_is_recognised_by_its_checksums_with_and_without_extra(on_record):
    folder, written = on_record
    assert [load.load(name, folder).name for name in ("auto", "svhn_cropped")] == ["svhn_cropped"] * 2
    both = load.load("svhn_extra", folder)
    assert both.name == "svhn_extra"
    np.testing.assert_array_equal(both.train_images, np.concatenate([written.train_images, written.train_images[::-1]]))
    np.testing.assert_array_equal(both.train_labels[sets.TRAIN :], written.train_labels[::-1])
    np.testing.assert_array_equal(both.test_images, written.test_images)
    (folder / "extra_32x32.mat").unlink()
    assert load.load(data_dir=folder).name == "svhn_cropped"
    with pytest.raises(UserError, match=r"no file extra_32x32\.mat; expected SVHN's \.mat files"):
        load.load("svhn_extra", folder)


def test_other_contents_are_not_taken_for_svhn(on_record):
    folder, written = on_record
    sets.mat(folder / "test_32x32.mat", written.test_images[::-1], written.test_labels)
    assert load.load(data_dir=folder).name == "svhn-local"
    for name in ("svhn_cropped", "svhn_extra"):
        with pytest.raises(UserError, match=rf"test_32x32\.mat: not the file of {name} \(MD5 "):
            load.load(name, folder)


X = np.zeros((32, 32, 3, 4), np.uint8)
Y = np.array([[1], [2], [3], [10]], np.uint8)
ERRORS = {
    "other arrays": ({"Z": X, "y": Y}, r"no arrays X and y \(there are: Z, y\); expected SVHN's"),
    "a type": ({"X": X.astype(float), "y": Y}, "X is double .*expected uint8"),
    "dimensions": ({"X": X[..., 0], "y": Y}, r"X is uint8 \(32, 32, 3\); expected uint8 \[H, W, C, N\]"),
    "channels first": ({"X": X.transpose(2, 0, 1, 3), "y": Y}, r"\(3, 32, 32, 4\); expected uint8"),
    "fewer labels": ({"X": X, "y": Y[1:]}, "3 labels for 4 images; expected as many"),
    "label 0": ({"X": X, "y": Y - 1}, r"label 0 of example 0 is out of range; expected 1\.\.10"),
    "label 11": ({"X": X, "y": Y + 1}, "label 11 of example 3 is out of range"),
    "a fraction": ({"X": X, "y": Y * 0.5}, r"label 0\.5 of example 0"),
    "another size": ({"X": X[:16], "y": Y}, r"images of \(16, 32, 3\); expected \(32, 32, 3\) as in train_32x32\.mat"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_each_error_is_one_line_that_names_the_file(tmp_path, case):
    arrays, expected = ERRORS[case]
    sets.svhn(tmp_path)
    io.savemat(tmp_path / "test_32x32.mat", arrays)
    with pytest.raises(UserError, match=expected) as raised:
        load.load(data_dir=tmp_path)
    assert f"{tmp_path / 'test_32x32.mat'}: " in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "fault",
    [
        lambda b: b"",
        lambda b: b[:100],
        lambda b: b[: len(b) // 2],
        lambda b: b[:-3],
        lambda b: b"\x89HDF\r\n" + b,
        lambda b: b[:130] + b[200:],
        lambda b: b[:9000] + bytes((b[9000] ^ 1,)) + b[9001:],
    ],
    ids=["empty", "header only", "half", "truncated", "HDF5", "hole", "a flipped bit"],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, fault):
    sets.svhn(tmp_path)
    path = tmp_path / "train_32x32.mat"
    path.write_bytes(fault(path.read_bytes()))
    with pytest.raises(UserError, match=r"train_32x32\.mat: (damaged, or|no arrays X and y) .*copy it again") as raised:
        load.load(data_dir=tmp_path)
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_folder_in_its_place(tmp_path):
    sets.svhn(tmp_path)
    (tmp_path / "test_32x32.mat").unlink()
    with pytest.raises(UserError, match=r"no file test_32x32\.mat; expected SVHN's \.mat files: train_32x32"):
        load.load(data_dir=tmp_path)
    (tmp_path / "test_32x32.mat").mkdir()
    with pytest.raises(UserError, match=r"test_32x32\.mat: cannot be read"):
        load.load(data_dir=tmp_path)


def test_what_would_not_fit_in_memory_is_an_error_before_it_is_unpacked(tmp_path, monkeypatch):
    sets.svhn(tmp_path)
    zeros = np.zeros((32, 32, 3, 2000), np.uint8)
    sets.mat(tmp_path / "train_32x32.mat", zeros.transpose(3, 0, 1, 2), np.arange(2000) % 10)
    assert (tmp_path / "train_32x32.mat").stat().st_size < 50_000
    monkeypatch.setattr(memory, "total", lambda: 5_000_000)
    monkeypatch.setattr(io, "loadmat", lambda *args, **kwargs: pytest.fail("unpacked"))
    with pytest.raises(UserError, match=r"0\.0 GB of images, more than half of 0\.0 GB of memory"):
        load.load(data_dir=tmp_path)

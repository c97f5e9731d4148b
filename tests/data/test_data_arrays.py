"""An .npz file: what is loaded, and which errors name the array in one line."""

import pickle

import numpy as np
import pytest

from sgan_jax.data import memory
from sgan_jax.data.check import check
from sgan_jax.data.load import UNKNOWN, load
from sgan_jax.errors import UserError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
Y = np.array([3, 5, -1, 5, 3, -1])


def saved(folder, **arrays):
    path = folder / "pets.npz"
    np.savez(path, **arrays)
    return path


def test_images_with_label_minus_one_and_those_of_x_unlabelled_are_unlabelled(tmp_path):
    dataset = load(data_dir=saved(tmp_path, x_train=X, y_train=Y, x_unlabeled=X[:2], x_test=X[4:5], y_test=[3]))
    assert (dataset.name, dataset.class_names, dataset.custom) == ("pets", ("3", "5"), True)
    assert dataset.train_labels.tolist() == [0, 1, UNKNOWN, 1, 0, UNKNOWN, UNKNOWN, UNKNOWN]
    np.testing.assert_array_equal(dataset.train_images, np.concatenate([X, X[:2]])[..., None])
    assert dataset.test_labels.tolist() == [0]


def test_missing_labels_are_unlabelled_images_and_bytes_are_text(tmp_path):
    for labels in (["dog", "", "NaN", "cat", "-1", "NA"], [b"dog", b"", b"nan", b"cat", b" ", b"None"]):
        dataset = load(data_dir=saved(tmp_path, x_train=X, y_train=labels, x_test=X[:1], y_test=[labels[3]]))
        assert dataset.class_names == ("cat", "dog") and dataset.test_labels.tolist() == [0]
        assert dataset.train_labels.tolist() == [1, UNKNOWN, UNKNOWN, 0, UNKNOWN, UNKNOWN]


def test_names_may_be_in_capitals(tmp_path):
    path = saved(tmp_path, X_train=X, Y_TRAIN=Y, X_Test=X[:1], y_test=[5], X_unlabeled=X[:2])
    path = path.rename(tmp_path / "PETS.NPZ")
    dataset = load(data_dir=path)
    assert dataset.name == "PETS" and dataset.test_labels.tolist() == [1] and len(dataset.train_images) == 8
    assert check(path).train.total() == 8


@pytest.mark.parametrize("names", [("x_val", "y_val"), ("X_valid", "Y_valid"), ("x_validation", "y_validation")])
def test_validation_images_are_the_test_part_where_there_is_none(tmp_path, caplog, names):
    validation = dict(zip(names, (X[:1], [5]), strict=True))
    assert load(data_dir=saved(tmp_path, x_train=X, y_train=Y, **validation)).test_labels.tolist() == [1]
    assert f"{names[0]} and {names[1]} are used as test images and labels" in caplog.text
    caplog.clear()
    both = saved(tmp_path, x_train=X, y_train=Y, x_test=X[:1], y_test=[3], **validation)
    assert load(data_dir=both).test_labels.tolist() == [0]
    assert f"not used: {names[0]}, {names[1]}; the names that are: " in caplog.text


def test_arrays_that_are_not_used_are_a_warning(tmp_path, caplog):
    load(data_dir=saved(tmp_path, x_train=X, y_train=Y, x_val=X, ids=Y, images=X))
    (record,) = caplog.records
    assert "pets.npz: not used: ids, images, x_val; the names that are: x_test, x_train, x_unlab" in record.message


def test_what_would_not_fit_in_memory_is_an_error_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x_train=np.zeros((30, 1000, 1000), np.uint8), y_train=np.arange(30) % 2)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(memory, "total", lambda: 50_000_000)
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(UserError, match=r"unpacks to 0\.0 GB of images, more than half of 0\.1 GB of memory"):
        load(data_dir=path)


def test_images_need_not_be_square(tmp_path):
    x = RNG.integers(0, 256, (6, 20, 36, 3), dtype=np.uint8)
    dataset = load(data_dir=saved(tmp_path, x_train=x, y_train=Y, x_test=x[:2], y_test=[3, 5]))
    np.testing.assert_array_equal(dataset.train_images, x)
    assert dataset.test_images.shape == (2, 20, 36, 3)


def test_labels_may_be_text_and_images_floats_of_three_channels(tmp_path):
    x = RNG.random((4, 8, 8, 3))
    dataset = load(data_dir=saved(tmp_path, x_train=x, y_train=np.array(["dog", "cat", "-1", "dog"])))
    assert dataset.class_names == ("cat", "dog") and dataset.train_labels.tolist() == [1, 0, UNKNOWN, 1]
    np.testing.assert_array_equal(dataset.train_images, np.rint(x * 255).astype(np.uint8))
    assert not dataset.has_test and dataset.test_images.shape == (0, 8, 8, 3)


def test_images_are_resized_on_request(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y, x_test=X, y_test=np.full(len(X), 3))
    dataset = load(data_dir=path, image_size=(12, 9))
    assert dataset.train_images.shape == (6, 12, 9, 1) and dataset.test_images.shape == (6, 12, 9, 1)


def test_arrays_to_be_resized_may_differ_in_size_but_not_in_channels(tmp_path):
    wide, tests = np.zeros((2, 8, 11), np.uint8), np.full((1, 5, 5), 9, np.uint8)
    arrays = {"x_train": X, "y_train": Y, "x_unlabelled": wide, "x_test": tests, "y_test": [3]}
    dataset = load(data_dir=saved(tmp_path, **arrays), image_size=(8, 8))
    assert dataset.train_images.shape == (8, 8, 8, 1) and dataset.test_images.shape == (1, 8, 8, 1)
    np.testing.assert_array_equal(dataset.train_images[:6, ..., 0], X)
    assert (dataset.test_images == 9).all()
    coloured = arrays | {"x_test": np.zeros((1, 8, 8, 3), np.uint8)}
    with pytest.raises(UserError, match=r"of x_test are \(8, 8, 3\); expected \(8, 8, 1\)"):
        load(data_dir=saved(tmp_path, **coloured), image_size=(8, 8))


ERRORS = {
    "no labels": ({"x_train": X}, r"no array y_train \(there are x_train\)"),
    "half a test": ({"x_train": X, "y_train": Y, "x_test": X}, "one of x_test and y_test only"),
    "too few labels": ({"x_train": X, "y_train": Y[:5]}, r"y_train has shape \(5,\); expected \(6,\)"),
    "a column of labels": (
        {"x_train": X, "y_train": Y[:, None]},
        r"y_train: shape \(6, 1\); expected \[N\], one label",
    ),
    "columns of test labels": (
        {"x_train": X, "y_train": Y, "x_test": X[:1], "y_test": np.eye(1, 3)},
        r"y_test: shape \(1, 3\); expected \[N\], one label for each image",
    ),
    "channels first": ({"x_train": np.zeros((6, 3, 8, 8), np.uint8), "y_train": Y}, "channels come last"),
    "two channels": ({"x_train": np.zeros((6, 8, 8, 2), np.uint8), "y_train": Y}, r"shape \(6, 8, 8, 2\); expected"),
    "flat": ({"x_train": X.reshape(6, -1), "y_train": Y}, r"shape \(6, 64\); expected"),
    "nan": ({"x_train": np.full((6, 8, 8), np.nan), "y_train": Y}, "values from nan to nan; expected floats of 0 to 1"),
    "floats of 255": ({"x_train": X.astype(float), "y_train": Y}, "expected floats of 0 to 1"),
    "large integers": ({"x_train": X.astype(int) + 1, "y_train": Y}, "expected integers of 0 to 255"),
    "complex": ({"x_train": X.astype(complex), "y_train": Y}, "type complex128; expected uint8"),
    "float labels": ({"x_train": X, "y_train": Y.astype(float)}, "type float64; expected integers"),
    "other names": ({"train_x": X, "labels": Y}, r"no array x_train \(there are train_x, labels\); expected x"),
    "two of a name": ({"x_train": X, "X_TRAIN": X, "y_train": Y}, "both x_train and X_TRAIN; expected one of them"),
    "sign lost": ({"x_train": X, "y_train": (Y // 2).astype(np.uint8)}, "label 255 is what -1 becomes as uint8"),
    "spelling": ({"x_train": X, "y_train": ["a", "b", "A", "", "b", "a"]}, "classes 'A' and 'a' differ"),
    "latin-1": ({"x_train": X, "y_train": [b"a", b"\xe9"] * 3}, "y_train: bytes that are not UTF-8"),
    "test without a label": (
        {"x_train": X, "y_train": ["a", "b"] * 3, "x_test": X[:1], "y_test": ["NaN"]},
        "label 'NaN' is none of y_train's, a, b; test images without a label can be in x_unlabelled",
    ),
    "below minus one": ({"x_train": X, "y_train": Y - 1}, "label -2; expected 0 or more, or -1 for no label"),
    "one class": ({"x_train": X, "y_train": np.minimum(Y, 3)}, "one class only, 3"),
    "no label at all": ({"x_train": X, "y_train": np.full(6, -1)}, "no label; expected at least two"),
    "other size": (
        {"x_train": X, "y_train": Y, "x_unlabelled": X[:, :7]},
        r"of x_unlabelled are \(7, 8, 1\); expected",
    ),
    "unknown test label": (
        {"x_train": X, "y_train": Y, "x_test": X[:1], "y_test": [4]},
        "label 4 is none of y_train's",
    ),
    "unlabelled test": ({"x_train": X, "y_train": Y, "x_test": X[:1], "y_test": [-1]}, "label -1 is none of y_train's"),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
def test_each_error_is_one_line(tmp_path, case):
    arrays, message = ERRORS[case]
    path = saved(tmp_path, **arrays)
    for call in (lambda: load(data_dir=path), lambda: check(path)):
        with pytest.raises(UserError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_pickles_are_not_opened(tmp_path, capsys):
    path = saved(tmp_path, x_train=X, y_train=np.array([Evil()] * 6, object))
    with pytest.raises(UserError, match=r"pets\.npz: damaged, or no \.npz file of plain arrays"):
        load(data_dir=path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="damaged, or no"):
        load(data_dir=path)
    assert "run" not in capsys.readouterr().out


def test_a_folder_of_arrays_is_an_error_that_names_the_file(tmp_path):
    saved(tmp_path, x_train=X, y_train=Y)
    with pytest.raises(UserError, match=r"no images; expected .*; there is pets\.npz: name the file itself"):
        load(data_dir=tmp_path)


def test_no_file_no_archive_and_half_a_file(tmp_path):
    with pytest.raises(UserError, match=r"no such file; expected a folder, or an \.npz file"):
        load(data_dir=tmp_path / "none.npz")
    path = saved(tmp_path, x_train=X, y_train=Y)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="damaged, or no"):
        load(data_dir=path)
    np.save(tmp_path / "one", X)
    (tmp_path / "one.npy").rename(path)
    with pytest.raises(UserError, match=r"one array, no \.npz archive"):
        load(data_dir=path)

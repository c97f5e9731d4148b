"""An .npz file: what is loaded, and which errors name the array in one line."""

import pickle

import numpy as np
import pytest

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
    "channels first": ({"x_train": np.zeros((6, 3, 8, 8), np.uint8), "y_train": Y}, "channels come last"),
    "two channels": ({"x_train": np.zeros((6, 8, 8, 2), np.uint8), "y_train": Y}, r"shape \(6, 8, 8, 2\); expected"),
    "flat": ({"x_train": X.reshape(6, -1), "y_train": Y}, r"shape \(6, 64\); expected"),
    "nan": ({"x_train": np.full((6, 8, 8), np.nan), "y_train": Y}, "values from nan to nan; expected floats of 0 to 1"),
    "floats of 255": ({"x_train": X.astype(float), "y_train": Y}, "expected floats of 0 to 1"),
    "large integers": ({"x_train": X.astype(int) + 1, "y_train": Y}, "expected integers of 0 to 255"),
    "complex": ({"x_train": X.astype(complex), "y_train": Y}, "type complex128; expected uint8"),
    "float labels": ({"x_train": X, "y_train": Y.astype(float)}, "type float64; expected integers"),
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
    with pytest.raises(UserError, match=message) as error:
        load(data_dir=saved(tmp_path, **arrays))
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

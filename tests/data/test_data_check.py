"""`check` counts images, and finds their sizes, copies and problems."""

import shutil

import numpy as np
import pytest
from pets import make, picture, write
from PIL import Image

from sgan_jax.data.check import BETWEEN_CLASSES, BETWEEN_SPLITS, WITHIN_A_CLASS, check
from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.load import load
from sgan_jax.errors import Several, UserError


def messages(checked):
    return [str(problem) for problem in checked.problems]


def test_counts_sizes_and_files_that_are_left_out(tmp_path):
    folder = write(tmp_path / "pets")
    (folder / "cat" / "bad.png").write_text("no image")
    checked = check(folder)
    assert (checked.sizes, checked.channels, checked.converted) == ((((8, 8), 12),), 1, 0)
    assert checked.class_names == ("cat", "dog")
    assert (checked.train, checked.test) == ({0: 3, 1: 2, UNKNOWN: 4}, {0: 2, 1: 1})
    assert [(file.name, file.reason) for file in checked.left_out] == [("cat/bad.png", "no image that Pillow reads")]
    assert (checked.copies, checked.problems) == ((), ())


def test_copies_between_splits_between_classes_and_within_a_class(tmp_path):
    folder = write(tmp_path / "pets")
    shutil.copy(folder / "cat" / "0.png", folder / "test" / "dog" / "copy.png")
    shutil.copy(folder / "unlabelled" / "1.png", folder / "test" / "dog" / "seen.png")
    Image.open(folder / "cat" / "1.png").save(folder / "dog" / "other.bmp")  # the same pixels in another format
    shutil.copy(folder / "dog" / "0.png", folder / "dog" / "again.png")
    shutil.copy(folder / "dog" / "0.png", folder / "unlabelled" / "harmless.png")
    assert sorted(check(folder).copies) == sorted(
        [
            (BETWEEN_SPLITS, "cat/0.png", "test/dog/copy.png"),
            (BETWEEN_SPLITS, "unlabelled/1.png", "test/dog/seen.png"),
            (BETWEEN_CLASSES, "cat/1.png", "dog/other.bmp"),
            (WITHIN_A_CLASS, "dog/0.png", "dog/again.png"),
        ]
    )


def test_sizes_that_differ_are_a_problem_unless_the_images_are_resized(tmp_path):
    folder = write(tmp_path / "pets", test=False)
    picture(50, "RGB", (30, 20)).save(folder / "cat" / "wide.png")
    checked = check(folder)
    assert (checked.sizes, checked.channels, checked.converted) == ((((8, 8), 9), ((20, 30), 1)), 3, 9)
    (message,) = messages(checked)
    assert "cat/wide.png: 30 x 20 pixels; expected 8 x 8 pixels" in message
    resized = check(folder, (20, 36))
    assert (resized.problems, resized.train) == ((), {0: 4, 1: 2, UNKNOWN: 4})


def test_all_problems_of_a_folder_are_found(tmp_path):
    folder = write(tmp_path / "pets")
    picture(50, "L", (30, 20)).save(folder / "unlabelled" / "wide.png")
    for name in ("cat", "dog"):
        for path in (folder / name).iterdir():
            path.write_text("no image")
    sizes, cats, dogs = messages(check(folder))
    assert "cat: no image of this class can be used: cat/0.png (no image" in cats
    assert "dog: no image of this class can be used: dog/0.png (no image" in dogs
    assert "30 x 20 pixels; expected 8 x 8 pixels" in sizes


def test_all_is_found_that_is_wrong_with_layout_sizes_files_and_copies_at_once(tmp_path):
    folder = write(tmp_path / "pets")
    for name in ("extra", "val_images", "DOG"):
        (folder / name).mkdir()
        picture(60, "L").save(folder / name / "0.png")
    (folder / "cat" / "test").mkdir()
    picture(50, "L", (30, 20)).save(folder / "cat" / "wide.png")
    shutil.copy(folder / "cat" / "0.png", folder / "dog" / "copy.png")
    (folder / "dog" / "1.png").write_bytes((folder / "dog" / "1.png").read_bytes()[:60])
    (folder / "test" / "bird").mkdir()
    checked = check(folder)
    for expected in ("val_images: named like", "extra: a class, or", "cat/test: a part of", "bird: no class of"):
        assert sum(expected in message for message in messages(checked)) == 1, expected
    assert sum("differ in spelling only" in message for message in messages(checked)) == 1
    assert sum("30 x 20 pixels; expected 8 x 8" in message for message in messages(checked)) == 1
    assert len(checked.problems) == 6
    assert [copy.kind for copy in checked.copies if copy.name == "dog/copy.png"] == [BETWEEN_CLASSES]
    assert [file.name for file in checked.left_out] == ["dog/1.png"]
    with pytest.raises(UserError, match="val_images: named like"):
        load(data_dir=folder)


def test_all_lines_of_a_file_of_labels_and_all_arrays_are_checked(tmp_path):
    folder = make(
        tmp_path / "pets", {".": 4, "labels.csv": "file,label\n0.png,cat\n0.png,dog\n,cat\n1.png,dog\n1.png,\n"}
    )
    lines = messages(check(folder))
    assert ["two labels" in line or "without a file" in line for line in lines] == [True] * 3
    x = np.zeros((4, 8, 8), np.uint8)
    wrong = {
        "x_train": x,
        "y_train": [0, 1, 0],
        "x_test": x.astype(complex),
        "y_test": [0, 1, 1, 0],
        "x_unlabelled": x[:, 1:],
    }
    np.savez(tmp_path / "a.npz", **wrong)
    with pytest.raises(Several) as caught:
        check(tmp_path / "a.npz")
    found = [str(error).partition("a.npz: ")[2] for error in caught.value.errors]
    assert [message.split()[0].strip(":") for message in found] == ["x_test", "y_train", "images"]
    assert str(caught.value) == str(caught.value.errors[0])
    with pytest.raises(UserError, match="x_test: type complex128"):
        load(data_dir=tmp_path / "a.npz")


def test_a_class_whose_images_cannot_be_decoded_is_a_problem(tmp_path):
    folder = write(tmp_path / "pets")
    for path in (folder / "dog").iterdir():
        path.write_bytes(path.read_bytes()[:60])  # the header is whole
    checked = check(folder)
    (message,) = messages(checked)
    assert "dog: no image of this class can be used: dog/0.png (" in message
    assert (checked.train, len(checked.left_out)) == ({0: 3, UNKNOWN: 4}, 2)


def test_a_folder_in_which_no_image_can_be_used_has_a_problem_for_each_class(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    checked = check(tmp_path)
    assert checked.sizes == () and len(checked.problems) == 2


def test_arrays_and_idx_files_are_checked_too(tmp_path, write_idx, arrays):
    write_idx(tmp_path / "idx", arrays)
    checked = check(tmp_path / "idx")
    assert (checked.sizes, checked.channels, checked.is_folder) == ((((28, 28), 50),), 1, False)
    assert (checked.train.total(), checked.test.total()) == (30, 20)
    x = np.zeros((4, 20, 36, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1, 1, -1])
    checked = check(tmp_path / "a.npz")
    assert checked.sizes == (((20, 36), 4),)
    assert checked.copies == (
        (BETWEEN_CLASSES, "train image 0", "train image 1"),
        (WITHIN_A_CLASS, "train image 1", "train image 2"),
    )
    with pytest.raises(UserError, match="IDX files are taken as they are"):
        check(tmp_path / "idx", (16, 16))

"""`check` counts images, and finds their sizes, copies and problems."""

import shutil

import numpy as np
import pytest
import sets
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


def listed(folder, **given):
    """What `check` finds wrong with files: the name of each file and the start of what is wrong."""
    with pytest.raises(Several) as caught:
        check(folder, **given)
    return [
        str(error).removeprefix(f"{folder}/").removeprefix(f"data.data_dir {folder}: ") for error in caught.value.errors
    ]


def starts(messages, *expected):
    assert len(messages) == len(expected), messages
    for message, start in zip(messages, expected, strict=True):
        assert message.startswith(start), (message, start)


def test_all_is_found_that_is_wrong_with_idx_files(tmp_path, write_idx, arrays):
    folder = tmp_path / "idx"
    write_idx(
        folder, arrays | {"train_labels": arrays["train_labels"][:-1], "test_images": arrays["test_images"][:, 1:]}
    )
    found = listed(folder, image_size=(16, 16))
    starts(
        found,
        "data.image_size 16: IDX",
        "train-labels-idx1-ubyte.gz: 29 labels",
        "t10k-images-idx3-ubyte.gz: images of (27",
    )
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"")
    labels = arrays["test_labels"].copy()
    labels[3] = 200
    write_idx(folder, {"test_labels": labels})
    found = listed(folder)
    starts(
        found, "no file t10k-images", "train-images-idx3-ubyte.gz: wrong magic", "t10k-labels-idx1-ubyte.gz: label 200"
    )
    found = listed(folder, dataset="mnist")
    assert [message.partition(":")[0] for message in found[2:]] == [
        "train-labels-idx1-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


def test_all_is_found_that_is_wrong_with_cifar_files(tmp_path):
    sets.cifar10(tmp_path)
    (tmp_path / "data_batch_2.bin").unlink()
    (tmp_path / "data_batch_3.bin").write_bytes(b"short")
    for name in ("data_batch_4.bin", "test_batch.bin"):
        path = tmp_path / name
        path.write_bytes(bytes([77]) + path.read_bytes()[1:])
    wrong = [
        "no file data_batch_2",
        "data_batch_3.bin: 5 bytes",
        "data_batch_4.bin: label 77 of",
        "test_batch.bin: label",
    ]
    starts(listed(tmp_path), *wrong)
    (tmp_path / "batches.meta.txt").unlink()
    starts(listed(tmp_path), *wrong[:2], "no file batches.meta.txt")  # without it the labels have no range
    named = listed(tmp_path, dataset="cifar10")
    assert sum("not the file of cifar10" in message for message in named) == 4  # those of the five that are there
    with pytest.raises(UserError, match="no file data_batch_2"):
        load(data_dir=tmp_path)


def test_all_is_found_that_is_wrong_with_svhn_files(tmp_path):
    sets.svhn(tmp_path, extra=True)
    written = sets.noise(16, 10)
    sets.mat(tmp_path / "test_32x32.mat", *written[2:])
    sets.mat(tmp_path / "extra_32x32.mat", np.zeros((3, 32, 32, 3), np.uint8), np.array([1, 11, 2]))
    (tmp_path / "train_32x32.mat").write_bytes(b"")
    found = listed(tmp_path, dataset="svhn_extra")
    starts(
        [message for message in found if "not the file of" not in message],
        "train_32x32.mat: damaged",
        "test_32x32.mat: images of (16, 16, 3); expected (32, 32, 3) as in extra",
        "extra_32x32.mat: label 11",
    )
    assert sum("not the file of svhn_extra" in message for message in found) == 3


def test_all_is_found_that_is_wrong_with_stl10_files(tmp_path):
    sets.stl10(tmp_path)
    (tmp_path / "test_X.bin").unlink()
    (tmp_path / "unlabeled_X.bin").write_bytes(b"short")
    (tmp_path / "train_y.bin").write_bytes(bytes([1, 2, 3]))
    (tmp_path / "test_y.bin").write_bytes(bytes([1, 9] * 5))
    starts(
        listed(tmp_path),
        "no file test_X.bin",
        "unlabeled_X.bin: 5 bytes",
        "train_y.bin: 3 labels for 15 images",
        "test_y.bin: label 9 of example 1",
    )


def test_the_set_that_files_must_be_is_checked(tmp_path):
    sets.stl10(tmp_path / "birds", names=tuple("abcdefghij"))
    assert check(tmp_path / "birds", dataset="stl10").kind.perhaps == ()
    assert check(tmp_path / "birds").kind.perhaps == ("stl10",)
    with pytest.raises(UserError, match="data.dataset cifar10 with .* expected auto or one of stl10"):
        check(tmp_path / "birds", dataset="cifar10")
    folder = write(tmp_path / "pets")
    (message,) = messages(check(folder, dataset="stl10"))
    assert "only files of published sets have a name" in message
    sets.cifar10(tmp_path / "birds", names=tuple("abcdefghij"))  # files of two sets
    assert check(tmp_path / "birds", dataset="stl10").name == "stl10"

"""Which folders are classes, which are splits and which hold unlabelled images."""

import shutil

import numpy as np
import pytest
from pets import make, write
from PIL import Image

from sgan_jax.data.load import UNKNOWN, load
from sgan_jax.errors import UserError

PETS = {"cat": 2, "dog": 1}


def under(part, classes=PETS):
    return {f"{part}/{name}": count for name, count in classes.items()}


def labels_of(folder):
    dataset = load(data_dir=folder)
    return dataset.class_names, dataset.train_labels.tolist(), dataset.test_labels.tolist()


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("test", ["test", "Testing", "TEST"])
def test_classes_may_lie_in_folders_for_training_and_test(tmp_path, train, test):
    folder = make(
        tmp_path / "pets", under(train) | under(test, {"dog": 2}) | {"unlabelled": 2, f"{train}/unlabeled": 1}
    )
    assert labels_of(folder) == (("cat", "dog"), [0, 0, 1] + [UNKNOWN] * 3, [1, 1])


def test_images_in_train_are_those_of_classes_at_the_top(tmp_path):
    at_top = load(data_dir=write(tmp_path / "a"))
    folder = write(tmp_path / "b")
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        shutil.move(folder / name, folder / "train" / name)
    assert load(data_dir=folder).digest == at_top.digest
    shutil.move(folder / "unlabelled", folder / "train" / "unlabelled")
    assert load(data_dir=folder).digest == at_top.digest


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_validation_images_beside_train_are_the_test_part_with_a_warning(tmp_path, caplog, name):
    folder = make(tmp_path / "pets", under("train") | under(name, {"cat": 1}) | {"unlabelled": 1})
    assert labels_of(folder) == (("cat", "dog"), [0, 0, 1, UNKNOWN], [0])
    (record,) = caplog.records
    assert f"'{name}' is used as the test part, as there is no 'test'" in record.message


@pytest.mark.parametrize("train", ["train/", ""])
def test_validation_images_beside_test_images_are_left_out_with_a_warning(tmp_path, caplog, train):
    classes = {f"{train}{name}": count for name, count in PETS.items()}
    folder = make(tmp_path / "pets", classes | under("val", {"cat": 3}) | under("test", {"dog": 1}) | {"unlabelled": 1})
    assert labels_of(folder) == (("cat", "dog"), [0, 0, 1, UNKNOWN], [1])
    (record,) = caplog.records
    assert "'val' is left out, as 'test' is the test part; to use its images, move them" in record.message


@pytest.mark.parametrize(
    "name",
    ["unlabelled_images", "Unlabeled-Data", "unsup", "UNSUPERVISED", "no_label", "NoLabels", "unlabelled2", "nan"],
)
def test_names_that_mean_no_label_are_understood_with_a_warning(tmp_path, caplog, name):
    assert labels_of(make(tmp_path / "pets", PETS | {name: 2}))[:2] == (("cat", "dog"), [0, 0, 1, UNKNOWN, UNKNOWN])
    (record,) = caplog.records
    assert f"the images in '{name}' are used as unlabelled images" in record.message


ERRORS = {
    "validation beside classes": (
        PETS | under("validation"),
        r"validation: validation images, or a class\? Rename it 't",
    ),
    "valid as a class": ({"valid": 2, "invalid": 2}, r"valid: validation images, or a class\? Rename it 'test'"),
    "classes beside train": (
        PETS | under("train"),
        "other folders beside 'train': cat, dog; move classes into 'train'",
    ),
    "train as a class": ({"bus": 1, "car": 1, "train": 2}, "'train' another name if it is a class itself"),
    "flat train": ({"train": 3}, "train: no folder of a class in it; put a folder for each class into it"),
    "flat test": (
        PETS | {"test": 2},
        "test: no folder of a class; expected a folder for each class; images whose class",
    ),
    "test in train": (
        under("train") | {"train/test": 1},
        "train/test: a part of the data inside 'train'; move it beside",
    ),
    "two for training": (under("train") | under("training"), "both 'train' and 'training'; join them"),
    "extra": (
        PETS | {"extra": 2},
        r"extra: a class, or images without a label\? Rename it 'unlabelled' if they have none",
    ),
    "extra images": (PETS | {"Extra_Images": 2}, r"Extra_Images: a class, or images without a label\?"),
    "unknown": (PETS | {"Unknown": 2}, r"Unknown: a class, or images without a label\?"),
    "unknown in train": (under("train") | {"train/none": 2}, r"train/none: a class, or images without a label\?"),
    "train_images": (PETS | {"train_images": 2}, "train_images: named like a part of the data; rename it 'train' or"),
    "test-set": (PETS | {"test-set": 2}, "test-set: named like a part of the data"),
    "val2017": (under("train2017") | under("val2017"), "2017: named like a part of the data"),
    **{
        name: (PETS | {name: 1}, f"{name}: named like a part of the data; rename it 'train' or")
        for name in ("tests", "Validate", "devel", "trn", "train_val", "test-dev", "testA", "trainB", "test_private")
    },
    "train_labelled": (under("train_labelled") | {"unlabelled": 1}, "train_labelled: named like a part of the data"),
    "labelled": (PETS | {"Labelled": 2}, r"Labelled: a class, or all images with a label\? Move the folders of"),
    "labelled in train": (
        under("train") | {"train/annotated": 2},
        r"train/annotated: a class, or all images with a la",
    ),
    "images_dev": (PETS | {"images_dev": 1}, "images_dev: named like a part of the data"),
    "splits in classes": ({"cat/train": 1, "cat/test": 1, "dog/train": 1}, "cat/test: a part of the data inside class"),
    "validation in a class": (
        PETS | {"dog/val": 1},
        "dog/val: a part of the data inside class 'dog'; move its images to",
    ),
    "unlabelled in a class": (PETS | {"cat/unlabelled": 1}, "cat/unlabelled: a part of the data inside class 'cat'"),
    "folds": (under("fold1") | under("fold2"), r"'fold1' and 'fold2' hold the same folders \(cat, dog\) and no images"),
    "one level too deep": (
        under("images"),
        "one class only, 'images'; .*; if cat, dog are the classes, name .*/images$",
    ),
    "another table": (
        {".": 2, "annotations.csv": "a,b\n"},
        "no folder of a class; .*annotations.csv holds labels, give it as data.labels_file",
    ),
    "images alone": (
        {".": 3},
        "no folder of a class; expected a folder for each class, .*; or labels.csv with columns",
    ),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
def test_what_may_mean_two_things_is_an_error_of_one_line(tmp_path, case):
    content, message = ERRORS[case]
    with pytest.raises(UserError, match=message) as error:
        load(data_dir=make(tmp_path / "pets", content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["na", "trainers", "testimony", "valley", "extraordinary", "evaluator", "data", "set"])
def test_names_that_only_begin_like_a_split_are_classes(tmp_path, name):
    assert name in load(data_dir=make(tmp_path / "pets", PETS | {name: 1})).class_names


def test_classes_of_folders_only_are_a_warning(tmp_path, caplog):
    folder = make(
        tmp_path / "pets", {"cat/siam": 1, "cat/manx": 1, "dog/pug": 1, "cow": 1, "cow/red": 1, "unlabelled/a": 1}
    )
    assert labels_of(folder)[:2] == (("cat", "cow", "dog"), [0, 0, 1, 1, 2, UNKNOWN])
    (record,) = caplog.records
    assert record.message.endswith("folders of folders, taken as classes with all images below: cat, dog")


def test_a_folder_of_images_in_each_class_is_a_warning_only(tmp_path, caplog):
    folder = make(tmp_path / "pets", {"train/cat/images": 2, "train/dog/images": 1, "val/cat": 1, "unlabelled": 1})
    assert labels_of(folder) == (("cat", "dog"), [0, 0, 1, UNKNOWN], [0])
    assert "folders of folders, taken as classes with all images below: cat, dog" in caplog.text


CLUTTER = ["@eaDir", "$RECYCLE.BIN", "lost+found", "__pycache__", "System Volume Information", "__MACOSX", "#recycle"]
CLUTTER += ["FOUND.000", "Network Trash Folder", "Icon\r"]


@pytest.mark.parametrize("name", CLUTTER)
def test_folders_of_systems_and_storage_devices_are_skipped_everywhere(tmp_path, caplog, name):
    folder = write(tmp_path / "pets")
    before = load(data_dir=folder)
    for where in (".", "cat", "test", "test/dog", "unlabelled"):
        (folder / where / name / "more").mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / where / name / "more" / "thumbnail.png")
    for where in ("Thumbs.db", "cat/.DS_Store", "cat/Thumbs.db", "unlabelled/desktop.ini"):
        (folder / where).write_text("no image")
    assert load(data_dir=folder).digest == before.digest
    assert not caplog.records


def test_a_folder_of_the_system_that_cannot_be_read_is_no_error(tmp_path):
    folder = make(tmp_path / "pets", PETS)
    (folder / "lost+found").mkdir(mode=0)
    assert load(data_dir=folder).class_names == ("cat", "dog")

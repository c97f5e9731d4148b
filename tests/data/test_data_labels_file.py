"""labels.csv: files and labels beside images that do not lie in folders of classes."""

import shutil
import unicodedata

import numpy as np
import pytest
from pets import make, picture, write

from sgan_jax.data.check import check
from sgan_jax.data.load import UNKNOWN, load
from sgan_jax.errors import UserError

FLAT = "file,label\n0.png,cat\n3.png,dog\n1.png,\n"


def labels_of(folder):
    dataset = load(data_dir=folder)
    return dataset.class_names, dataset.train_labels.tolist(), dataset.test_labels.tolist()


def test_a_flat_folder_where_an_empty_label_and_a_file_without_a_line_are_unlabelled(tmp_path):
    dataset = load(data_dir=make(tmp_path / "pets", {".": 5, "labels.csv": FLAT}))
    assert (dataset.name, dataset.class_names, dataset.custom) == ("pets", ("cat", "dog"), True)
    assert dataset.train_labels.tolist() == [0, 1, UNKNOWN, UNKNOWN, UNKNOWN]
    for image, seed in zip(dataset.train_images, (0, 3, 1, 2, 4), strict=True):
        np.testing.assert_array_equal(image[..., 0], np.asarray(picture(seed, "L")))


def test_the_same_images_and_labels_in_folders_of_classes_have_the_same_digest(tmp_path):
    classes, flat = write(tmp_path / "classes"), tmp_path / "flat"
    lines = ["file,label"]
    for name in ("cat", "dog", "test/cat", "test/dog", "unlabelled"):
        place = flat / ("test" if name.startswith("test/") else "more")
        place.mkdir(parents=True, exist_ok=True)
        for path in (classes / name).iterdir():
            copy = place / f"{name.replace('/', '-')}-{path.name}"
            shutil.copy(path, copy)
            if name != "unlabelled":
                lines.append(f"{copy.relative_to(flat)},{name.rpartition('/')[2]}")
    (flat / "labels.csv").write_text("\n".join(reversed(lines[1:])).join(["file,label\n", "\n"]))
    in_classes, by_file = load(data_dir=classes), load(data_dir=flat)
    assert (by_file.digest, by_file.class_names) == (in_classes.digest, in_classes.class_names)


@pytest.mark.parametrize(
    "table",
    [
        "filename,class\na/b/0.png,10\nc/1.png,9\n",
        "\ufeffLabel;Image\r\n10;./a/b/0.png\r\n9;c\\1.png\r\n-1;c/2.png\r\n",
        "id\tpath\tlabel\n7\ta/b/0.png\t10\n8\tc/1.png\t9\n9\tc/2.png\n",
        'file,label\n"a/b/0.png"," 10 "\n\nc/1.png,9\nc/2.png,NaN\na/b/0.png,10\n',
        "file,label\n{here}/a/b/0.png,10\n1.png,9\n",
    ],
)
def test_columns_delimiters_paths_and_folders_of_any_depth(tmp_path, table):
    folder = make(tmp_path / "pets", {"a/b": 1, "c": 3, "LABELS.csv": table.format(here=tmp_path / "pets")})
    assert labels_of(folder) == (("9", "10"), [0, 1, UNKNOWN, UNKNOWN], [])


def test_names_of_files_and_classes_may_be_of_any_script(tmp_path):
    folder = make(tmp_path / "pets", {".": 2})
    (folder / "0.png").rename(folder / unicodedata.normalize("NFD", "é.png"))
    (folder / "1.png").rename(folder / "日本.png")
    (folder / "labels.csv").write_text("file,label\né.png,cafe\u0301\n日本.png,猫\n", encoding="utf-8")
    assert load(data_dir=folder).class_names == ("café", "猫")


def test_labelled_images_in_a_test_folder_are_the_test_part(tmp_path, caplog):
    table = "file,label\ntrain/0.png,cat\ntrain/1.png,dog\nTest/0.png,dog\nunlabelled/1.png,cat\ngone.png,dog\n"
    folder = make(tmp_path / "pets", {"train": 3, "Test": 2, "unlabelled": 2, "labels.csv": table})
    assert labels_of(folder) == (("cat", "dog"), [0, 0, 1, UNKNOWN, UNKNOWN], [1])
    lines, files = (record.message for record in caplog.records)
    assert lines == f"{folder}/labels.csv: 1 of 5 lines name no image of {folder}: gone.png"
    assert files == f"{folder}: 1 of 6 files left out: Test/1.png (a test image without a label)"
    checked = check(folder)
    assert [file.name for file in checked.left_out] == ["gone.png", "Test/1.png"]
    assert (checked.train, checked.test) == ({0: 2, 1: 1, UNKNOWN: 2}, {1: 1})


def test_validation_images_are_as_where_classes_have_folders(tmp_path, caplog):
    table = "file,label\ntrain/0.png,cat\ntrain/1.png,dog\nval/0.png,dog\n"
    folder = make(tmp_path / "pets", {"train": 3, "val": 1, "labels.csv": table})
    assert labels_of(folder) == (("cat", "dog"), [0, 1, UNKNOWN], [1])
    assert "'val' is used as the test part, as there is no 'test'" in caplog.text


def test_unlabelled_images_are_streamed(tmp_path):
    folder = make(tmp_path / "pets", {".": 5, "more": 3, "labels.csv": FLAT})
    in_memory, streamed = load(data_dir=folder, stream=False), load(data_dir=folder, stream=True)
    assert streamed.train_labels.tolist() == [0, 1] and len(streamed.streamed) == 8
    np.testing.assert_array_equal(np.stack([streamed.streamed[i] for i in range(8)]), in_memory.train_images)


def test_a_file_of_labels_may_lie_elsewhere(tmp_path):
    folder = make(tmp_path / "pets", {".": 5})
    (tmp_path / "mine.csv").write_text(FLAT)
    by_file = load(data_dir=folder, labels_file=tmp_path / "mine.csv")
    assert (by_file.known.sum(), by_file.labels_file) == (2, tmp_path / "mine.csv")
    (folder / "labels.csv").write_text("file,label\n0.png,cow\n1.png,pig\n")
    beside = load(data_dir=folder)
    assert (beside.class_names, beside.labels_file) == (("cow", "pig"), folder / "labels.csv")
    assert load(data_dir=folder, labels_file=str(tmp_path / "mine.csv")).digest == by_file.digest, (
        "the one named counts"
    )


def test_a_file_of_labels_adds_to_the_labels_that_folders_of_classes_give(tmp_path):
    folder = make(tmp_path / "pets", {"cat": 2, "dog": 1, "unlabelled": 3, "test/cat": 1, "more.csv": "x"})
    plain = load(data_dir=folder)
    table = tmp_path / "more.csv"
    table.write_text("file,label,prediction\nunlabelled/1.png,cat,dog\nunlabelled/0.png,,cat\n2.png,bird,cat\n")
    more = load(data_dir=folder, labels_file=table)
    assert (more.class_names, more.test_labels.tolist()) == (("bird", "cat", "dog"), [1])
    assert more.train_labels.tolist() == [0, 1, 1, 1, 2, UNKNOWN]
    np.testing.assert_array_equal(more.train_images, plain.train_images[[5, 0, 1, 4, 2, 3]])
    table.write_text("file,label\nunlabelled/1.png,bird\nunlabelled/0.png,cow\n")  # no class that a folder names
    assert load(data_dir=folder, labels_file=table).class_names == ("bird", "cat", "cow", "dog")
    (folder / "0.png").write_bytes((folder / "cat" / "0.png").read_bytes())  # in no folder of a class
    table.write_text("file,label\n./0.png,dog\n")
    assert load(data_dir=folder, labels_file=table).train_labels.tolist() == [0, 0, 1, 1, *[UNKNOWN] * 3]


def test_lines_that_name_no_image_are_counted_and_files_outside_the_folder_are_called_so(tmp_path, caplog):
    folder = make(tmp_path / "pets", {".": 5})
    (tmp_path / "mine.csv").write_text(FLAT + "gone.png,cat\n../0.png,cat\na/../2.png,dog\n/0.png,cat\n")
    assert load(data_dir=folder, labels_file=tmp_path / "mine.csv").known.sum() == 3
    assert f"mine.csv: 3 of 7 lines name no image of {folder}: gone.png, ../0.png, /0.png" in caplog.messages[0]
    assert [str(file) for file in check(folder, labels_file=tmp_path / "mine.csv").left_out] == [
        "gone.png (named in mine.csv, and not there)",
        "../0.png (named in mine.csv, and outside of the folder)",
        "/0.png (named in mine.csv, and outside of the folder)",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "none.csv: no such file; expected a CSV file with the columns file and label"),
        (".", ": a folder; "),
    ],
)
def test_a_file_of_labels_that_is_not_there_is_an_error(tmp_path, name, message):
    folder = make(tmp_path / "pets", {".": 5})
    for call in (check, load):
        with pytest.raises(UserError, match="data.labels_file .*" + message):
            call(**{"path" if call is check else "data_dir": folder}, labels_file=tmp_path / name)


def test_a_file_of_labels_without_a_folder_of_images_is_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.zeros((2, 8, 8)), y_train=[0, 1])
    for source in ({"data_dir": tmp_path / "a.npz"}, {"dataset": "mnist-5k"}):
        with pytest.raises(UserError, match=r"mine.csv: labels of a folder of images"):
            load(**source, labels_file=tmp_path / "mine.csv")


def test_other_files_at_the_top_are_no_images_and_bad_images_are_named(tmp_path, caplog):
    content = {".": 5, "README.txt": "x", "notes.csv": "a,b\n", "bad.png": "no image", "labels.csv": FLAT}
    assert len(load(data_dir=make(tmp_path / "pets", content)).train_images) == 5
    (record,) = caplog.records
    assert "1 of 6 files left out: bad.png (no image that Pillow reads)" in record.message


CLASSES = {"cat": 2, "dog": 2}
ERRORS = {
    "quotation that runs on": (
        {".": 3, "labels.csv": 'file,label\n0.png,"cat\n1.png,dog\n2.png,dog\n'},
        "labels.csv: line 4: a value of several lines or with tabs; a quotation mark may be missing",
    ),
    "commas without quotation": (
        {".": 3, "labels.csv": "file,label\n0.png,cat, grey\n1.png,dog\n2.png,cat\n"},
        "labels.csv: line 2: more values than columns; put a value that has commas in quotation marks",
    ),
    "NUL": ({".": 3, "labels.csv": "file,label\n0.png,c\0t\n1.png,dog\n"}, "line 2: a value of several lines or"),
    "negative": ({".": 3, "labels.csv": "file,label\n0.png,0\n1.png,1\n2.png,-2\n"}, "label '-2' may mean no label"),
    "beside classes": (
        CLASSES | {"labels.csv": "file,label\ncat/0.png,cat\ndog/0.png,dog\n"},
        r"labels in labels.csv and folders of classes beside it \(cat, dog\); remove labels.csv if",
    ),
    "beside classes of another case": (
        {"CATS": 2, "x": 2, "labels.csv": "file,label\nCATS/0.png,cats\nx/0.png,dogs\n"},
        r"folders of classes beside it \(CATS\)",
    ),
    "beside classes that it does not name": (
        CLASSES | {".": 2, "labels.csv": "file,label\n0.png,x\n1.png,y\n"},
        r"folders of classes beside it \(cat, dog\)",
    ),
    "beside classes for training that it does not name": (
        {"train/cat": 2, "train/dog": 2, ".": 2, "labels.csv": "file,label\n0.png,x\n1.png,y\n"},
        r"folders of classes beside it \(train/cat, train/dog\)",
    ),
    "of test images beside classes": (
        CLASSES | {"test/cat": 1, "labels.csv": "file,label\ntest/cat/0.png,cat\n"},
        r"folders of classes beside it \(cat, test/cat\)",
    ),
    "other spelling than a folder": (
        CLASSES | {"unlabelled": 2, "labels.csv": "file,label\nunlabelled/0.png,Cat\n"},
        "classes 'Cat' and 'cat' differ in spelling only",
    ),
    "beside classes for training": (
        {"train/cat": 2, "train/dog": 2, "labels.csv": "file,label\ntrain/cat/0.png,cat\ntrain/dog/0.png,dog\n"},
        r"folders of classes beside it \(train/cat, train/dog\)",
    ),
    "in train": (
        {"train/cat": 2, "train/dog": 2, "train/labels.csv": FLAT},
        "train/labels.csv: not read there; expected one .*pets/labels.csv for all images, with paths such as train/1",
    ),
    "like a split": ({"test_images": 2, ".": 4, "labels.csv": FLAT}, "test_images: named like a part of the data"),
    "no header": ({".": 4, "labels.csv": "0.png,a\n1.png,b\n"}, r"no column named file, .*\(there are 0.png, a\)"),
    "no label column": ({".": 4, "labels.csv": "file,breed\n0.png,a\n"}, "no column named label or class"),
    "two label columns": ({".": 4, "labels.csv": "file,label,class\n0.png,a,1\n"}, "several columns named label or cl"),
    "empty file": ({".": 4, "labels.csv": ""}, r"no column named file, .*\(there are none\)"),
    "no line": ({".": 4, "labels.csv": "file,label\n"}, "no line with a file; expected paths from .*pets, such"),
    "other files": (
        {".": 4, "labels.csv": "file,label\nx/0.png,a\n"},
        r"none of 1 lines names an image of .*pets \(x/0.png\); ex",
    ),
    "outside": ({".": 4, "labels.csv": "file,label\n../pets2/0.png,a\n"}, "names an image of"),
    "one class": ({".": 4, "labels.csv": "file,label\n0.png,a\n1.png,a\n"}, "one class only, 'a'"),
    "one class, as files are spelled in another way": (
        {".": 4, "labels.csv": "file,label\n0.PNG,a\n1,a\n2.png,b\n"},
        r"one class only, 'b', and 2 of 3 lines name no image \(0.PNG\); expected at least two classes",
    ),
    "no labels": ({".": 4, "labels.csv": "file,label\n0.png,\n1.png,NA\n"}, "no training image has a label"),
    "two labels": ({".": 4, "labels.csv": FLAT + "3.png,cow\n"}, "line 5: 3.png has two labels, 'dog' and 'cow'"),
    "label and none": ({".": 4, "labels.csv": FLAT + "3.png,\n"}, "line 5: 3.png has two labels, 'dog' and ''"),
    "no file": ({".": 4, "labels.csv": FLAT + ",cow\n"}, "line 5: label 'cow' without a file"),
    "name of two files": ({"a": 1, "b": 1, "labels.csv": FLAT}, "line 2: 0.png may be a/0.png and b/0.png"),
    "spelling": ({".": 4, "labels.csv": FLAT + "2.png,Cat\n"}, "classes 'Cat' and 'cat' differ in spelling only"),
    "unclear": ({".": 4, "labels.csv": FLAT + "2.png,unknown\n"}, "label 'unknown' may mean no label; use -1"),
    "other test class": (
        {".": 4, "test": 1, "labels.csv": FLAT + "test/0.png,cow\n"},
        "test image 0.png has label 'cow'; the classes are cat, dog",
    ),
    "bad images": (
        {"0.png": "no image", "3.png": "", "1.png": "x", "more": 2, "labels.csv": FLAT},
        r"labels.csv: label 'cat': no image of this class can be used: 0.png \(no image that Pillow reads\)",
    ),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
def test_each_error_is_one_line(tmp_path, case):
    content, message = ERRORS[case]
    with pytest.raises(UserError, match=message) as error:
        load(data_dir=make(tmp_path / "pets", content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["file,label\n0.png,caf\u00e9\n".encode("latin1"), "file,label\n".encode("utf-16")])
def test_other_encodings_are_an_error(tmp_path, content):
    folder = make(tmp_path / "pets", {".": 2})
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match="labels.csv: not UTF-8; save it as CSV in UTF-8"):
        load(data_dir=folder)


@pytest.mark.parametrize("content", [b"file,label\n" + b"a" * 200_000, b"file,label\n0.png,a\0b\n", b"\0" * 50])
def test_damaged_files_are_an_error(tmp_path, content):
    folder = make(tmp_path / "pets", {".": 2})
    (folder / "labels.csv").write_bytes(content)
    with pytest.raises(UserError) as error:
        load(data_dir=folder)
    assert "labels.csv" in str(error.value) and "\n" not in str(error.value)

"""`data check` prints counts, sizes, copies and problems, and the command that trains on the images."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sets
from outer import write_images
from pets import make, picture, write

from sgan_jax.cli.data import DataCommand
from sgan_jax.data import memory, svhn
from sgan_jax.data.load import load
from sgan_jax.errors import UserError


def test_counts_sizes_and_files_that_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "pets")
    (folder / "cat" / "bad\n\x1b[1m.png").write_text("no image")
    assert DataCommand("check", folder)() == 0
    assert capsys.readouterr().out == (
        "set: pets (a folder of images)\n"
        "images: 12 of 8 x 8 pixels, grey\n"
        "memory: 768 bytes for the images, and on the device 896 bytes\n"
        "left out: 1 file\n  cat/bad\\n\\x1b[1m.png: no image that Pillow reads\n"
        "\nclass       labelled     test\n"
        "cat                3        2\n"
        "dog                2        1\n"
        "unlabelled         4\n\n"
        "preset: best, for handwriting and drawings; for grey pictures of things best-objects\n"
        f"train on them: bin/train --preset best --data-dir {folder}\n"
    )


def test_copies_are_listed_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "pets")
    shutil.copy(folder / "cat" / "0.png", folder / "test" / "dog" / "copy.png")
    shutil.copy(folder / "cat" / "1.png", folder / "dog" / "other.png")
    for number in range(11):
        shutil.copy(folder / "dog" / "0.png", folder / "dog" / f"again{number:02}.png")
    DataCommand("check", folder)()
    printed = capsys.readouterr().out
    assert "the same image in train and test: 1\n  test/dog/copy.png is cat/0.png\n" in printed
    assert "the same image in two classes: 1\n  dog/other.png is cat/1.png\n" in printed
    assert "the same image twice in a class: 11\n" in printed
    assert printed.count(" is dog/") == 10 and "\n  ...\n" in printed  # ten are listed


def test_sizes_that_differ_are_listed_before_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "pets", test=False)
    picture(50, "RGB", (30, 20)).save(folder / "cat" / "wide.png")
    with pytest.raises(UserError, match="data.image_size N .* or HEIGHTxWIDTH to resize"):
        DataCommand("check", folder)()
    assert capsys.readouterr().out == (
        "set: pets (a folder of images)\nimages: 9 of 8 x 8 pixels, RGB\nimages: 1 of 30 x 20 pixels, RGB\n"
        "images: 9 are grey and become RGB as the others\n"
        "\nclass       labelled     test\ncat                4        0\ndog                2        0\n"
        "unlabelled         4\nno test images: --validation N keeps N labelled ones from training to measure on\n\n"
    )
    assert DataCommand("check", folder, "16")() == 0
    printed = capsys.readouterr().out
    assert "images: 1 of 30 x 20 pixels, RGB, resized to 16 x 16\n" in printed
    assert "no test images: --validation N keeps N labelled ones from training to measure on\n" in printed
    assert printed.endswith(
        f"preset: photos, for colour images\ntrain on them: bin/train --preset photos --data-dir {folder} "
        "--image-size 16\n"
    )
    assert DataCommand("check", folder, "20x30")() == 0
    printed = capsys.readouterr().out
    assert "images: 9 of 8 x 8 pixels, RGB, resized to height 20, width 30\n" in printed
    assert "images: 1 of 30 x 20 pixels, RGB\n" in printed
    assert printed.endswith(f"--data-dir {folder} --image-size 20x30\n")


def test_several_problems_are_listed_before_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "pets", test=False)
    picture(50, "L", (30, 20)).save(folder / "unlabelled" / "wide.png")
    shutil.rmtree(folder / "dog")
    (folder / "dog").mkdir()
    with pytest.raises(UserError, match="pets: 2 problems, listed above"):
        DataCommand("check", folder)()
    printed = capsys.readouterr().out
    first, second, third = printed.splitlines()[-3:]
    assert first == "problems: 2"
    assert "wide.png: 30 x 20 pixels; expected 8 x 8 pixels as of cat/0.png, or --image-size N" in second
    assert third == f"  {folder}/dog: no image of this class can be used; expected some in its folder"


def test_problems_of_a_layout_or_of_arrays_are_all_listed(
    sgan: Callable[..., tuple[object, str, str]], tmp_path: Path
) -> None:
    folder = make(tmp_path / "pets", {"cat": 2, "Cat": 2, "extra": 1, "val_images": 1})
    status, printed, error = sgan("data", "check", folder)
    assert status == 2 and error == f"sgan: error: {folder}: 3 problems, listed above\n"
    assert printed.count(f"\n  {folder}") == 3 and "\ncat " in printed, "and the counts"
    x = np.zeros((2, 8), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1], x_test=x, y_test=[0])
    status, printed, error = sgan("data", "check", tmp_path / "a.npz")
    assert (status, error) == (2, f"sgan: error: {tmp_path}/a.npz: 3 problems, listed above\n")
    assert [line.split(": ")[1].split(" ")[0] for line in printed.splitlines()[1:]] == ["x_train", "x_test", "y_test"]


def test_arrays_have_one_size_without_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.zeros((4, 20, 36, 3), np.uint8), y_train=[0, 1, 1, -1])
    assert DataCommand("check", tmp_path / "a.npz")() == 0
    assert capsys.readouterr().out.startswith(
        "set: a (an .npz file)\nimages: 36 x 20 pixels, RGB\nmemory: 8.6 kB for the images, and on the device 15.1 kB\n"
    )


def test_notes_on_the_layout_come_before_the_counts(
    sgan: Callable[..., tuple[object, str, str]], tmp_path: Path
) -> None:
    folder = make(tmp_path / "pets", {"train/cat": 2, "train/dog": 2, "val/cat": 1, "unsup": 3})
    status, printed, notes = sgan("data", "check", folder)
    assert status == 0
    assert "\ncat                2        1\ndog                2        0\nunlabelled         3\n" in printed
    assert notes == (
        f"sgan: warning: {folder}: 'val' is used as the test part, as there is no 'test'\n"
        f"sgan: warning: {folder}: the images in 'unsup' are used as unlabelled images\n"
    )


def test_a_folder_with_labels_csv(does: Callable[..., str], fails: Callable[..., str], tmp_path: Path) -> None:
    folder = make(tmp_path / "pets", {".": 4, "labels.csv": "file,label\n0.png,cat\n3.png,dog\n4.png,dog\n"})
    printed = does("data", "check", folder)
    assert "left out: 1 file\n  4.png: named in labels.csv, and not there\n" in printed
    assert "\ncat                1        0\ndog                1        0\nunlabelled         2\n" in printed
    (folder / "0.png").write_text("no image")
    assert f"{folder}/labels.csv: label 'cat': no image of this class can be used: 0.png" in fails(
        "data", "check", folder
    )


@pytest.mark.parametrize("size", ["7", "600x28", "28x7"])
def test_sizes_out_of_range_are_errors(tmp_path: Path, size: str) -> None:
    with pytest.raises(UserError, match=r"data.image_size: \d+ x \d+; must be between 8 and 512"):
        DataCommand("check", tmp_path, size)()


KINDS = {
    sets.cifar10: "CIFAR-10's binary files, not those of cifar10",
    sets.cifar100: "CIFAR-100's binary files; --dataset cifar100 if they are cifar100",
    sets.svhn: "SVHN's .mat files, not those of svhn_cropped or svhn_extra",
    sets.stl10: "STL-10's binary files; --dataset stl10 if they are stl10",
}


@pytest.mark.parametrize("write_set", KINDS)
def test_files_of_published_sets_are_checked_and_named(
    write_set: Callable[[Path], sets.Written], does: Callable[..., str], tmp_path: Path
) -> None:
    written = write_set(tmp_path / "animals")
    copy = tmp_path / "animals"
    side = written.train_images.shape[1]
    printed = does("data", "check", copy)
    assert printed.startswith(f"set: animals ({KINDS[write_set]})\nimages: {side} x {side} pixels, RGB\nmemory: ")
    counts = zip(np.bincount(written.train_labels), np.bincount(written.test_labels), strict=True)
    rows = [line.split()[1:] for line in printed.splitlines()[5 : 5 + written.train_labels.max() + 1]]
    assert rows == [[str(train), str(test)] for train, test in counts]
    assert printed.endswith(f"train on them: sgan train --preset photos --data-dir {copy}\n")


def test_problems_of_the_files_of_a_published_set_are_all_listed(
    sgan: Callable[..., tuple[object, str, str]], tmp_path: Path
) -> None:
    sets.cifar10(tmp_path / "animals")
    for name in ("data_batch_2.bin", "test_batch.bin"):
        (tmp_path / "animals" / name).unlink()
    status, printed, error = sgan("data", "check", tmp_path / "animals")
    assert (status, error) == (2, f"sgan: error: {tmp_path}/animals: 2 problems, listed above\n")
    assert printed.splitlines()[0] == "problems: 2" and printed.count(": no file ") == 2


def test_the_name_of_a_set_is_part_of_the_command_that_trains(does: Callable[..., str], tmp_path: Path) -> None:
    sets.stl10(tmp_path / "animals")
    printed = does("data", "check", tmp_path / "animals", "--dataset", "stl10")
    assert printed.startswith("set: stl10 (STL-10's binary files)\n")
    assert printed.endswith(f"--data-dir {tmp_path}/animals --dataset stl10\n")


def test_a_published_set_is_named_without_a_doubt(
    does: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets.svhn(tmp_path / "svhn")
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (tmp_path / "svhn").iterdir()}
    monkeypatch.setitem(svhn.RECORD, "svhn_cropped", sums)
    assert does("data", "check", tmp_path / "svhn").startswith("set: svhn_cropped (SVHN's .mat files)\n")


def test_idx_files_may_be_a_set_without_checksums(does: Callable[..., str], tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1])
    write_images(tmp_path / "digits", (images, labels), (images, labels))
    expected = "IDX files, not those of mnist or fashion_mnist; --dataset kmnist if they are kmnist"
    assert does("data", "check", tmp_path / "digits").startswith(f"set: digits ({expected})\n")


@pytest.mark.parametrize("size", [(28, 28), (64, 48), (128, 128)])
@pytest.mark.parametrize("channels", [1, 3])
def test_memory_is_that_of_the_arrays(
    size: tuple[int, int], channels: int, does: Callable[..., str], tmp_path: Path
) -> None:
    """In a folder and in an .npz file: 12 images in memory; on the device 9 to train on, and 5 of them with a label."""
    folder = write(tmp_path / "pets", "L" if channels == 1 else "RGB", size[::-1])
    one = size[0] * size[1] * channels
    x, y = np.zeros((9, *size, channels), np.uint8), [0, 1, 0, 1, 0, -1, -1, -1, -1]
    np.savez(tmp_path / "pets.npz", x_train=x, y_train=y, x_test=x[:3], y_test=[0, 0, 1])
    line = f"memory: {12 * one / 1e3:.1f} kB for the images, and on the device {14 * one / 1e3:.1f} kB\n"
    for path in (folder, tmp_path / "pets.npz"):
        assert line in does("data", "check", path)
        dataset = load(data_dir=path)
        assert dataset.train_images.nbytes + dataset.test_images.nbytes == 12 * one


def test_memory_of_a_folder_that_does_not_fit(
    does: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 5 labelled and 3 test images are in memory, the labelled ones on the device twice."""
    folder = write(tmp_path / "pets")
    monkeypatch.setattr(memory, "total", lambda: 2 * 9 * 64 - 1)
    assert (
        "memory: 512 bytes for the images, and on the device 640 bytes; the unlabelled ones are read from disk\n"
        in does("data", "check", folder)
    )

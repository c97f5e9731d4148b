"""What `data check` says before any training."""

import shutil

import numpy as np
import pytest
from pets import picture, write
from PIL import Image

from sgan_jax.data.check import check
from sgan_jax.errors import UserError


def test_counts_sizes_and_what_is_left_out(tmp_path, capsys):
    folder = write(tmp_path / "pets")
    (folder / "cat" / "bad.png").write_text("no image")
    assert check(folder) == 0
    assert capsys.readouterr().out == (
        "images: 12 of 8 x 8 pixels, grey\n"
        "left out: 1 files\n  cat/bad.png: no image that Pillow reads\n"
        "\nclass       labelled     test\n"
        "cat                3        2\n"
        "dog                2        1\n"
        "unlabelled         4\n\n"
        f"train on them: bin/train --preset best --data-dir {folder}\n"
    )


def test_copies_in_both_parts_in_two_classes_and_in_one(tmp_path, capsys):
    folder = write(tmp_path / "pets")
    shutil.copy(folder / "cat" / "0.png", folder / "test" / "dog" / "copy.png")
    shutil.copy(folder / "unlabelled" / "1.png", folder / "test" / "dog" / "seen.png")
    Image.open(folder / "cat" / "1.png").save(folder / "dog" / "other.bmp")  # the pixels count
    shutil.copy(folder / "dog" / "0.png", folder / "dog" / "again.png")
    shutil.copy(folder / "dog" / "0.png", folder / "unlabelled" / "harmless.png")
    check(folder)
    printed = capsys.readouterr().out
    both = "  test/dog/copy.png is cat/0.png\n  test/dog/seen.png is unlabelled/1.png\n"
    assert f"the same image in train and test: 2\n{both}" in printed
    assert "the same image in two classes: 1\n  dog/other.bmp is cat/1.png\n" in printed
    assert "the same image twice in a class: 1\n  dog/again.png is dog/0.png\n" in printed


def test_sizes_that_differ_are_listed_before_the_error(tmp_path, capsys):
    folder = write(tmp_path / "pets", test=False)
    picture(50, "RGB", (30, 20)).save(folder / "cat" / "wide.png")
    with pytest.raises(UserError, match="data.image_size N"):
        check(folder)
    assert capsys.readouterr().out == (
        "images: 9 of 8 x 8 pixels, RGB\nimages: 1 of 30 x 20 pixels, RGB\n"
        "images: 9 are grey and become RGB as the others\n"
    )
    assert check(folder, 16) == 0
    printed = capsys.readouterr().out
    assert "images: 1 of 30 x 20 pixels, RGB, resized to 16 x 16\n" in printed
    assert "no test images: --validation N keeps N labelled ones from training to measure on\n" in printed
    assert printed.endswith(f"--data-dir {folder} --image-size 16\n")


def test_arrays_and_idx_files_are_checked_too(tmp_path, capsys, write_idx, arrays):
    write_idx(tmp_path / "idx", arrays)
    assert check(tmp_path / "idx") == 0
    assert "images: 28 x 28 pixels, grey\n" in capsys.readouterr().out
    x = np.zeros((4, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1, 1, -1])
    assert check(tmp_path / "a.npz") == 0
    printed = capsys.readouterr().out
    assert "the same image in two classes: 1\n  train image 1 is train image 0\n" in printed
    assert "the same image twice in a class: 1\n  train image 2 is train image 1\n" in printed

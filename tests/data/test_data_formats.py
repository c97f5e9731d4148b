"""The table of file formats: which format a folder is in, and which sets its files may be."""

import numpy as np
import pytest
import sets

from sgan_jax.data import load
from sgan_jax.data.formats import FORMATS
from sgan_jax.errors import UserError

WRITE = {"cifar10": sets.cifar10, "cifar100": sets.cifar100, "svhn_cropped": sets.svhn, "stl10": sets.stl10}


@pytest.mark.parametrize("name", WRITE)
def test_each_format_is_told_from_the_others_and_from_folders_of_images(tmp_path, name):
    WRITE[name](tmp_path / "set")
    assert [one.names[0] for one in FORMATS if one.has_files(tmp_path / "set")] == [name]
    assert not load.is_folder_of_images(tmp_path / "set")


@pytest.mark.parametrize("dataset", ["cifar100", "mnist", "mnits", "mnist-5k"])
def test_files_take_only_the_names_of_sets_in_their_format(tmp_path, dataset):
    sets.cifar10(tmp_path)
    with pytest.raises(UserError, match=f"data.dataset {dataset} .*: CIFAR-10's binary files; expected auto or .*10$"):
        load.load(dataset, tmp_path)


def test_files_of_several_formats_need_the_name_of_the_set(tmp_path):
    sets.svhn(tmp_path)
    written = sets.cifar100(tmp_path)
    with pytest.raises(UserError, match=r"CIFAR-100's binary files and SVHN's \.mat files; expected one of them"):
        load.load(data_dir=tmp_path)
    np.testing.assert_array_equal(load.load("cifar100", tmp_path).train_images, written.train_images)


def test_files_of_sets_are_taken_as_they_are(tmp_path):
    sets.svhn(tmp_path)
    with pytest.raises(UserError, match=r"data.image_size 28: SVHN's \.mat files are taken as they are"):
        load.load(data_dir=tmp_path, image_size=(28, 28))
    with pytest.raises(UserError, match="is not a folder of images"):
        load.load(data_dir=tmp_path, stream=True)


def test_an_empty_folder_and_a_folder_with_an_npz_file(tmp_path):
    with pytest.raises(UserError, match=r"no images; expected a folder .*IDX files, CIFAR-10's .*STL-10's binary"):
        load.load(data_dir=tmp_path)
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"there is a\.npz: name the file itself"):
        load.load(data_dir=tmp_path)


def test_a_train_bin_alone_does_not_hide_a_folder_of_images(tmp_path):
    (tmp_path / "train.bin").write_bytes(b"")
    (tmp_path / "cat").mkdir()
    assert load.is_folder_of_images(tmp_path)

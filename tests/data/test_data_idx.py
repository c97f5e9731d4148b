"""Folders of IDX files: the arrays are those written, and each error names the file in one line."""

import gzip
import hashlib
import logging

import numpy as np
import pytest

from sgan_jax.data import idx, load, memory
from sgan_jax.errors import UserError


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dash", ["-", "."])
def test_idx_folder_gives_the_arrays_written(tmp_path, arrays, write_idx, dash, packed):
    write_idx(tmp_path / "my digits", arrays, dash, packed)
    got = load.load(data_dir=tmp_path / "my digits")
    assert (got.name, got.num_classes, got.class_names[3], got.notice) == ("my-digits", 10, "3", "")
    for part in ("train", "test"):
        images, labels = getattr(got, f"{part}_images"), getattr(got, f"{part}_labels")
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        np.testing.assert_array_equal(images, arrays[f"{part}_images"][..., None])
        np.testing.assert_array_equal(labels, arrays[f"{part}_labels"])


def _set(key, fault):
    def apply(paths):
        raw = gzip.decompress(paths[key].read_bytes())
        paths[key].write_bytes(gzip.compress(fault(raw)))
        return paths[key]

    return apply


def _file(key, fault):
    def apply(paths):
        paths[key].write_bytes(fault(paths[key].read_bytes()))
        return paths[key]

    return apply


def _swap_labels(paths):
    paths["train_images"].write_bytes(paths["train_labels"].read_bytes())
    return paths["train_images"]


def _remove(*keys):
    def apply(paths):
        for key in keys:
            paths[key].unlink()
        return paths["train_images"].parent

    return apply


def _flip(raw, at):
    return raw[:at] + bytes((raw[at] ^ 0x10,)) + raw[at + 1 :]


def _header(count, *rest):
    return bytes((0, 0, 8, 1 + len(rest))) + np.array((count, *rest), ">i4").tobytes()


ERRORS = {
    "truncated gzip": (_file("train_images", lambda b: b[:-2000]), "truncated or corrupt gzip"),
    "corrupt gzip": (_file("test_images", lambda b: _flip(b, len(b) // 2)), "truncated or corrupt gzip"),
    "gzip checksum": (_file("test_labels", lambda b: _flip(b, len(b) - 8)), "truncated or corrupt gzip"),
    "labels for images": (_swap_labels, r"magic number 0x00000801; expected 0x00000803"),
    "not IDX": (
        _file("train_labels", lambda b: b"<html>sign in</html>"),
        "magic number 0x3c68746d; expected 0x00000801",
    ),
    "empty file": (_file("test_labels", lambda b: b""), "empty file.*expected 0x00000801"),
    "header only in part": (_set("train_images", lambda b: b[:9]), "the file has 0; expected"),
    "fewer than the header says": (_set("train_images", lambda b: b[:-1]), "23520 bytes of data, the file has 23519"),
    "more than the header says": (_set("test_labels", lambda b: b + b"\0"), "20 bytes of data, the file has 21"),
    "no examples": (_set("test_labels", lambda b: _header(0)), "no data"),
    "lengths differ": (_set("train_labels", lambda b: _header(29) + b[8:-1]), "29 labels for the 30 images"),
    "other image size": (
        _set("test_images", lambda b: _header(20, 14, 56) + b[16:]),
        r"\(14, 56\).*expected \(28, 28\)",
    ),
    "label out of range": (_set("train_labels", lambda b: b[:12] + b"\xc8" + b[13:]), "label 200 of example 4"),
    "test label out of range": (_set("test_labels", lambda b: b[:8] + b"\x0a" + b[9:]), r"label 10 .*expected 0\.\.9"),
    "one class": (_set("train_labels", lambda b: b[:8] + bytes(30)), "at least two classes"),
    "missing file": (_remove("test_images"), "no file t10k-images-idx3-ubyte or .*expected the four IDX files"),
    "empty folder": (_remove("train_images", "train_labels", "test_images", "test_labels"), "no images; expected"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_each_error_is_one_line_that_names_the_file(tmp_path, arrays, write_idx, cache_dir, case):
    fault, expected = ERRORS[case]
    named = fault(write_idx(tmp_path / "digits", arrays))
    before = sorted((p.name, p.read_bytes()) for p in (tmp_path / "digits").iterdir())
    with pytest.raises(UserError, match=expected) as raised:
        load.load(data_dir=tmp_path / "digits")
    assert str(named) in str(raised.value)
    assert "expected" in str(raised.value) and "\n" not in str(raised.value)
    assert before == sorted((p.name, p.read_bytes()) for p in (tmp_path / "digits").iterdir())
    assert not cache_dir.exists()


def test_what_would_not_fit_in_memory_is_an_error_while_it_is_unpacked(tmp_path, arrays, write_idx, monkeypatch):
    paths = write_idx(tmp_path / "digits", arrays)
    paths["train_images"].write_bytes(gzip.compress(bytes(100_000_000), 1))
    monkeypatch.setattr(memory, "total", lambda: 40_000_000)
    with pytest.raises(UserError, match=r"train-images.*: 0\.00 GB that unpack to 0\.0 GB of images, more"):
        load.load(data_dir=tmp_path / "digits")


def test_a_path_that_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for name, state in (("nowhere", "does not exist"), ("file", "is not a folder")):
        with pytest.raises(UserError, match=f"data.data_dir .*{name}: {state}; expected a folder"):
            load.load(data_dir=tmp_path / name)


def test_a_folder_in_place_of_a_file(tmp_path, arrays, write_idx):
    paths = write_idx(tmp_path, arrays)
    paths["test_labels"].unlink()
    paths["test_labels"].mkdir()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte\.gz: cannot be read"):
        load.load(data_dir=tmp_path)


def test_no_flipped_byte_of_a_gzip_file_changes_the_labels(tmp_path, idx_bytes):
    """Each flipped byte is an error or, in parts of the header such as the time stamp, without effect."""
    labels = np.arange(40, dtype=np.uint8) % 10
    packed = gzip.compress(idx_bytes(labels))
    errors = 0
    for at in range(len(packed)):
        (tmp_path / "labels.gz").write_bytes(_flip(packed, at))
        try:
            got, _ = idx.read_idx(tmp_path / "labels.gz", 1)
        except UserError:
            errors += 1
        else:
            np.testing.assert_array_equal(got, labels)
    assert errors >= len(packed) - 10  # a gzip header has ten bytes
    for length in range(len(packed)):
        (tmp_path / "labels.gz").write_bytes(packed[:length])
        with pytest.raises(UserError):
            idx.read_idx(tmp_path / "labels.gz", 1)


@pytest.fixture
def known_contents(monkeypatch, arrays, idx_bytes):
    """Records the checksums of the small arrays as those of MNIST."""
    digests = {key: hashlib.sha256(idx_bytes(array)).hexdigest() for key, array in arrays.items()}
    monkeypatch.setitem(idx.CANONICAL, "mnist", digests)


@pytest.mark.parametrize("packed", [True, False])
def test_a_set_is_recognised_by_checksum_compressed_or_not(tmp_path, arrays, write_idx, known_contents, packed):
    write_idx(tmp_path / "x", arrays, packed=packed)
    assert load.load(data_dir=tmp_path / "x").name == "mnist"
    assert load.load("mnist", tmp_path / "x").name == "mnist"


def test_other_contents_are_not_taken_for_a_known_set(tmp_path, arrays, write_idx, known_contents):
    arrays["test_labels"] = arrays["test_labels"][::-1]
    write_idx(tmp_path / "mnist", arrays)
    assert load.load(data_dir=tmp_path / "mnist").name == "mnist-local"
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz: not the file of mnist .*data.dataset auto"):
        load.load("mnist", tmp_path / "mnist")


def test_kmnist_files_are_accepted_without_a_checksum_and_with_a_warning(tmp_path, arrays, write_idx, caplog):
    write_idx(tmp_path, arrays)
    with caplog.at_level(logging.WARNING):
        got = load.load("kmnist", tmp_path)
    assert (got.name, got.class_names[1]) == ("kmnist", "ki")
    assert "on your word" in caplog.text


@pytest.mark.parametrize("dataset", ["mnits", "mnist-5k", "cifar10"])
def test_a_folder_takes_only_names_of_idx_sets(tmp_path, arrays, write_idx, dataset):
    write_idx(tmp_path, arrays)
    message = f"data.dataset {dataset} with data.data_dir .*: IDX files; expected auto or one of fashion_mnist"
    with pytest.raises(UserError, match=message):
        load.load(dataset, tmp_path)


def test_the_digest_depends_on_contents_and_not_on_names(tmp_path, arrays, write_idx):
    write_idx(tmp_path / "a", arrays)
    write_idx(tmp_path / "b", arrays, packed=False)
    digest = load.load(data_dir=tmp_path / "a").digest
    assert digest == load.load(data_dir=tmp_path / "b").digest
    for key in arrays:
        changed = dict(arrays, **{key: arrays[key][::-1]})
        write_idx(tmp_path / key, changed)
        assert load.load(data_dir=tmp_path / key).digest != digest


def test_real_mnist_is_recognised(real_mnist):
    got = load.load(data_dir=real_mnist)
    assert got.name == "mnist"
    assert got.digest == "8dda9b6d41ce200eb5d33c2c05f0d7aaf17ed782a2e722ef67f103ab76bf227b"
    assert got.train_images.shape == (60000, 28, 28, 1) and got.test_images.shape == (10000, 28, 28, 1)
    assert np.bincount(got.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert got.train_labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]

"""Images whose values have another range than expected are warned of, with the largest value found."""

import gzip
import logging

import numpy as np
import pytest
from pets import make
from PIL import Image

from sgan_jax.data.check import check
from sgan_jax.data.load import load

RNG = np.random.default_rng(1)
X = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
X[0, 0, 0] = 255
Y = np.array([0, 1, -1, 1, 0, -1])


def warnings_of(path, caplog, **settings):
    caplog.set_level(logging.WARNING)
    caplog.clear()
    load(data_dir=path, **settings)
    return [record.message for record in caplog.records if "nearly black" in record.message]


@pytest.mark.parametrize(
    ("images", "largest"),
    [
        (X // 128, "1"),
        ((X // 16).astype(np.int64), "15"),
        (np.minimum(X // 15, 16).astype(np.int32), "16"),
        (X // 4, "63"),
        (X / 255 / 256, "0.003906"),
        ((X / 255 / 16).astype(np.float32), "0.0625"),
        (X * 0, "0"),
        (X < 0, "0"),
    ],
)
def test_small_values_in_arrays_are_a_warning(tmp_path, caplog, images, largest):
    np.savez(tmp_path / "a.npz", x_train=images, y_train=Y)
    (message,) = warnings_of(tmp_path / "a.npz", caplog)
    assert f"a.npz: x_train: the largest value is {largest}; expected integers of 0 to 255, or floats of 0" in message


@pytest.mark.parametrize("images", [X, X.astype(np.int64), X / 255, (X / 255).astype(np.float16), X > 128, X // 3])
def test_the_usual_ranges_are_not(tmp_path, caplog, images):
    np.savez(tmp_path / "a.npz", x_train=images, y_train=Y)
    assert not warnings_of(tmp_path / "a.npz", caplog)


def test_each_array_is_looked_at_alone(tmp_path, caplog):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:2] // 17, y_test=Y[:2], x_unlabelled=X / 255)
    (message,) = warnings_of(tmp_path / "a.npz", caplog)
    assert "x_test: the largest value is 15" in message


def scaled(folder, where, divisor, bits):
    """Writes the images of a folder again, darker, with 8 or 16 bits."""
    for path in (folder / where).rglob("*.png"):
        pixels = np.asarray(Image.open(path)) // divisor
        Image.fromarray(pixels.astype(np.uint16) * 16 + 15 if bits == 16 else pixels).save(path)


PETS = {"cat": 2, "dog": 2, "unlabelled": 3, "test/cat": 1, "test/dog": 1}


@pytest.mark.parametrize(
    ("where", "divisor", "bits", "message"),
    [
        (".", 16, 8, "training images of 8 bits: the largest value is 15; expected up to 255"),
        ("unlabelled", 1, 16, "training images of 16 bits: the largest value is 15; expected up to 65535, of"),
        ("test", 128, 8, "test images of 8 bits: the largest value is 1; expected up to 255"),
    ],
)
def test_dark_files_are_a_warning_of_training_and_of_the_check(tmp_path, caplog, where, divisor, bits, message):
    folder = make(tmp_path / "pets", PETS)
    assert not warnings_of(folder, caplog)
    scaled(folder, where, divisor, bits)
    assert message in warnings_of(folder, caplog)[0]
    assert any(message in text for text in warnings_of(folder, caplog, stream=True))
    caplog.clear()
    check(folder)
    assert message in caplog.text


def test_files_of_16_bits_that_use_them_are_not(tmp_path, caplog):
    folder = make(tmp_path / "pets", PETS)
    for path in folder.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * 257).save(path)
    assert not warnings_of(folder, caplog)


def test_idx_files_are_looked_at_too(tmp_path, caplog, write_idx, arrays):
    write_idx(tmp_path / "digits", arrays)
    assert not warnings_of(tmp_path / "digits", caplog)
    paths = write_idx(tmp_path / "digits", arrays | {"test_images": arrays["test_images"] // 200})
    (message,) = warnings_of(tmp_path / "digits", caplog)
    assert f"{paths['test_images']}: the largest value is 1; expected bytes of 0 to 255" in message
    assert gzip.decompress(paths["test_images"].read_bytes())[:2] == b"\0\0"

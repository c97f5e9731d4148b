"""Images whose values have another range than expected are warned of, with the largest value found."""

import gzip
import logging

import numpy as np
import pytest
from pets import make
from PIL import Image

from sgan_jax.data.arrays import as_images
from sgan_jax.data.check import check
from sgan_jax.data.load import load
from sgan_jax.data.value_range import clip_excursions
from sgan_jax.errors import UserError

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


# --- floats outside 0 to 1 ---

GREY = np.full((10, 10, 10), 0.5)


def with_values(count, value, dtype=np.float64):
    images = GREY.astype(dtype)
    images.reshape(-1)[:count] = value
    return images


@pytest.mark.parametrize(
    ("images", "warned"),
    [
        (with_values(1, 1.0001), "1 of 1000 values outside 0 to 1 are clipped (they reach from 0.5 to 1.0001)"),
        (with_values(1000, -0.04), "1000 of 1000 values outside 0 to 1 are clipped (they reach from -0.04 to -0.04)"),
        (with_values(49, 1.5, np.float32), "49 of 1000 values outside 0 to 1 are clipped (they reach from 0.5 to 1.5)"),
        (with_values(50, 255.0), "50 of 1000 values outside 0 to 1 are clipped (they reach from 0.5 to 255)"),
        (with_values(50, -30.0), "50 of 1000 values outside 0 to 1 are clipped (they reach from -30 to 0.5)"),
        (with_values(1000, 1 + 1e-7), None),
        (with_values(1000, np.float32(1 + 1.2e-7), np.float32), None),
    ],
)
def test_floats_slightly_outside_are_clipped_with_a_warning_of_more_than_rounding(caplog, images, warned):
    before = images.copy()
    clipped = clip_excursions(images, "X")
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(clipped, images.clip(0, 1))
    assert caplog.messages == ([f"X: {warned}"] if warned else [])


@pytest.mark.parametrize(
    "images",
    [
        with_values(51, 2.0),
        with_values(510, 1.1),
        with_values(1000, -0.051),
        with_values(1, np.nan),
        with_values(1, np.inf),
        255 * GREY,
        2 * GREY - 1.5,
        np.array([[[300]]]),
    ],
)
def test_images_of_another_range_are_left_to_be_refused(caplog, images):
    assert clip_excursions(images, "X") is images
    with pytest.raises(UserError, match="X: values from .* to .*; expected"):
        as_images(images, "X")
    assert not caplog.records


@pytest.mark.parametrize("images", [GREY, X, GREY > 0.1, np.zeros((0, 4, 4)), np.array([[["a"]]])])
def test_what_is_in_range_or_no_float_is_not_touched(caplog, images):
    assert clip_excursions(images, "X") is images and not caplog.records

"""Facts about operations on pixels' values: Pillow's results within its rounding, and pixels worked out by hand."""

import colorsys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from sgan_jax.augment import colour

FACTORS = np.array([0.0, 0.05, 0.5, 1.0, 1.5, 2.0], np.float32)
Enhance = type[ImageEnhance.Brightness | ImageEnhance.Color | ImageEnhance.Contrast | ImageEnhance.Sharpness]


def photographs(channels: int) -> np.ndarray:
    """An image for each of the factors: uint8, a gradient with noise, of few levels at both ends."""
    draw = np.random.default_rng(channels)
    slope = np.linspace(40, 200, 17).reshape(1, 1, -1, 1) + draw.normal(0, 20, (len(FACTORS), 20, 17, channels))
    return np.clip(slope * draw.uniform(0.5, 1.2, (len(FACTORS), 1, 1, channels)), 0, 255).astype(np.uint8)


def scaled(levels: np.ndarray) -> jax.Array:
    return jnp.asarray(levels / 127.5 - 1, jnp.float32)


def levels_of(images: jax.Array) -> np.ndarray:
    return (np.asarray(images, np.float64) + 1) * 127.5


def by_pillow(images: np.ndarray, operation: Callable[[Image.Image, int], Image.Image]) -> np.ndarray:
    """What Pillow makes of each image, given with its number."""
    pictures = [Image.fromarray(image.squeeze()) for image in images]
    results = [np.asarray(operation(picture, number)) for number, picture in enumerate(pictures)]
    return np.stack(results).reshape(images.shape).astype(np.float64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("operation", "enhance"),
    [
        (colour.brightness, ImageEnhance.Brightness),
        (colour.contrast, ImageEnhance.Contrast),
        (colour.saturation, ImageEnhance.Color),
        (colour.sharpness, ImageEnhance.Sharpness),
    ],
)
def test_factors_are_those_of_pillow(
    operation: Callable[[jax.Array, jax.Array], jax.Array], enhance: Enhance, channels: int
) -> None:
    images = photographs(channels)
    ours = levels_of(operation(scaled(images), jnp.asarray(FACTORS)))
    pillow = by_pillow(images, lambda picture, number: enhance(picture).enhance(float(FACTORS[number])))
    # Pillow rounds what it blends with (the grey by half a level, and once more its mean), and cuts off the result.
    rounding = 1.01 + np.abs(1 - FACTORS).reshape(-1, 1, 1, 1)
    assert (np.abs(ours - pillow) <= rounding).all()
    np.testing.assert_allclose(ours[3], images[3], atol=1e-3)  # a factor of 1
    if channels == 3 or operation is not colour.saturation:
        assert np.abs(ours[1] - images[1]).max() > 10


def test_posterized_images_are_those_of_pillow() -> None:
    images, bits = photographs(3), [1, 2, 4, 6, 7, 8]
    ours = levels_of(colour.posterize(scaled(images), jnp.asarray(bits, jnp.float32)))
    np.testing.assert_allclose(ours, by_pillow(images, lambda image, i: ImageOps.posterize(image, bits[i])), atol=1e-3)
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_allclose(levels_of(colour.posterize(scaled(every), jnp.array([4.9]))), every & 0xF0, atol=1e-3)


def test_solarized_images_are_those_of_pillow() -> None:
    images, thresholds = photographs(3), [0, 1, 100, 128, 255, 256]
    ours = levels_of(colour.solarize(scaled(images), jnp.asarray(thresholds, jnp.float32)))
    pillow = by_pillow(images, lambda image, i: ImageOps.solarize(image, thresholds[i]))
    np.testing.assert_allclose(ours, pillow, atol=1e-3)


def test_negatives_are_those_of_pillow_where_they_are_applied() -> None:
    images = photographs(3)
    ours = levels_of(colour.invert(scaled(images), jnp.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])))
    pillow = by_pillow(images, lambda image, _: ImageOps.invert(image))
    np.testing.assert_allclose(ours[::2], pillow[::2], atol=1e-3)
    np.testing.assert_allclose(ours[1::2], images[1::2], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_that_of_pillow_where_it_is_applied(channels: int) -> None:
    images = photographs(channels)
    images[0, ..., 0] = 77  # one level
    ours = levels_of(colour.autocontrast(scaled(images), jnp.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])))
    cut = ours[:5] - by_pillow(images, lambda image, _: ImageOps.autocontrast(image))[:5]
    assert cut.min() > -1e-3 and cut.max() < 1.001  # Pillow cuts off what is behind the point
    np.testing.assert_allclose(ours[5], images[5], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_equalized_images_are_those_of_pillow_where_it_is_applied(channels: int) -> None:
    images = photographs(channels)
    images[0, ..., 0] = 77  # one level
    images[1, ..., 0] = 77
    images[1, :2, :5] = 12  # too few pixels below the brightest level
    images[2] = np.minimum(images[2], 120)  # many at the brightest level
    images[3, ..., 0] = np.arange(340).reshape(20, 17) // 4  # 84 and 85 levels; the last step would end beyond white
    ours = levels_of(colour.equalize(scaled(images), jnp.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])))
    pillow = by_pillow(images, lambda image, _: ImageOps.equalize(image))
    np.testing.assert_allclose(ours[:5], pillow[:5], atol=1e-3)
    np.testing.assert_allclose(ours[5], images[5], atol=1e-3)


def test_hues_are_those_of_colorsys() -> None:
    images, turns = photographs(3), np.array([-0.5, -0.2, 0.0, 0.1, 1 / 3, 0.5])
    images[:, 0, 0] = 90  # grey has no hue
    ours = (levels_of(colour.hue(scaled(images), jnp.asarray(turns, jnp.float32))) / 255).reshape(len(turns), -1, 3)
    for turn, pixels, image in zip(turns, ours, images.reshape(len(turns), -1, 3) / 255, strict=True):
        hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in image]
        expected = [colorsys.hsv_to_rgb((h + turn) % 1, s, v) for h, s, v in hsv]
        np.testing.assert_allclose(pixels, expected, atol=1e-5)


def test_a_third_of_a_turn_makes_red_green_and_green_blue_and_blue_red() -> None:
    red, green, blue = np.eye(3) * 255
    of_three = scaled(np.array([red, green, blue]).reshape(1, 1, 3, 3))
    turned = levels_of(colour.hue(of_three, jnp.array([1 / 3])))
    np.testing.assert_allclose(turned[0, 0], [green, blue, red], atol=1e-3)


def test_grey_images_have_neither_hue_nor_saturation() -> None:
    images = scaled(photographs(1))
    np.testing.assert_array_equal(colour.hue(images, jnp.asarray(FACTORS)), images)
    np.testing.assert_array_equal(colour.saturation(images, jnp.asarray(FACTORS)), images)


def test_blurred_images_are_those_of_scipy_away_from_the_frame_and_make_no_light() -> None:
    images, deviations = photographs(3), np.array([0.0, 0.3, 0.6, 0.9, 1.2, 1.5], np.float32)
    ours = levels_of(colour.blur(scaled(images), jnp.asarray(deviations)))
    np.testing.assert_allclose(ours[0], images[0], atol=1e-3)
    for deviation, blurred, image in list(zip(deviations, ours, images, strict=True))[1:]:
        expected = gaussian_filter(image.astype(float), (deviation, deviation, 0), truncate=6)
        inner = slice(8, -8)
        np.testing.assert_allclose(blurred[inner, inner], expected[inner, inner], atol=0.02)
    flat = colour.blur(jnp.full((6, 9, 8, 1), 0.25), jnp.asarray(deviations))
    np.testing.assert_allclose(flat, 0.25, atol=1e-6)


def test_a_bright_pixel_is_smoothed_as_worked_out_by_hand() -> None:
    image = np.zeros((5, 5))
    image[2, 2] = 130
    smooth = np.zeros((5, 5))
    smooth[1:4, 1:4] = 10
    smooth[2, 2] = 50
    once = levels_of(colour.sharpness(scaled(image.reshape(1, 5, 5, 1)), jnp.array([0.0])))
    np.testing.assert_allclose(once.reshape(5, 5), smooth, atol=1e-3)
    half = levels_of(colour.sharpness(scaled(image.reshape(1, 5, 5, 1)), jnp.array([0.5])))
    np.testing.assert_allclose(half.reshape(5, 5), (smooth + image) / 2, atol=1e-3)

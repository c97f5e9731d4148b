"""Facts about augmentations: what their strengths mean, that each image has its own, that they follow from the key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.augment.spatial import BLACK, crop, resample
from sgan_jax.augment.strengths import Strengths
from sgan_jax.augment.views import augment

NONE = Strengths()
EVERY = Strengths(rotation=20.0, shear=0.3, scale=0.2, shift=2.0, elastic=1.0, cutout=5)
KEY = jax.random.key(3)
SIZE, MANY = 29, 64  # odd, so that one pixel is the middle


def blob(row: float, column: float, spread: float = 2.0) -> jax.Array:
    """`MANY` images of one bright round spot, black where it is not."""
    y, x = np.mgrid[:SIZE, :SIZE]
    bright = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * spread**2))
    return jnp.asarray(np.tile((2 * bright - 1)[None, :, :, None], (MANY, 1, 1, 1)), jnp.float32)


def centers(images: jax.Array) -> np.ndarray:
    """The spots' places, `[MANY, 2]`."""
    light = np.asarray(images)[..., 0] - BLACK
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.stack([(light * axis).sum((1, 2)) for axis in (y, x)], 1) / light.sum((1, 2))[:, None]


def test_without_strengths_nothing_changes() -> None:
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (5, 8, 6, 3)), jnp.float32)
    np.testing.assert_array_equal(augment(images, KEY, NONE), images)
    np.testing.assert_array_equal(resample(images, KEY, KEY, NONE), images)  # so that it can be left out


def test_shifts_are_up_to_the_limit_in_every_direction_and_each_image_has_its_own() -> None:
    moved = centers(augment(blob(14, 14), KEY, NONE._replace(shift=3.0))) - 14
    assert np.abs(moved).max() < 3.01
    assert (moved.max(0) > 2).all() and (moved.min(0) < -2).all()
    assert len(np.unique(moved.round(4), axis=0)) == MANY


def test_rotations_keep_the_distance_from_the_middle_and_are_up_to_the_limit() -> None:
    places = centers(augment(blob(14, 22), KEY, NONE._replace(rotation=30.0))) - 14
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 8, atol=0.05)
    angles = np.degrees(np.arctan2(places[:, 0], places[:, 1]))
    assert 25 < angles.max() < 30.1 and -30.1 < angles.min() < -25


def test_scales_are_up_to_the_exponential_of_the_limit_and_differ_between_height_and_width() -> None:
    factors = (centers(augment(blob(18, 18), KEY, NONE._replace(scale=0.3))) - 14) / 4
    assert np.exp(-0.3) - 0.01 < factors.min() < 0.8 and 1.2 < factors.max() < np.exp(0.3) + 0.01
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.5


def test_shear_moves_a_column_by_its_distance_from_the_middle() -> None:
    left, middle = (centers(augment(blob(14, x), KEY, NONE._replace(shear=0.5))) - (14, x) for x in (8, 14))
    np.testing.assert_allclose(middle, 0, atol=0.01)
    np.testing.assert_allclose(left[:, 1], 0, atol=0.05)
    assert np.abs(left[:, 0]).max() == pytest.approx(3, abs=0.3)  # half of six columns


def test_what_comes_in_from_outside_is_black() -> None:
    white = jnp.ones((MANY, SIZE, SIZE, 1))
    moved = np.asarray(augment(white, KEY, NONE._replace(shift=5.0)))
    assert moved.min() == BLACK and moved.max() == 1
    np.testing.assert_allclose(moved[:, 14, 14], 1, atol=1e-6)


def test_what_comes_in_from_outside_is_grey_or_the_reflected_image_as_asked() -> None:
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (MANY, 8, 9, 3)), jnp.float32)
    far = NONE._replace(rotation=30.0, shift=4.0)
    padded = jnp.pad(images, ((0, 0), (6, 6), (6, 6), (0, 0)), mode="reflect")
    expected = augment(padded, KEY, far)[:, 6:-6, 6:-6]
    reflected = augment(images, KEY, far._replace(border="reflect"))
    np.testing.assert_allclose(reflected, expected, atol=1e-4)
    black, grey = (np.asarray(augment(images, KEY, far._replace(border=border))) for border in ("black", "grey"))
    outside = (black == BLACK).all(axis=-1)
    assert outside.mean() > 0.05
    np.testing.assert_array_equal(grey[outside], 0.0)


def test_crops_are_those_of_the_image_padded_by_reflection_at_every_place() -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (6, 7, 3)).astype(np.float32)
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    places = {padded[y : y + 6, x : x + 7].tobytes(): (y, x) for y in range(5) for x in range(5)}
    crops = np.asarray(crop(jnp.tile(image, (800, 1, 1, 1)), KEY, 2))
    found = [places[one.tobytes()] for one in crops]  # every crop is one of them, to the bit
    assert len(set(found)) == 25
    assert np.bincount(np.array(found)[:, 0]).min() > 100 and np.bincount(np.array(found)[:, 1]).min() > 100
    np.testing.assert_array_equal(augment(jnp.asarray(image)[None], KEY, NONE._replace(crop=2)).shape, (1, 6, 7, 3))


def test_a_crop_beyond_the_size_of_the_image_goes_on_reflecting() -> None:
    row = np.arange(5, dtype=np.float32)
    padded = np.pad(row, 20, mode="reflect")
    rows = {padded[i : i + 5].tobytes() for i in range(41)}
    crops = np.asarray(crop(jnp.tile(row.reshape(1, 1, 5, 1), (300, 8, 1, 1)), KEY, 20))
    assert {one[0, :, 0].tobytes() for one in crops} == rows


def test_channels_move_together() -> None:
    image = augment(jnp.concatenate([blob(10, 12), blob(10, 12)], axis=-1), KEY, EVERY)
    np.testing.assert_array_equal(image[..., 0], image[..., 1])


def test_a_mirror_turns_about_half_of_the_images_left_to_right_and_does_nothing_else() -> None:
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (400, 3, 4, 2)), jnp.float32)
    mirrored = np.asarray(augment(images, jax.random.key(0), Strengths(extra=("mirror",))))
    turned = np.isclose(mirrored, images[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_allclose(mirrored[~turned], images[~turned], atol=1e-6)
    assert 160 < turned.sum() < 240


def test_augmentations_follow_from_the_key() -> None:
    images = blob(10, 12)
    np.testing.assert_array_equal(augment(images, KEY, EVERY), augment(images, KEY, EVERY))
    assert not np.allclose(augment(images, KEY, EVERY), augment(images, jax.random.key(4), EVERY))


def test_elastic_augmentation_moves_places_in_proportion_to_its_deviation_and_makes_no_light() -> None:
    def moved(elastic: float) -> np.ndarray:
        strengths = NONE._replace(elastic=elastic)
        return (
            np.concatenate([centers(augment(blob(14, 14, 0.7), jax.random.key(k), strengths)) for k in range(8)]) - 14
        )

    weak, strong = moved(0.4), moved(0.8)
    assert abs(strong.mean()) < 0.1
    assert 0.4 < strong.std() < 0.8  # below what was drawn: between two places it is interpolated
    assert strong.std() / weak.std() == pytest.approx(2, abs=0.2)
    strengths = NONE._replace(elastic=0.8)
    flat = jnp.full((MANY, SIZE, SIZE, 1), 0.25)
    inner = np.asarray(augment(flat, KEY, strengths))[:, 6:-6, 6:-6]
    np.testing.assert_allclose(inner, 0.25, atol=1e-6)  # it moves light, and makes none


def test_a_square_of_the_side_given_is_cut_out_of_each_image_and_nothing_else_changes() -> None:
    white = jnp.ones((MANY, SIZE, SIZE, 1))
    cut = np.asarray(augment(white, KEY, NONE._replace(cutout=6)))[..., 0]
    assert set(np.unique(cut)) == {BLACK, 1.0}
    rows, columns = ((cut == BLACK).any(axis) for axis in (2, 1))  # [MANY, SIZE] each
    lost = (cut == BLACK).sum((1, 2))
    np.testing.assert_array_equal(lost, rows.sum(1) * columns.sum(1))  # a rectangle
    assert lost.max() == 36 and lost.min() < 36  # the frame cuts off what is outside of it
    assert len(np.unique(np.argwhere(rows)[:, 1])) > SIZE / 2
    grey = np.asarray(augment(white, KEY, NONE._replace(cutout=6, fill="grey")))[..., 0]
    np.testing.assert_array_equal(grey, np.where(cut == BLACK, 0.0, 1.0))

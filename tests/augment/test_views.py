"""Facts about views: the order of augmentations; those by name come last, in their order, each with its own key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.augment.strengths import Strengths
from sgan_jax.augment.views import AUGMENTATIONS, augment, view_of

KEY = jax.random.key(3)
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (5, 8, 6, 3)), jnp.float32)


def brightness(images: jax.Array, key: jax.Array) -> jax.Array:
    """Each image brighter or darker by up to 0.2."""
    change = jax.random.uniform(key, (len(images), 1, 1, 1), minval=-0.2, maxval=0.2)
    return jnp.clip(images + change, -1.0, 1.0)


@pytest.fixture(autouse=True)
def with_brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "brightness", brightness)


def test_a_new_augmentation_is_a_function_and_a_row() -> None:
    view = view_of(Strengths(extra=("brightness",)))(IMAGES, KEY)
    plain = augment(IMAGES, KEY, Strengths())
    np.testing.assert_array_equal(view, brightness(plain, jax.random.fold_in(KEY, 3)))
    change = np.asarray(view - plain)[(np.abs(view) < 1)]
    assert 0.01 < np.abs(change).max() <= 0.2 + 1e-6


def test_augmentations_by_name_come_last_and_in_their_order() -> None:
    rotated = augment(IMAGES, KEY, Strengths(rotation=20.0))
    view = augment(IMAGES, KEY, Strengths(rotation=20.0, extra=("mirror", "brightness")))
    mirrored = AUGMENTATIONS["mirror"](rotated, jax.random.fold_in(KEY, 3))
    np.testing.assert_array_equal(view, brightness(mirrored, jax.random.fold_in(KEY, 4)))


def test_squares_are_cut_out_of_recoloured_images() -> None:
    view = augment(IMAGES, KEY, Strengths(invert=1.0, cutout=3))
    same = augment(IMAGES, KEY, Strengths(cutout=3))
    np.testing.assert_array_equal(view, jnp.where(same == -1.0, -1.0, -IMAGES))


def test_crops_come_before_what_moves_pixels_and_colours_after_it() -> None:
    strengths = Strengths(rotation=30.0, shift=2.0, crop=2, invert=1.0)
    cropped = augment(IMAGES, KEY, Strengths(crop=2))
    assert not np.allclose(cropped, IMAGES)
    moved = augment(cropped, KEY, Strengths(rotation=30.0, shift=2.0))
    np.testing.assert_allclose(augment(IMAGES, KEY, strengths), -moved, atol=1e-6)  # what comes in is white

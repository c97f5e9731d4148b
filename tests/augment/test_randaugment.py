"""Facts about RandAugment: how many operations an image gets, which ones, and that its moves are those of Pillow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sgan_jax.augment.operations import OPERATIONS
from sgan_jax.augment.randaugment import COLOURS, MOVES, POOL, Drawn, draw, moved, recoloured
from sgan_jax.augment.spatial import resample
from sgan_jax.augment.strengths import Strengths
from sgan_jax.augment.views import augment
from sgan_jax.config import SETTINGS

KEY, MANY = jax.random.key(2), 3000
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-0.9, 0.6, (8, 20, 24, 3)), jnp.float32)


def only(name: str, amounts: list[float]) -> Drawn:
    """One operation for every image, with these amounts."""
    chosen = {other: jnp.full(len(amounts), other == name) for other in POOL}
    return Drawn(chosen, {other: jnp.asarray(amounts, jnp.float32) for other in POOL})


@pytest.mark.parametrize("number", [1, 2, 5, len(POOL)])
def test_each_image_gets_so_many_different_operations_all_equally_often(number: int) -> None:
    drawn = draw(KEY, MANY, number)
    chosen = np.stack([drawn.chosen[name] for name in POOL])
    assert (chosen.sum(axis=0) == number).all()
    np.testing.assert_allclose(chosen.mean(axis=1), number / len(POOL), atol=0.04)
    pairs = np.corrcoef(chosen) if number < len(POOL) else np.eye(len(POOL))
    assert np.abs(pairs - np.diag(np.diag(pairs))).max() < 0.2  # no two go together


def test_amounts_are_uniform_in_the_ranges_of_the_pool() -> None:
    drawn = draw(KEY, MANY, 2)
    for name, (low, high) in POOL.items():
        amounts = np.asarray(drawn.amounts[name])
        assert low <= amounts.min() and amounts.max() <= high
        np.testing.assert_allclose(np.quantile(amounts, [0.0, 0.5, 1.0]), [low, (low + high) / 2, high], atol=6)


def test_the_setting_takes_as_many_operations_as_the_pool_has() -> None:
    assert SETTINGS["augment.random"].allowed.high == len(POOL) == 14


@pytest.mark.parametrize("name", COLOURS)
def test_only_the_images_that_drew_an_operation_get_it(name: str) -> None:
    amounts = jnp.linspace(*POOL[name], len(IMAGES))
    chosen = {other: jnp.arange(len(IMAGES)) % 2 == (0 if other == name else 5) for other in POOL}
    view = recoloured(IMAGES, Drawn(chosen, {other: amounts for other in POOL}))
    expected = OPERATIONS[name].apply(IMAGES, amounts)
    np.testing.assert_allclose(view[::2], expected[::2], atol=1e-6)
    np.testing.assert_array_equal(view[1::2], IMAGES[1::2])
    assert not np.allclose(view, IMAGES, atol=0.01)


def test_identity_and_moves_leave_the_values_of_pixels() -> None:
    for name in ("identity", *MOVES):
        np.testing.assert_array_equal(recoloured(IMAGES, only(name, [0.2] * len(IMAGES))), IMAGES)
    still = moved(only("identity", [0.2, 0.2]), (20, 24))
    np.testing.assert_array_equal(still.matrix, [np.eye(2)] * 2)
    np.testing.assert_array_equal(still.shift, np.zeros((2, 2)))


def pillow_map(name: str, amount: float, height: int, width: int) -> tuple[float, ...]:
    """The coefficients of Pillow's AFFINE, of columns and rows from the corner, for a move about the middle."""
    turn = np.radians(amount)
    matrix = {
        "rotation": [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]],
        "shear_rows": [[1, amount], [0, 1]],
        "shear_columns": [[1, 0], [amount, 1]],
    }.get(name, np.eye(2))
    shift = {"shift_rows": [0, amount * height], "shift_columns": [amount * width, 0]}.get(name, [0, 0])
    middle = np.array([width / 2, height / 2])
    offset = middle - np.array(matrix) @ middle + shift
    return (*matrix[0], offset[0], *matrix[1], offset[1])


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_those_of_pillow(name: str) -> None:
    height, width = 24, 30
    photograph = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    amounts = [POOL[name][0], POOL[name][0] / 3, POOL[name][1]]
    images = jnp.asarray(np.tile(photograph / 127.5 - 1, (3, 1, 1, 1)), jnp.float32)
    move = moved(only(name, amounts), (height, width))
    ours = (np.asarray(resample(images, KEY, KEY, Strengths(border="black"), move)) + 1) * 127.5
    for amount, result in zip(amounts, ours, strict=True):
        affine = pillow_map(name, amount, height, width)
        picture = Image.fromarray(photograph)
        pillow = picture.transform((width, height), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        column, row = (affine[i] * x + affine[i + 1] * y + affine[i + 2] for i in (0, 3))
        inner = (column > 1) & (column < width - 1) & (row > 1) & (row < height - 1)
        assert inner.mean() > 0.5
        assert np.abs(result - np.asarray(pillow))[inner].max() <= 1.01  # Pillow rounds
        outside = (column < -0.5) | (column > width + 0.5) | (row < -0.5) | (row > height + 0.5)
        assert np.abs(result[outside]).max(initial=0.0) < 1e-3 and outside.any()


def test_several_moves_are_one_map() -> None:
    amounts = {"rotation": 20.0, "shear_rows": 0.2, "shear_columns": -0.1, "shift_rows": 0.25, "shift_columns": -0.1}
    drawn = Drawn(
        {name: jnp.array([name != "identity"]) for name in POOL},
        {name: jnp.array([amounts.get(name, 0.0)]) for name in POOL},
    )
    move = moved(drawn, (20, 40))
    turn = np.radians(20)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    expected = rotation @ np.array([[1, -0.1], [0, 1]]) @ np.array([[1, 0], [0.2, 1]])
    np.testing.assert_allclose(move.matrix[0], expected, atol=1e-6)
    np.testing.assert_allclose(move.shift[0], [5.0, -4.0], atol=1e-6)


def test_a_view_with_operations_at_random_recolours_what_it_has_moved() -> None:
    strengths = Strengths(rotation=10.0, random=3, border="reflect")
    k_affine, k_elastic, _ = jax.random.split(KEY, 3)
    drawn = draw(jax.random.split(jax.random.fold_in(KEY, 2**16), 3)[2], len(IMAGES), 3)
    images = resample(IMAGES, k_affine, k_elastic, strengths, moved(drawn, (20, 24)))
    view = jax.jit(augment, static_argnums=2)(IMAGES, KEY, strengths)
    close = np.abs(view - recoloured(images, drawn)) < 1e-4
    assert close.mean() > 0.99  # a rounding may move a pixel across a level
    assert np.isfinite(view).all() and np.abs(view).max() <= 1 + 1e-5


@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_at_once_stays_in_the_range_of_pixels(channels: int) -> None:
    view = augment(IMAGES[..., :channels], KEY, Strengths(random=len(POOL), border="grey"))
    assert view.shape == (8, 20, 24, channels)
    assert np.isfinite(view).all() and np.abs(view).max() <= 1 + 1e-5

"""Facts about the table of operations: what a strength means, that each image has its own amount, that keys decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.augment.operations import OPERATIONS, coloured
from sgan_jax.augment.strengths import Strengths

KEY, MANY = jax.random.key(5), 2000
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-0.9, 0.6, (6, 20, 18, 3)), jnp.float32)
STRENGTHS = {name: 1.0 for name in OPERATIONS} | {"posterize": 4, "hue": 0.3}


@pytest.mark.parametrize(
    ("name", "strength", "least", "most"),
    [
        ("brightness", 0.4, 0.6, 1.4),
        ("contrast", 0.4, 0.6, 1.4),
        ("saturation", 3.0, 0.0, 4.0),  # no factor is negative
        ("sharpness", 0.5, 0.5, 1.5),
        ("hue", 0.1, -0.1, 0.1),
        ("blur", 2.0, 0.0, 2.0),
        ("solarize", 0.25, 192.0, 256.0),
    ],
)
def test_amounts_are_uniform_up_to_the_strength(name: str, strength: float, least: float, most: float) -> None:
    amounts = np.asarray(OPERATIONS[name].amounts(KEY, MANY, strength))
    assert least <= amounts.min() and amounts.max() <= most
    np.testing.assert_allclose(np.quantile(amounts, [0.25, 0.75]), np.interp([1, 3], [0, 4], [least, most]), rtol=0.1)


def test_up_to_so_many_bits_are_lost() -> None:
    amounts, counts = np.unique(OPERATIONS["posterize"].amounts(KEY, MANY, 3), return_counts=True)
    np.testing.assert_array_equal(amounts, [5, 6, 7, 8])
    assert counts.min() > MANY / 5


@pytest.mark.parametrize("name", ["invert", "autocontrast", "equalize"])
def test_some_operations_have_a_probability(name: str) -> None:
    amounts = np.asarray(OPERATIONS[name].amounts(KEY, MANY, 0.2))
    assert set(amounts) == {0.0, 1.0}
    assert amounts.mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_strength_applies_its_operation_to_each_image_by_itself(name: str) -> None:
    strengths = Strengths()._replace(**{name: STRENGTHS[name]})
    view = coloured(IMAGES, KEY, strengths)
    assert view.shape == IMAGES.shape and view.dtype == IMAGES.dtype
    assert np.abs(view).max() <= 1 + 1e-6
    assert not np.allclose(view, IMAGES, atol=0.01)
    np.testing.assert_array_equal(view, coloured(IMAGES, KEY, strengths))
    number = list(OPERATIONS).index(name)
    amounts = OPERATIONS[name].amounts(jax.random.fold_in(KEY, number), len(IMAGES), STRENGTHS[name])
    for image, amount, result in zip(IMAGES, amounts, view, strict=True):
        alone = OPERATIONS[name].apply(image[None], amount[None])
        np.testing.assert_allclose(result, alone[0], atol=1e-5)


@pytest.mark.parametrize("name", [name for name, operation in OPERATIONS.items() if not operation.reads_others])
def test_operations_that_read_no_other_pixels_do_not(name: str) -> None:
    amounts = OPERATIONS[name].amounts(KEY, len(IMAGES), STRENGTHS[name])
    other = IMAGES.at[:, 0].set(-0.5)
    apply = OPERATIONS[name].apply
    np.testing.assert_allclose(apply(other, amounts)[:, 1:], apply(IMAGES, amounts)[:, 1:], atol=1e-6)


def test_an_operation_draws_the_same_whatever_else_has_a_strength() -> None:
    darker = coloured(IMAGES, KEY, Strengths(brightness=0.5))
    both = coloured(IMAGES, KEY, Strengths(brightness=0.5, invert=1.0))
    np.testing.assert_allclose(both, -darker, atol=1e-6)

"""Facts about the two measures of similarity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawings import bar, slanted_stroke

from sgan_jax.graph import similarity

deformation_distances = jax.jit(similarity.deformation_distances, static_argnums=2)
deslanted = jax.jit(similarity.deslanted)
gradients = jax.jit(similarity.gradients)
orientation_histograms = jax.jit(similarity.orientation_histograms)


def distance(a: np.ndarray, b: np.ndarray, reach: int = 2) -> float:
    return float(deformation_distances(gradients(a), gradients(b), reach)[0].sum())


def test_gradients_are_sobels() -> None:
    ramp = np.tile(np.arange(0, 250, 25, dtype=np.uint8)[None, :, None, None], (1, 1, 7, 2))
    derivatives = np.asarray(gradients(ramp))
    assert derivatives.shape == (1, 10, 7, 4)
    np.testing.assert_allclose(derivatives[0, 1:-1, 1:-1, :2], 50 / 255, rtol=1e-5)  # two rows of 25
    np.testing.assert_allclose(derivatives[0, 1:-1, 1:-1, 2:], 0, atol=1e-6)


def test_a_displacement_within_reach_costs_nothing_and_a_farther_one_costs() -> None:
    assert distance(bar(4), bar(4)) == 0
    assert distance(bar(4), bar(6)) == pytest.approx(0, abs=1e-6)
    assert distance(bar(4), bar(7)) > 1
    assert distance(bar(4), bar(7), reach=3) == pytest.approx(0, abs=1e-6)


def test_without_reach_the_distance_is_the_sum_of_squares_over_each_neighbourhood_in_a_row() -> None:
    a, b = (jnp.asarray(np.random.default_rng(seed).normal(size=(1, 5, 6, 2)), jnp.float32) for seed in (0, 1))
    squares = np.square(np.asarray(a - b)).sum(-1)[0]
    padded = np.pad(squares, 1)
    by_hand = [sum(padded[y : y + 3, x : x + 3].sum() for x in range(6)) for y in range(5)]
    for distances in deformation_distances(a, b, 0):
        np.testing.assert_allclose(distances[0], by_hand, rtol=1e-5)


@pytest.mark.parametrize("shape", [(12, 12, 2), (9, 14, 6)])
def test_the_distance_is_the_least_of_all_displacements_in_both_directions(shape: tuple[int, int, int]) -> None:
    """Every displacement by hand. With a margin of zeros, the second direction is the first one of swapped images."""
    draw = np.random.default_rng(0)
    a, b = np.zeros((2, 3, *shape), np.float32)
    for x in (a, b):
        x[:, 3:-3, 3:-3] = draw.normal(size=x[:, 3:-3, 3:-3].shape)

    def by_hand(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        padded, height, width = np.pad(b, ((0, 0), (2, 2), (2, 2), (0, 0))), *shape[:2]
        least = np.full(a.shape[:3], np.inf)
        for down, across in np.ndindex(5, 5):
            squares = np.square(a - padded[:, down : down + height, across : across + width]).sum(-1)
            wide = np.pad(squares, ((0, 0), (1, 1), (1, 1)))
            least = np.minimum(least, sum(wide[:, y : y + height, x : x + width] for y, x in np.ndindex(3, 3)))
        return least.sum(axis=2)

    of_images, of_others = deformation_distances(jnp.asarray(a), jnp.asarray(b), 2)
    np.testing.assert_allclose(of_images, by_hand(a, b), rtol=1e-4)
    np.testing.assert_allclose(of_others, by_hand(b, a), rtol=1e-4)


@pytest.mark.parametrize(("slant", "channels"), [(0.5, 1), (-0.5, 1), (1.0, 3)])
def test_a_deslanted_stroke_has_its_rows_below_one_another(slant: float, channels: int) -> None:
    image = slanted_stroke(slant, channels)
    upright = np.asarray(deslanted(image))
    assert upright.dtype == np.uint8 and upright.shape == image.shape
    rows = upright[0, 5:15, :, 0].astype(float)
    centres = (rows * np.arange(20)).sum(axis=1) / rows.sum(axis=1)
    assert np.ptp(centres) < 0.8  # the stroke itself has whole columns
    np.testing.assert_allclose(rows.sum(axis=1), 600, atol=2)  # shifts neither add nor remove ink


@pytest.mark.parametrize(
    "image", [slanted_stroke(0.0), np.zeros((1, 9, 7, 3), np.uint8), np.full((1, 20, 20, 1), 255, np.uint8)]
)
def test_an_image_without_slant_stays_as_it_is(image: np.ndarray) -> None:
    np.testing.assert_array_equal(deslanted(image), image)


def test_orientation_histograms_give_the_direction_and_the_cell_of_an_edge() -> None:
    """A bright left half has one edge, whose gradient points to the left: direction 4; for 3 and 5 cos^4 is 0.25."""
    image = np.zeros((1, 14, 14, 1), np.uint8)
    image[:, :, :7] = 255
    histograms = np.asarray(orientation_histograms(image)).reshape(7, 7, 8)
    middle = histograms[3, 3]  # rows and columns 6 and 7, away from the frame
    np.testing.assert_allclose(middle / middle[4], [0, 0, 0, 0.5, 1, 0.5, 0, 0], atol=0.01)  # square roots
    np.testing.assert_allclose(histograms[3, [1, 2, 4, 5]], 0, atol=0.01)


@pytest.mark.parametrize("shape", [(30, 17, 3), (5, 9, 1)])
def test_orientation_histograms_of_images_of_any_size_have_length_one(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    histograms = np.asarray(orientation_histograms(images))
    assert histograms.shape[0] == 3 and histograms.shape[1] % 8 == 0 and histograms.shape[1] <= 7 * 7 * 8
    np.testing.assert_allclose(np.linalg.norm(histograms, axis=1), 1, rtol=1e-5)

"""Random augmentations that move pixels, as pure functions of a key: affine, elastic, crops, mirroring, cutout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from sgan_jax.augment.strengths import Strengths

BLACK = -1.0  # images are scaled to [-1, 1]
COLOURS = {"black": BLACK, "grey": 0.0}
_KNOT = 4  # pixels between two places whose elastic displacement is drawn; between them it is interpolated


class Move(NamedTuple):
    """An affine map for each image, about its middle: where the pixels of the result come from."""

    matrix: jax.Array  # [B, 2, 2], of rows and columns
    shift: jax.Array  # [B, 2], in pixels


def moves(strengths: Strengths) -> bool:
    """Whether `resample` changes anything."""
    return any((strengths.rotation, strengths.shear, strengths.scale, strengths.shift, strengths.elastic))


def resample(
    images: jax.Array, k_affine: jax.Array, k_elastic: jax.Array, strengths: Strengths, move: Move | None = None
) -> jax.Array:
    """Each image rotated, sheared, scaled, shifted and elastically bent, by one bilinear interpolation.

    Elastic augmentation as that of Simard, Steinkraus and Platt ("Best practices for convolutional neural networks
    applied to visual document analysis", 2003), smooth by interpolation from a coarse grid.

    Args:
      images: float32 `[B, H, W, C]`.
      k_affine: draws the affine map of each image.
      k_elastic: draws the displacements.
      strengths: how far at most, and `border`: pixels from outside of the frame are black or grey, or the image is
        reflected there, without a second copy of its outermost pixels.
      move: a further map, as part of the same interpolation.

    Returns:
      float32 `[B, H, W, C]`.
    """
    places = _affine(images.shape, k_affine, strengths)
    if move is not None:
        middle = jnp.array([(length - 1) / 2 for length in images.shape[1:3]], jnp.float32).reshape(1, 2, 1, 1)
        places = jnp.einsum("bij,bjhw->bihw", move.matrix, places - middle, precision="highest")
        places = places + middle + move.shift[:, :, None, None]
    if strengths.elastic:
        places = places + strengths.elastic * _waves(images.shape, k_elastic)

    mode = "mirror" if strengths.border == "reflect" else "constant"  # SciPy's names
    outside = COLOURS.get(strengths.border, BLACK)

    def of_channel(image: jax.Array, place: jax.Array) -> jax.Array:  # [H, W], [2, H, W]
        return map_coordinates(image, [place[0], place[1]], order=1, mode=mode, cval=outside)

    over_channels = jax.vmap(of_channel, in_axes=(2, None), out_axes=2)
    return jax.vmap(over_channels)(images, places)


def _affine(shape: tuple[int, ...], key: jax.Array, strengths: Strengths) -> jax.Array:
    """Where each pixel of the results comes from, `[B, 2, H, W]`: rows and columns, in pixels."""
    count, height, width, _ = shape
    k_angle, k_shear, k_scale, k_shift = jax.random.split(key, 4)

    def draw(k: jax.Array, limit: float, *shape: int) -> jax.Array:
        return jax.random.uniform(k, (count, *shape), minval=-limit, maxval=limit)

    angle, shear = draw(k_angle, strengths.rotation * jnp.pi / 180), draw(k_shear, strengths.shear)
    down, across = jnp.exp(draw(k_scale, strengths.scale, 2)).T
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # The pixel (y, x) about the middle: rotation after shear after scale.
    rows = jnp.stack([cos * down, (shear * cos - sin) * across], axis=1)
    columns = jnp.stack([sin * down, (shear * sin + cos) * across], axis=1)
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    grid = grid - middle.reshape(2, 1, 1)
    places = jnp.einsum("bij,jhw->bihw", jnp.stack([rows, columns], axis=1), grid)
    return places + (middle.reshape(1, 2) + draw(k_shift, strengths.shift, 2)).reshape(count, 2, 1, 1)


def _waves(shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    """Smooth displacements, `[B, 2, H, W]`, about normal with mean 0 and deviation 1 where they were drawn."""
    count, height, width, _ = shape
    drawn = jax.random.normal(key, (count, 2, -(-height // _KNOT), -(-width // _KNOT)))
    return jax.image.resize(drawn, (count, 2, height, width), "cubic")


def mirror(images: jax.Array, key: jax.Array) -> jax.Array:
    """Each image `[B, H, W, C]` or, as likely, its mirror image, left to right."""
    return jnp.where(jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1)), images[:, :, ::-1], images)


def crop(images: jax.Array, key: jax.Array, limit: int) -> jax.Array:
    """A random crop, of the same size, of each image padded by reflection; the weak view of FixMatch, with `mirror`.

    That is a shift by whole pixels. The reflection has no second copy of the outermost pixels (NumPy's "reflect").

    Args:
      images: float32 `[B, H, W, C]`.
      key: draws the crops, rows and columns apart.
      limit: pixels of padding on each side, and so of the shift in either direction.
    """
    count, height, width, _ = images.shape

    def lines(k: jax.Array, length: int) -> jax.Array:  # of the image, for each line of the crop: [B, length]
        place = jnp.arange(length).reshape(1, -1) + jax.random.randint(k, (count, 1), -limit, limit + 1)
        place = jnp.abs(place) % (2 * length - 2)
        return jnp.minimum(place, 2 * length - 2 - place)

    def taken(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        return image.at[rows[:, None], columns[None, :]].get(mode="promise_in_bounds")

    k_row, k_column = jax.random.split(key)
    # The barrier keeps XLA from computing the crop once for each pixel that a later augmentation reads.
    return jax.lax.optimization_barrier(jax.vmap(taken)(images, lines(k_row, height), lines(k_column, width)))


def cut_out(images: jax.Array, key: jax.Array, side: int, colour: float = BLACK) -> jax.Array:
    """A square of one colour around a random pixel of each image `[B, H, W, C]`; DeVries and Taylor, arXiv 1708.04552.

    The part of the square outside of the frame is lost.

    Args:
      images: float32 `[B, H, W, C]`.
      key: draws the pixels.
      side: of the square, in pixels.
      colour: of the square, in every channel.
    """
    count, height, width, _ = images.shape

    def near(k: jax.Array, length: int) -> jax.Array:  # [B, length]
        first = jax.random.randint(k, (count, 1), 0, length) - side // 2
        place = jnp.arange(length).reshape(1, -1)
        return (place >= first) & (place < first + side)

    k_row, k_column = jax.random.split(key)
    square = near(k_row, height)[:, :, None, None] & near(k_column, width)[:, None, :, None]
    return jnp.where(square, colour, images)

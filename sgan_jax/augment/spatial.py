"""Random distortions of images on the device, as pure functions of a key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

BLACK = -1.0  # what comes in from outside of the frame; images are scaled to [-1, 1]
_KNOT = 4  # pixels between two places whose elastic displacement is drawn; between them it is interpolated


class Limits(NamedTuple):
    """The largest distortion of each kind; each image gets one drawn uniformly up to it, in either direction."""

    rotation: float = 0.0  # degrees
    shear: float = 0.0  # of a column, up or down, by its distance from the middle one
    scale: float = 0.0  # logarithm of the magnification, of height and width apart
    shift: float = 0.0  # pixels, of rows and columns apart
    elastic: float = 0.0  # pixels: standard deviation of each place's own displacement, not a limit
    cutout: int = 0  # pixels: side of a square that is made black, anywhere in the image
    mirror: bool = False  # whether every other image is turned left to right


def distort(images: jax.Array, key: jax.Array, limits: Limits) -> jax.Array:
    """Each image turned, sheared, scaled, shifted and bent, by bilinear interpolation; a square cut out; mirrored.

    Elastic distortions as those of Simard, Steinkraus and Platt ("Best practices for convolutional neural networks
    applied to visual document analysis", 2003), smooth by interpolation from a coarse grid; the square is DeVries and
    Taylor's, arXiv 1708.04552.

    Args:
      images: float32 `[B, H, W, C]`.
      key: draws a distortion for each image.
      limits: of the distortions; where all are zero, nothing changes.

    Returns:
      float32 `[B, H, W, C]`.
    """
    k_places, k_elastic, k_cutout = jax.random.split(key, 3)
    places = _affine(images.shape, k_places, limits)
    if limits.elastic:
        places = places + limits.elastic * _waves(images.shape, k_elastic)

    def resample(image: jax.Array, place: jax.Array) -> jax.Array:  # [H, W], [2, H, W]
        return map_coordinates(image, [place[0], place[1]], order=1, mode="constant", cval=BLACK)

    over_channels = jax.vmap(resample, in_axes=(2, None), out_axes=2)
    images = jax.vmap(over_channels)(images, places)
    images = _cut_out(images, k_cutout, limits.cutout) if limits.cutout else images
    return _mirror(images, jax.random.fold_in(key, 3)) if limits.mirror else images


def _affine(shape: tuple[int, ...], key: jax.Array, limits: Limits) -> jax.Array:
    """Where each pixel of the results comes from, `[B, 2, H, W]`: rows and columns, in pixels."""
    count, height, width, _ = shape
    k_angle, k_shear, k_scale, k_shift = jax.random.split(key, 4)

    def draw(k: jax.Array, limit: float, *shape: int) -> jax.Array:
        return jax.random.uniform(k, (count, *shape), minval=-limit, maxval=limit)

    angle, shear = draw(k_angle, limits.rotation * jnp.pi / 180), draw(k_shear, limits.shear)
    down, across = jnp.exp(draw(k_scale, limits.scale, 2)).T
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # The pixel (y, x) about the middle: rotation after shear after scale.
    rows = jnp.stack([cos * down, (shear * cos - sin) * across], axis=1)
    columns = jnp.stack([sin * down, (shear * sin + cos) * across], axis=1)
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    grid = grid - middle.reshape(2, 1, 1)
    places = jnp.einsum("bij,jhw->bihw", jnp.stack([rows, columns], axis=1), grid)
    return places + (middle.reshape(1, 2) + draw(k_shift, limits.shift, 2)).reshape(count, 2, 1, 1)


def _waves(shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    """Smooth displacements, `[B, 2, H, W]`, about normal with mean 0 and deviation 1 where they were drawn."""
    count, height, width, _ = shape
    drawn = jax.random.normal(key, (count, 2, -(-height // _KNOT), -(-width // _KNOT)))
    return jax.image.resize(drawn, (count, 2, height, width), "cubic")


def _mirror(images: jax.Array, key: jax.Array) -> jax.Array:
    """Each image or, as likely, its mirror image."""
    return jnp.where(jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1)), images[:, :, ::-1], images)


def _cut_out(images: jax.Array, key: jax.Array, side: int) -> jax.Array:
    """A black square about a random pixel of each image; what is outside of the frame is lost."""
    count, height, width, _ = images.shape

    def near(k: jax.Array, length: int) -> jax.Array:  # [B, length]
        first = jax.random.randint(k, (count, 1), 0, length) - side // 2
        place = jnp.arange(length).reshape(1, -1)
        return (place >= first) & (place < first + side)

    k_row, k_column = jax.random.split(key)
    square = near(k_row, height)[:, :, None, None] & near(k_column, width)[:, None, :, None]
    return jnp.where(square, BLACK, images)

"""Random distortions of images on the device, as pure functions of a key."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

BLACK = -1.0  # what comes in from outside of the frame; images are scaled to [-1, 1]


class Affine(NamedTuple):
    """The largest distortion of each kind; each image gets one drawn uniformly up to it, in either direction."""

    rotation: float = 20.0  # degrees
    shear: float = 0.3  # of a column, up or down, by its distance from the middle one
    scale: float = 0.2  # logarithm of the magnification, of height and width apart
    shift: float = 2.0  # pixels, of rows and columns apart


def affine(images: jax.Array, key: jax.Array, limits: Affine) -> jax.Array:
    """Each image turned, sheared, scaled and shifted about its middle, by bilinear interpolation.

    Args:
      images: float32 `[B, H, W, C]`.
      key: draws a distortion for each image.
      limits: of the distortions; where all are zero, nothing changes.

    Returns:
      float32 `[B, H, W, C]`.
    """
    count, height, width, _ = images.shape
    k_angle, k_shear, k_scale, k_shift = jax.random.split(key, 4)

    def draw(k: jax.Array, limit: float, *shape: int) -> jax.Array:
        return jax.random.uniform(k, (count, *shape), minval=-limit, maxval=limit)

    angle, shear = draw(k_angle, limits.rotation * jnp.pi / 180), draw(k_shear, limits.shear)
    down, across = jnp.exp(draw(k_scale, limits.scale, 2)).T
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    # Where the pixel (y, x) of the result comes from, about the middle: rotation after shear after scale.
    rows = jnp.stack([cos * down, (shear * cos - sin) * across], axis=1)
    columns = jnp.stack([sin * down, (shear * sin + cos) * across], axis=1)
    middle = jnp.array([(height - 1) / 2, (width - 1) / 2], jnp.float32)
    grid = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")).astype(jnp.float32)
    grid = grid - middle.reshape(2, 1, 1)
    places = jnp.einsum("bij,jhw->bihw", jnp.stack([rows, columns], axis=1), grid)
    places = places + (middle.reshape(1, 2) + draw(k_shift, limits.shift, 2)).reshape(count, 2, 1, 1)

    def resample(image: jax.Array, place: jax.Array) -> jax.Array:  # [H, W], [2, H, W]
        return map_coordinates(image, [place[0], place[1]], order=1, mode="constant", cval=BLACK)

    over_channels = jax.vmap(resample, in_axes=(2, None), out_axes=2)
    return jax.vmap(over_channels)(images, places)

"""Views: images augmented with given strengths. A further augmentation is a function and a row of AUGMENTATIONS."""

from collections.abc import Callable

import jax

from sgan_jax.augment import randaugment
from sgan_jax.augment.operations import coloured
from sgan_jax.augment.spatial import COLOURS, crop, cut_out, mirror, moves, resample
from sgan_jax.augment.strengths import Strengths

View = Callable[[jax.Array, jax.Array], jax.Array]  # (images float32 [B, H, W, C] in [-1, 1], key) -> the same shape

AUGMENTATIONS: dict[str, View] = {"mirror": mirror}
_COLOURS = 2**16  # of the key: the further augmentations have the numbers from 3 on


def augment(images: jax.Array, key: jax.Array, strengths: Strengths) -> jax.Array:
    """The images cropped, moved and bent, recoloured, with a square cut out, and with the further augmentations.

    Args:
      images: float32 `[B, H, W, C]` in [-1, 1].
      key: draws an augmentation for each image.
      strengths: where all are zero, nothing changes.

    Returns:
      float32 `[B, H, W, C]`.
    """
    k_affine, k_elastic, k_cutout = jax.random.split(key, 3)
    k_crop, k_colours, k_random = jax.random.split(jax.random.fold_in(key, _COLOURS), 3)
    images = crop(images, k_crop, strengths.crop) if strengths.crop else images
    drawn = randaugment.draw(k_random, len(images), strengths.random) if strengths.random else None
    if drawn is not None or moves(strengths):
        move = None if drawn is None else randaugment.moved(drawn, (images.shape[1], images.shape[2]))
        images = resample(images, k_affine, k_elastic, strengths, move)
    images = coloured(images, k_colours, strengths)
    images = images if drawn is None else randaugment.recoloured(images, drawn)
    if strengths.cutout:
        images = cut_out(images, k_cutout, strengths.cutout, COLOURS[strengths.fill])
    for number, name in enumerate(strengths.extra, 3):
        images = AUGMENTATIONS[name](images, jax.random.fold_in(key, number))
    return images


def view_of(strengths: Strengths) -> View:
    """The view with these strengths."""
    return lambda images, key: augment(images, key, strengths)

"""Views: images augmented with given strengths. A further augmentation is a function and a row of AUGMENTATIONS."""

from collections.abc import Callable

import jax

from sgan_jax.augment.spatial import cut_out, mirror, resample
from sgan_jax.augment.strengths import Strengths

View = Callable[[jax.Array, jax.Array], jax.Array]  # (images float32 [B, H, W, C] in [-1, 1], key) -> the same shape

AUGMENTATIONS: dict[str, View] = {"mirror": mirror}


def augment(images: jax.Array, key: jax.Array, strengths: Strengths) -> jax.Array:
    """The images moved and bent, with a square cut out, and with the further augmentations in their order.

    Args:
      images: float32 `[B, H, W, C]` in [-1, 1].
      key: draws an augmentation for each image.
      strengths: where all are zero, nothing changes.

    Returns:
      float32 `[B, H, W, C]`.
    """
    k_affine, k_elastic, k_cutout = jax.random.split(key, 3)
    images = resample(images, k_affine, k_elastic, strengths)
    images = cut_out(images, k_cutout, strengths.cutout) if strengths.cutout else images
    for number, name in enumerate(strengths.extra, 3):
        images = AUGMENTATIONS[name](images, jax.random.fold_in(key, number))
    return images


def view_of(strengths: Strengths) -> View:
    """The view with these strengths."""
    return lambda images, key: augment(images, key, strengths)

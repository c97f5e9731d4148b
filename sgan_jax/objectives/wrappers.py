"""Modifiers: they take an objective and return an objective."""

import jax

from sgan_jax.augment import Affine, affine
from sgan_jax.objectives.parts import Part
from sgan_jax.types import Batch, Bound, Objective, Terms


def with_augmentation(objective: Objective, limits: Affine) -> Objective:
    """The objective on labelled images that are distorted anew at every step; what else it sees stays as it is.

    Args:
      objective: any.
      limits: of the distortions, which are to leave the class as it is.
    """

    def distort(terms: Part) -> Part:
        def distorted(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            k_images, k_terms = jax.random.split(key)
            images = affine(batch.lab_images, k_images, limits)
            return terms(nets, batch._replace(lab_images=images), k_terms)

        return distorted

    return tuple(move._replace(terms=distort(move.terms)) for move in objective)

"""Modifiers: they take an objective and return an objective."""

import jax
import jax.numpy as jnp

from sgan_jax.augment import Limits, distort
from sgan_jax.objectives.parts import Part, together
from sgan_jax.types import Batch, Bound, Objective, Terms


def with_augmentation(objective: Objective, limits: Limits) -> Objective:
    """The objective on labelled images that are distorted anew at every step; what else it sees stays as it is.

    Args:
      objective: any.
      limits: of the distortions, which are to leave the class as it is.
    """

    def on_distorted(terms: Part) -> Part:
        def distorted(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            k_images, k_terms = jax.random.split(key)
            images = distort(batch.lab_images, k_images, limits)
            return terms(nets, batch._replace(lab_images=images), k_terms)

        return distorted

    return tuple(move._replace(terms=on_distorted(move.terms)) for move in objective)


def with_manifold(objective: Objective, weight: float = 1e-3) -> Objective:
    """The objective with a classifier that changes little along the generator's manifold, "d/manifold".

    The term is |J v|^2, J the Jacobian of the class logits of G(z) by z, and v a normal direction for each of as many
    latents as there are unlabelled images. On average that is the squared Frobenius norm of J, the Laplacian norm which
    Lecouat et al., arXiv 1805.08957, take a Monte Carlo approximation of. They take differences over a small step;
    here J v is exact, by forward-mode differentiation, and no step is to be chosen. The generator does not descend on
    it.

    Args:
      objective: any in which the discriminator moves, for a head that classifies. Its first move of the discriminator
        gets the term.
      weight: of the term; 1e-3 in the paper's code, whose differences are not divided by their step.
    """

    def smooth(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_latents, k_direction, k_disc = jax.random.split(key, 3)
        latents = nets.latents(k_latents, len(batch.unl_images))
        direction = jax.random.normal(k_direction, latents.shape)
        images, along = jax.lax.stop_gradient(jax.jvp(nets.gen, (latents,), (direction,)))
        _, slope = jax.jvp(lambda x: nets.disc(x, k_disc).class_logits, (images,), (along,))
        return Terms(loss={"d/manifold": weight * jnp.square(slope).sum(axis=-1).mean()}, watch={})

    first = next(index for index, move in enumerate(objective) if "d" in move.slots)
    smoothed = objective[first]._replace(terms=together(objective[first].terms, smooth))
    return (*objective[:first], smoothed, *objective[first + 1 :])

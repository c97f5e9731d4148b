"""Modifiers: they take an objective and return an objective."""

import math

import jax
import jax.numpy as jnp

from sgan_jax.augment.spatial import Limits, distort
from sgan_jax.objectives.losses import cross_entropy, entropy
from sgan_jax.objectives.terms import Part, together
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
      weight: of the term. The paper's code has 1e-3, too, but of |f(G(z + e u)) - f(G(z))|^2, with u of unit length and
        e = 1e-5, not divided by e: about 1e-12 of the term here, where a latent has 100 numbers.
    """

    def smooth(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_latents, k_direction, k_disc = jax.random.split(key, 3)
        latents = nets.latents(k_latents, len(batch.unl_images))
        direction = jax.random.normal(k_direction, latents.shape)
        images, along = jax.lax.stop_gradient(jax.jvp(nets.gen, (latents,), (direction,)))
        _, slope = jax.jvp(lambda x: nets.disc(x, k_disc).class_logits, (images,), (along,))
        return Terms(loss={"d/manifold": weight * jnp.square(slope).sum(axis=-1).mean()}, watch={})

    return _beside_the_first_of_the_discriminator(objective, smooth)


def with_invariance(objective: Objective, weight: float = 1e-3, tangents: int = 4) -> Objective:
    """The objective with a classifier that changes little along tangents of the images' manifold, "d/invariance".

    The term is the sum of |J_f t|^2 over orthonormal tangents t of the generator's manifold at G(z), J_f the Jacobian
    of the class logits by the image: Kumar, Sattigeri and Fletcher, arXiv 1705.08850, section 2.1. Unlike
    `with_manifold` it does not weigh a direction by how far the generator moves along it.

    Left out is their encoder, with which they take tangents at real images; here they are at generated ones. Their
    dominant singular vectors of the generator's Jacobian are taken as the span of its products with random directions.

    Args:
      objective: any in which the discriminator moves, for a head that classifies. Its first move of the discriminator
        gets the term.
      weight: of the term.
      tangents: at each image, at most as many as a latent or an image has numbers.
    """

    def invariant(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_latents, k_directions, k_disc = jax.random.split(key, 3)
        latents = nets.latents(k_latents, len(batch.unl_images))
        directions = jax.random.normal(k_directions, (tangents, *latents.shape))
        images, push = jax.linearize(nets.gen, latents)
        along = jax.vmap(push)(directions)  # [T, B, H, W, C]
        columns, _ = jnp.linalg.qr(jnp.moveaxis(along.reshape(*along.shape[:2], -1), 0, -1))  # [B, H W C, T]
        across = jnp.moveaxis(columns, -1, 0).reshape(-1, *images.shape)
        images, across = jax.lax.stop_gradient((images, across))
        _, slope = jax.linearize(lambda x: nets.disc(x, k_disc).class_logits, images)
        slopes = jax.vmap(slope)(across)  # [T, B, K]
        return Terms(loss={"d/invariance": weight * jnp.square(slopes).sum(axis=(0, 2)).mean()}, watch={})

    return _beside_the_first_of_the_discriminator(objective, invariant)


def with_consistency(objective: Objective, limits: Limits, weight: float = 1.0, threshold: float = 0.95) -> Objective:
    """The objective with a classifier that is to say of a distorted image what its teacher says of the image.

    "d/consistency" is the cross-entropy of distorted unlabelled images with the class that the teacher finds most
    probable, over those of which it is surer than the threshold (Sohn et al., "FixMatch", arXiv 2001.07685, eq. 4).
    The teacher is the classifier with averaged weights (Tarvainen and Valpola, "Mean teacher", arXiv 1703.01780), and
    sees the images as they are.

    Where the batch has shares, the class is that of the product of teacher's and shares' probabilities: two judges of
    different views, of which neither can outvote the other where it is certain. In the place of the threshold each
    image then counts by how certain the product is, 1 - entropy / log K.

    Args:
      objective: any in which the discriminator moves, for a head that classifies; it sees as many of the unlabelled
        images as there are labelled ones. Its first move of the discriminator gets the term.
      limits: of the distortions.
      weight: of the term.
      threshold: 0..1; 0.95 in the paper.
    """

    def agree(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_images, k_disc = jax.random.split(key)
        believed = jax.nn.log_softmax(nets.teacher(batch.unl_images, None).class_logits)
        if batch.unl_shares is None:
            counts = (believed.max(axis=-1) > math.log(max(threshold, 1e-30))).astype(jnp.float32)
        else:
            believed = believed + jnp.log(jnp.maximum(batch.unl_shares, 1e-9))
            counts = 1.0 - entropy(believed) / math.log(believed.shape[-1])
        believed, counts = jax.lax.stop_gradient((believed, counts))
        answers = nets.disc(distort(batch.unl_images, k_images, limits), k_disc).class_logits
        disagreement = cross_entropy(answers, jnp.argmax(believed, axis=-1))
        return Terms(
            loss={"d/consistency": weight * (counts * disagreement).mean()}, watch={"d/confident": counts.mean()}
        )

    def of_half(terms: Part) -> Part:
        def without_the_rest(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            return terms(nets, batch._replace(unl_images=batch.unl_images[: len(batch.lab_images)]), key)

        return without_the_rest

    halved = tuple(move._replace(terms=of_half(move.terms)) for move in objective)
    return _beside_the_first_of_the_discriminator(halved, agree)


def _beside_the_first_of_the_discriminator(objective: Objective, part: Part) -> Objective:
    first = next(index for index, move in enumerate(objective) if "d" in move.slots)
    both = objective[first]._replace(terms=together(objective[first].terms, part))
    return (*objective[:first], both, *objective[first + 1 :])

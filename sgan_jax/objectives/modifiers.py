"""Modifiers: they take an objective and return an objective."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sgan_jax.augment.views import View
from sgan_jax.objectives.alignment import Alignment, unaligned
from sgan_jax.objectives.losses import cross_entropy, entropy
from sgan_jax.objectives.terms import Term, joined, statistics_of, together, with_pseudo_labels
from sgan_jax.objectives.thresholds import Rule, Settings, Weighed, fixed
from sgan_jax.types import AVERAGED_STATISTICS, Aux, Batch, Bound, Objective, Statistics, Terms, merge


def with_augmentation(objective: Objective, view: View) -> Objective:
    """The objective on labelled images that are augmented anew at every step; its other images stay as they are.

    Args:
      objective: any.
      view: of the labelled images; it must leave the class of an image as it is.
    """

    def on_view(terms: Term) -> Term:
        def augmented(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            k_images, k_terms = jax.random.split(key)
            return terms(nets, batch._replace(lab_images=view(batch.lab_images, k_images)), k_terms)

        return augmented

    return tuple(move._replace(terms=on_view(move.terms)) for move in objective)


def with_manifold(objective: Objective, weight: float = 1e-3) -> Objective:
    """The objective with a classifier that changes little along the generator's manifold, "d/manifold".

    The term is |J v|^2, J the Jacobian of the class logits of G(z) by z, and v a normal direction for each of as many
    latents as there are unlabelled images. On average that is the squared Frobenius norm of J, the Laplacian norm of
    which Lecouat et al., arXiv 1805.08957, take a Monte Carlo approximation. They take differences over a small step;
    here J v is exact, by forward-mode differentiation, without a step size. The generator does not descend on
    the term.

    Args:
      objective: any in which the discriminator moves, for a head that classifies. Its first move of the discriminator
        gets the term.
      weight: of the term. The paper's code has 1e-3, too, but of |f(G(z + e u)) - f(G(z))|^2, with u of unit length and
        e = 1e-5, not divided by e: about 1e-12 of the term here, where a latent has 100 numbers.
    """

    def smooth(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_latents, k_direction, k_disc = jax.random.split(key, 3)
        latents, *classes = nets.inputs(k_latents, len(batch.unl_images))
        direction = jax.random.normal(k_direction, latents.shape)
        images, along = jax.lax.stop_gradient(jax.jvp(lambda z: nets.gen(z, *classes), (latents,), (direction,)))
        _, slope = jax.jvp(lambda x: nets.disc(x, k_disc).class_logits, (images,), (along,))
        return Terms(loss={"d/manifold": weight * jnp.square(slope).sum(axis=-1).mean()}, watch={})

    return _added_to_discriminator(objective, smooth)


def with_invariance(objective: Objective, weight: float = 1e-3, tangents: int = 4) -> Objective:
    """The objective with a classifier that changes little along tangents of the images' manifold, "d/invariance".

    The term is the sum of |J_f t|^2 over orthonormal tangents t of the generator's manifold at G(z), J_f the Jacobian
    of the class logits by the image: Kumar, Sattigeri and Fletcher, arXiv 1705.08850, section 2.1. Unlike
    `with_manifold` it does not weight a direction by how far the generator moves along it.

    Their encoder, with which they take tangents at real images, is left out; here the tangents are at generated images.
    Their dominant singular vectors of the generator's Jacobian are taken as the span of its products with random
    directions.

    Args:
      objective: any in which the discriminator moves, for a head that classifies. Its first move of the discriminator
        gets the term.
      weight: of the term.
      tangents: at each image, at most as many as a latent or an image has numbers.
    """

    def invariant(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_latents, k_directions, k_disc = jax.random.split(key, 3)
        latents, *classes = nets.inputs(k_latents, len(batch.unl_images))
        directions = jax.random.normal(k_directions, (tangents, *latents.shape))
        images, push = jax.linearize(lambda z: nets.gen(z, *classes), latents)
        along = jax.vmap(push)(directions)  # [T, B, H, W, C]
        columns, _ = jnp.linalg.qr(jnp.moveaxis(along.reshape(*along.shape[:2], -1), 0, -1))  # [B, H W C, T]
        across = jnp.moveaxis(columns, -1, 0).reshape(-1, *images.shape)
        images, across = jax.lax.stop_gradient((images, across))
        _, slope = jax.linearize(lambda x: nets.disc(x, k_disc).class_logits, images)
        slopes = jax.vmap(slope)(across)  # [T, B, K]
        return Terms(loss={"d/invariance": weight * jnp.square(slopes).sum(axis=(0, 2)).mean()}, watch={})

    return _added_to_discriminator(objective, invariant)


_PSEUDO = "pseudo_labels"  # in `aux`: the states of rule and alignment


class PseudoLabels(NamedTuple):
    """Who predicts the classes of unlabelled images, and how much each counts."""

    rule: Rule = fixed(Settings())
    alignment: Alignment = unaligned(0, 0.0)
    averaged: bool = True  # whether the teacher has averaged weights, or is the classifier itself
    fairness: float = 0.0  # weight of "d/fairness", for a rule that has it
    statistics: Statistics = None  # first ones of a network that has any, for the teacher with averaged weights


def with_consistency(
    objective: Objective,
    student: View,
    weight: float = 1.0,
    pseudo: PseudoLabels = PseudoLabels(),  # noqa: B008 - a constant
    teacher: View | None = None,
    images: int | None = None,
) -> Objective:
    """The objective with a classifier that is to predict for an augmented image what its teacher predicts.

    "d/consistency" is the cross-entropy of augmented unlabelled images with the class that the teacher finds most
    probable, each by the weight that a rule gives it: by default 1 above a threshold and 0 below (Sohn et al.,
    "FixMatch", arXiv 2001.07685, eq. 4). The teacher is the classifier with averaged weights (Tarvainen and Valpola,
    "Mean teacher", arXiv 1703.01780), or the classifier itself without dropout, as in FixMatch. Where the network
    normalises over the batch, either takes the moments of its own images; running moments of the teacher's are kept for
    the averaged weights, since those of the classifier's passes are not theirs.

    Where the batch has pseudo-labels, the class is that of the product of the teacher's probabilities and these: two
    independent sources, of which neither outvotes the other where that one is certain. Instead of the rule's weight,
    each image then counts by the certainty of the product, 1 - entropy / log K. Neither is aligned. The states of rule
    and alignment follow the teacher all the same, and "d/fairness" has the rule's weights.

    Args:
      objective: any in which the discriminator moves, for a head that classifies. Its first move of the discriminator
        gets the term.
      student: view of the unlabelled images that the classifier is trained on.
      weight: of the term.
      pseudo: the rule and who the teacher is. "d/threshold", the mean over the classes, is reported of a rule with
        state.
      teacher: view of the unlabelled images that the teacher gets; by default the images as they are.
      images: so many of the unlabelled images the objective's own terms get; by default as many as there are labelled.
    """

    def agree(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_images, k_disc = jax.random.split(key)
        weak = batch.unl_images if teacher is None else teacher(batch.unl_images, jax.random.fold_in(key, 2))
        predict = nets.teacher if pseudo.averaged else nets.disc
        taught = jax.lax.stop_gradient(predict(weak, None))
        log_p = jax.nn.log_softmax(taught.class_logits)
        classes, counts, weighed, aux = _judged(pseudo, nets.aux, log_p, batch)
        out = nets.disc(student(batch.unl_images, k_images), k_disc)
        disagreement = cross_entropy(out.class_logits, classes)
        loss = {"d/consistency": weight * (counts * disagreement).mean()}
        if pseudo.fairness and pseudo.rule.fairness is not None:
            unfair = pseudo.rule.fairness(weighed.state, weighed.weights, out.class_logits)
            loss["d/fairness"] = pseudo.fairness * unfair
        watch = {"d/confident": counts.mean()}
        if pseudo.rule.first:
            watch["d/threshold"] = weighed.thresholds.mean()
        of_teacher = statistics_of(taught, averaged=pseudo.averaged)
        return Terms(loss, watch, joined((statistics_of(out), of_teacher, aux)))

    fewer = on_fewer(objective, images)
    first = {} if pseudo.statistics is None else {f"d{AVERAGED_STATISTICS}": pseudo.statistics}
    first |= _state(pseudo.rule.first, pseudo.alignment.first)
    return _added_to_discriminator(fewer, agree, first)


def on_fewer(objective: Objective, count: int | None) -> Objective:
    """The objective on the first `count` of a batch's unlabelled images; with None on as many as are labelled."""

    def fewer(terms: Term) -> Term:
        return lambda nets, batch, key: terms(nets, batch.first_unlabelled(count or len(batch.lab_images)), key)

    return tuple(move._replace(terms=fewer(move.terms)) for move in objective)


def _judged(
    pseudo: PseudoLabels, aux: Aux, log_p: jax.Array, batch: Batch
) -> tuple[jax.Array, jax.Array, Weighed, Aux]:
    """Classes `[U]` of the unlabelled images, how much each counts, what the rule made of them, and the new state."""
    before = aux.get(_PSEUDO, {})
    aligned, of_alignment = pseudo.alignment.align(before.get("alignment", {}), log_p, batch.lab_labels)
    weighed = pseudo.rule.weigh(before.get("rule", {}), aligned)
    counts = weighed.weights
    if batch.pseudo_labels is not None:
        log_p = with_pseudo_labels(log_p, batch)
        counts = 1.0 - entropy(log_p) / math.log(log_p.shape[-1])
    elif pseudo.alignment.classes:
        log_p = aligned
    return jnp.argmax(log_p, axis=-1), counts, weighed, _state(weighed.state, of_alignment)


def _state(rule: dict[str, jax.Array], alignment: dict[str, jax.Array]) -> Aux:
    """What `aux` has of both; nothing where neither has a state."""
    return {_PSEUDO: {"rule": rule, "alignment": alignment}} if rule or alignment else {}


def _added_to_discriminator(objective: Objective, term: Term, aux: Aux | None = None) -> Objective:
    """The objective with a further term, and first values of its state, in its first move of the discriminator."""
    first = next(index for index, move in enumerate(objective) if "d" in move.slots)
    move = objective[first]
    both = move._replace(terms=together(move.terms, term), aux=merge(move.aux, aux or {}))
    return (*objective[:first], both, *objective[first + 1 :])

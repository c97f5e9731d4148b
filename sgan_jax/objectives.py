"""Objectives: which losses, in which order, with which optimiser slot. An objective is a tuple of moves."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from sgan_jax.augment import Affine, affine
from sgan_jax.losses import cross_entropy, hits, score_as_fake, score_as_real, score_for_both_players
from sgan_jax.types import Batch, Bound, Move, Objective, Terms, merge


def _classify(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    lab = nets.disc(batch.lab_images, key)
    return Terms(
        loss={"d/supervised": cross_entropy(lab.class_logits, batch.lab_labels).mean()},
        watch={"d/accuracy": hits(lab.class_logits, batch.lab_labels).mean()},
    )


def _real(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    unl = nets.disc(batch.unl_images, key)
    return Terms(
        loss={"d/real": score_as_real(unl.real_logit).mean()},
        watch={"d/real_accuracy": (unl.real_logit > 0).astype(jnp.float32).mean()},
    )


def _fake(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.gen(k_gen, len(batch.unl_images)), k_disc)
    return Terms(
        loss={"d/fake": score_as_fake(fake.real_logit).mean()},
        watch={"d/fake_accuracy": (fake.real_logit <= 0).astype(jnp.float32).mean()},
    )


def _fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    # Twice the discriminator's half batch, as the tutorial has it; the discriminator's dropout is active.
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.gen(k_gen, 2 * len(batch.unl_images)), k_disc)
    return Terms(loss={"g/fool": score_as_real(fake.real_logit).mean()}, watch={})


def _fake_and_fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    # The same images for both players: one pass through each network, forwards and backwards.
    k_gen, k_disc = jax.random.split(key)
    images = nets.gen(k_gen, len(batch.unl_images))
    as_fake, real_logit = score_for_both_players(lambda x: nets.disc(x, k_disc).real_logit, images)
    return Terms(
        loss={"d/fake": as_fake.mean()},
        watch={
            "d/fake_accuracy": (real_logit <= 0).astype(jnp.float32).mean(),
            "g/fool": score_as_real(real_logit).mean(),
        },
    )


def _together(*parts: Callable[[Bound, Batch, jax.Array], Terms]) -> Callable[..., Terms]:
    """The terms of several moves as one, whose loss is their sum."""

    def terms(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        loss: dict[str, jax.Array] = {}
        watch: dict[str, jax.Array] = {}
        for part, k in zip(parts, jax.random.split(key, len(parts)), strict=True):
            one = part(nets, batch, k)
            loss, watch = merge(loss, one.loss), merge(watch, one.watch)
        return Terms(loss, watch)

    return terms


def tutorial(classifies: bool = True) -> Objective:
    """Four moves a step, in the tutorial's order: classify (slot c), real and fake (slot d), fool (slot g).

    The classifier and the discriminator are the same parameters under two Adam states, as two compiled Keras models
    over shared layers are.

    Args:
      classifies: False leaves the first move out, for a head without a classifier.
    """
    classify = (Move({"d": "c"}, _classify),) if classifies else ()
    return (*classify, Move({"d": "d"}, _real), Move({"d": "d"}, _fake), Move({"g": "g"}, _fool))


def joint(classifies: bool = True) -> Objective:
    """One move a step: both players at once, the discriminator on the sum of its losses.

    The losses of Salimans et al., arXiv 1606.03498, section 5. Both players see the same generated images, as many as
    there are unlabelled ones, in one pass through either network (Shen et al., "Training GANs in One Stage", arXiv
    2103.00430): about half of the work of the tutorial's four moves.
    """
    parts = (_classify, _real, _fake_and_fool) if classifies else (_real, _fake_and_fool)
    return (Move({"d": "d", "g": "g"}, _together(*parts)),)


def with_augmentation(objective: Objective, limits: Affine) -> Objective:
    """The objective on labelled images that are distorted anew at every step; what else it sees stays as it is.

    Args:
      objective: any.
      limits: of the distortions, which are to leave the class as it is.
    """

    def distort(terms: Callable[..., Terms]) -> Callable[..., Terms]:
        def distorted(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
            k_images, k_terms = jax.random.split(key)
            images = affine(batch.lab_images, k_images, limits)
            return terms(nets, batch._replace(lab_images=images), k_terms)

        return distorted

    return tuple(move._replace(terms=distort(move.terms)) for move in objective)


OBJECTIVES: dict[str, Callable[[bool], Objective]] = {"tutorial": tutorial, "joint": joint}

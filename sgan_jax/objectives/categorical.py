"""Categorical GANs: no score for "real"; what is generated shows in how undecided the classifier is."""

import math

import jax

from sgan_jax.objectives.losses import entropy, marginal_entropy
from sgan_jax.objectives.terms import classify, statistics_of, together
from sgan_jax.types import Batch, Bound, DiscOut, Move, Objective, Terms


def catgan() -> Objective:
    """Two moves a step: the discriminator (slot d), then the generator (slot g), both on entropies of the classes.

    The discriminator is to be certain of each unlabelled image ("d/entropy") and uncertain of each generated one
    ("d/fake_certainty"), and to use all classes equally often ("d/imbalance"), beside the cross-entropy of the labelled
    images with weight 1. The generator is to make images of whose class the discriminator is certain ("g/entropy"), of
    all classes equally often ("g/imbalance"). Springenberg, arXiv 1511.06390, L_D and L_G of the semi-supervised case.

    A quantity H that is to become large is written as log K - H: its gradient is that of -H, and 0 is the best value of
    each term. Only `DiscOut.class_logits` are used: the output for "real" of a head that has one (separate, k_plus_one)
    is not trained.
    """
    return (Move({"d": "d"}, together(classify, _unlabelled, _generated)), Move({"g": "g"}, _persuade))


def _unlabelled(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    unl = nets.disc(batch.unl_images, key)
    loss = {"d/entropy": entropy(unl.class_logits).mean(), "d/imbalance": _imbalance(unl.class_logits)}
    return Terms(loss, watch={}, aux=statistics_of(unl))


def _generated(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    fake = _of_generated(nets, batch, key)
    loss = {"d/fake_certainty": _most(fake.class_logits) - entropy(fake.class_logits).mean()}
    return Terms(loss, watch={}, aux=statistics_of(fake))


def _persuade(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    class_logits = _of_generated(nets, batch, key).class_logits
    return Terms(loss={"g/entropy": entropy(class_logits).mean(), "g/imbalance": _imbalance(class_logits)}, watch={})


def _of_generated(nets: Bound, batch: Batch, key: jax.Array) -> DiscOut:
    """The discriminator on as many generated images as there are unlabelled ones."""
    k_gen, k_disc = jax.random.split(key)
    return nets.disc(nets.generate(k_gen, len(batch.unl_images)), k_disc)


def _imbalance(class_logits: jax.Array) -> jax.Array:
    return _most(class_logits) - marginal_entropy(class_logits)


def _most(class_logits: jax.Array) -> float:
    """The entropy of K classes that are equally probable."""
    return math.log(class_logits.shape[-1])

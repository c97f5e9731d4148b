"""What moves are made of: the losses of one source of images each, as `(nets, batch, key) -> Terms`."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from sgan_jax.objectives.losses import cross_entropy, hits, score_as_fake, score_as_real, score_for_both_players
from sgan_jax.types import AVERAGED_STATISTICS, STATISTICS, Aux, Batch, Bound, DiscOut, Terms, merge

Term = Callable[[Bound, Batch, jax.Array], Terms]


def classify(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator's cross-entropy of the labelled images, each by its weight where the batch has weights."""
    lab = nets.disc(batch.lab_images, key)
    losses = cross_entropy(lab.class_logits, batch.lab_labels)
    losses = losses if batch.lab_weights is None else batch.lab_weights * losses
    return Terms(
        loss={"d/supervised": losses.mean()},
        watch={"d/accuracy": hits(lab.class_logits, batch.lab_labels).mean()},
        aux=statistics_of(lab),
    )


def real(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator on unlabelled images, which are real."""
    return real_terms(nets.disc(batch.unl_images, key))


def real_terms(unl: DiscOut) -> Terms:
    """The terms of `real` from the discriminator's output on unlabelled images."""
    return Terms(
        loss={"d/real": score_as_real(unl.real_logit).mean()},
        watch={"d/real_accuracy": (unl.real_logit > 0).astype(jnp.float32).mean()},
        aux=statistics_of(unl),
    )


def fake(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator on as many generated images."""
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.generate(k_gen, len(batch.unl_images)), k_disc)
    return Terms(
        loss={"d/fake": score_as_fake(fake.real_logit).mean()},
        watch={"d/fake_accuracy": (fake.real_logit <= 0).astype(jnp.float32).mean()},
        aux=statistics_of(fake),
    )


def fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The generator on the discriminator's score of its images."""
    # Twice the discriminator's batch, as the tutorial has it; the discriminator's dropout is active.
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.generate(k_gen, 2 * len(batch.unl_images)), k_disc)
    return Terms(loss={"g/fool": score_as_real(fake.real_logit).mean()}, watch={})


def fake_and_fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """Either player on the same generated images: one pass through each network, forwards and backwards.

    The discriminator must treat images one by one (`Net.by_example`).
    """
    k_gen, k_disc = jax.random.split(key)
    images = nets.generate(k_gen, len(batch.unl_images))
    as_fake, real_logit = score_for_both_players(lambda x: nets.disc(x, k_disc).real_logit, images)
    return Terms(
        loss={"d/fake": as_fake.mean()},
        watch={
            "d/fake_accuracy": (real_logit <= 0).astype(jnp.float32).mean(),
            "g/fool": score_as_real(real_logit).mean(),
        },
    )


def with_pseudo_labels(log_p: jax.Array, batch: Batch) -> jax.Array:
    """Log-probabilities `[U, K]`, not normalised, of their product with the batch's pseudo-labels, if it has any."""
    if batch.pseudo_labels is None:
        return log_p
    return log_p + jnp.log(jnp.maximum(batch.pseudo_labels, 1e-9))


def statistics_of(out: DiscOut, averaged: bool = False) -> Aux:
    """The discriminator's statistics as a pass changed them, to be handed on; nothing where it has none.

    Args:
      out: of the pass.
      averaged: whether it was made with averaged parameters, whose statistics are others.
    """
    return {} if out.statistics is None else {f"d{AVERAGED_STATISTICS if averaged else STATISTICS}": out.statistics}


def together(*terms: Term) -> Term:
    """Several terms as one, whose loss is their sum.

    Statistics that several passes changed are averaged: each pass saw a batch of its own.
    """

    def all_terms(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        keys = jax.random.split(key, len(terms))
        each = [term(nets, batch, k) for term, k in zip(terms, keys, strict=True)]
        loss, watch = (reduce(merge, named) for named in ([one.loss for one in each], [one.watch for one in each]))
        return Terms(loss, watch, joined(one.aux for one in each))

    return all_terms


def joined(each: Iterable[Aux]) -> Aux:
    """What several passes hand on; of statistics that several changed the mean.

    Raises:
      ValueError: two hand on the same other state.
    """
    passes: dict[str, list[Any]] = {}
    for aux in each:
        for name, value in aux.items():
            passes.setdefault(name, []).append(value)
    if twice := [name for name, values in passes.items() if len(values) > 1 and not name.endswith(STATISTICS)]:
        raise ValueError(f"two terms hand on {', '.join(twice)}: one would hide the other")

    def mean(*leaves: jax.Array) -> jax.Array:
        return sum(leaves[1:], leaves[0]) / len(leaves)

    return {name: values[0] if len(values) == 1 else jax.tree.map(mean, *values) for name, values in passes.items()}


def times(weight: float, terms: Terms) -> Terms:
    """The terms with a loss `weight` times as large, which is also how they are reported."""
    return terms._replace(loss={name: weight * value for name, value in terms.loss.items()})


def weighted(weight: float, term: Term) -> Term:
    """The term `times` the weight."""
    return lambda nets, batch, key: times(weight, term(nets, batch, key))

"""What moves are made of: the losses of one source of images each, as `(nets, batch, key) -> Terms`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from sgan_jax.objectives.losses import cross_entropy, hits, score_as_fake, score_as_real, score_for_both_players
from sgan_jax.types import Batch, Bound, DiscOut, Terms, merge

Part = Callable[[Bound, Batch, jax.Array], Terms]


def classify(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator's cross-entropy of the labelled images."""
    lab = nets.disc(batch.lab_images, key)
    return Terms(
        loss={"d/supervised": cross_entropy(lab.class_logits, batch.lab_labels).mean()},
        watch={"d/accuracy": hits(lab.class_logits, batch.lab_labels).mean()},
    )


def real(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator on unlabelled images, which are real."""
    return real_terms(nets.disc(batch.unl_images, key))


def real_terms(unl: DiscOut) -> Terms:
    """What `real` makes of the discriminator's answer."""
    return Terms(
        loss={"d/real": score_as_real(unl.real_logit).mean()},
        watch={"d/real_accuracy": (unl.real_logit > 0).astype(jnp.float32).mean()},
    )


def fake(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The discriminator on as many generated images."""
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.generate(k_gen, len(batch.unl_images)), k_disc)
    return Terms(
        loss={"d/fake": score_as_fake(fake.real_logit).mean()},
        watch={"d/fake_accuracy": (fake.real_logit <= 0).astype(jnp.float32).mean()},
    )


def fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """The generator on what the discriminator says of its images."""
    # Twice the discriminator's half batch, as the tutorial has it; the discriminator's dropout is active.
    k_gen, k_disc = jax.random.split(key)
    fake = nets.disc(nets.generate(k_gen, 2 * len(batch.unl_images)), k_disc)
    return Terms(loss={"g/fool": score_as_real(fake.real_logit).mean()}, watch={})


def fake_and_fool(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """Either player on the same generated images: one pass through each network, forwards and backwards."""
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


def together(*parts: Part) -> Part:
    """The terms of several parts as one, whose loss is their sum."""

    def terms(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        loss: dict[str, jax.Array] = {}
        watch: dict[str, jax.Array] = {}
        for part, k in zip(parts, jax.random.split(key, len(parts)), strict=True):
            one = part(nets, batch, k)
            loss, watch = merge(loss, one.loss), merge(watch, one.watch)
        return Terms(loss, watch)

    return terms


def times(weight: float, terms: Terms) -> Terms:
    """The terms with a loss `weight` times as large, which is also how they are reported."""
    return terms._replace(loss={name: weight * value for name, value in terms.loss.items()})


def weighted(weight: float, part: Part) -> Part:
    """The part with its terms `times` the weight."""
    return lambda nets, batch, key: times(weight, part(nets, batch, key))

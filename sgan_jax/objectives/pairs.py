"""The objective of three players, whose generator draws the class asked for: its discriminator judges pairs.

Player "d" is the classifier, "g" the generator and "p" the discriminator of pairs of an image and a class.
"""

import jax
import jax.numpy as jnp

from sgan_jax.objectives.losses import cross_entropy, score_as_fake, score_as_real, score_for_both_players
from sgan_jax.objectives.terms import Term, classify, statistics_of, together, with_pseudo_labels
from sgan_jax.types import Batch, Bound, Move, Objective, Terms

_PENALISED = 4  # of so many real images one is penalised: a second derivative takes three times as long as a first


def triple(gradient_penalty: float = 1.0, classifier_pairs: float = 0.5, generated_weight: float = 0.1) -> Objective:
    """Two moves a step: the classifier (slot d), then generator and discriminator of pairs (slots g and p).

    Li et al., "Triple Generative Adversarial Nets", arXiv 1703.02291, sections 3.1 and 3.3, with alpha for
    `classifier_pairs` and alpha_P for `generated_weight`. As there, unlabelled images with the class that the
    classifier predicts are real pairs beside the labelled ones, since the discriminator would know few labelled images
    by heart. Unlike there it is the averaged classifier that predicts them, expectations over the classifier's classes
    are exact instead of samples, and generated images have the classes of the real pairs, so that these do not tell
    them apart. The generator descends on -log D in the place of log(1 - D).

    Args:
      gradient_penalty: weight of "p/gradient_penalty", half of the mean squared norm of the gradient of the logit by
        real images: R1 of Mescheder et al., arXiv 1801.04406, eq. 9.
      classifier_pairs: weight alpha, 0 to below 1, of the classifier's own pairs among those that are not real, beside
        1 - alpha of the generated ones; the classifier descends on "d/pairs" to have them taken for real. They are of
        the second half of the unlabelled images, and real pairs of the first. With 0 all are real, and the classifier
        does not take part.
      generated_weight: of "d/generated", the classifier's cross-entropy of generated images with their classes.
    """
    of_classifier: tuple[Term, ...] = (classify,)
    of_pairs: tuple[Term, ...] = (_generated(1.0 - classifier_pairs),)
    if classifier_pairs:
        of_classifier += (_convince(classifier_pairs),)
        of_pairs += (_doubt(classifier_pairs),)
    if generated_weight:
        of_classifier += (_learn_from_generated(generated_weight),)
    real = _real(bool(classifier_pairs), gradient_penalty)
    return (Move({"d": "d"}, together(*of_classifier)), Move({"p": "p", "g": "g"}, together(real, *of_pairs)))


def pair_logits(nets: Bound, images: jax.Array, key: jax.Array | None) -> jax.Array:
    """Log-odds of "real" of images with each of the classes, `[B, K]`.

    A projection discriminator: Miyato and Koyama, arXiv 1802.05637, eq. 4, whose two terms are logits of one layer.
    """
    out = nets.players["p"](images, key)
    return out.real_logit[:, None] + out.class_logits


def of_classes(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Of logits `[B, K]` those of the classes, int32 `[B]`, as `[B]`."""
    return jnp.take_along_axis(logits, classes[:, None], axis=1).squeeze(1)


def predicted(nets: Bound, batch: Batch) -> jax.Array:
    """Classes of the unlabelled images, int32 `[U]`, by the averaged classifier and by pseudo-labels, if any."""
    log_p = with_pseudo_labels(jax.nn.log_softmax(nets.teacher(batch.unl_images, None).class_logits), batch)
    return jnp.argmax(jax.lax.stop_gradient(log_p), axis=-1)


def _first_half(batch: Batch) -> Batch:
    return batch.first_unlabelled(-(-len(batch.unl_images) // 2))


def _second_half(batch: Batch) -> jax.Array:
    return batch.unl_images[-(-len(batch.unl_images) // 2) :]


def _real(halved: bool, penalty: float) -> Term:
    """Labelled and unlabelled images with their classes, which the discriminator of pairs is to take for real."""

    def real(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_score, k_penalty = jax.random.split(key)
        batch = _first_half(batch) if halved else batch
        classes = jnp.concatenate([predicted(nets, batch), batch.lab_labels])
        images = jnp.concatenate([batch.unl_images, batch.lab_images])
        logits = of_classes(pair_logits(nets, images, k_score), classes)
        loss = {"p/real": score_as_real(logits).mean()}
        if penalty:
            count = -(-len(images) // _PENALISED)

            def total(penalised: jax.Array) -> jax.Array:
                return of_classes(pair_logits(nets, penalised, k_penalty), classes[:count]).sum()

            slope = jax.grad(total)(images[:count])
            loss["p/gradient_penalty"] = penalty / 2 * jnp.square(slope).sum(axis=(1, 2, 3)).mean()
        return Terms(loss, watch={"p/real_accuracy": (logits > 0).astype(jnp.float32).mean()})

    return real


def _generated(weight: float) -> Term:
    """Either player on the same generated images, whose classes are those of unlabelled images."""

    def generated(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_gen, k_pairs = jax.random.split(key)
        classes = predicted(nets, batch)
        images = nets.generate_classes(k_gen, classes)
        as_fake, logits = score_for_both_players(lambda x: of_classes(pair_logits(nets, x, k_pairs), classes), images)
        return Terms(
            loss={"p/fake": weight * as_fake.mean()},
            watch={
                "p/fake_accuracy": (logits <= 0).astype(jnp.float32).mean(),
                "g/fool": score_as_real(logits).mean(),
            },
        )

    return generated


def _convince(weight: float) -> Term:
    """The classifier wants its pairs to be taken for real: the expectation over its classes of log(1 - D)."""

    def convince(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_classes, k_pairs = jax.random.split(key)
        images = _second_half(batch)
        out = nets.disc(images, k_classes)
        scores = jax.lax.stop_gradient(-score_as_fake(pair_logits(nets, images, k_pairs)))
        expected = (jax.nn.softmax(out.class_logits) * scores).sum(axis=-1).mean()
        return Terms(loss={"d/pairs": weight * expected}, watch={}, aux=statistics_of(out))

    return convince


def _doubt(weight: float) -> Term:
    """The discriminator of pairs is not to take the classifier's for real."""

    def doubt(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_classes, k_pairs = jax.random.split(key)
        images = _second_half(batch)
        probabilities = jax.nn.softmax(nets.disc(images, k_classes).class_logits)
        scores = score_as_fake(pair_logits(nets, images, k_pairs))
        expected = (jax.lax.stop_gradient(probabilities) * scores).sum(axis=-1).mean()
        return Terms(loss={"p/classifier": weight * expected}, watch={})

    return doubt


def _learn_from_generated(weight: float) -> Term:
    """The classifier on generated images, whose classes are known."""

    def learn(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        k_gen, k_classes = jax.random.split(key)
        classes = predicted(nets, batch)
        images = jax.lax.stop_gradient(nets.generate_classes(k_gen, classes))
        out = nets.disc(images, k_classes)
        losses = cross_entropy(out.class_logits, classes)
        return Terms(loss={"d/generated": weight * losses.mean()}, watch={}, aux=statistics_of(out))

    return learn

"""The objectives whose generator matches statistics of the discriminator's features."""

import jax

from sgan_jax.objectives.losses import entropy, feature_distance, pull_away
from sgan_jax.objectives.terms import classify, fake, real, real_terms, times, together, weighted
from sgan_jax.types import Batch, Bound, Move, Objective, Terms, merge


def feature_matching(classifies: bool = True, unsupervised_weight: float = 0.5) -> Objective:
    """Two moves a step: the discriminator (slot d) on the sum of its losses, then the generator (slot g).

    The generator lessens the distance between the mean features of the unlabelled images and of as many generated ones,
    made anew. Salimans et al., arXiv 1606.03498, sections 3.1 and 5. Their code draws the unlabelled images anew, too.

    Args:
      classifies: False leaves the cross-entropy out, for a head without a classifier.
      unsupervised_weight: of "d/real" and of "d/fake", beside 1 of "d/supervised"; 0.5 each in the published code. The
        metrics are the weighted terms.
    """
    scores = weighted(unsupervised_weight, real), weighted(unsupervised_weight, fake)
    discriminate = together(classify, *scores) if classifies else together(*scores)
    return (Move({"d": "d"}, discriminate), Move({"g": "g"}, _match))


def complement(
    unsupervised_weight: float = 0.5, entropy_weight: float = 0.1, pull_away_weight: float = 0.8
) -> Objective:
    """Feature matching with a discriminator that makes up its mind and a generator whose images are to differ.

    The discriminator also lessens the entropy of the classes of unlabelled images ("d/entropy"), the generator the
    pull-away term of its images' features ("g/pull_away"). Dai et al., "Good Semi-supervised Learning That Requires a
    Bad GAN", arXiv 1705.09783. Left out is their low-density term, which takes a PixelCNN trained beforehand. The
    distance of the features is the paper's square; the published code for SVHN has absolute values.

    Args:
      unsupervised_weight: of "d/real" and of "d/fake".
      entropy_weight: of "d/entropy".
      pull_away_weight: of "g/pull_away". All three by default as the published code has them for SVHN; for MNIST it has
        neither of the two last terms.
    """

    def real_and_decided(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        unl = nets.disc(batch.unl_images, key)
        scored = times(unsupervised_weight, real_terms(unl))
        decided = {"d/entropy": entropy_weight * entropy(unl.class_logits).mean()}
        return scored._replace(loss=merge(scored.loss, decided))

    def match_and_differ(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        unl, generated = _features(nets, batch, key)
        differ = pull_away_weight * pull_away(generated)
        return Terms(loss={"g/features": feature_distance(unl, generated), "g/pull_away": differ}, watch={})

    discriminate = together(classify, real_and_decided, weighted(unsupervised_weight, fake))
    return (Move({"d": "d"}, discriminate), Move({"g": "g"}, match_and_differ))


def _features(nets: Bound, batch: Batch, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of the unlabelled images and of as many generated ones, `[B, F]` each."""
    k_gen, k_unl, k_fake = jax.random.split(key, 3)
    unl = nets.disc(batch.unl_images, k_unl)
    generated = nets.disc(nets.generate(k_gen, len(batch.unl_images)), k_fake)
    return unl.features, generated.features


def _match(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    return Terms(loss={"g/features": feature_distance(*_features(nets, batch, key))}, watch={})

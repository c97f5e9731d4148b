"""Objectives by name: which losses, in which order, with which optimiser slot."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sgan_jax.objectives.adversarial import joint, tutorial
from sgan_jax.objectives.categorical import catgan
from sgan_jax.objectives.matching import complement, feature_matching
from sgan_jax.objectives.modifiers import with_invariance, with_manifold
from sgan_jax.objectives.pairs import triple
from sgan_jax.objectives.supervised import supervised
from sgan_jax.types import Objective


class Entry(NamedTuple):
    """How an objective is made.

    `make` takes whether the head classifies, or nothing where `needs_classifier`; and the `weights` by name.
    """

    make: Callable[..., Objective]
    needs_classifier: bool = False
    weights: tuple[str, ...] = ()  # names of the arguments that the configuration sets
    by_example: bool = False  # whether the discriminator must treat images one by one
    uses_unlabelled: bool = True  # whether any term is of unlabelled images
    of_pairs: bool = False  # whether its generator is conditional and has a discriminator of pairs, player "p"

    def objective(self, classifies: bool, weights: Mapping[str, float] | None = None) -> Objective:
        """The objective for a head that classifies, or does not.

        Args:
          classifies: whether the head has classes.
          weights: of terms, by name; those that the objective does not have are ignored, missing ones are the default.

        Raises:
          ValueError: the head does not classify, and the objective needs one that does.
        """
        given = {name: value for name, value in (weights or {}).items() if name in self.weights}
        if not self.needs_classifier:
            return self.make(classifies, **given)
        if not classifies:
            raise ValueError("this objective is made of class logits, which the head does not have")
        return self.make(**given)


def _manifold(unsupervised_weight: float = 0.5, manifold_weight: float = 1e-3) -> Objective:
    return with_manifold(feature_matching(True, unsupervised_weight), manifold_weight)


def _invariance(unsupervised_weight: float = 0.5, invariance_weight: float = 1e-3, tangents: int = 4) -> Objective:
    return with_invariance(feature_matching(True, unsupervised_weight), invariance_weight, tangents)


_MATCHING = ("unsupervised_weight",)

OBJECTIVES: dict[str, Entry] = {
    "tutorial": Entry(tutorial),
    "joint": Entry(joint, by_example=True),
    "supervised": Entry(supervised, needs_classifier=True, uses_unlabelled=False),
    "feature_matching": Entry(feature_matching, weights=_MATCHING),
    "catgan": Entry(catgan, needs_classifier=True),
    "complement": Entry(complement, True, (*_MATCHING, "entropy_weight", "pull_away_weight")),
    "invariance": Entry(_invariance, True, (*_MATCHING, "invariance_weight", "tangents")),
    "triple": Entry(triple, True, ("gradient_penalty", "classifier_pairs", "generated_weight"), of_pairs=True),
    "manifold": Entry(_manifold, True, (*_MATCHING, "manifold_weight")),
}

"""Objectives: which losses, in which order, with which optimiser slot. An objective is a tuple of moves."""

from collections.abc import Callable
from typing import NamedTuple

from sgan_jax.objectives.adversarial import joint, tutorial
from sgan_jax.objectives.categorical import catgan
from sgan_jax.objectives.matching import complement, feature_matching
from sgan_jax.objectives.modifiers import with_augmentation, with_consistency, with_invariance, with_manifold
from sgan_jax.objectives.supervised import supervised
from sgan_jax.types import Objective

__all__ = [
    "OBJECTIVES",
    "Recipe",
    "catgan",
    "complement",
    "feature_matching",
    "joint",
    "supervised",
    "tutorial",
    "with_augmentation",
    "with_consistency",
    "with_invariance",
    "with_manifold",
]


class Recipe(NamedTuple):
    """How an objective is made for a head.

    `make` takes whether the head classifies; where `needs_classifier`, it takes nothing, for then the head must.
    """

    make: Callable[..., Objective]
    needs_classifier: bool = False

    def objective(self, classifies: bool) -> Objective:
        """The objective for a head that classifies, or does not.

        Raises:
          ValueError: the head does not classify, and the objective needs one that does.
        """
        if not self.needs_classifier:
            return self.make(classifies)
        if not classifies:
            raise ValueError("this objective is made of class logits, which the head does not have")
        return self.make()


OBJECTIVES: dict[str, Recipe] = {
    "tutorial": Recipe(tutorial),
    "joint": Recipe(joint),
    "supervised": Recipe(supervised, needs_classifier=True),
    "feature_matching": Recipe(feature_matching),
    "catgan": Recipe(catgan, needs_classifier=True),
    "complement": Recipe(complement, needs_classifier=True),
    "invariance": Recipe(lambda: with_invariance(feature_matching()), needs_classifier=True),
    "manifold": Recipe(lambda: with_manifold(feature_matching()), needs_classifier=True),
}

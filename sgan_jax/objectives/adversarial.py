"""The objectives whose generator wants its images to be taken for real ones."""

from sgan_jax.objectives.terms import classify, fake, fake_and_fool, fool, real, together
from sgan_jax.types import Move, Objective


def tutorial(classifies: bool = True) -> Objective:
    """Four moves a step, in the tutorial's order: classify (slot c), real and fake (slot d), fool (slot g).

    The classifier and the discriminator are the same parameters under two Adam states, as two compiled Keras models
    over shared layers are.

    Args:
      classifies: False leaves the first move out, for a head without a classifier.
    """
    first = (Move({"d": "c"}, classify),) if classifies else ()
    return (*first, Move({"d": "d"}, real), Move({"d": "d"}, fake), Move({"g": "g"}, fool))


def joint(classifies: bool = True) -> Objective:
    """One move a step: both players at once, the discriminator on the sum of its losses.

    The losses of Salimans et al., arXiv 1606.03498, section 5. Both players see the same generated images, as many as
    there are unlabelled ones, in one pass through either network (Shen et al., "Training GANs in One Stage", arXiv
    2103.00430): about half of the work of the tutorial's four moves.
    """
    terms = (classify, real, fake_and_fool) if classifies else (real, fake_and_fool)
    return (Move({"d": "d", "g": "g"}, together(*terms)),)

"""The classifier alone: what the semi-supervised objectives are to beat with the same network and the same labels."""

from sgan_jax.objectives.terms import classify
from sgan_jax.types import Move, Objective


def supervised() -> Objective:
    """One move a step: the discriminator's trunk and head on the cross-entropy of the labelled images.

    Unlabelled images are not used, and the generator stays as it was initialised. The baseline that Odena,
    arXiv 1606.01583, calls CNN.
    """
    return (Move({"d": "d"}, classify),)

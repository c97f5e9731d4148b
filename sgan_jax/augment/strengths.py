"""How strongly a view augments images."""

from typing import NamedTuple


class Strengths(NamedTuple):
    """The largest augmentation of each kind; each image gets one drawn uniformly up to it, in either direction."""

    rotation: float = 0.0  # degrees
    shear: float = 0.0  # of a column, up or down, by its distance from the middle one
    scale: float = 0.0  # logarithm of the magnification, of height and width apart
    shift: float = 0.0  # pixels, of rows and columns apart
    elastic: float = 0.0  # pixels: standard deviation of each place's own displacement, not a limit
    cutout: int = 0  # pixels: side of a square that is made black, anywhere in the image
    extra: tuple[str, ...] = ()  # further augmentations: rows of AUGMENTATIONS, in this order

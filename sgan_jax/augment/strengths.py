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
    crop: int = 0  # pixels, of rows and columns apart; whole ones, and the image is reflected at its borders
    brightness: float = 0.0  # of a factor, from 1; so are contrast, saturation and sharpness
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0  # fraction of a turn
    sharpness: float = 0.0
    blur: float = 0.0  # pixels: standard deviation
    posterize: int = 0  # bits that a level loses
    solarize: float = 0.0  # fraction of the levels, from the brightest, in which inversion may begin
    invert: float = 0.0  # probability, not a limit; so are those of autocontrast and equalize
    autocontrast: float = 0.0
    equalize: float = 0.0
    random: int = 0  # operations of RandAugment for each image
    border: str = "black"  # what comes in from outside of the frame: black, grey or reflect
    fill: str = "black"  # colour of the square of cutout: black or grey

"""Images whose values have another range than expected: a warning if they would be nearly black, clipped excursions."""

from __future__ import annotations

import logging

import numpy as np

log = logging.getLogger(__name__)

DARKEST = 64  # of 0..255: if no value is larger, the range is probably 0..1, 0..15, 0..63 or 12 of 16 bits
ROUNDING = 1e-6  # so far outside 0..1 floats are clipped without a word
EXCURSION = 0.05  # mean distance from 0..1, each value's at most 1, up to which floats are clipped with a warning
_EXPECTED = "integers of 0 to 255, or floats of 0 to 1"


def warn_of_range(array: np.ndarray | np.generic, where: object, expected: str = _EXPECTED) -> None:
    """Warns if the largest value of an array of images is suspiciously small.

    Args:
      array: integers of 0..255, floats of 0..1 or bools, of any shape.
      where: what the message names.
      expected: which values are expected.
    """
    if not array.size:
        return
    high = array.max()
    if high * (1 if array.dtype.kind in "iu" else 255) < DARKEST:
        log.warning(
            "%s: the largest value is %s; expected %s: these images are nearly black", where, _shown(high), expected
        )


def clip_excursions(array: np.ndarray, where: str) -> np.ndarray:
    """Clips floats that are meant to be 0..1 and are not quite, and warns.

    A scaler of each pixel gives such values for other images than it was fitted on: of 12 to 4,000 images that were
    split in two or five, the mean distance from 0..1 was 0.04 at most. Of images of another range (0..2, 0..255, -1..1,
    standardised) it was 0.1 at least: those are returned as they are, to be refused.

    Args:
      array: images of any type and shape.
      where: what the message names.
    """
    if array.dtype.kind != "f" or not array.size:
        return array
    low, high = array.min(), array.max()
    if low >= 0 and high <= 1:
        return array
    clipped = array.clip(0, 1)
    if not np.minimum(np.abs(array - clipped), 1).mean(dtype=np.float64) <= EXCURSION or not np.isfinite(low + high):
        return array
    if low < -ROUNDING or high > 1 + ROUNDING:
        values = f"{np.count_nonzero(array != clipped)} of {array.size} values"
        log.warning("%s: %s outside 0 to 1 are clipped (they reach from %.5g to %.5g)", where, values, low, high)
    return clipped


def _shown(value: np.generic) -> str:
    return f"{value:.4g}" if value.dtype.kind == "f" else str(int(value))

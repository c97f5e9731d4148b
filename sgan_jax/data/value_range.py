"""Warns of images whose values have another range than expected, so that they would be nearly black."""

from __future__ import annotations

import logging

import numpy as np

log = logging.getLogger(__name__)

DARKEST = 64  # of 0..255: if no value is larger, the range is probably 0..1, 0..15, 0..63 or 12 of 16 bits
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


def _shown(value: np.generic) -> str:
    return f"{value:.4g}" if value.dtype.kind == "f" else str(int(value))

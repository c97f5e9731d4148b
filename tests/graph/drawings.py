"""Small images of strokes, for tests of how similar images are."""

import numpy as np


def bar(column: int) -> np.ndarray:
    """An upright bar of two columns and six rows, uint8 `[1, 12, 12, 1]`."""
    image = np.zeros((1, 12, 12, 1), np.uint8)
    image[:, 3:9, column : column + 2] = 255
    return image


def slanted_stroke(columns_a_row: float, channels: int = 1) -> np.ndarray:
    """A stroke three columns wide and ten rows high, in the middle of uint8 `[1, 20, 20, C]`."""
    image = np.zeros((1, 20, 20, channels), np.uint8)
    for row in range(5, 15):
        first = int(np.floor(9.5 + columns_a_row * (row - 9.5)))
        image[0, row, first : first + 3] = 200
    return image

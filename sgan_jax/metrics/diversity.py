"""How much the images of a set differ from one another."""

import numpy as np


def distance(images: np.ndarray) -> float:
    """The root mean square difference of two different images of a set, a pixel and channel; 0 for a single image.

    The mean over all pairs is 2 n / (n - 1) times the variance, so that no pair is visited.

    Args:
      images: `[n, H, W, C]`.

    Returns:
      In units of the pixels.
    """
    count = len(images)
    if count < 2:
        return 0.0
    variance = np.var(images.reshape(count, -1).astype(np.float32), axis=0).mean(dtype=np.float64)
    return float(np.sqrt(2 * count / (count - 1) * variance))

"""How an image file becomes the pixels that a network takes: in training, in `predict`, and for exported classifiers.

This file needs NumPy and Pillow (10.4 or newer) only, and may be copied. Open a file, not its name: Pillow 13 misreads
some TIFFs by name, those that EXIF turns.

    with open("photo.jpg", "rb") as file, Image.open(file) as image:
        pixels = preprocess(image, channels=3, size=(28, 28))
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps


def preprocess(image: Image.Image, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """The pixels of an image as it is displayed; the first frame of several.

    Args:
      image: what `PIL.Image.open` returns.
      channels: 1 (grey) or 3 (RGB).
      size: (H, W) to resize to; the aspect ratio is not preserved.

    Returns:
      uint8 `[H, W, channels]`.

    Raises:
      ValueError: the image has not 8 or 16 bits a channel.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode}, not 8 or 16 bits a channel")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # Pillow would clip values above 255
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode == "LAB":  # Pillow converts it to RGB alone
        image = image.convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and (image.height, image.width) != size:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def steps(image_shape: tuple[int, int, int]) -> list[str]:
    """What `preprocess` does for a network that takes images `(H, W, C)`, a sentence for each step."""
    height, width, channels = image_shape
    colors = "grey (0.299 R + 0.587 G + 0.114 B)" if channels == 1 else "RGB"
    return [
        "decode the first frame; colour profiles are not applied",
        "turn the image by its EXIF orientation",
        "take the upper 8 of 16 bits",
        "put transparent parts over white",
        f"convert to {colors}",
        f"resize to a height of {height} and a width of {width} pixels by Pillow's Lanczos filter, which antialiases; "
        "the aspect ratio is not preserved",
        f"give uint8 of 0 to 255, [{height}, {width}, {channels}]; scaling is inside of the network",
    ]

"""Heights and widths of custom images, `(height, width)` in pixels throughout."""

from __future__ import annotations

from sgan_jax.config import LARGEST_IMAGE
from sgan_jax.errors import UserError

Size = tuple[int, int]

HOW_TO_RESIZE = "‹data.image_size› N (28, 32, 64, 96) or HEIGHTxWIDTH to resize all of them"


def size_text(size: Size) -> str:
    """The size as a user writes it: `28` for a square, else `20x36` (height x width)."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def check_custom_images(size: Size, where: object) -> None:
    """Checks that custom images are small enough to be trained on without resizing.

    Args:
      size: their height and width.
      where: the folder or file that contains them, for the message.

    Raises:
      UserError: they are too large.
    """
    height, width = size
    if max(size) > LARGEST_IMAGE:
        raise UserError(
            f"‹data.data_dir› {where}: images of {width} x {height} pixels; expected at most {LARGEST_IMAGE} x "
            f"{LARGEST_IMAGE}, or {HOW_TO_RESIZE}"
        )

"""What is too small or too large to be trained on, known to those who read images and to those who read flags."""

from sgan_jax.errors import UserError

SMALLEST_IMAGE = 8  # pixels of height or width
LARGEST_IMAGE = 512  # networks grow with its square
LARGEST_SIDE = 4096  # of images, or number of channels, in what was written by others


def check_image_size(size: int) -> None:
    """Refuses what `--image-size` does not take.

    Raises:
      UserError: it is too small or too large.
    """
    if not SMALLEST_IMAGE <= size <= LARGEST_IMAGE:
        raise UserError(f"‹data.image_size›: {size}; must be between {SMALLEST_IMAGE} and {LARGEST_IMAGE}")

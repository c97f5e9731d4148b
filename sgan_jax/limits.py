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


def check_own_images(shape: tuple[int, int, int], where: object) -> None:
    """Refuses images of one's own that are too large to be trained on as they are.

    Args:
      shape: (H, W, C).
      where: the folder or file that they are in.

    Raises:
      UserError: they are.
    """
    height, width, _ = shape
    if max(height, width) > LARGEST_IMAGE:
        raise UserError(
            f"‹data.data_dir› {where}: images of {width} x {height} pixels; expected at most {LARGEST_IMAGE} x "
            f"{LARGEST_IMAGE}, or ‹data.image_size› N (28, 32, 64, 96) to resize all of them"
        )

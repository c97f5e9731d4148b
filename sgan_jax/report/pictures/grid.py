"""Grids of images."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.report.pictures.canvas import write

_FRAME = 400  # milliseconds of an animation's frame
TILE = 64  # pixels up to which the tiles of a grid are enlarged


def save_grid(images: np.ndarray, path: str | Path, columns: int = 10, pad: int = 2) -> bytes:
    """Write images as the tiles of one PNG, whose bytes are returned; arguments as of `grid`.

    Raises:
        UserError: the file cannot be written.
        ValueError: images of another shape or type.
    """
    png = png_of(grid(images, columns, pad))
    write(path, png)
    return png


def save_animation(files: Sequence[Path], path: Path) -> None:
    """Write pictures of one size as the frames of a GIF that repeats; the last one stays longer.

    Raises:
        UserError: a picture is damaged or of another size, or the file cannot be written.
    """
    from PIL import Image

    frames = []
    for file in files:
        try:
            with Image.open(file) as picture:
                frames.append(picture.convert("L" if picture.mode == "L" else "RGB"))
        except (OSError, SyntaxError) as error:  # Pillow raises both of damaged files
            raise UserError(f"{file}: cannot be read ({error}); remove it") from error
        if frames[-1].size != frames[0].size:
            raise UserError(f"{file}: of another size than {files[0]}; remove one of them")
    times = [_FRAME] * (len(frames) - 1) + [5 * _FRAME]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    write(path, buffer.getvalue())


def png_of(pixels: np.ndarray) -> bytes:
    """A picture, uint8 [H,W,C] with C 1 or 3, as a PNG file's bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, with which the header of a PNG file begins."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def enlargement(height: int, width: int, most: int = TILE) -> int:
    """The largest whole factor by which an image of this size fits into a square of `most` pixels; at least 1."""
    return max(1, most // max(height, width))


def grid_width(png: bytes, height: int, width: int) -> int:
    """The width in pixels at which a page shows a grid with every pixel of its images equally large.

    Where `grid` enlarged the images by an even factor, that is half the width of the file: more grids fit on a page.

    Args:
        png: the file of a grid.
        height: of each image in the grid, before its enlargement.
        width: of each image.
    """
    whole, _ = size_of(png)
    return whole // 2 if enlargement(height, width) % 2 == 0 else whole


def grid(images: np.ndarray, columns: int = 10, pad: int = 2) -> np.ndarray:
    """Images as the tiles of one picture, uint8 [H',W',C], row by row, on black.

    Small images are enlarged by the largest whole factor that keeps a tile within 64 pixels (28 -> 56).

    Args:
        images: uint8 [N,H,W,C], C 1 (grey) or 3 (red, green, blue), N >= 1.
        columns: tiles in a row; fewer if there are fewer images.
        pad: pixels of the picture between tiles and around them.

    Raises:
        ValueError: images of another shape or type.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be uint8 [N,H,W,1 or 3], not {images.dtype} {list(images.shape)}")
    if columns < 1 or pad < 0:
        raise ValueError(f"columns must be at least 1 and pad at least 0, not {columns} and {pad}")
    factor = enlargement(*images.shape[1:3])
    tiles = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + pad) + pad, columns * (width + pad) + pad, channels), np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = pad + row * (height + pad), pad + column * (width + pad)
        canvas[top : top + height, left : left + width] = tile
    return canvas

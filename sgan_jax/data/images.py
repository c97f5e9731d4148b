"""One image file, whatever Pillow reads, as an array; and what is wrong with it where it cannot be one."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from sgan_jax.errors import reason

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000  # of a file; what is above is a bomb or a poster: a few kilobytes can unpack to gigabytes

_GREY = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N"})
_COLOR = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV"})
_SWAPPED = frozenset({5, 6, 7, 8})  # orientations of EXIF that lie on their side
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101
_PROGRAMS = frozenset({"EPS", "WMF"})  # pictures that are run: the former by Ghostscript, the latter by Windows
_AT_ONCE = 1000  # files given to the threads
_T = TypeVar("_T")


class BadImage(Exception):
    """A file is no image that can be used; its text says why, in a few words."""


class Header(NamedTuple):
    """What a file says of its image before it is decoded."""

    height: int
    width: int
    grey: bool


def read_header(path: Path) -> Header:
    """Height, width and kind of an image, as it is to be seen (cameras turn them by a mark in the file).

    Raises:
      BadImage: it is empty, no image, too large or of a mode that has no 8 bits to a channel.
    """
    from PIL.TiffImagePlugin import TiffImageFile

    with _opened(path) as image:
        width, height = image.size
        if isinstance(image, TiffImageFile):  # as stored: newer Pillows give the size of the turned image
            width, height = image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]
        if image.getexif().get(_ORIENTATION) in _SWAPPED:
            width, height = height, width
        return Header(height, width, image.mode in _GREY)


def read_image(path: Path, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """The image as uint8 `[H, W, channels]`; the first of several, transparent parts over white.

    Args:
      path: the file.
      channels: 1 (grey) or 3 (RGB).
      size: (H, W) to resize to; what is longer than that in one direction only is squeezed.

    Raises:
      BadImage: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    with _opened(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):  # Pillow would cut off what is above 255
            image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            over = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
        image = image.convert("L" if channels == 1 else "RGB")
        if size is not None and (image.height, image.width) != size:
            image = image.resize(size[::-1], Image.Resampling.LANCZOS)
        return np.asarray(image, np.uint8).reshape(image.height, image.width, channels)


def read_shaped(path: Path, shape: tuple[int, int, int], resized: bool) -> np.ndarray:
    """The image as uint8 of a shape (H, W, C).

    Raises:
      BadImage: it cannot be decoded, or is of another size and not to be resized: a damaged file's head may say one
        size and its pixels another.
    """
    image = read_image(path, shape[-1], shape[:2] if resized else None)
    if image.shape != shape:
        raise BadImage(f"{image.shape[1]} x {image.shape[0]} pixels when decoded, not {shape[1]} x {shape[0]}")
    return image


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 `[N, H, W, C]` (C 1 or 3) to `[N, size, size, C]`, as `read_image` resizes."""
    from PIL import Image

    resized = np.empty((len(images), size, size, images.shape[-1]), np.uint8)
    for out, image in zip(resized, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        out[:] = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS)).reshape(out.shape)
    return resized


def each(read: Callable[[Path], _T], paths: Sequence[Path]) -> Iterator[_T | BadImage]:
    """What `read` makes of each file, or the BadImage it raised, in order.

    Several at a time: Pillow decodes outside of Python's lock.
    """

    def attempt(path: Path) -> _T | BadImage:
        try:
            return read(path)
        except BadImage as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(paths), _AT_ONCE):  # or all images would be held twice
            yield from pool.map(attempt, paths[first : first + _AT_ONCE])


@cache
def _formats() -> list[str]:
    """What Pillow may take a file for, whatever it is called."""
    from PIL import Image

    Image.init()
    return [name for name in Image.ID if name not in _PROGRAMS]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file open in Pillow; whatever goes wrong with it meanwhile is a BadImage."""
    from PIL import Image, UnidentifiedImageError

    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise BadImage("a link to a folder" if stat.S_ISDIR(found.st_mode) else "no file")
        if found.st_size == 0:
            raise BadImage("empty file")
        # Of large images, which are refused below, and of odd metadata. Not for the time of the call alone: that would
        # change the filters of all threads, and one of them could restore those of another for good.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # By a file and not by its name: of turned TIFFs that are mapped into memory Pillow 13 makes stripes.
        with path.open("rb") as file, Image.open(file, formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImage(f"{width} x {height} pixels, more than {MAX_PIXELS // 10**6} million")
            if image.mode not in _GREY | _COLOR:
                raise BadImage(f"mode {image.mode}, not 8 or 16 bits a channel")
            yield image
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage("no image that Pillow reads") from None
    except Image.DecompressionBombError:
        raise BadImage(f"more than {MAX_PIXELS // 10**6} million pixels") from None
    except MemoryError:
        raise
    except OSError as error:
        raise BadImage(error.strerror or reason(error)[:80]) from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them: SyntaxError, struct.error
        raise BadImage(f"damaged ({type(error).__name__})") from None

"""Reads an image file of any format of Pillow as an array, or gives the reason why it cannot be used."""

from __future__ import annotations

import os
import stat
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

MAX_PIXELS = 64_000_000  # of a file; a larger image may be a decompression bomb: kilobytes that unpack to gigabytes

_GREY = frozenset({"1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N"})
_COLOR = frozenset({"P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV"})
_SWAPPED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101
_PROGRAMS = frozenset({"EPS", "WMF"})  # formats that Pillow has run as programs: by Ghostscript and by Windows
_CHUNK = 1000  # files given to the threads at a time
_T = TypeVar("_T")


class BadImage(Exception):
    """A file that cannot be used as an image; the message gives the reason in a few words."""


class Header(NamedTuple):
    """What the header of a file states about its image, which need not be decoded for it."""

    height: int  # pixels, after EXIF orientation
    width: int
    grey: bool  # one channel; else RGB
    deep: bool = False  # 16 bits a channel, of which 8 are used


def read_header(path: Path) -> Header:
    """Height, width and colour of an image as it is displayed, that is, after its EXIF orientation is applied.

    Raises:
      BadImage: the file is empty, not an image, too large or of a mode without 8 or 16 bits a channel.
    """
    from PIL.TiffImagePlugin import TiffImageFile

    with open_image(path) as image:
        width, height = image.size
        if isinstance(image, TiffImageFile):  # the stored size: newer versions of Pillow give that of the turned image
            width, height = image.tag_v2[_WIDTH], image.tag_v2[_HEIGHT]
        if image.getexif().get(_ORIENTATION) in _SWAPPED:
            width, height = height, width
        return Header(height, width, image.mode in _GREY, image.mode.startswith("I;16"))


def read_image(path: Path, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decodes an image; the first frame of several, with transparent parts over white.

    Args:
      path: the file.
      channels: 1 (grey) or 3 (RGB).
      size: (H, W) to resize to; the aspect ratio is not preserved.

    Returns:
      uint8 `[H, W, channels]`.

    Raises:
      BadImage: it cannot be decoded.
    """
    from sgan_jax.data.preprocess import preprocess

    with open_image(path) as image:
        return preprocess(image, channels, size)


def read_shaped(path: Path, shape: tuple[int, int, int], resized: bool) -> np.ndarray:
    """Decodes an image that must have a certain shape.

    Args:
      path: the file.
      shape: (H, W, C).
      resized: whether to resize images of other sizes.

    Returns:
      uint8 of the shape.

    Raises:
      BadImage: it cannot be decoded, or has another size and is not to be resized. The header of a damaged file may
        state another size than its pixels have.
    """
    image = read_image(path, shape[-1], shape[:2] if resized else None)
    if image.shape != shape:
        raise BadImage(f"{image.shape[1]} x {image.shape[0]} pixels when decoded, not {shape[1]} x {shape[0]}")
    return image


def resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes images with the filter of `read_image`.

    Args:
      images: uint8 `[N, H, W, C]`, C 1 or 3.
      size: the new height and width.

    Returns:
      uint8 `[N, *size, C]`.
    """
    from PIL import Image

    from sgan_jax.data.preprocess import preprocess

    channels = images.shape[-1]
    resized = np.empty((len(images), *size, channels), np.uint8)
    for out, image in zip(resized, images, strict=True):
        out[:] = preprocess(Image.fromarray(image[..., 0] if channels == 1 else image), channels, size)
    return resized


def each(read: Callable[[Path], _T], paths: Sequence[Path]) -> Iterator[_T | BadImage]:
    """Yields `read(path)` of each file, or the BadImage that it raised, in order.

    Threads read several files at a time, since Pillow releases Python's lock while it decodes.
    """

    def attempt(path: Path) -> _T | BadImage:
        try:
            return read(path)
        except BadImage as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(paths), _CHUNK):  # in chunks, or the pool would hold all images at once
            yield from pool.map(attempt, paths[first : first + _CHUNK])


@cache
def _formats() -> list[str]:
    """The formats that Pillow may recognise in a file, whatever the file's name."""
    from PIL import Image

    Image.init()
    return [name for name in Image.ID if name not in _PROGRAMS]


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens a file in Pillow; whatever fails while it is open raises BadImage.

    Pillow may warn of large images and of odd metadata. The library leaves these warnings alone: filters are those of
    all threads of a process. The command line ignores them.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
            raise BadImage("a link to a folder" if stat.S_ISDIR(status.st_mode) else "no file")
        if status.st_size == 0:
            raise BadImage("empty file")
        # An open file, not its name: Pillow 13 turns TIFFs that it maps into memory into stripes.
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
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # the latter where warnings are errors
        raise BadImage(f"more than {MAX_PIXELS // 10**6} million pixels") from None
    except MemoryError:
        raise
    except OSError as error:
        raise BadImage(error.strerror or reason(error)[:80]) from None
    except Exception as error:  # Pillow's decoders raise many types for damaged files: SyntaxError, struct.error
        raise BadImage(f"damaged ({type(error).__name__})") from None

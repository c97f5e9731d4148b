"""Image files of many kinds, of which careless programs read other pixels than are displayed."""

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

ORIENTATION = 0x0112


def noise(height: int, width: int, channels: int, seed: int = 0) -> Image.Image:
    """Random pixels in blocks, so that they survive JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, channels), np.uint8)
    pixels = blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def deep(height: int, width: int, bits: int) -> np.ndarray:
    """Random grey values of so many bits."""
    return np.random.default_rng(bits).integers(0, 2**bits, (height, width)).astype(np.uint16)


def turned(orientation: int) -> Image.Exif:
    """EXIF data that say how the image is to be turned."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def lab(image: Image.Image) -> Image.Image:
    """The image in the colour space LAB."""
    srgb, space = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.applyTransform(image, ImageCms.buildTransform(srgb, space, "RGB", "LAB"))


def write_awkward(folder: Path, height: int, width: int) -> list[Path]:
    """Writes the files; `height` and `width` are those of the network that is to take them."""
    color, grey = partial(noise, 24, 40, 3), noise(24, 40, 1)
    palette = color(1).quantize(16)
    files = {
        "as_it_is.png": (noise(height, width, 3), {}),
        "photo.jpg": (color(2), {}),
        "grey.png": (grey, {}),
        "grey.jpg": (grey, {}),
        "alpha.png": (noise(24, 40, 4), {}),
        "alpha.webp": (noise(24, 40, 4, 3), {"lossless": True}),
        "grey_alpha.png": (noise(24, 40, 4).convert("LA"), {}),
        "transparent_color.png": (color(4), {"transparency": color(4).getpixel((0, 0))}),
        "palette.png": (palette, {}),
        "palette_alpha.png": (palette, {"transparency": bytes(range(0, 256, 16))}),
        "palette.gif": (palette, {"save_all": True, "append_images": [color(5).quantize(16)]}),
        "one_bit.png": (grey.convert("1"), {}),
        "deep.png": (Image.fromarray(deep(20, 30, 16)), {}),
        "deep.tiff": (Image.fromarray(deep(20, 30, 16).astype(">u2")), {}),
        "twelve_bits.png": (Image.fromarray(deep(20, 30, 12)), {}),
        "turned.jpg": (color(6), {"exif": turned(6)}),
        "turned.png": (color(7), {"exif": turned(5)}),
        "turned.tiff": (color(8), {"exif": turned(8)}),
        "turned_deep.tiff": (Image.fromarray(deep(20, 30, 16)), {"exif": turned(6)}),
        "cmyk.jpg": (color(9).convert("CMYK"), {}),
        "cmyk.tiff": (color(9).convert("CMYK"), {"compression": "tiff_lzw"}),
        "lab.tiff": (lab(color(10)), {}),
        "larger.png": (Image.fromarray(np.random.default_rng(11).integers(0, 256, (201, 303, 3), np.uint8)), {}),
        "smaller.png": (noise(4, 8, 3, 12), {}),
        "upright.bmp": (noise(80, 12, 3, 13), {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (image, options) in files.items():
        image.save(folder / name, **options)
    return [folder / name for name in files]

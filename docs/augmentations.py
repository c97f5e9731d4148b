"""Draws augmentation.png: four draws of each augmentation of one generated picture.

`bin/_python docs/augmentations.py` writes it.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw

from sgan_jax.augment.strengths import Strengths
from sgan_jax.augment.views import view_of
from sgan_jax.models.pixels import scale

PAGE = Path(__file__).parent / "augmentation.png"
SIDE, DRAWS, GAP, TEXT = 48, 4, 4, 150
SHOWN: dict[str, Strengths] = {
    "none": Strengths(),
    "crop 6": Strengths(crop=6),
    "extra mirror": Strengths(extra=("mirror",)),
    "rotation 30": Strengths(rotation=30.0),
    "shear 0.3": Strengths(shear=0.3),
    "scale 0.3": Strengths(scale=0.3),
    "shift 8": Strengths(shift=8.0),
    "shift 8, border reflect": Strengths(shift=8.0, border="reflect"),
    "elastic 1.5": Strengths(elastic=1.5),
    "brightness 0.5": Strengths(brightness=0.5),
    "contrast 0.8": Strengths(contrast=0.8),
    "saturation 1": Strengths(saturation=1.0),
    "hue 0.2": Strengths(hue=0.2),
    "sharpness 1": Strengths(sharpness=1.0),
    "blur 1.5": Strengths(blur=1.5),
    "posterize 6": Strengths(posterize=6),
    "solarize 0.8": Strengths(solarize=0.8),
    "invert 0.5": Strengths(invert=0.5),
    "autocontrast 0.5": Strengths(autocontrast=0.5),
    "equalize 0.5": Strengths(equalize=0.5),
    "cutout 16": Strengths(cutout=16),
    "cutout 16, fill grey": Strengths(cutout=16, fill="grey"),
    "random 1, grey": Strengths(random=1, border="grey"),
    "random 2, cutout 16, grey": Strengths(random=2, border="grey", cutout=16, fill="grey"),
}


def picture() -> np.ndarray:
    """A house under the sun, uint8 `[SIDE, SIDE, 3]`; without full black or white."""
    large = Image.new("RGB", (4 * SIDE, 4 * SIDE))
    pixels = np.linspace((70, 110, 190), (170, 190, 215), 4 * SIDE)[:, None].repeat(4 * SIDE, axis=1)
    large.paste(Image.fromarray(pixels.astype(np.uint8)))
    draw = ImageDraw.Draw(large)
    draw.ellipse((136, 16, 172, 52), fill=(230, 205, 80))
    draw.rectangle((0, 140, 192, 192), fill=(75, 130, 60))
    draw.rectangle((36, 84, 124, 160), fill=(190, 165, 135))
    draw.polygon([(24, 84), (80, 36), (136, 84)], fill=(165, 60, 50))
    draw.rectangle((50, 104, 74, 128), fill=(60, 75, 105))
    draw.rectangle((90, 112, 112, 160), fill=(95, 65, 45))
    return np.asarray(large.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def main() -> None:
    """Draws a row for each entry, in two columns."""
    images = jnp.tile(scale(jnp.asarray(picture())), (DRAWS, 1, 1, 1))
    rows = -(-len(SHOWN) // 2)
    width = TEXT + DRAWS * (SIDE + GAP)
    sheet = Image.new("RGB", (2 * width, rows * (SIDE + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (name, strengths) in enumerate(SHOWN.items()):
        left, top = number // rows * width, number % rows * (SIDE + GAP)
        draw.text((left + GAP, top + SIDE // 2 - 6), name, fill="black")
        views = np.asarray(view_of(strengths)(images, jax.random.key(1)))
        for place, view in enumerate(np.clip((views + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)):
            sheet.paste(Image.fromarray(view), (left + TEXT + place * (SIDE + GAP), top))
    sheet.quantize(128, dither=Image.Dither.NONE).save(PAGE, optimize=True)


if __name__ == "__main__":
    main()

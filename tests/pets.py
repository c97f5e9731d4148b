"""A small folder of custom images."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 8


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    """Noise of a size, (width, height) as in Pillow."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode=None)


def write(folder: Path, mode: str = "L", size: tuple[int, int] = (SIZE, SIZE), test: bool = True) -> Path:
    """Writes 3 cats, 2 dogs and 4 unlabelled images, and 2 cats and 1 dog for the test; no two are the same."""
    counts = {"cat": 3, "dog": 2, "unlabelled": 4} | ({"test/cat": 2, "test/dog": 1} if test else {})
    seed = 0
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture(seed, mode, size).save(folder / name / f"{number}.png")
            seed += 1
    return folder


def make(folder: Path, content: dict[str, int | str]) -> Path:
    """Writes so many images into each folder, "." included, and text into each file; no two images are the same."""
    seed = 0
    for name, what in content.items():
        if isinstance(what, str):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(what, encoding="utf-8")
            continue
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(what):
            picture(seed, "L").save(folder / name / f"{number}.png")
            seed += 1
    return folder

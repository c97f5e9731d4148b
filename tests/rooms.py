"""A user's own images, easy to tell apart, and a run that was trained on them."""

from functools import cache
from pathlib import Path

import numpy as np
from outer import shared, succeed
from PIL import Image

SIZE = 12
TINY = ("--preset", "supervised", "--width", 8, "--batch-size", 4, "--steps-per-epoch", 20, "--learning-rate", 0.003)


def picture(kind: str, seed: int) -> Image.Image:
    """Noise, brighter above ("sky") or below ("floor")."""
    pixels = np.random.default_rng(seed).integers(0, 80, (SIZE, SIZE, 3))
    pixels[: SIZE // 2 if kind == "sky" else SIZE] += 100 if kind == "sky" else 0
    if kind == "floor":
        pixels[SIZE // 2 :] += 100
    return Image.fromarray(pixels.astype(np.uint8))


@cache
def rooms() -> Path:
    """A folder as users have it, with 5 and 3 labels, 40 unlabelled images and 20 to test on; one file is bad."""
    return shared("rooms", _draw)[0]


def _draw(folder: Path) -> str:
    seed = 0
    counts = {("floor", "floor"): 5, ("sky", "sky"): 3, ("test/floor", "floor"): 10, ("test/sky", "sky"): 10}
    counts |= {("unlabelled", "floor"): 20, ("unlabelled/more", "sky"): 20}
    for (where, kind), count in counts.items():
        (folder / where).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            picture(kind, seed).save(folder / where / f"{seed}.png")
            seed += 1
    (folder / "sky" / "bad.png").write_text("no image")
    return ""


@cache
def trained() -> tuple[Path, str]:
    """A folder in which a user has trained on them, and what that printed."""
    return shared("own", lambda here: succeed("train", *TINY, "--epochs", 2, "--data-dir", rooms(), cwd=here))


RUN = Path("runs/rooms-8-supervised-s0")

"""Generates images with a run's generator. The data set is not needed."""

from pathlib import Path

import jax
import numpy as np

from sgan_jax.engine.system import derive_keys
from sgan_jax.errors import UserError
from sgan_jax.report import pictures
from sgan_jax.runs.opened import Opened

MAX_SAMPLES = 1000  # they are generated as one batch, which takes about 3 MB an image


def generate(opened: Opened, count: int, seed: int | None = None) -> np.ndarray:
    """Generated images, uint8 `[count, H, W, C]`.

    Args:
      opened: the run, opened at a checkpoint.
      count: how many, 1 to MAX_SAMPLES.
      seed: of the latents, 32 bits; None for the latents of the run's own sample grids.

    Raises:
      UserError: `count` or `seed` is out of range.
    """
    if not 1 <= count <= MAX_SAMPLES:
        raise UserError(f"‹count›: {count}; must be between 1 and {MAX_SAMPLES}")
    if seed is not None and not 0 <= seed < 2**32:
        raise UserError(f"‹seed›: {seed}; must be between 0 and 4294967295")
    keys = derive_keys(opened.config.seed if seed is None else seed)
    return opened.system.generate(opened.state.model("g"), keys.samples, count)


def generate_many(opened: Opened, count: int) -> np.ndarray:
    """Generated images of the run's own latents, uint8 `[count, H, W, C]`, MAX_SAMPLES at a time.

    Args:
      opened: the run, opened at a checkpoint.
      count: how many; the first ones are the same for any number.
    """
    key, model = derive_keys(opened.config.seed).samples, opened.state.model("g")
    batches = range(-(-count // MAX_SAMPLES))
    # Of one size: where layers normalise over the batch, an image depends on how many there are.
    made = [opened.system.generate(model, jax.random.fold_in(key, batch), MAX_SAMPLES) for batch in batches]
    return np.concatenate(made)[:count]


def sample(opened: Opened, count: int = 100, seed: int | None = None, out: Path | None = None) -> Path:
    """Draws a grid of generated images as a PNG.

    Args:
      opened: the run, opened at a checkpoint.
      count: as of `generate`.
      seed: as of `generate`.
      out: the file; by default among the run's own sample grids.

    Returns:
      The file.

    Raises:
      UserError: `count` or `seed` is out of range, or the file cannot be written.
    """
    images = generate(opened, count, seed)
    path = out or opened.run.sample_file(opened.step).with_name(f"step_{opened.step}-sample.png")
    pictures.save_grid(images, path)
    return path

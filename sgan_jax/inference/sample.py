"""Generates images with a run's generator. The data set is not needed."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.engine.system import LARGEST_BATCH, SMALLEST_BATCH, System, derive_keys
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.report import pictures
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened

WALK = 10  # images from one latent vector to another: a row of a grid
_GRID = re.compile(r"step_(\d+)\.png")
MAX_ARRAYS = 100_000  # images of a file of arrays
MAX_SAMPLES = LARGEST_BATCH  # of a grid: they are generated as one batch


def generate(opened: Opened, count: int, seed: int | None = None, label: str | None = None) -> np.ndarray:
    """Generated images, uint8 `[count, H, W, C]`.

    Args:
      opened: the run, opened at a checkpoint.
      count: how many, 1 to MAX_SAMPLES.
      seed: of the latents, 32 bits; None for the latents of the run's own sample grids.
      label: the class of all images; by default, where the generator is conditional, each row of a grid has another.

    Raises:
      UserError: `count` or `seed` is out of range, or the generator does not draw that class.
    """
    if not 1 <= count <= MAX_SAMPLES:
        raise UserError(f"‹count›: {count}; must be between 1 and {MAX_SAMPLES}")
    system = opened.system
    classes = (
        system.in_rows(count)
        if label is None
        else np.full(count, class_asked(opened.system, opened.class_names, label))
    )
    return system.generate(system.drawing(opened.state), _samples_key(opened, seed), count, classes)


def class_asked(system: System, names: Sequence[Any], label: Any) -> int:
    """The index of a class that a generator is asked for.

    Args:
      system: whose generator it is.
      names: of the classes.
      label: one of them.

    Raises:
      UserError: the generator draws no class on request, or there is no such class.
    """
    if not system.gen.classes:
        raise UserError(f"‹class›: {label}; this generator draws no class on request; that of ‹preset› both does")
    if label not in names:
        raise UserError(f"‹class›: {label}; expected one of {', '.join(map(str, names))}")
    return list(names).index(label)


def _samples_key(opened: Opened, seed: int | None) -> jax.Array:
    if seed is not None and not 0 <= seed < 2**32:
        raise UserError(f"‹seed›: {seed}; must be between 0 and 4294967295")
    return derive_keys(opened.config.seed if seed is None else seed).samples


def generate_many(opened: Opened, count: int, seed: int | None = None) -> np.ndarray:
    """Generated images, uint8 `[count, H, W, C]`, of latents that the run's seed fixes.

    Those of a conditional generator are of one class after the other, again and again.

    Args:
      opened: the run, opened at a checkpoint.
      count: how many; the first ones are the same for any number.
      seed: as of `generate`.

    Raises:
      UserError: `seed` is out of range.
    """
    return opened.system.draw(opened.state, _samples_key(opened, seed), count)


def classes_of_many(opened: Opened, count: int) -> np.ndarray | None:
    """The classes of the images of `generate_many`, int64 `[count]`; None where the generator is unconditional."""
    classes = opened.system.gen.classes
    return np.arange(count) % LARGEST_BATCH % classes if classes else None


def walk(opened: Opened, count: int, seed: int | None = None, label: str | None = None) -> np.ndarray:
    """Generated images between pairs of latents, WALK of each pair: the first and last are of the two themselves.

    Between them latents are interpolated along an arc. Those in the middle of a straight line would be shorter than
    the latents of training (White, arXiv 1609.04468, section 2.1).

    Args:
      opened: the run, opened at a checkpoint.
      count: how many images; a multiple of WALK, up to MAX_SAMPLES.
      seed: as of `generate`.
      label: as of `generate`.

    Returns:
      uint8 `[count, H, W, C]`.

    Raises:
      UserError: `count` or `seed` is out of range, or the generator does not draw that class.
    """
    if count % WALK or not WALK <= count <= MAX_SAMPLES:
        raise UserError(f"‹count›: {count}; must be a multiple of {WALK} up to {MAX_SAMPLES} for a walk")
    key, model, size = _samples_key(opened, seed), opened.system.drawing(opened.state), opened.system.gen.input_shape
    # Where layers normalise over the batch, most of it has to be as in training, and the same for each row.
    others = jax.random.normal(key, (SMALLEST_BATCH, *size))
    fixed = None if label is None else class_asked(opened.system, opened.class_names, label)
    number = opened.system.gen.classes

    def row(index: int) -> np.ndarray:
        start, end = jax.random.normal(jax.random.fold_in(key, index), (2, 1, *size))
        latents = between(start, end, jnp.linspace(0.0, 1.0, WALK)[:, None])
        classes = np.full(WALK, index % number if fixed is None else fixed) if number else None
        return opened.system.generate_from(model, jnp.concatenate([latents, others]), classes)[:WALK]

    return np.concatenate([row(index) for index in range(count // WALK)])


def between(start: jax.Array, end: jax.Array, part: jax.Array) -> jax.Array:
    """The point after `part`, 0 to 1, of the arc from one vector to another, or of a line if they are parallel."""
    lengths = jnp.linalg.norm(start, axis=-1, keepdims=True) * jnp.linalg.norm(end, axis=-1, keepdims=True)
    cosine = (start * end).sum(axis=-1, keepdims=True) / lengths
    angle = jnp.arccos(cosine.clip(-1.0, 1.0))
    parallel = jnp.sin(angle) < 1e-4  # no arc leads from one to the other, or the arc is a line
    sine = jnp.where(parallel, 1.0, jnp.sin(angle))
    arc = (jnp.sin((1 - part) * angle) * start + jnp.sin(part * angle) * end) / sine
    return jnp.where(parallel, (1 - part) * start + part * end, arc)


def sample(opened: Opened, images: np.ndarray, kind: str = "sample", out: Path | None = None) -> Path:
    """Draws generated images as a grid, a PNG.

    Args:
      opened: the run, opened at a checkpoint.
      images: uint8 `[N, H, W, C]`.
      kind: of images, part of the file's name.
      out: the file; by default among the run's own sample grids.

    Returns:
      The file.

    Raises:
      UserError: the file cannot be written.
    """
    path = out or opened.run.sample_file(opened.step).with_name(f"step_{opened.step}-{kind}.png")
    pictures.save_grid(images, path)
    return path


def save_arrays(opened: Opened, count: int, out: Path, seed: int | None = None) -> Path:
    """Writes generated images as an .npz file that `train` reads: `x_train` and, by class, `y_train`.

    Args:
      opened: the run, opened at a checkpoint.
      count: how many, 1 to MAX_ARRAYS.
      out: the file.
      seed: as of `generate`.

    Returns:
      The file.

    Raises:
      UserError: `count` or `seed` is out of range, or the file cannot be written.
    """
    if not 1 <= count <= MAX_ARRAYS:
        raise UserError(f"‹count›: {count}; must be between 1 and {MAX_ARRAYS}")
    arrays = {"x_train": generate_many(opened, count, seed)}
    classes = classes_of_many(opened, count)
    if classes is not None:
        arrays["y_train"] = np.asarray(opened.class_names)[classes]
    archive = io.BytesIO()
    np.savez_compressed(archive, **arrays)  # type: ignore[arg-type]
    write_atomically(out, archive.getvalue())
    return out


def animate(run: RunDir, out: Path | None = None) -> Path:
    """Makes an animation of a run's sample grids, which training drew after each epoch from the same latents.

    Args:
      run: the run directory.
      out: the GIF; by default beside the grids.

    Returns:
      The file.

    Raises:
      UserError: there are no grids, one is damaged or of another size, or the file cannot be written.
    """
    folder = run.sample_file(0).parent
    steps = sorted(int(match[1]) for path in folder.glob("step_*.png") if (match := _GRID.fullmatch(path.name)))
    if not steps:
        raise UserError(f"{folder}: no sample grids; `train` draws one after each epoch")
    path = out or folder / "training.gif"
    pictures.save_animation([run.sample_file(step) for step in steps], path)
    return path

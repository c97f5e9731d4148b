"""RandAugment (Cubuk et al., arXiv 1909.13719): a few operations for each image, drawn from a pool.

The pool and its ranges are those of FixMatch (Sohn et al., arXiv 2001.07685, appendix), whose magnitudes are drawn for
each image. The operations of an image are different ones, and are applied in the order of the tables rather than of
the draw: so one pass over the images applies any number of them, and one interpolation makes all moves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sgan_jax.augment.operations import OPERATIONS, applied
from sgan_jax.augment.spatial import Move

# Least and largest amount, drawn uniformly.
COLOURS: dict[str, tuple[float, float]] = {
    "equalize": (1.0, 1.0),
    "autocontrast": (1.0, 1.0),
    "sharpness": (0.05, 0.95),
    "contrast": (0.05, 0.95),
    "brightness": (0.05, 0.95),
    "saturation": (0.05, 0.95),
    "posterize": (4.0, 9.0),  # whole bits, 4 to 8
    "solarize": (0.0, 256.0),
}
MOVES: dict[str, tuple[float, float]] = {
    "rotation": (-30.0, 30.0),  # degrees
    "shear_rows": (-0.3, 0.3),  # of a row, by its distance from the middle one
    "shear_columns": (-0.3, 0.3),
    "shift_rows": (-0.3, 0.3),  # fraction of the height
    "shift_columns": (-0.3, 0.3),  # fraction of the width
}
POOL: dict[str, tuple[float, float]] = {"identity": (0.0, 0.0), **MOVES, **COLOURS}


class Drawn(NamedTuple):
    """What each of B images gets; by the name of the operation."""

    chosen: dict[str, jax.Array]  # bool [B]
    amounts: dict[str, jax.Array]  # float32 [B]


def draw(key: jax.Array, count: int, number: int) -> Drawn:
    """`number` different operations of the pool for each of `count` images, and the amounts of all."""
    k_choice, k_amounts = jax.random.split(key)
    order = jax.random.uniform(k_choice, (count, len(POOL)))
    chosen = (order[:, :, None] > order[:, None, :]).sum(axis=-1) < number  # ranks; sorting takes seconds to compile
    parts = jax.random.uniform(k_amounts, (count, len(POOL)))
    amounts = {name: low + (high - low) * parts[:, i] for i, (name, (low, high)) in enumerate(POOL.items())}
    drawn = Drawn({name: chosen[:, i] for i, name in enumerate(POOL)}, amounts)
    return jax.lax.optimization_barrier(drawn)  # or XLA draws once for each pixel


def moved(drawn: Drawn, size: tuple[int, int]) -> Move:
    """All moves of each image as one, for images of this height and width: sheared, rotated, then shifted."""
    amounts = {name: jnp.where(drawn.chosen[name], drawn.amounts[name], 0.0) for name in MOVES}
    angle = amounts["rotation"] * jnp.pi / 180
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    along, down = amounts["shear_rows"], amounts["shear_columns"]
    # Rotation after (1, down; 0, 1) after (1, 0; along, 1), of (row, column).
    rows = jnp.stack([cos * (1 + down * along) - sin * along, cos * down - sin], axis=1)
    columns = jnp.stack([sin * (1 + down * along) + cos * along, sin * down + cos], axis=1)
    shift = jnp.stack([amounts["shift_rows"] * size[0], amounts["shift_columns"] * size[1]], axis=1)
    return Move(jnp.stack([rows, columns], axis=1), shift)


def recoloured(images: jax.Array, drawn: Drawn) -> jax.Array:
    """The images after the operations on pixels' values that were drawn for them."""
    for name in COLOURS:
        images = applied(OPERATIONS[name], images, drawn.amounts[name], drawn.chosen[name])
    return jax.lax.optimization_barrier(images)

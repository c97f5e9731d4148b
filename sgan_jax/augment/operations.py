"""The table of operations on pixels' values: how their amounts are drawn, in the order in which they are applied."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sgan_jax.augment import colour
from sgan_jax.augment.strengths import Strengths

Amounts = Callable[[jax.Array, int, float], jax.Array]  # (key, number of images B, strength) -> float32 [B]


class Operation(NamedTuple):
    """An augmentation with an amount for every image, and how the amounts follow from a strength."""

    apply: Callable[[jax.Array, jax.Array], jax.Array]  # (images [B, H, W, C], amounts [B]) -> images
    amounts: Amounts
    reads_others: bool = False  # a pixel of the result depends on other pixels than that one


def _factor(key: jax.Array, count: int, strength: float) -> jax.Array:
    return jax.random.uniform(key, (count,), minval=max(0.0, 1.0 - strength), maxval=1.0 + strength)


def _either_way(key: jax.Array, count: int, strength: float) -> jax.Array:
    return jax.random.uniform(key, (count,), minval=-strength, maxval=strength)


def _up_to(key: jax.Array, count: int, strength: float) -> jax.Array:
    return jax.random.uniform(key, (count,), maxval=strength)


def _applied(key: jax.Array, count: int, strength: float) -> jax.Array:
    return jax.random.bernoulli(key, strength, (count,)).astype(jnp.float32)


def _bits(key: jax.Array, count: int, strength: float) -> jax.Array:
    return 8.0 - jax.random.randint(key, (count,), 0, int(strength) + 1).astype(jnp.float32)


def _threshold(key: jax.Array, count: int, strength: float) -> jax.Array:
    return 256.0 * jax.random.uniform(key, (count,), minval=1.0 - strength, maxval=1.0)


# By the field of Strengths. Those that read other pixels come first: XLA computes all after them in one pass.
OPERATIONS: dict[str, Operation] = {
    "equalize": Operation(colour.equalize, _applied, reads_others=True),
    "autocontrast": Operation(colour.autocontrast, _applied, reads_others=True),
    "blur": Operation(colour.blur, _up_to, reads_others=True),
    "sharpness": Operation(colour.sharpness, _factor, reads_others=True),
    "contrast": Operation(colour.contrast, _factor, reads_others=True),
    "brightness": Operation(colour.brightness, _factor),
    "saturation": Operation(colour.saturation, _factor),
    "hue": Operation(colour.hue, _either_way),
    "posterize": Operation(colour.posterize, _bits),
    "solarize": Operation(colour.solarize, _threshold),
    "invert": Operation(colour.invert, _applied),
}


def coloured(images: jax.Array, key: jax.Array, strengths: Strengths) -> jax.Array:
    """The images after every operation of the table that has a strength, each image with amounts of its own."""
    keys = {name: jax.random.fold_in(key, number) for number, name in enumerate(OPERATIONS)}
    used = {name: strength for name in OPERATIONS if (strength := getattr(strengths, name))}
    for name, strength in used.items():
        amounts = OPERATIONS[name].amounts(keys[name], len(images), strength)
        images = applied(OPERATIONS[name], images, amounts)
    return jax.lax.optimization_barrier(images) if used else images


def applied(operation: Operation, images: jax.Array, amounts: jax.Array, chosen: jax.Array | None = None) -> jax.Array:
    """The images after an operation; with `chosen`, bool `[B]`, the others as they are."""
    # Without barriers XLA draws an amount once for each pixel, and computes the operations before this one once for
    # each pixel that this one reads.
    amounts = jax.lax.optimization_barrier(amounts)
    images = jax.lax.optimization_barrier(images) if operation.reads_others else images
    changed = operation.apply(images, amounts)
    return changed if chosen is None else jnp.where(chosen.reshape(-1, 1, 1, 1), changed, images)

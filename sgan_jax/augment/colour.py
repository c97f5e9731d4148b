"""Augmentations of pixels' values, each with an amount for every image; the arithmetic is Pillow's.

Images are float32 `[B, H, W, C]` in [-1, 1], which stand for the 8-bit levels 0 to 255; amounts are float32 `[B]`.
Results are not rounded to levels, except where an operation is defined on these.
"""

import jax
import jax.numpy as jnp

_LEVELS = 256


def brightness(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Light times a factor: 0 is black, 1 changes nothing."""
    return _blended(images, jnp.full((1, 1, 1, 1), -1.0), factors)


def contrast(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Distance from the image's mean grey times a factor: 0 is that grey, 1 changes nothing."""
    return _blended(images, _grey(images.mean(axis=(1, 2), keepdims=True)), factors)


def saturation(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Distance from the pixel's grey times a factor: 0 is a grey image, 1 changes nothing; Pillow's `Color`.

    Images that do not have three channels stay as they are.
    """
    return _blended(images, _grey(images), factors) if images.shape[-1] == 3 else images


def hue(images: jax.Array, turns: jax.Array) -> jax.Array:
    """Hue (of HSV) moved by a fraction of a turn: 1/3 makes red green, and green blue.

    Images that do not have three channels stay as they are.
    """
    if images.shape[-1] != 3:
        return images
    red, green, blue = jnp.split(images, 3, axis=-1)
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    divisor = jnp.where(chroma > 0, chroma, 1.0)
    of_others = jnp.where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor)
    sextant = jnp.where(value == red, (green - blue) / divisor, of_others) + 6.0 * _each(turns)
    place = sextant + jnp.array([5.0, 3.0, 1.0]).reshape(1, 1, 1, 3)
    place = place - 6.0 * jnp.floor(place / 6.0)
    return value - chroma * jnp.clip(jnp.minimum(place, 4.0 - place), 0.0, 1.0)


def sharpness(images: jax.Array, factors: jax.Array) -> jax.Array:
    """Distance from the smoothed image times a factor: 0 is smooth, 1 changes nothing, 2 is sharper.

    The smoothed image is the mean of 3 x 3 pixels, of which the middle one counts five times. Its outermost pixels are
    those of the image.
    """
    height, width = images.shape[1:3]
    rows = images[:, :-2] + images[:, 1:-1] + images[:, 2:]
    squares = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    smooth = jnp.pad((squares + 4.0 * images[:, 1:-1, 1:-1]) / 13.0, ((0, 0), (1, 1), (1, 1), (0, 0)))
    row, column = jnp.arange(height).reshape(1, -1, 1, 1), jnp.arange(width).reshape(1, 1, -1, 1)
    outermost = (row == 0) | (row == height - 1) | (column == 0) | (column == width - 1)
    return _blended(images, jnp.where(outermost, images, smooth), factors)


def blur(images: jax.Array, deviations: jax.Array) -> jax.Array:
    """Gaussian blur with standard deviations in pixels; pixels outside of the frame have no weight."""

    def weights(length: int) -> jax.Array:  # of each place for each place of a line, [B, length, length]
        place = jnp.arange(length).astype(jnp.float32)
        squares = ((place.reshape(-1, 1) - place.reshape(1, -1)) ** 2).reshape(1, length, length)
        gaussian = jnp.exp(-squares / (2.0 * jnp.maximum(deviations, 1e-3).reshape(-1, 1, 1) ** 2))
        return gaussian / gaussian.sum(axis=-1, keepdims=True)

    height, width = images.shape[1:3]
    columns = jnp.einsum("byv,bvxc->byxc", weights(height), images, precision="highest")
    return jnp.einsum("bxu,byuc->byxc", weights(width), columns, precision="highest")


def posterize(images: jax.Array, bits: jax.Array) -> jax.Array:
    """Levels with their highest bits only, 1 to 8 of them; fractions of a bit do not count."""
    step = jnp.exp2(8.0 - jnp.minimum(jnp.floor(_each(bits)), 8.0))
    return _of_levels(jnp.floor(_levels(images) / step) * step)


def solarize(images: jax.Array, thresholds: jax.Array) -> jax.Array:
    """Pixels inverted where their level is the threshold, 0 to 256, or above it."""
    return jnp.where(_levels(images) < _each(thresholds), images, -images)


def invert(images: jax.Array, applied: jax.Array) -> jax.Array:
    """The negatives of the images of which `applied` is not 0."""
    return jnp.where(_each(applied) != 0, -images, images)


def autocontrast(images: jax.Array, applied: jax.Array) -> jax.Array:
    """Each channel from black to white, in the images of which `applied` is not 0.

    A channel of one level stays as it is.
    """
    low, high = images.min(axis=(1, 2), keepdims=True), images.max(axis=(1, 2), keepdims=True)
    changes = (_each(applied) != 0) & (high > low)
    return jnp.where(changes, (images - low) * (2.0 / jnp.where(high > low, high - low, 1.0)) - 1.0, images)


def equalize(images: jax.Array, applied: jax.Array) -> jax.Array:
    """Each channel with its histogram as flat as a map of levels makes it, where `applied` is not 0.

    A channel with too few pixels below its brightest level stays as it is.
    """
    batch, height, width, channels = images.shape
    levels = _levels(images).astype(jnp.int32).reshape(batch, -1, channels)
    image, channel = jnp.arange(batch).reshape(-1, 1, 1), jnp.arange(channels).reshape(1, 1, -1)
    counts = jnp.zeros((batch, _LEVELS, channels), jnp.int32).at[image, levels, channel].add(1)
    # Without barriers XLA computes the histogram once for each use of it.
    counts = jax.lax.optimization_barrier(counts)
    below = jnp.cumsum(counts, axis=1) - counts
    brightest = jnp.take_along_axis(counts, levels.max(axis=1, keepdims=True), axis=1)
    step = (height * width - brightest) // (_LEVELS - 1)
    table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), _LEVELS - 1)
    table = jnp.where(step > 0, table, jnp.arange(_LEVELS).reshape(1, -1, 1))
    table = jax.lax.optimization_barrier(_of_levels(table.astype(jnp.float32)))
    equal = jnp.take_along_axis(table, levels, axis=1, mode="promise_in_bounds").reshape(images.shape)
    return jnp.where(_each(applied) != 0, equal, images)


def _blended(images: jax.Array, other: jax.Array, factors: jax.Array) -> jax.Array:
    """`other` for a factor of 0, the images for 1, and beyond them above 1; Pillow's `ImageEnhance`."""
    return jnp.clip(other + _each(factors) * (images - other), -1.0, 1.0)


def _grey(images: jax.Array) -> jax.Array:
    """Luma of red, green and blue (ITU-R 601-2), `[B, H, W, 1]`; of other channels, their mean."""
    if images.shape[-1] != 3:
        return images.mean(axis=-1, keepdims=True)
    return 0.299 * images[..., :1] + 0.587 * images[..., 1:2] + 0.114 * images[..., 2:]


def _each(amounts: jax.Array) -> jax.Array:
    """`[B]` to `[B, 1, 1, 1]`."""
    return amounts.reshape(-1, 1, 1, 1)


def _levels(images: jax.Array) -> jax.Array:
    """The nearest 8-bit levels, as floats."""
    return jnp.clip(jnp.round((images + 1.0) * 127.5), 0.0, 255.0)


def _of_levels(levels: jax.Array) -> jax.Array:
    """The inverse of `_levels`."""
    return levels / 127.5 - 1.0

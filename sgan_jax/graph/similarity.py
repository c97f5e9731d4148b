"""How similar two images are, whatever their classes.

Two measures. `deformation_distances` is small where small displacements of pixels turn one image into the other, as
handwriting varies. `orientation_histograms` are close where edges of the same direction lie in the same cells of the
image, as in pictures of objects.
"""

import jax
import jax.numpy as jnp

# The layout of `orientation_histograms`; a change of it is a change of `neighbours.ORIENTATIONS_VERSION`.
_CELLS = 7  # along the longer side of an image
_DIRECTIONS = 8


def deformation_distances(images: jax.Array, others: jax.Array, reach: int) -> tuple[jax.Array, jax.Array]:
    """Compares images pair by pair where pixels may be displaced: the image distortion model, in both directions.

    Each pixel of an image takes the displacement for which the 3 x 3 neighbourhoods in both images differ least. It
    takes it independently of its neighbours. The distance is not symmetric: a stroke that only one of the two images
    has adds to the distance of that image, and nothing to the distance of the other one. Both directions compare the
    same neighbourhoods, so the second direction costs next to nothing.

    Args:
      images: derivatives as `gradients` computes them, `[B, H, W, G]`.
      others: the other image of each pair, `[B, H, W, G]`. It is padded by zeros, to which pixels may be displaced.
      reach: the largest displacement along each axis, in pixels.

    Returns:
      Two float32 `[B, H]`: the least squared differences of the pixels of `images`, and of those of `others`, each
      summed over a row of pixels.

    References:
      Keysers, Deselaers, Gollan and Ney, "Deformation models for image recognition", IEEE TPAMI 29, 2007, section 3.4.
    """
    # The batch axis is the last, so that memory is read in order, and the loop takes one displacement at a time, so
    # that its arrays stay in the processor's cache. XLA would compute what is summed over neighbourhoods once for each
    # of its uses, and the sum over G as a loop within the loop: thus it is six times as fast on a CPU.
    images, others = (jnp.transpose(x, (3, 1, 2, 0)) for x in (images, others))
    channels, height, width, count = images.shape
    padded = jnp.pad(others, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    side = 2 * reach + 1

    def displace(number: jax.Array, least: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        of_images, of_others = least
        down, across = number // side, number % side
        displaced = jax.lax.dynamic_slice(padded, (0, down, across, 0), images.shape)
        squares = jnp.square(images[0] - displaced[0])
        for channel in range(1, channels):
            squares = squares + jnp.square(images[channel] - displaced[channel])
        differences = _neighbourhood_sums(squares)
        window = jax.lax.dynamic_slice(of_others, (down, across, 0), differences.shape)
        of_others = jax.lax.dynamic_update_slice(of_others, jnp.minimum(window, differences), (down, across, 0))
        return jnp.minimum(of_images, differences), of_others

    shapes = (height, width, count), (height + 2 * reach, width + 2 * reach, count)
    start = tuple(jnp.full(shape, jnp.inf) for shape in shapes)
    of_images, of_others = jax.lax.fori_loop(0, side * side, displace, start)
    return of_images.sum(axis=1).T, of_others[reach : reach + height, reach : reach + width].sum(axis=1).T


def _neighbourhood_sums(values: jax.Array) -> jax.Array:
    """Sums over 3 x 3 pixels of `[H, W, ...]`, padded by zeros."""
    padded = jax.lax.optimization_barrier(jnp.pad(values, [(1, 1), (1, 1), *[(0, 0)] * (values.ndim - 2)]))
    rows = jax.lax.optimization_barrier(padded[:-2] + padded[1:-1] + padded[2:])
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def blurred(images: jax.Array) -> jax.Array:
    """Blurs uint8 images `[B, H, W, C]`: float32 means over 3 x 3 pixels in 0..1, padded by zeros."""
    sums = _neighbourhood_sums(jnp.transpose(images.astype(jnp.float32) / 255.0, (1, 2, 0, 3)))
    return jnp.transpose(sums, (2, 0, 1, 3)) / 9.0


def deslanted(images: jax.Array) -> jax.Array:
    """Removes the slant of handwriting: shifts rows sideways until a pixel's row and column have no covariance.

    A slant of more than 45 degrees is treated as one of 45 degrees. What a shift moves out of the image is lost.

    Args:
      images: uint8 `[B, H, W, C]`, bright strokes on a dark background.

    Returns:
      uint8 `[B, H, W, C]`.

    References:
      LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86,
      1998, section III.A: deslanting by moments.
    """
    pixels = images.astype(jnp.float32)
    ink = pixels.sum(axis=3)
    ink = ink / jnp.maximum(ink.sum(axis=(1, 2), keepdims=True), 1.0)
    down, across = (jnp.arange(size, dtype=jnp.float32)[None] for size in ink.shape[1:])
    down = down - (ink.sum(axis=2) * down).sum(axis=1, keepdims=True)
    across = across - (ink.sum(axis=1) * across).sum(axis=1, keepdims=True)
    covariance = jnp.einsum("bhw,bh,bw->b", ink, down, across)
    variance = (ink.sum(axis=2) * jnp.square(down)).sum(axis=1)
    slant = jnp.clip(covariance / jnp.maximum(variance, 1e-6), -1.0, 1.0)
    return _shift_rows(pixels, slant[:, None] * down)


def _shift_rows(pixels: jax.Array, shifts: jax.Array) -> jax.Array:
    """Shifts each row of `[B, H, W, C]` to the left by `[B, H]` columns, with linear interpolation, as uint8."""
    width = pixels.shape[2]
    source = jnp.arange(width, dtype=jnp.float32)[None, None] + shifts[:, :, None]  # [B, H, W]: the column to read
    left = jnp.floor(source)
    padded = jnp.pad(pixels, ((0, 0), (0, 0), (1, 1), (0, 0)))

    def column(number: jax.Array) -> jax.Array:
        number = jnp.clip(number.astype(jnp.int32) + 1, 0, width + 1)
        return jnp.take_along_axis(padded, number[..., None], axis=2)

    fraction = (source - left)[..., None]
    return jnp.round((1.0 - fraction) * column(left) + fraction * column(left + 1.0)).astype(jnp.uint8)


def gradients(images: jax.Array) -> jax.Array:
    """Sobel derivatives of uint8 images in 0..1: `[B, H, W, C]` to `[B, H, W, 2 C]`, down first, then across."""
    x = jnp.pad(images.astype(jnp.float32) / 255.0, ((0, 0), (1, 1), (1, 1), (0, 0)))

    def smooth(x: jax.Array, axis: int) -> jax.Array:
        first, middle, last = _three(x, axis)
        return (first + 2.0 * middle + last) / 4.0

    def slope(x: jax.Array, axis: int) -> jax.Array:
        first, _, last = _three(x, axis)
        return last - first

    return jnp.concatenate([slope(smooth(x, 2), 1), slope(smooth(x, 1), 2)], axis=-1)


def _three(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Each inner position's predecessor, itself and its successor along an axis."""
    end = x.shape[axis]
    first, middle, last = (jax.lax.slice_in_dim(x, k, end - 2 + k, axis=axis) for k in range(3))
    return first, middle, last


def orientation_histograms(images: jax.Array) -> jax.Array:
    """Describes images by how much of each edge direction each cell contains.

    The gradient of each pixel counts by its length, for the directions near its own, in the pixel's cell. The square
    roots of all these sums form a vector, scaled to length 1.

    Args:
      images: uint8 `[B, H, W, C]`.

    Returns:
      float32 `[B, F]`: 8 directions for each cell, with 7 cells along the longer side of an image.

    References:
      After Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
    """
    count, height, width, _ = images.shape
    down, across = jnp.split(gradients(images), 2, axis=-1)
    length, angle = jnp.hypot(down, across) + 1e-6, jnp.arctan2(down, across)
    side = -(-max(height, width) // _CELLS)
    rows, columns = -(-height // side), -(-width // side)
    histograms = []
    for direction in range(_DIRECTIONS):
        closeness = jnp.maximum(jnp.cos(angle - 2.0 * jnp.pi * direction / _DIRECTIONS), 0.0) ** 4
        votes = (closeness * length).sum(axis=-1)
        votes = jnp.pad(votes, ((0, 0), (0, rows * side - height), (0, columns * side - width)))
        histograms.append(votes.reshape(count, rows, side, columns, side).sum(axis=(2, 4)))
    roots = jnp.sqrt(jnp.stack(histograms, axis=-1)).reshape(count, -1)
    return roots / jnp.linalg.norm(roots, axis=1, keepdims=True)

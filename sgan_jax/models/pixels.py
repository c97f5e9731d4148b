"""How pixels of uint8 images become the numbers that networks take."""

import jax
import jax.numpy as jnp


def scale(images: jax.Array) -> jax.Array:
    """uint8 images to float32 in [-1, 1]."""
    return (images.astype(jnp.float32) - 127.5) / 127.5

"""The tutorial's networks as they are by default, and quick parameters, for tests of the networks."""

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.tutorial import discriminator, generator
from sgan_jax.types import Net, Params

MNIST = (28, 28, 1)
DISC = discriminator(MNIST, 10, HEADS["stacked"])
GEN = generator(MNIST)


def size(params: Params) -> int:
    """How many numbers these are."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def shapes(net: Net) -> Params:
    """Parameters as shapes and dtypes."""
    return jax.eval_shape(net.init, jax.random.key(0))


def drawn(net: Net, seed: int = 0) -> Params:
    """Parameters from NumPy, where it does not matter which: quicker than to compile `init`."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(-0.3, 0.3, leaf.shape), leaf.dtype), shapes(net))


def shallow(name: str) -> dict[str, int]:
    """What a discriminator of these networks takes to compile quickly: one block a stage, where it has more."""
    return {"blocks": 1} if name == "wide_residual" else {}

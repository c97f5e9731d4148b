"""A discriminator and a generator with known answers, for tests of objectives."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.types import Batch, Bound, DiscOut, Move, Terms

HALF = 4  # labelled images of a batch
LAB = jnp.full((HALF, 2, 2, 1), 1.0)
UNL = jnp.full((HALF, 2, 2, 1), 2.0)
BATCH = Batch(LAB, jnp.array([0, 1, 2, 0], jnp.int32), UNL)

# What the discriminator below says of every image: class shares of 1/8, 2/8, 5/8; and the odds of "real" by its source.
SHARES = np.array([1, 2, 5]) / 8
ODDS = {"lab": 3.0, "unl": 4.0, "fake": 1 / 9}


class Players:
    """A discriminator and a generator with known answers, which note what they were asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []  # source and number of images, as the discriminator got them
        self.keys: dict[str, Any] = {}

    def disc(self, images: jax.Array, key: jax.Array | None) -> DiscOut:
        traced = isinstance(images, jax.core.Tracer)  # which is done to generated images alone
        source = "fake" if traced else {1.0: "lab", 2.0: "unl", 3.0: "fake"}[float(images[0, 0, 0, 0])]
        self.seen.append((source, len(images)))
        self.keys[f"{source} {len(self.seen)}"] = key
        size = len(images)
        class_logits = jnp.asarray(np.log(np.tile(SHARES, (size, 1))), jnp.float32)
        real_logit = jnp.asarray(np.full(size, np.log(ODDS[source])), jnp.float32)
        return DiscOut(images.reshape(size, -1), class_logits, real_logit)

    def teach(self, images: jax.Array, key: jax.Array | None) -> DiscOut:
        raise AssertionError("no objective here has a teacher")

    def gen(self, latents: jax.Array) -> jax.Array:
        return jnp.full((len(latents), 2, 2, 1), 3.0)

    def latents(self, key: jax.Array, count: int) -> jax.Array:
        self.keys[f"latents {len(self.keys)}"] = key
        return jnp.zeros((count, 1))

    def bound(self) -> Bound:
        return Bound(self.disc, self.gen, self.teach, self.latents)


def play(move: Move) -> tuple[Terms, Players]:
    players = Players()
    return move.terms(players.bound(), BATCH, jax.random.key(0)), players


def numbers(values: dict[str, jax.Array]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}

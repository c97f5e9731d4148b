"""A discriminator and a generator with known outputs, for tests of objectives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.types import Aux, Batch, Bound, DiscOut, Move, Terms

SIZE = 4  # images of each source in a batch
LAB = jnp.full((SIZE, 2, 2, 1), 1.0)
UNL = jnp.full((SIZE, 2, 2, 1), 2.0)


def batch_of(lab_images: jax.Array, unl_images: jax.Array, pseudo_labels: jax.Array | None = None) -> Batch:
    """A batch of these images; labels are 0, 1, 2, 0, 1, ..."""
    labels = jnp.arange(len(lab_images), dtype=jnp.int32) % 3
    return Batch(lab_images, labels, unl_images, jnp.arange(len(unl_images), dtype=jnp.int32), pseudo_labels)


BATCH = batch_of(LAB, UNL)

# What the discriminator below predicts for every image, and the odds of "real" by the image's source.
PROBABILITIES = np.array([1, 2, 5]) / 8
ODDS = {"lab": 3.0, "unl": 4.0, "fake": 1 / 9}

Discriminate = Callable[[jax.Array, jax.Array | None], DiscOut]


def no_teacher(images: jax.Array, key: jax.Array | None) -> DiscOut:
    """In the place of a teacher, for objectives that must not use one."""
    raise AssertionError("this objective has no teacher")


def no_latents(key: jax.Array, count: int) -> jax.Array:
    """Latents of one zero each."""
    return jnp.zeros((count, 1))


def bound(
    disc: Discriminate,
    gen: Callable[[jax.Array], jax.Array] = lambda latents: latents,
    teacher: Discriminate = no_teacher,
    latents: Callable[[jax.Array, int], jax.Array] = no_latents,
    aux: Aux | None = None,
) -> Bound:
    """The two players, as a move gets them."""
    return Bound({"d": disc, "g": gen}, {"d": teacher}, lambda key, count: (latents(key, count),), aux or {})


class Players:
    """A discriminator and a generator with known outputs, which record their inputs."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, int]] = []  # source and number of images of each call of the discriminator
        self.keys: dict[str, Any] = {}

    def disc(self, images: jax.Array, key: jax.Array | None) -> DiscOut:
        traced = isinstance(images, jax.core.Tracer)  # only generated images are
        source = "fake" if traced else {1.0: "lab", 2.0: "unl", 3.0: "fake"}[float(images[0, 0, 0, 0])]
        self.inputs.append((source, len(images)))
        self.keys[f"{source} {len(self.inputs)}"] = key
        size = len(images)
        class_logits = jnp.asarray(np.log(np.tile(PROBABILITIES, (size, 1))), jnp.float32)
        real_logit = jnp.asarray(np.full(size, np.log(ODDS[source])), jnp.float32)
        return DiscOut(images.reshape(size, -1), class_logits, real_logit)

    def teacher(self, images: jax.Array, key: jax.Array | None) -> DiscOut:
        assert key is None, "a teacher has no dropout"
        return self.disc(images, jax.random.key(99 + len(self.inputs)))

    def gen(self, latents: jax.Array, classes: jax.Array | None = None) -> jax.Array:
        return jnp.full((len(latents), 2, 2, 1), 3.0)

    def latents(self, key: jax.Array, count: int) -> jax.Array:
        self.keys[f"latents {len(self.keys)}"] = key
        return no_latents(key, count)

    def bound(self, of_pairs: bool = False) -> Bound:
        two = bound(self.disc, self.gen, latents=self.latents)
        if not of_pairs:
            return two
        return two._replace(players={**two.players, "p": self.disc}, teachers={"d": self.teacher})


def play(move: Move, of_pairs: bool = False) -> tuple[Terms, Players]:
    """The move's terms, with players of known outputs; `of_pairs` with a discriminator of pairs and a teacher."""
    players = Players()
    return move.terms(players.bound(of_pairs), BATCH, jax.random.key(0)), players


def numbers(values: dict[str, jax.Array]) -> dict[str, float]:
    """Scalars as plain numbers."""
    return {name: float(value) for name, value in values.items()}

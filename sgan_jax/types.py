"""The nouns of the engine, with their shapes.

B: batch, K: classes, F: features; H, W, C: height, width and channels of an image.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Params = Any  # a nested dictionary of arrays, as Flax Linen makes it


class Data(NamedTuple):
    """All that training may see, resident on the device. Labels of unlabelled images are not in it.

    `unl_shares` is what `propagation` makes of the labels that are known; None where it is not asked for.
    """

    lab_images: jax.Array  # uint8 [L, H, W, C]
    lab_labels: jax.Array  # int32 [L]
    unl_images: jax.Array  # uint8 [N, H, W, C]
    unl_shares: jax.Array | None = None  # float32 [N, K], each row adding up to 1


class Batch(NamedTuple):
    """What one step draws from `Data`; images scaled to [-1, 1]. U is B, or more where an objective wants it."""

    lab_images: jax.Array  # float32 [B, H, W, C]
    lab_labels: jax.Array  # int32 [B]
    unl_images: jax.Array  # float32 [U, H, W, C]
    unl_shares: jax.Array | None = None  # float32 [U, K]


class DiscOut(NamedTuple):
    """The seam between a head and an objective."""

    features: jax.Array  # [B, F], what the trunk's last layer makes of each image
    class_logits: jax.Array  # [B, K]; K = 0 for a head without a classifier
    real_logit: jax.Array  # [B], log-odds of "real"


class Players(NamedTuple):
    """Discriminator and generator."""

    d: Params
    g: Params


class TrainState(NamedTuple):
    """All that a resume needs: randomness is derived from the seed and `step`, never stored."""

    step: jax.Array  # int32 [], steps taken so far
    params: Players
    opt: dict[str, Any]  # one optimiser state a slot
    ema: Players  # exponential moving average of the parameters


class Layer(NamedTuple):
    """A row of a network's description."""

    name: str
    kind: str
    output: tuple[int | None, ...]  # None is the batch
    parameters: int
    inputs: tuple[int, ...] = ()  # rows that feed this one; () is the row before


class Net(NamedTuple):
    """A network as two pure functions.

    `init(key)` makes parameters; `init(key, examples)`, with inputs as `apply` gets them, may scale layers by them. A
    discriminator's `apply(params, images, key)` takes float images `[B, H, W, C]` and a key for dropout (None: no
    dropout) and returns a `DiscOut`. A generator's `apply(params, latents)` takes `[B, latent]` and returns images
    `[B, H, W, C]` in [-1, 1].
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    input_shape: tuple[int, ...]  # without the batch
    layers: Callable[[], list[Layer]]


Discriminate = Callable[[jax.Array, jax.Array | None], DiscOut]  # (images, key) with parameters bound
Generate = Callable[[jax.Array], jax.Array]  # latents -> images, with parameters bound
DrawLatents = Callable[[jax.Array, int], jax.Array]  # (key, count) -> latents [count, latent]


class Bound(NamedTuple):
    """The networks as a move sees them, with their parameters bound."""

    disc: Discriminate
    gen: Generate
    teacher: Discriminate  # the discriminator with averaged parameters, which are constants to a move
    latents: DrawLatents

    def generate(self, key: jax.Array, count: int) -> jax.Array:
        """`count` images of fresh latents."""
        return self.gen(self.latents(key, count))


class Terms(NamedTuple):
    """What a move computes: its loss is the sum of `loss`; `watch` is reported and not descended.

    Names are `player/term`, such as "d/real": they are those of the metrics.
    """

    loss: dict[str, jax.Array]
    watch: dict[str, jax.Array]


def merge(terms: dict[str, jax.Array], more: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Both together.

    Raises:
      ValueError: a name is in both: one would hide the other.
    """
    if twice := terms.keys() & more.keys():
        raise ValueError(f"two terms of an objective are named {', '.join(sorted(twice))}: one would hide the other")
    return terms | more


class Move(NamedTuple):
    """A player descends on some terms with its optimiser slot, or both do at once; who has no slot is constant."""

    slots: dict[str, str]  # {"d": "c"}: the discriminator, with the state in `TrainState.opt["c"]`
    terms: Callable[[Bound, Batch, jax.Array], Terms]


Objective = tuple[Move, ...]

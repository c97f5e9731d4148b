"""The nouns of the engine, with their shapes.

B: batch, K: classes, F: features; H, W, C: height, width and channels of an image.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax

Params = Any  # a nested dictionary of arrays, as Flax Linen makes it
Statistics = Any  # a nested dictionary of arrays that a network updates itself, such as running means; None without any
Aux = dict[str, Any]  # state that is not a parameter, by name
STATISTICS = "/statistics"  # after a player's name: "d/statistics" in `Aux`
AVERAGED_STATISTICS = "/averaged_statistics"  # those of the player with averaged parameters


class Data(NamedTuple):
    """All that training may see, resident on the device. Labels of unlabelled images are not in it."""

    lab_images: jax.Array  # uint8 [L, H, W, C]
    lab_labels: jax.Array  # int32 [L]
    unl_images: jax.Array  # uint8 [N, H, W, C]
    pseudo_labels: jax.Array | None = None  # float32 [N, K], class probabilities; None where there are none
    lab_weights: jax.Array | None = None  # float32 [L], by which all classes count equally; None where each image does


class Batch(NamedTuple):
    """What one step draws from `Data`; images scaled to [-1, 1]. U is B, or more where the configuration sets it."""

    lab_images: jax.Array  # float32 [B, H, W, C]
    lab_labels: jax.Array  # int32 [B]
    unl_images: jax.Array  # float32 [U, H, W, C]
    unl_indices: jax.Array  # int32 [U], of the images in `Data.unl_images`
    pseudo_labels: jax.Array | None = None  # float32 [U, K]
    lab_weights: jax.Array | None = None  # float32 [B], of the labelled images' losses, 1 on average; None: 1 each

    def first_unlabelled(self, count: int) -> "Batch":
        """The batch with its first `count` unlabelled images only, and what belongs to them."""
        pseudo_labels = None if self.pseudo_labels is None else self.pseudo_labels[:count]
        cut = self.unl_images[:count], self.unl_indices[:count]
        return self._replace(unl_images=cut[0], unl_indices=cut[1], pseudo_labels=pseudo_labels)


class DiscOut(NamedTuple):
    """The seam between a head and an objective."""

    features: jax.Array  # [B, F], what the trunk's last layer makes of each image
    class_logits: jax.Array  # [B, K]; K = 0 for a head without a classifier
    real_logit: jax.Array  # [B], log-odds of "real"
    statistics: Statistics = None  # as this batch changed them; None of a network without any


class Model(NamedTuple):
    """A player after training: its parameters, and its statistics where it has any."""

    params: Params
    statistics: Statistics = None


class TrainState(NamedTuple):
    """All that a resume needs: randomness is derived from the seed and `step`, never stored."""

    step: jax.Array  # int32 [], steps taken
    params: dict[str, Params]  # by player: "d" the discriminator, "g" the generator, and others that an objective has
    opt: dict[str, Any]  # one optimiser state a slot
    ema: dict[str, Params]  # exponential moving average of the parameters
    aux: Aux  # state that is not a parameter; empty where there is none

    def model(self, player: str, averaged: bool = False) -> Model:
        """A player, with its last or its averaged parameters, and with the statistics of these.

        Averaged parameters have the last ones' statistics where no move hands on any of theirs.
        """
        statistics = self.aux.get(f"{player}{STATISTICS}")
        if averaged:
            return Model(self.ema[player], self.aux.get(f"{player}{AVERAGED_STATISTICS}", statistics))
        return Model(self.params[player], statistics)


class Layer(NamedTuple):
    """A row of a network's description."""

    name: str
    kind: str
    output: tuple[int | None, ...]  # None is the batch
    parameters: int
    inputs: tuple[int, ...] = ()  # rows that feed this one; () is the row before


class Net(NamedTuple):
    """A network as pure functions.

    `init(key)` makes parameters; `init(key, examples)`, with inputs as `apply` gets them, may scale layers by them. A
    discriminator's `apply(params, images, key)` takes float images `[B, H, W, C]` and a key for dropout (None: no
    dropout, as after training) and returns a `DiscOut`. A generator's `apply(params, latents)` takes `[B, latent]` and
    returns images `[B, H, W, C]` in [-1, 1]; a conditional one takes the classes, int32 `[B]`, after the latents. A
    network with `statistics` takes them as the argument of that name, and `training`: whether it normalises by the
    batch instead, be there a key or not. A discriminator returns the new ones in its `DiscOut`.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    input_shape: tuple[int, ...]  # without the batch
    layers: Callable[[], list[Layer]]
    statistics: Callable[[], Statistics] | None = None  # makes the first ones
    by_example: bool = True  # whether an output depends on its own input only, and not on others of the batch
    output_layer: str = ""  # the layer of the logits or pixels, by its name in the parameters
    classes: int = 0  # K of a generator that draws the class asked for; 0 of an unconditional one

    def inputs(self, key: jax.Array, count: int) -> tuple[jax.Array, ...]:
        """What a generator takes, drawn anew: latents `[count, latent]` and, where it is conditional, their classes."""
        latents = jax.random.normal(key, (count, *self.input_shape))
        if not self.classes:
            return (latents,)
        return latents, jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, self.classes)

    def bound(self, model: Model, training: bool = False) -> Callable[..., Any]:
        """`apply` with parameters and, where it has any, statistics, in training or after it."""
        if self.statistics is None:
            return partial(self.apply, model.params)
        return partial(self.apply, model.params, statistics=model.statistics, training=training)


Discriminate = Callable[[jax.Array, jax.Array | None], DiscOut]  # (images, key) with parameters bound
Generate = Callable[..., jax.Array]  # latents, perhaps with classes -> images; with parameters bound
DrawInputs = Callable[[jax.Array, int], tuple[jax.Array, ...]]  # as `Net.inputs`


class Bound(NamedTuple):
    """The networks as a move sees them, with their parameters bound."""

    players: Mapping[str, Callable[..., Any]]  # every player's network
    teachers: Mapping[str, Callable[..., Any]]  # with averaged parameters, which are constants to a move
    inputs: DrawInputs  # of the generator
    aux: Aux  # as the step began, with what earlier moves of the step changed

    @property
    def disc(self) -> Discriminate:
        """The discriminator."""
        return self.players["d"]

    @property
    def gen(self) -> Generate:
        """The generator."""
        return self.players["g"]

    @property
    def teacher(self) -> Discriminate:
        """The discriminator with averaged parameters."""
        return self.teachers["d"]

    def generate(self, key: jax.Array, count: int) -> jax.Array:
        """`count` images of fresh latents, and of random classes where the generator is conditional."""
        return self.gen(*self.inputs(key, count))

    def generate_classes(self, key: jax.Array, classes: jax.Array) -> jax.Array:
        """An image of each of the classes, int32 `[B]`, by a conditional generator."""
        return self.gen(self.inputs(key, len(classes))[0], classes)


class Terms(NamedTuple):
    """What a move computes: its loss is the sum of `loss`; `watch` is reported and not descended.

    Names are `player/term`, such as "d/real": they are those of the metrics. `aux` replaces what the state has under
    the same names.
    """

    loss: dict[str, jax.Array]
    watch: dict[str, jax.Array]
    aux: Aux = {}  # noqa: RUF012


class Metrics(NamedTuple):
    """The terms of a step's moves by name, what was descended and what was only watched apart."""

    loss: dict[str, Any]
    watch: dict[str, Any]


def merge(terms: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both together.

    Raises:
      ValueError: a name is in both: one would hide the other.
    """
    if twice := terms.keys() & more.keys():
        raise ValueError(f"two terms of an objective are named {', '.join(sorted(twice))}: one would hide the other")
    return terms | more


class Move(NamedTuple):
    """Players descend on some terms, each with its optimiser slot; a player without a slot is constant."""

    slots: dict[str, str]  # {"d": "c"}: the discriminator, with the state in `TrainState.opt["c"]`
    terms: Callable[[Bound, Batch, jax.Array], Terms]
    aux: Aux = {}  # noqa: RUF012 - first values of the state that the terms hand on


Objective = tuple[Move, ...]

"""Resolves a configuration into networks, objective and optimiser: the last place that sees it."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sgan_jax.augment.spatial import Limits
from sgan_jax.config import AugmentConfig, Config, choose
from sgan_jax.engine import optimizers
from sgan_jax.engine.devices import Team, resolve_precision
from sgan_jax.engine.step import TrainStep, draw, init_state, make_train_step, take
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.models.ops import convolutions
from sgan_jax.objectives.table import OBJECTIVES, with_augmentation, with_consistency
from sgan_jax.types import Data, Net, Objective, Params, TrainState

SMALLEST_BATCH = 100  # of generated images


class Keys(NamedTuple):
    """The run's keys; everything random is derived from one of them and the step."""

    init: jax.Array
    train: jax.Array
    samples: jax.Array


def derive_keys(seed: int) -> Keys:
    """Three keys of one seed."""
    return Keys(*jax.random.split(jax.random.key(seed), 3))


class System(NamedTuple):
    """What is trained, and how."""

    disc: Net
    gen: Net
    objective: Objective
    optimizers: dict[str, optax.GradientTransformation]  # by the player
    classifies: bool
    half_batch: int  # labelled images that a step draws
    unlabelled: int  # unlabelled ones
    ema_decay: float  # of the averaged parameters

    def init(self, key: jax.Array, examples: jax.Array | None = None) -> TrainState:
        """A fresh state; `examples` are some of the images, uint8, by which networks may scale their layers."""
        return init_state(key, self.disc, self.gen, self.objective, self.optimizers, examples)

    def abstract_state(self) -> TrainState:
        """Shapes and dtypes of the state, without computing it."""
        return jax.eval_shape(self.init, jax.random.key(0))

    def abstract_arguments(self, labelled: int, unlabelled: int) -> tuple[TrainState, Data, jax.Array]:
        """What a step takes, as shapes and dtypes, of so many images in the data."""
        shape = self.disc.input_shape

        def data() -> Data:
            lab, unl = (jnp.zeros((count, *shape), jnp.uint8) for count in (labelled, unlabelled))
            return Data(lab, jnp.zeros(labelled, jnp.int32), unl)

        return self.abstract_state(), jax.eval_shape(data), jax.random.key(0)

    def train_step(self, team: Team | None = None, streamed: bool = False) -> TrainStep:
        """The step, not compiled; its work shared by the devices of `team`.

        Where it is streamed, the data's unlabelled images are those of this step.
        """
        disc, gen = (team.spread(net) if team else net for net in (self.disc, self.gen))
        return make_train_step(
            disc,
            gen,
            self.objective,
            self.optimizers,
            self.half_batch,
            self.ema_decay,
            self.unlabelled,
            take if streamed else draw,
        )


def check_names(config: Config) -> None:
    """Refuses an unknown head or objective, or two that do not fit, before any data is fetched.

    Raises:
      UserError: names it and what there is to choose from.
    """
    choose(NETWORKS, config.model.networks, "networks")
    head = choose(HEADS, config.model.head, "head")
    recipe = choose(OBJECTIVES, config.objective, "objective")
    if (recipe.needs_classifier or config.consistency.weight) and not head.classifies:
        fitting = ", ".join(sorted(name for name, other in HEADS.items() if other.classifies))
        what = f"objective '{config.objective}'" if recipe.needs_classifier else "consistency"
        raise UserError(f"head '{config.model.head}' has no classes, which {what} is made of; choose one of {fitting}")


def build(
    config: Config, image_shape: tuple[int, int, int], classes: int, maps: convolutions.Maps | None = None
) -> System:
    """The system that `config` describes.

    Args:
      config: preset with the user's changes.
      image_shape: (H, W, C).
      classes: K.
      maps: how the layers compute; by default as is fast where JAX runs.

    Raises:
      UserError: an unknown head or objective, two that do not fit, or images that the networks do not fit.
    """
    check_names(config)
    head = HEADS[config.model.head]
    maps = maps or convolutions.maps_for(jax.default_backend(), resolve_precision(config.precision))
    objective = OBJECTIVES[config.objective].objective(head.classifies)
    limits = Limits(**dataclasses.asdict(config.augment))
    if config.augment != AugmentConfig():
        objective = with_augmentation(objective, limits)
    if config.consistency.weight:
        objective = with_consistency(objective, limits, config.consistency.weight, config.consistency.threshold)
    model, made = config.model, NETWORKS[config.model.networks]
    return System(
        disc=made.discriminator(image_shape, classes, head, model.width, model.dropout, maps),
        gen=made.generator(image_shape, model.latent, model.width, maps),
        objective=objective,
        optimizers=_optimizers(config),
        classifies=head.classifies,
        half_batch=config.batch_size // 2,
        unlabelled=config.unlabelled or config.batch_size // 2,
        ema_decay=config.ema_decay,
    )


def _optimizers(config: Config) -> dict[str, optax.GradientTransformation]:
    """Adam, and Muon for the discriminator's hidden layers where the configuration has a rate for it."""

    def rate(peak: float) -> float | optax.Schedule:
        return optax.cosine_decay_schedule(peak, config.total_steps) if adam.schedule == "cosine" else peak

    adam, muon = config.adam, config.muon
    ours = optimizers.adam(rate(adam.learning_rate), adam.beta1, adam.beta2, adam.epsilon, adam.epsilon_root)
    disc = optimizers.muon(rate(muon.learning_rate), muon.momentum, ours) if muon.learning_rate else ours
    return {"d": disc, "g": ours}


def sample_images(gen: Net, params: Params, key: jax.Array, count: int) -> np.ndarray:
    """`count` generated images as uint8 `[count, H, W, C]`; the same key gives the same latents."""
    # At least so many at once: where layers are normalised over the batch, an image of a few is another than of many.
    latents = jax.random.normal(key, (max(count, SMALLEST_BATCH), *gen.input_shape))
    images = jax.jit(gen.apply)(params, latents)[:count]
    return np.asarray(jnp.clip(jnp.round((images + 1.0) * 127.5), 0, 255).astype(jnp.uint8))

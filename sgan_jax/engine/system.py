"""Resolves a configuration into networks, objective and optimisers: the last place that knows the configuration."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sgan_jax.augment.strengths import Strengths
from sgan_jax.augment.views import AUGMENTATIONS, View, view_of
from sgan_jax.config import (
    SETTINGS,
    AugmentConfig,
    Config,
    ConsistencyConfig,
    DataConfig,
    ModelConfig,
    PropagationConfig,
    choose,
)
from sgan_jax.engine import optimizers
from sgan_jax.engine.devices import Team, available, resolve_precision
from sgan_jax.engine.memory import trim_growth
from sgan_jax.engine.step import (
    Recipe,
    TrainStep,
    draw,
    init_state,
    make_train_step,
    owners,
    repeat,
    take,
    updates_a_step,
)
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.models.layers import with_moments_of
from sgan_jax.models.networks.table import NETWORKS, settings_of_some_networks
from sgan_jax.models.ops import convolutions
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.alignment import ALIGNMENTS
from sgan_jax.objectives.modifiers import PseudoLabels, on_fewer, with_augmentation, with_consistency
from sgan_jax.objectives.table import OBJECTIVES
from sgan_jax.objectives.thresholds import RULES, Settings
from sgan_jax.presets import PRESETS
from sgan_jax.types import Data, Metrics, Model, Net, Objective, TrainState

SMALLEST_BATCH = 100  # of generated images
LARGEST_BATCH = 1000  # of generated images, which take about 3 MB each
MOMENT_LATENTS = 1000  # the moments of this many latents replace those of a batch
PLAYERS = {"d": "discriminator", "g": "generator", "p": "discriminator of pairs"}
COLUMNS = 10  # of a grid of images


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

    recipe: Recipe
    classifies: bool
    programs: dict[Any, Any]  # compiled functions by what they are of, kept for further runs
    draws_averaged: bool = False  # whether the generator draws with its averaged weights

    @property
    def disc(self) -> Net:
        """The discriminator."""
        return self.recipe.nets["d"]

    @property
    def gen(self) -> Net:
        """The generator."""
        return self.recipe.nets["g"]

    def networks(self) -> dict[str, Net]:
        """The networks by what they are called."""
        return {PLAYERS.get(player, player): net for player, net in self.recipe.nets.items()}

    def drawing(self, state: TrainState, averaged: bool = False) -> Model:
        """The generator that draws: with averaged weights where these are asked for, or the configuration says so."""
        return state.model("g", averaged or self.draws_averaged)

    def init(self, key: jax.Array, examples: jax.Array | None = None) -> TrainState:
        """A fresh state; `examples` are some of the images, uint8, by which networks may scale their layers."""
        return init_state(key, self.recipe, examples)

    def begin(self, key: jax.Array, examples: np.ndarray) -> TrainState:
        """`init`, compiled."""
        return self._program("begin", lambda: jax.jit(self.init))(key, examples)

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

    def advance(self, team: Team, streamed: bool) -> Callable[..., tuple[TrainState, Metrics]]:
        """`repeat` of the step, compiled: `advance(state, data, key, steps)`. The state given is given up."""
        return self._program(
            (team, streamed),
            lambda: jax.jit(repeat(self.train_step(team, streamed)), static_argnums=3, donate_argnums=0),
        )

    def classify(self, model: Model, images: np.ndarray | jax.Array) -> jax.Array:
        """Class logits, float32 `[B, K]`, of uint8 images `[B, H, W, C]` by a discriminator; without dropout."""
        return self._discriminated(("class_logits",), model, images)[0]

    def features(self, model: Model, images: np.ndarray | jax.Array) -> jax.Array:
        """What a discriminator's output layer takes, float32 `[B, F]`, of uint8 images; without dropout."""
        return self._discriminated(("features",), model, images)[0]

    def features_and_logits(self, model: Model, images: np.ndarray | jax.Array) -> tuple[jax.Array, jax.Array]:
        """Features, float32 `[B, F]`, and class logits, float32 `[B, K]`, as of `features` and `classify`."""
        features, logits = self._discriminated(("features", "class_logits"), model, images)
        return features, logits

    def outputs(self, *fields: str) -> Callable[[Model, np.ndarray | jax.Array], list[jax.Array]]:
        """Fields of `DiscOut` by their names, compiled: of a discriminator and uint8 images; without dropout."""
        disc = self.disc

        def outputs(model: Model, images: jax.Array) -> list[jax.Array]:
            out = disc.bound(model)(scale(images), None)
            return [getattr(out, field) for field in fields]

        compiled: Callable[..., list[jax.Array]] = self._program(fields, lambda: jax.jit(outputs))
        return compiled

    def _discriminated(self, fields: tuple[str, ...], model: Model, images: np.ndarray | jax.Array) -> list[jax.Array]:
        """`outputs`, of one batch."""
        made = self.outputs(*fields)(model, images)
        trim_growth()
        return made

    def draw(self, state: TrainState, key: jax.Array, count: int) -> np.ndarray:
        """Images by the generator that draws, uint8 `[count, H, W, C]`; the first ones are the same for any number."""
        keys = [jax.random.fold_in(key, batch) for batch in range(-(-count // LARGEST_BATCH))]
        # Of one size: where layers normalise over the batch, an image depends on how many there are.
        return np.concatenate([self.generate(self.drawing(state), k, LARGEST_BATCH) for k in keys])[:count]

    def generate(self, model: Model, key: jax.Array, count: int, classes: np.ndarray | None = None) -> np.ndarray:
        """`count` generated images as uint8 `[count, H, W, C]`; the same key gives the same latents.

        Args:
          model: the generator.
          key: of the latents.
          count: how many.
          classes: of a conditional generator's images, `[count]`; by default one class after the other.
        """
        # At least so many at once: where layers normalise over the batch, an image depends on how many there are.
        latents, *_ = self.gen.inputs(key, max(count, SMALLEST_BATCH))
        return self.generate_from(model, latents, classes)[:count]

    def in_rows(self, count: int) -> np.ndarray | None:
        """Classes of `count` images, one a row of a grid, after the last class the first; None: it is unconditional."""
        return np.arange(count) // COLUMNS % self.gen.classes if self.gen.classes else None

    def generate_from(self, model: Model, latents: jax.Array, classes: np.ndarray | None = None) -> np.ndarray:
        """Generated images as uint8 `[N, H, W, C]`, of latents float32 `[N, latent]`.

        Args:
          model: the generator.
          latents: of the images.
          classes: of a conditional generator's images; of those after the last one, as by default, one class after the
            other.
        """
        gen = self.gen
        inputs: list[Any] = [latents]
        if gen.classes:
            cycle = np.arange(len(latents), dtype=np.int32) % gen.classes
            given = cycle[:0] if classes is None else np.asarray(classes, np.int32)
            inputs.append(np.concatenate([given, cycle[len(given) :]]))
        images = self._program("generate", lambda: jax.jit(self._images))(model, *inputs)
        trim_growth()
        return np.asarray(jnp.clip(jnp.round((images + 1.0) * 127.5), 0, 255).astype(jnp.uint8))

    def _images(self, model: Model, latents: jax.Array, *classes: jax.Array) -> jax.Array:
        gen = self.gen
        if gen.by_example or not classes:
            return gen.bound(model)(latents, *classes)
        # The norms over a batch of one class would take away what the class adds.
        moments = gen.inputs(jax.random.key(0), MOMENT_LATENTS)
        return with_moments_of(gen, model, *moments)(latents, *classes)

    def _program(self, name: object, make: Callable[[], Any]) -> Any:
        """The compiled function of that name, made at its first use."""
        if name not in self.programs:
            self.programs[name] = make()
        return self.programs[name]

    def train_step(self, team: Team | None = None, streamed: bool = False) -> TrainStep:
        """The step, not compiled; its work split over the devices of `team`.

        Where it is streamed, the data's unlabelled images are those of this step.
        """
        nets = {name: team.spread(net) if team else net for name, net in self.recipe.nets.items()}
        return make_train_step(self.recipe._replace(nets=nets), take if streamed else draw)


def check_names(config: Config) -> None:
    """Checks names of networks, head, objective and augmentations, and that they fit, before any data is fetched.

    Raises:
      UserError: names it and what there is to choose from.
    """
    own = choose(NETWORKS, config.model.networks, "networks").settings
    of_preset = PRESETS.get(config.preset, Config()).model  # whose networks the user may have changed
    for name, having in settings_of_some_networks().items():
        value = getattr(config.model, name)
        if name not in own and value not in (getattr(ModelConfig, name), getattr(of_preset, name)):
            raise UserError(f"‹model.{name}›: {value}; only ‹model.networks› {' and '.join(having)} have it")
    for name in ("networks", "discriminator"):
        if (chosen := getattr(config.generator, name)) is not None:
            choose(NETWORKS, chosen, f"‹generator.{name}›")
    head = choose(HEADS, config.model.head, "head")
    entry = choose(OBJECTIVES, config.objective.name, "objective")
    for view, settings in (("augment", config.augment), ("weak", config.weak)):
        for name in settings.extra:
            if name not in AUGMENTATIONS and f"{view}.{name}" in SETTINGS:
                raise UserError(f"‹{view}.extra›: {name} is a setting of its own; give ‹{view}.{name}› a value instead")
            choose(AUGMENTATIONS, name, "augmentation")
    if config.class_balance != "none" and not head.classifies:
        raise UserError(f"‹class_balance›: {config.class_balance}; head '{config.model.head}' has no classes; use none")
    if (entry.needs_classifier or config.consistency.weight) and not head.classifies:
        fitting = ", ".join(sorted(name for name, other in HEADS.items() if other.classifies))
        what = f"objective '{config.objective.name}'" if entry.needs_classifier else "consistency"
        raise UserError(f"head '{config.model.head}' has no classes, which {what} is made of; choose one of {fitting}")


def uses_unlabelled(config: Config) -> bool:
    """Whether training uses unlabelled images; the names in `config` are checked."""
    return OBJECTIVES[config.objective.name].uses_unlabelled or config.consistency.weight > 0


def build(
    config: Config, image_shape: tuple[int, int, int], classes: int, maps: convolutions.Maps | None = None
) -> System:
    """The system that `config` describes; the same one for the same settings, so that its programs compile once.

    Args:
      config: preset with the user's changes.
      image_shape: (H, W, C).
      classes: K.
      maps: how the layers compute; by default as is fast where JAX runs.

    Raises:
      UserError: an unknown head or objective, two that do not fit, or images that the networks do not fit; or there is
        no device.
    """
    check_names(config)
    maps = maps or convolutions.maps_for(available()[0].platform, resolve_precision(config.precision))
    return _build(_of_system(config), image_shape, classes, maps)


def _of_system(config: Config) -> Config:
    """The configuration without settings that do not change the system, so that other seeds have the same one."""
    config = replace(config, preset="", seed=0, evaluators=(), features=None, init_from=None, keep=0, patience=0)
    config = replace(config, data=DataConfig(), propagation=PropagationConfig())
    if config.adam.schedule == "constant":  # or the rate depends on the length
        config = replace(config, epochs=1, steps_per_epoch=1, steps=None)
    return config


@lru_cache(maxsize=32)
def _build(config: Config, image_shape: tuple[int, int, int], classes: int, maps: convolutions.Maps) -> System:
    head = HEADS[config.model.head]
    model, made = config.model, NETWORKS[config.model.networks]
    own = {name: getattr(model, name) for name in made.settings}
    nets = {
        "d": made.discriminator(image_shape, classes, head, model.width, model.dropout, maps, **own),
        **_adversaries(config, image_shape, classes, maps),
    }
    objective = _objective(config, classes, head.classifies, nets["d"])
    recipe = Recipe(
        nets,
        objective,
        _optimizers(config, objective, nets["d"]),
        config.batch_size,
        config.unlabelled or config.batch_size,
        config.ema_decay,
        config.class_balance,
    )
    return System(recipe, head.classifies, {}, config.generator.averaged)


def _adversaries(
    config: Config, image_shape: tuple[int, int, int], classes: int, maps: convolutions.Maps
) -> dict[str, Net]:
    """The generator and, where the objective has one, the discriminator of its own that it plays against."""
    settings, model = config.generator, config.model
    networks = settings.networks or model.networks
    width = settings.width or model.width
    of_pairs = OBJECTIVES[config.objective.name].of_pairs
    nets = {"g": NETWORKS[networks].generator(image_shape, model.latent, width, maps, classes if of_pairs else 0)}
    if of_pairs:  # a logit of "real" and one a class: a projection discriminator, `objectives.pairs`
        judge = NETWORKS[settings.discriminator or networks]
        nets["p"] = judge.discriminator(image_shape, classes, HEADS["separate"], width, settings.dropout, maps)
    return nets


def _objective(config: Config, classes: int, classifies: bool, disc: Net) -> Objective:
    """The objective with the weights, views and modifiers that the configuration asks for."""
    entry, settings = OBJECTIVES[config.objective.name], config.objective
    if entry.by_example and not disc.by_example:
        remedy = (
            "set ‹model.norm› group, or choose another objective" if disc.statistics else "choose another objective"
        )
        raise UserError(
            f"objective '{settings.name}' needs a discriminator that treats images one by one, which networks "
            f"'{config.model.networks}' do not; {remedy}"
        )
    objective = entry.objective(classifies, {name: getattr(settings, name) for name in entry.weights})
    labelled = _view(config, config.views.labelled)
    if labelled is not None:
        objective = with_augmentation(objective, labelled)
    if config.consistency.weight:
        student = _view(config, config.views.student) or view_of(Strengths())
        teacher = _view(config, config.views.teacher)
        pseudo = _pseudo_labels(config.consistency, classes)
        if pseudo.averaged and disc.statistics is not None:
            pseudo = pseudo._replace(statistics=disc.statistics())
        images = config.generator.images
        return with_consistency(objective, student, config.consistency.weight, pseudo, teacher, images)
    return on_fewer(objective, config.generator.images) if config.generator.images else objective


def _pseudo_labels(settings: ConsistencyConfig, classes: int) -> PseudoLabels:
    """Rule, alignment and teacher of consistency."""
    return PseudoLabels(
        RULES[settings.rule](Settings(classes, settings.threshold, settings.rule_decay)),
        ALIGNMENTS[settings.alignment](classes, settings.rule_decay),
        averaged=settings.teacher == "averaged",
        fairness=settings.fairness,
    )


def _view(config: Config, name: str) -> View | None:
    """The view of that name; None where it leaves images as they are."""
    settings = {"none": AugmentConfig(), "weak": config.weak, "strong": config.augment}[name]
    if settings == AugmentConfig():
        return None
    return view_of(Strengths(**{field: getattr(settings, field) for field in Strengths._fields}))


def _optimizers(config: Config, objective: Objective, disc: Net) -> dict[str, optax.GradientTransformation]:
    """By slot: Adam, and Muon for the discriminator's hidden layers where the configuration has a rate for it."""
    updates = updates_a_step(objective)

    def rate(peak: float, slot: str) -> float | optax.Schedule:
        if config.adam.schedule != "cosine":
            return peak
        return optimizers.each(optax.cosine_decay_schedule(peak, config.total_steps), updates[slot])

    def of_slot(slot: str, player: str) -> optax.GradientTransformation:
        adam, muon, generator = config.adam, config.muon, config.generator
        if player != "d":
            beta1 = adam.beta1 if generator.beta1 is None else generator.beta1
            adam = replace(adam, learning_rate=generator.learning_rate or adam.learning_rate, beta1=beta1)
        plain = optimizers.adam(rate(adam.learning_rate, slot), adam.beta1, adam.beta2, adam.epsilon, adam.epsilon_root)
        if player != "d" or not muon.learning_rate:
            return plain
        return optimizers.muon(rate(muon.learning_rate, slot), muon.momentum, plain, disc.output_layer)

    return {slot: of_slot(slot, player) for slot, player in owners(objective).items()}

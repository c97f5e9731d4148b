"""Everything that decides a run's result, as one frozen dataclass tree, with named presets. It stops at the loop."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from sgan_jax.errors import UserError


@dataclass(frozen=True)
class DataConfig:
    """Which images, and which of them keep their label."""

    dataset: str = "auto"
    data_dir: str | None = None
    labels: int = 100
    label_seed: int = 0


@dataclass(frozen=True)
class ModelConfig:
    """Both networks."""

    head: str = "stacked"
    width: int = 128  # channels of every convolution
    latent: int = 100
    dropout: float = 0.4


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba, arXiv 1412.6980), the same for every slot; epsilon is Keras's."""

    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    epsilon: float = 1e-7


@dataclass(frozen=True)
class AugmentConfig:
    """How far images are distorted at most, at every step anew; nothing by default. `augment.Limits` says each."""

    rotation: float = 0.0  # degrees
    shear: float = 0.0
    scale: float = 0.0  # logarithm of the magnification
    shift: float = 0.0  # pixels
    elastic: float = 0.0  # pixels, a standard deviation
    cutout: int = 0  # pixels


@dataclass(frozen=True)
class Config:
    """A training run."""

    preset: str = "tutorial"
    objective: str = "tutorial"
    seed: int = 0
    epochs: int = 20
    steps_per_epoch: int = 600
    steps: int | None = None  # instead of epochs * steps_per_epoch
    precision: str = "float32"  # of what the layers compute; parameters, losses and optimiser are float32
    batch_size: int = 100  # latents of a generator update; the discriminator's take half as many images of each source
    ema_decay: float = 0.999  # a step, of the averaged parameters
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def total_steps(self) -> int:
        """Steps from the first to the last."""
        return self.epochs * self.steps_per_epoch if self.steps is None else self.steps


PRESETS: dict[str, Config] = {
    # The tutorial "How to Implement a Semi-Supervised GAN (SGAN) From Scratch in Keras". BENCHMARKS.md has results and
    # times: about 0.5 s a step on two cores of an AMD Zen 3.
    "tutorial": Config(),
    # The same losses (Salimans et al., arXiv 1606.03498) in one update of both players, with 50 generated images a step
    "joint": Config(preset="joint", objective="joint"),
    # The same with half the channels, a larger learning rate and labelled images that are distorted, for an accuracy as
    # soon as may be. Chosen on training images, of other draws of labels than those that BENCHMARKS.md tells of.
    "fast": Config(
        preset="fast",
        objective="joint",
        steps_per_epoch=100,
        model=ModelConfig(width=64),
        adam=AdamConfig(learning_rate=1e-3),
        augment=AugmentConfig(rotation=20.0, shear=0.3, scale=0.2, shift=2.0),
    ),
    # What the labels alone give: the same trunk without the unlabelled images, as Odena, arXiv 1606.01583, compares
    "supervised": Config(preset="supervised", objective="supervised"),
    # The same beside `fast`: all that differs from it is the objective
    "supervised-augmented": Config(
        preset="supervised-augmented",
        objective="supervised",
        steps_per_epoch=100,
        model=ModelConfig(width=64),
        adam=AdamConfig(learning_rate=1e-3),
        augment=AugmentConfig(rotation=20.0, shear=0.3, scale=0.2, shift=2.0),
    ),
    # One softmax with a class for generated images: Odena, arXiv 1606.01583; the losses of `joint` read off this head
    "k_plus_one": Config(preset="k_plus_one", objective="joint", model=ModelConfig(head="k_plus_one")),
    # The generator matches mean features: Salimans et al., arXiv 1606.03498, section 3.1
    "feature_matching": Config(preset="feature_matching", objective="feature_matching"),
    # Entropies of the classes in the place of "real" and "fake": Springenberg, arXiv 1511.06390
    "catgan": Config(preset="catgan", objective="catgan"),
    # Feature matching, entropy of unlabelled images, pull-away term: Dai et al., arXiv 1705.09783, without its PixelCNN
    "complement": Config(preset="complement", objective="complement"),
    # Feature matching and a classifier smooth along the generator's manifold: Lecouat et al., arXiv 1805.08957
    "manifold": Config(preset="manifold", objective="manifold"),
}

LARGEST = 65536  # of a width or a batch: what is above is a slip, and no memory would hold it

PRECISIONS = ("float32", "bfloat16", "auto")  # auto: as the machine at hand has it

# Fields that say how long a run is, not what it is: the same run may be made longer.
LENGTH_FIELDS = frozenset({"epochs", "steps"})


def to_json(config: Config) -> dict[str, Any]:
    """The configuration as nested dictionaries of plain values."""
    return dataclasses.asdict(config)


def from_json(values: dict[str, Any]) -> Config:
    """The inverse of `to_json`.

    Raises:
      UserError: a field is unknown or of another type. A missing one, as of an older version, takes its default.
    """
    return _from_json(Config, values, "config.json")


def _from_json(kind: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise UserError(f"{where}: {values!r:.40} in the place of fields; start a new run with --run")
    types = get_type_hints(kind)
    fields = {}
    for name, value in values.items():
        if name not in types:
            raise UserError(f"{where}: field '{name}' is not of this version; start a new run with --run")
        wanted = types[name]
        if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
            value = _from_json(wanted, value, f"{where}: {name}")
        elif isinstance(value, bool) or not isinstance(value, int | float if wanted is float else wanted):
            expected = getattr(wanted, "__name__", wanted)
            raise UserError(f"{where}: {name} is {value!r:.40}, expected {expected}; start a new run with --run")
        fields[name] = value
    return kind(**fields)


def flatten(config: Config) -> dict[str, Any]:
    """`{"model.head": "stacked", ...}`, for comparisons and messages."""
    flat: dict[str, Any] = {}
    for name, value in to_json(config).items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def choose(table: dict[str, Any], name: str, what: str) -> Any:
    """`table[name]`, or an error that names what there is to choose from."""
    if name not in table:
        raise UserError(f"unknown {what} '{name}'; choose one of {', '.join(sorted(table))}")
    return table[name]


def validate(config: Config) -> None:
    """Refuses what no run can be made of.

    Raises:
      UserError: names the flag and what it takes.
    """
    at_least_one = {
        "--labels": config.data.labels,
        "--epochs": config.epochs,
        "--steps-per-epoch": config.steps_per_epoch,
        "--steps": 1 if config.steps is None else config.steps,
        "--width": config.model.width,
        "model.latent": config.model.latent,
    }
    for flag, value in at_least_one.items():
        if value < 1:
            raise UserError(f"{flag}: {value}; must be at least 1")
    for flag, value in (("--width", config.model.width), ("--batch-size", config.batch_size)):
        if value > LARGEST:
            raise UserError(f"{flag}: {value}; must be at most {LARGEST}")
    if config.precision not in PRECISIONS:
        raise UserError(f"--precision: {config.precision}; choose one of {', '.join(PRECISIONS)}")
    fractions = {
        "model.dropout": config.model.dropout,
        "adam.beta1": config.adam.beta1,
        "adam.beta2": config.adam.beta2,
        "ema_decay": config.ema_decay,
    }
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise UserError(f"{name}: {fraction}; must be at least 0 and below 1")
    for name, limit in dataclasses.asdict(config.augment).items():
        if not 0 <= limit < float("inf"):
            raise UserError(f"augment.{name}: {limit}; must be a number of at least 0")
    if not config.adam.epsilon > 0:
        raise UserError(f"adam.epsilon: {config.adam.epsilon}; must be a positive number")
    if config.batch_size < 2 or config.batch_size % 2:
        raise UserError(
            f"--batch-size: {config.batch_size}; must be an even number, at least 2 (a discriminator loss takes half)"
        )
    if not 0 < config.adam.learning_rate < float("inf"):
        raise UserError(f"--learning-rate: {config.adam.learning_rate}; must be a positive number")
    for flag, seed in (("--seed", config.seed), ("--label-seed", config.data.label_seed)):
        if not 0 <= seed < 2**32:
            raise UserError(f"{flag}: {seed}; must be between 0 and 4294967295")

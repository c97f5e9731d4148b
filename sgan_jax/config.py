"""Everything that decides a run's result, as one frozen dataclass tree, with named presets. It stops at the loop."""

import dataclasses
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_type_hints

from sgan_jax.errors import UserError
from sgan_jax.limits import check_image_size


@dataclass(frozen=True)
class DataConfig:
    """Which images, and which of them keep their label."""

    dataset: str = "auto"
    data_dir: str | None = None
    image_size: int | None = None  # to which images of one's own are resized
    stream: bool | None = None  # whether unlabelled ones are read when needed; None: where they do not fit in memory
    labels: int | None = 100  # None: all that are known of images of one's own, 100 of other sets; resolved by the loop
    label_seed: int = 0
    validation: int = 0  # of these labels, kept from training and used to measure


@dataclass(frozen=True)
class ModelConfig:
    """Both networks."""

    head: str = "stacked"
    width: int = 128  # of the tutorial's networks: channels of every convolution; each file of networks/ says what
    latent: int = 100
    dropout: float = 0.4
    networks: str = "tutorial"


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba, arXiv 1412.6980), the same for every slot; each is as in `optimizers.adam`."""

    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    epsilon: float = 1e-7
    epsilon_root: float = 0.0
    schedule: str = "constant"  # or "cosine": the rate goes down to 0 at the run's last step


@dataclass(frozen=True)
class MuonConfig:
    """Whether the discriminator's hidden layers learn by Muon, as in `optimizers.muon`, on Adam's schedule."""

    learning_rate: float = 0.0  # 0: Adam for all
    momentum: float = 0.95


@dataclass(frozen=True)
class AugmentConfig:
    """How far images are distorted at most, at every step anew; nothing by default. `augment.Limits` says each."""

    rotation: float = 0.0  # degrees
    shear: float = 0.0
    scale: float = 0.0  # logarithm of the magnification
    shift: float = 0.0  # pixels
    elastic: float = 0.0  # pixels, a standard deviation
    cutout: int = 0  # pixels
    mirror: bool = False  # every other image, left to right


@dataclass(frozen=True)
class ConsistencyConfig:
    """Whether the classifier is to agree with its teacher about distorted unlabelled images."""

    weight: float = 0.0  # 0: there is no such term
    threshold: float = 0.95


@dataclass(frozen=True)
class PropagationConfig:
    """Whether labels are propagated along a graph of similar images before training, and its constants."""

    neighbours: int = 0  # of each image; 0: there is no graph
    candidates: int = 30  # of which the neighbours are chosen
    # Fractions of the run, in whole epochs, between which the propagated labels are not used
    pause_from: float = 0.0
    pause_until: float = 0.0
    parts: bool = False  # whether images are compared by parts of them as well, for handwriting
    deslant: bool = False  # whether images are compared without the slant of handwriting
    reverse_weight: float = 0.0  # of edges to the images that an image explains best, relative to the other edges
    reach: int = 2  # pixels by which the image distortion model may displace a pixel
    sharpness: float = 8.0  # s of an edge's weight exp(-s d / d_k)
    alpha: float = 0.998  # of Zhou et al.: the part of an image's scores that comes from its neighbours
    alpha_wide: float = 0.9995  # alpha of the iterations from all images, which find the classes' extents
    alpha_narrow: float = 0.995  # alpha of the last two propagations, which find the borders
    alpha_many: float = 0.995  # alpha where every class has `many_labels`
    alpha_local: float = 0.97  # alpha where classes overlap
    iterations: int = 20  # at most, of propagation from all images
    settled: float = 1e-4  # fraction of images that change class, at which iterations end
    trial_iterations: int = 3  # after which classes that still change more than `stable` count as overlapping
    stable: float = 5e-3  # fraction of images
    many_labels: int = 50  # labels of each class from which these outweigh the graph's clusters
    few_labels: int = 5  # labels of a class below which a balanced start is tried as well
    certainty: float = 6.0  # log-odds of the two most probable classes of the median image


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
    batch_size: int = 100  # twice the images of each source that a loss takes; `tutorial` has as many latents for G
    unlabelled: int | None = None  # images a step, instead of half a batch; what they are more, consistency alone sees
    ema_decay: float = 0.999  # a step, of the averaged parameters
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    muon: MuonConfig = field(default_factory=MuonConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)

    @property
    def total_steps(self) -> int:
        """Steps from the first to the last."""
        return self.epochs * self.steps_per_epoch if self.steps is None else self.steps

    def hears_graph(self, step: int) -> bool:
        """Whether the labels of the graph count in the step after `step` steps."""
        epochs = self.total_steps / self.steps_per_epoch
        # Inwards: a short run is rather alone for too few than begins without the graph.
        first = math.ceil(self.propagation.pause_from * epochs - 1e-6)
        end = math.floor(self.propagation.pause_until * epochs + 1e-6)
        return not first <= step // self.steps_per_epoch < end


# Half the tutorial's channels and five times its learning rate: a run takes minutes.
_SMALL = Config(steps_per_epoch=100, model=ModelConfig(width=64), adam=AdamConfig(learning_rate=1e-3))
# What the presets of one paper each have in common, so that they differ in their objective alone. At a constant rate
# the accuracy of most of them fell by 0.3 to 2.9 points from its peak to the last step, which is the one that counts.
_ALIKE = replace(_SMALL, adam=replace(_SMALL.adam, schedule="cosine"))
# Chosen on training images, of other draws of labels than those that BENCHMARKS.md tells of.
_DISTORTED = AugmentConfig(rotation=20.0, shear=0.3, scale=0.2, shift=2.0)

_CONSISTENCY = Config(
    objective="feature_matching",
    epochs=4,
    batch_size=64,
    unlabelled=256,
    ema_decay=0.995,
    model=ModelConfig(networks="compact", width=32, dropout=0.3),
    adam=AdamConfig(learning_rate=1e-3, beta1=0.9, beta2=0.99, schedule="cosine"),
    augment=AugmentConfig(rotation=10.0, shear=0.15, scale=0.1, shift=1.5, elastic=0.7),
    consistency=ConsistencyConfig(weight=1.0),
)
_STROKES = replace(
    _CONSISTENCY,
    batch_size=32,
    muon=MuonConfig(3e-3),
    propagation=PropagationConfig(6, 40, parts=True, deslant=True, reverse_weight=0.15),
)
# Who learns from the graph to the end repeats its mistakes. Alone in between, with a few labels and its own teacher, a
# classifier loses some of them, and makes others: then the two judges know more together than either (Blum and
# Mitchell, "Combining labeled and unlabeled data with co-training", COLT 1998). Begun by the graph, since without it
# whole classes are lost with a hundred labels.
_BEST = replace(_STROKES, epochs=14, propagation=replace(_STROKES.propagation, pause_from=2 / 14, pause_until=4 / 14))

# Chosen on training images of Fashion-MNIST, of draws of labels from 100 on.
_OBJECTS = replace(
    _CONSISTENCY,
    epochs=8,
    batch_size=128,
    augment=AugmentConfig(rotation=5.0, shear=0.1, scale=0.1, shift=1.5, mirror=True),
    propagation=PropagationConfig(neighbours=6),
)

_PRESETS = {
    # The tutorial "How to Implement a Semi-Supervised GAN (SGAN) From Scratch in Keras". BENCHMARKS.md has results and
    # times: about 0.5 s a step on two cores of an AMD Zen 3.
    "tutorial": Config(),
    # The same losses (Salimans et al., arXiv 1606.03498) in one update of both players, with 50 generated images a step
    "joint": Config(objective="joint"),
    # The same, smaller, with labelled images that are distorted, for an accuracy as soon as may be
    "fast": replace(_SMALL, objective="joint", augment=_DISTORTED),
    # What the labels alone give: the same trunk without the unlabelled images, as Odena, arXiv 1606.01583, compares
    "supervised": replace(_ALIKE, objective="supervised"),
    "supervised-augmented": replace(_ALIKE, objective="supervised", augment=_DISTORTED),
    # One softmax with a class for generated images: Odena, arXiv 1606.01583; the losses of `joint` read off this head
    "k_plus_one": replace(_ALIKE, objective="joint", model=ModelConfig(head="k_plus_one", width=64)),
    # The generator matches mean features: Salimans et al., arXiv 1606.03498, section 3.1
    "feature_matching": replace(_ALIKE, objective="feature_matching"),
    # The same with the paper's own networks, noise and rates: 300 epochs of 600 steps
    "improved-gan-mnist": Config(
        objective="feature_matching",
        epochs=300,
        batch_size=200,
        ema_decay=0.9999,
        model=ModelConfig(networks="mlp", width=1000, dropout=0.0),
        adam=AdamConfig(learning_rate=3e-3, epsilon=0.0, epsilon_root=1e-8),
    ),
    # Entropies of the classes in the place of "real" and "fake": Springenberg, arXiv 1511.06390
    "catgan": replace(_ALIKE, objective="catgan"),
    # Feature matching, entropy of unlabelled images, pull-away term: Dai et al., arXiv 1705.09783, without its PixelCNN
    "complement": replace(_ALIKE, objective="complement"),
    # Feature matching and a classifier smooth along the generator's manifold: Lecouat et al., arXiv 1805.08957
    "manifold": replace(_ALIKE, objective="manifold"),
    # Feature matching and a classifier that does not change along tangents of the generator's manifold: Kumar et al.,
    # arXiv 1705.08850, without their encoder
    "invariance": replace(_ALIKE, objective="invariance"),
    # A teacher of averaged weights and distorted unlabelled images: FixMatch, arXiv 2001.07685, beside the losses of
    # `feature_matching`, with networks that leave the time to it
    "consistency": _CONSISTENCY,
    # The same, whose teacher asks labels that spread along a graph of like images as well
    "best": _BEST,
    # A graph to the end for pictures of things, which may be mirrored, and lose what they are when they are bent
    "best-objects": _OBJECTS,
    # A graph to the end, on images as they are: the track without augmentation
    "best-unaugmented": replace(_STROKES, epochs=6, augment=AugmentConfig()),
}
PRESETS: dict[str, Config] = {name: replace(preset, preset=name) for name, preset in _PRESETS.items()}


def usual_head(preset: str) -> str:
    """The head that goes without saying; of a preset that is not in the table, the default one."""
    return PRESETS.get(preset, Config()).model.head


MAX_DRAWS = 10_000  # of the labels; what is above is a slip. Runs on the same draw have seeds that far apart
LARGEST = 65536  # of a width or a batch: what is above is a slip, and no memory would hold it

PRECISIONS = ("float32", "bfloat16", "auto")  # auto: as the machine at hand has it

SCHEDULES = ("constant", "cosine")

# Fields that say how long a run is, not what it is: the same run may be made longer, unless its learning rate decays.
LENGTH_FIELDS = frozenset({"epochs", "steps"})
# Fields that say where images come from. The same may come another way: their digest decides.
WHERE_FIELDS = frozenset({"data.dataset", "data.data_dir", "data.image_size", "data.stream"})


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
        raise UserError(f"{where}: {values!r:.40} in the place of fields; start a new run with ‹run›")
    types = get_type_hints(kind)
    fields = {}
    for name, value in values.items():
        if name not in types:
            raise UserError(f"{where}: field '{name}' is not of this version; start a new run with ‹run›")
        wanted = types[name]
        if isinstance(wanted, type) and dataclasses.is_dataclass(wanted):
            value = _from_json(wanted, value, f"{where}: {name}")
        elif isinstance(value, bool) and wanted in (bool, bool | None):
            pass
        elif isinstance(value, bool) or not isinstance(value, int | float if wanted is float else wanted):
            expected = getattr(wanted, "__name__", wanted)
            raise UserError(f"{where}: {name} is {value!r:.40}, expected {expected}; start a new run with ‹run›")
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


def differences(old: Config, new: Config, free: frozenset[str] = frozenset()) -> list[str]:
    """What is not the same in two configurations, a phrase each; lengths, origins of images and `free` may differ."""
    was, now = flatten(old), flatten(new)
    names = [name for name in now if name not in LENGTH_FIELDS | WHERE_FIELDS | free and was[name] != now[name]]
    return [f"{name} was {was[name]}, now {now[name]}" for name in names]


def located(config: Config) -> Config:
    """The configuration with a folder of images that is found from any working directory."""
    if config.data.data_dir is None:
        return config
    return replace(config, data=replace(config.data, data_dir=str(Path(config.data.data_dir).absolute())))


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
        "‹data.labels›": 1 if config.data.labels is None else config.data.labels,
        "‹epochs›": config.epochs,
        "‹steps_per_epoch›": config.steps_per_epoch,
        "‹steps›": 1 if config.steps is None else config.steps,
        "‹model.width›": config.model.width,
        "model.latent": config.model.latent,
    }
    for flag, value in at_least_one.items():
        if value < 1:
            raise UserError(f"{flag}: {value}; must be at least 1")
    for flag, value in (
        ("‹model.width›", config.model.width),
        ("‹batch_size›", config.batch_size),
    ):
        if value > LARGEST:
            raise UserError(f"{flag}: {value}; must be at most {LARGEST}")
    most = (config.data.labels or config.data.validation + 1) - 1  # of labels still to be counted, any number
    if not 0 <= config.data.validation <= most:
        raise UserError(f"‹data.validation›: {config.data.validation}; must be between 0 and {most}")
    if config.data.image_size is not None:
        check_image_size(config.data.image_size)
    if config.precision not in PRECISIONS:
        raise UserError(f"‹precision›: {config.precision}; choose one of {', '.join(PRECISIONS)}")
    fractions = {
        "model.dropout": config.model.dropout,
        "adam.beta1": config.adam.beta1,
        "adam.beta2": config.adam.beta2,
        "muon.momentum": config.muon.momentum,
        "ema_decay": config.ema_decay,
        "propagation.pause_from": config.propagation.pause_from,
        "propagation.pause_until": config.propagation.pause_until,
    }
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise UserError(f"{name}: {fraction}; must be at least 0 and below 1")
    numbers = {f"augment.{name}": limit for name, limit in dataclasses.asdict(config.augment).items()}
    numbers |= {
        "adam.epsilon": config.adam.epsilon,
        "adam.epsilon_root": config.adam.epsilon_root,
        "‹muon.learning_rate›": config.muon.learning_rate,
        "consistency.weight": config.consistency.weight,
        "consistency.threshold": config.consistency.threshold,
        "propagation.neighbours": config.propagation.neighbours,
        "propagation.reverse_weight": config.propagation.reverse_weight,
    }
    for name, number in numbers.items():
        if not 0 <= number < float("inf"):
            raise UserError(f"{name}: {number}; must be a number of at least 0")
    if config.propagation.candidates < config.propagation.neighbours:
        raise UserError(f"propagation.candidates: {config.propagation.candidates}; must be at least its neighbours")
    if config.propagation.pause_until < config.propagation.pause_from:
        raise UserError(f"propagation.pause_until: {config.propagation.pause_until}; must be at least its pause_from")
    if config.unlabelled is not None and not config.batch_size // 2 <= config.unlabelled <= LARGEST:
        raise UserError(f"unlabelled: {config.unlabelled}; must be between half a batch and {LARGEST}")
    if config.adam.schedule not in SCHEDULES:
        raise UserError(f"adam.schedule: {config.adam.schedule}; choose one of {', '.join(SCHEDULES)}")
    if not config.adam.epsilon + config.adam.epsilon_root > 0:
        raise UserError(f"adam.epsilon: {config.adam.epsilon}; must be a positive number, or adam.epsilon_root one")
    if config.batch_size < 2 or config.batch_size % 2:
        raise UserError(
            f"‹batch_size›: {config.batch_size}; must be an even number, at least 2 (a discriminator loss takes half)"
        )
    if not 0 < config.adam.learning_rate < float("inf"):
        raise UserError(f"‹adam.learning_rate›: {config.adam.learning_rate}; must be a positive number")
    for flag, seed in (("‹seed›", config.seed), ("‹data.label_seed›", config.data.label_seed)):
        if not 0 <= seed < 2**32:
            raise UserError(f"{flag}: {seed}; must be between 0 and 4294967295")

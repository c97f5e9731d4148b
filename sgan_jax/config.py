"""Everything that decides a run's result, as one frozen dataclass tree: the only description of a run.

A field is declared once, here, with its help, its range and perhaps a short name. The command line, sweeps and the
estimator take their settings from `SETTINGS`, which lists the fields by their place in the tree: "model.width".
`presets` has named values of the tree.
"""

import dataclasses
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from sgan_jax.errors import UserError

SMALLEST_IMAGE = 8  # pixels of height or width
LARGEST_IMAGE = 512  # networks grow with its square
LARGEST_SIDE = 4096  # of images, or number of channels, in files that others wrote
TELLING = 3  # differences of two configurations that a message names
LARGEST = 65536  # of a width or a batch: a larger number is a slip, and no memory would hold it
LARGEST_GRAPH = 200_000  # images: the time to compare them grows with their square
MAX_DRAWS = 10_000  # of the labels: a larger number is a slip. Trials on the same draw have seeds that far apart

PRECISIONS = ("float32", "bfloat16", "auto")
SCHEDULES = ("constant", "cosine")
BALANCES = ("none", "draws", "weights")
VIEWS = ("none", "weak", "strong")
BORDERS = ("black", "grey", "reflect")
FILLS = ("black", "grey")
RULES = ("fixed", "flexmatch", "freematch", "softmatch")
ALIGNMENTS = ("none", "uniform", "labelled")
NORMS = ("group", "batch")
TEACHERS = ("averaged", "student")
GENERATOR = "generator"  # the evaluator that needs features


class Range(NamedTuple):
    """Numbers from `low` to `high`; with `below` or `above`, an end that is not itself allowed."""

    low: float | None = None
    high: float | None = None
    below: float | None = None
    above: float | None = None

    def holds(self, number: float) -> bool:
        """Whether the number is in the range; NaN, infinities and what no float can hold never are."""
        return (
            abs(number) <= sys.float_info.max
            and (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.below is None or number < self.below)
            and (self.above is None or number > self.above)
        )

    def __str__(self) -> str:
        """What a number must be."""
        if self.above == 0:
            return "must be a positive number"
        if self.low is not None and self.high is not None:
            return between(self.low, self.high)
        if self.low is not None and self.below is not None:
            return f"must be at least {self.low} and below {self.below}"
        return f"must be at least {self.low}" if self.low is not None else f"must be at most {self.high}"


def between(low: float, high: float) -> str:
    """What a number from `low` to `high` must be, where there may be one such number only."""
    return f"must be between {low} and {high}" if low < high else f"must be {low}"


POSITIVE = Range(above=0)
NOT_NEGATIVE = Range(low=0)
FRACTION = Range(low=0, below=1)
PROBABILITY = Range(low=0, high=1)
COUNT = Range(low=1)
SEED = Range(low=0, high=2**32 - 1)


def _field(
    default: Any, text: str, allowed: Range | None = None, choices: tuple[str, ...] = (), short: str = ""
) -> Any:
    """A field with its help, the numbers or words that it takes, and a short name for doors that have one."""
    return field(default=default, metadata={"help": text, "range": allowed, "choices": choices, "short": short})


@dataclass(frozen=True)
class DataConfig:
    """Which images, and which of them keep their label."""

    dataset: str = _field(
        "auto",
        "mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn_cropped, svhn_extra, stl10, mnist-5k (in the package) "
        "or a TFDS name; auto: mnist, or else mnist-5k. For a published set's files: which it is; auto recognises it.",
        short="dataset",
    )
    data_dir: str | None = _field(
        None,
        "Your images: a folder with a folder for each class or a labels.csv, or an .npz file. Or the files of a "
        "published set: IDX (MNIST), CIFAR-10 and CIFAR-100 (binary), SVHN (.mat), STL-10 (binary).",
        short="data_dir",
    )
    image_size: tuple[int, int] | None = _field(
        None,
        "Size to which your images are resized: N, or HEIGHTxWIDTH; by default their sizes must agree.",
        Range(SMALLEST_IMAGE, LARGEST_IMAGE),
        short="image_size",
    )
    stream: bool | None = _field(
        None,
        "Read the unlabelled images of a folder from disk at every step; by default where they do not fit in memory.",
        short="stream",
    )
    labels: int | None = _field(
        None,
        "How many training images keep their label, balanced over the classes; by default 100, or all of your images.",
        COUNT,
        short="labels",
    )
    label_seed: int = _field(0, "Seed of the choice of labelled images.", SEED, short="label_seed")
    validation: int = _field(
        0,
        "How many of these labels to keep from training: the accuracy on their images chooses the best checkpoint.",
        NOT_NEGATIVE,
        short="validation",
    )
    labels_file: str | None = _field(
        None,
        "CSV file of the labels of a folder of images, columns file and label; by default its labels.csv, if any.",
        short="labels_file",
    )


@dataclass(frozen=True)
class ModelConfig:
    """The networks."""

    head: str = _field("stacked", "stacked, separate, k_plus_one or real_fake: how logits become scores.", short="head")
    width: int = _field(
        128,
        "Channels of each convolution (tutorial), of the first (compact, residual); units of the first layer (mlp).",
        Range(1, LARGEST),
        short="width",
    )
    latent: int = _field(100, "Length of a latent vector of the generator.", Range(1, LARGEST))
    dropout: float = _field(0.4, "Fraction of the discriminator's features that are dropped in training.", FRACTION)
    networks: str = _field(
        "tutorial",
        "tutorial, mlp, compact, residual or wide_residual: the pair of networks; the last two are for photographs.",
    )
    norm: str = _field("group", "group or batch: what the norms of residual networks are taken over.", choices=NORMS)
    blocks: int | None = _field(
        None, "Blocks of each stage of residual networks; by default 1 (residual) or 4 (wide_residual).", Range(1, 32)
    )


@dataclass(frozen=True)
class ObjectiveConfig:
    """Which losses, and the weights of their terms; an objective uses the weights of the terms that it has."""

    name: str = _field("tutorial", "Which losses, in which order: docs/presets.md lists them.")
    unsupervised_weight: float = _field(
        0.5, "Weight of d/real and of d/fake in feature matching and complement.", NOT_NEGATIVE
    )
    entropy_weight: float = _field(0.1, "Weight of d/entropy in complement.", NOT_NEGATIVE)
    pull_away_weight: float = _field(0.8, "Weight of g/pull_away in complement.", NOT_NEGATIVE)
    manifold_weight: float = _field(1e-3, "Weight of d/manifold.", NOT_NEGATIVE)
    invariance_weight: float = _field(1e-3, "Weight of d/invariance.", NOT_NEGATIVE)
    tangents: int = _field(4, "Tangents of d/invariance at each image.", COUNT)
    gradient_penalty: float = _field(1.0, "Weight of p/gradient_penalty (R1) in triple.", NOT_NEGATIVE)
    classifier_pairs: float = _field(
        0.5, "alpha of triple: weight of the classifier's own pairs; 0: they are real.", FRACTION
    )
    generated_weight: float = _field(
        0.1, "Weight of d/generated, the classifier's loss on generated images, in triple.", NOT_NEGATIVE
    )


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator, and the discriminator of pairs that it plays against where the objective has one."""

    networks: str | None = _field(None, "Networks whose generator is taken; by default model.networks.")
    discriminator: str | None = _field(
        None, "Networks whose discriminator is that of pairs; by default those of the generator."
    )
    width: int | None = _field(None, "Their width; by default model.width.", Range(1, LARGEST))
    dropout: float = _field(0.0, "Fraction of the features that the discriminator of pairs drops.", FRACTION)
    images: int | None = _field(
        None,
        "Unlabelled, and generated, images of their losses a step; by default all, with consistency batch_size.",
        Range(1, LARGEST),
    )
    learning_rate: float | None = _field(
        None, "Adam's learning rate for both; by default adam.learning_rate.", POSITIVE
    )
    beta1: float | None = _field(None, "Adam's beta1 for both; by default adam.beta1.", FRACTION)
    averaged: bool = _field(False, "Draw images with the generator's averaged weights.")


@dataclass(frozen=True)
class AdamConfig:
    """Adam (Kingma and Ba, arXiv 1412.6980), the same for every slot; each field as in `optimizers.adam`."""

    learning_rate: float = _field(2e-4, "Adam's learning rate.", POSITIVE, short="learning_rate")
    beta1: float = _field(0.5, "Decay of the first moment.", FRACTION)
    beta2: float = _field(0.999, "Decay of the second moment.", FRACTION)
    epsilon: float = _field(1e-7, "Added to the root of the second moment.", NOT_NEGATIVE)
    epsilon_root: float = _field(0.0, "Added to the second moment, under the root.", NOT_NEGATIVE)
    schedule: str = _field("constant", "constant, or cosine: down to 0 at the run's last step.", choices=SCHEDULES)


@dataclass(frozen=True)
class MuonConfig:
    """Whether the discriminator's hidden layers learn by Muon, as in `optimizers.muon`, on Adam's schedule."""

    learning_rate: float = _field(
        0.0,
        "Rate of Muon for the discriminator's hidden layers; 0: Adam for these, too.",
        NOT_NEGATIVE,
        short="muon_rate",
    )
    momentum: float = _field(0.95, "Decay of Muon's moving average.", FRACTION)


@dataclass(frozen=True)
class AugmentConfig:
    """A view of images: how strongly they are augmented at most, at every step anew; by default not at all."""

    rotation: float = _field(0.0, "Largest rotation, in degrees.", NOT_NEGATIVE)
    shear: float = _field(0.0, "Largest shear: displacement of a column by its distance from the middle.", NOT_NEGATIVE)
    scale: float = _field(0.0, "Largest logarithm of the magnification.", NOT_NEGATIVE)
    shift: float = _field(0.0, "Largest displacement, in pixels.", NOT_NEGATIVE)
    elastic: float = _field(0.0, "Standard deviation of elastic displacements, in pixels.", NOT_NEGATIVE)
    cutout: int = _field(0, "Side of a square that is made black, or the colour of fill, in pixels.", NOT_NEGATIVE)
    extra: tuple[str, ...] = _field((), "Further augmentations by name, in this order: mirror (left to right).")
    crop: int = _field(0, "Largest shift of a crop out of the reflected image, in whole pixels.", Range(0, LARGEST))
    brightness: float = _field(0.0, "Largest change of the factor of brightness, from 1.", NOT_NEGATIVE)
    contrast: float = _field(0.0, "Largest change of the factor of contrast, from 1.", NOT_NEGATIVE)
    saturation: float = _field(0.0, "Largest change of the factor of saturation, from 1; colour only.", NOT_NEGATIVE)
    hue: float = _field(0.0, "Largest change of hue, as a fraction of a turn; colour only.", Range(0, 0.5))
    sharpness: float = _field(0.0, "Largest change of the factor of sharpness, from 1.", NOT_NEGATIVE)
    blur: float = _field(0.0, "Largest standard deviation of a Gaussian blur, in pixels.", NOT_NEGATIVE)
    posterize: int = _field(0, "Most bits that a pixel's level loses.", Range(0, 7))
    solarize: float = _field(0.0, "Largest fraction of the levels, from the brightest, that is inverted.", PROBABILITY)
    invert: float = _field(0.0, "Probability that an image is inverted.", PROBABILITY)
    autocontrast: float = _field(0.0, "Probability that an image is stretched from black to white.", PROBABILITY)
    equalize: float = _field(0.0, "Probability that an image's histogram is made flat.", PROBABILITY)
    random: int = _field(0, "Operations of RandAugment for each image, drawn from its pool of 14.", Range(0, 14))
    border: str = _field("black", "What comes in from outside: black, grey or the image, reflected.", choices=BORDERS)
    fill: str = _field("black", "Colour of the square of cutout.", choices=FILLS)


@dataclass(frozen=True)
class ViewsConfig:
    """Which view each consumer of images gets: none, weak (settings `weak`) or strong (settings `augment`)."""

    labelled: str = _field("strong", "View of the labelled images.", choices=VIEWS)
    teacher: str = _field("weak", "View of the unlabelled images that consistency's teacher gets.", choices=VIEWS)
    student: str = _field("strong", "View of the unlabelled images that consistency trains on.", choices=VIEWS)


@dataclass(frozen=True)
class ConsistencyConfig:
    """Whether the classifier is to agree with its teacher about augmented unlabelled images."""

    weight: float = _field(0.0, "Weight of d/consistency; 0: no such term.", NOT_NEGATIVE)
    threshold: float = _field(
        0.95, "Probability from which the teacher's class counts; freematch and softmatch have their own.", NOT_NEGATIVE
    )
    rule: str = _field(
        "fixed",
        "How much the teacher's class counts: by a fixed threshold, or as in FlexMatch, FreeMatch or SoftMatch.",
        choices=RULES,
    )
    rule_decay: float = _field(0.999, "Decay of the moving averages of rule and alignment, a step.", FRACTION)
    alignment: str = _field(
        "none",
        "Class frequencies with which the teacher's are aligned: uniform (for weights, as in SoftMatch) or labelled "
        "(the labels' ones; for classes too, as in ReMixMatch); none where classes are not equally frequent.",
        choices=ALIGNMENTS,
    )
    fairness: float = _field(0.0, "Weight of FreeMatch's d/fairness, 0.01 in its code; 0: no such term.", NOT_NEGATIVE)
    teacher: str = _field(
        "averaged", "The teacher: averaged weights, or the student itself, as in FixMatch.", choices=TEACHERS
    )


@dataclass(frozen=True)
class PropagationConfig:
    """Whether labels are propagated along a graph of similar images before training, and the graph's constants."""

    neighbours: int = _field(0, "Neighbours of each image; 0: no graph.", NOT_NEGATIVE)
    candidates: int = _field(30, "Images of which the neighbours are chosen.", COUNT)
    pause_from: float = _field(
        0.0, "Fraction of the run, in whole epochs, from which propagated labels are not used.", FRACTION
    )
    pause_until: float = _field(0.0, "Fraction of the run from which they are used again.", FRACTION)
    parts: bool = _field(False, "Compare parts of the images as well, for handwriting.")
    deslant: bool = _field(False, "Compare images without the slant of handwriting.")
    reverse_weight: float = _field(
        0.0, "Relative weight of edges to the images that an image explains best.", NOT_NEGATIVE
    )
    reach: int = _field(2, "Pixels by which the image distortion model may displace a pixel.", NOT_NEGATIVE)
    sharpness: float = _field(8.0, "s in an edge's weight exp(-s d / d_k).", NOT_NEGATIVE)
    alpha: float = _field(
        0.998, "Fraction of an image's scores that comes from its neighbours (Zhou et al.).", FRACTION
    )
    alpha_wide: float = _field(0.9995, "alpha of the iterations from all images.", FRACTION)
    alpha_narrow: float = _field(0.995, "alpha of the last two propagations.", FRACTION)
    alpha_many: float = _field(0.995, "alpha where every class has many_labels.", FRACTION)
    alpha_local: float = _field(0.97, "alpha where classes overlap.", FRACTION)
    iterations: int = _field(20, "Propagations from all images, at most.", COUNT)
    settled: float = _field(1e-4, "Fraction of images that change class at which iterations end.", NOT_NEGATIVE)
    trial_iterations: int = _field(3, "Iterations after which unstable classes count as overlapping.", COUNT)
    stable: float = _field(5e-3, "Fraction of images that may still change class then.", NOT_NEGATIVE)
    many_labels: int = _field(50, "Labels of each class from which they outweigh the graph's clusters.", COUNT)
    few_labels: int = _field(5, "Labels of a class below which a balanced start is tried as well.", NOT_NEGATIVE)
    certainty: float = _field(6.0, "Log-odds of the two most probable classes of the median image.", NOT_NEGATIVE)
    trusted: float = _field(
        0.5,
        "Accuracy on left-out labels, beyond chance (Cohen's kappa), from which propagated labels have their full "
        "certainty; 0: always, untested.",
        PROBABILITY,
    )
    useful: float = _field(
        0.4, "The same, below which they are not used; in between their certainty is calibrated.", PROBABILITY
    )
    embeddings: str | None = _field(
        None,
        "Vectors by which the graph compares images in the place of pixels: .npy in the images' order, .npz or .csv by "
        "their files.",
        short="embeddings",
    )


@dataclass(frozen=True)
class Config:
    """A training run."""

    preset: str = _field("tutorial", "Named values of all settings; the other settings change it.", short="preset")
    seed: int = _field(0, "Seed of the weights, the batches and the noise.", SEED, short="seed")
    epochs: int = _field(20, "Epochs to train, a checkpoint after each.", COUNT, short="epochs")
    steps_per_epoch: int = _field(600, "Steps of an epoch.", COUNT, short="steps_per_epoch")
    steps: int | None = _field(None, "Steps to train in all, instead of epochs.", COUNT, short="steps")
    precision: str = _field(
        "float32",
        "float32, bfloat16 or auto (bfloat16 where this machine is fast in it): what the layers compute in.",
        choices=PRECISIONS,
        short="precision",
    )
    batch_size: int = _field(
        50,
        "Labelled images a step, and as many unlabelled and generated ones where nothing else is set.",
        Range(1, LARGEST),
        short="batch_size",
    )
    unlabelled: int | None = _field(
        None, "Unlabelled images a step, at least batch_size; consistency alone uses those above it.", Range(1, LARGEST)
    )
    class_balance: str = _field(
        "none",
        "Where classes have unequal numbers of labels: draws (each class is as likely in a batch), weights (losses of "
        "labelled images weigh by the inverse frequency of their class) or none.",
        choices=BALANCES,
        short="class_balance",
    )
    ema_decay: float = _field(0.999, "Decay of the averaged weights, a step.", FRACTION)
    evaluators: tuple[str, ...] = _field(
        ("accuracy",),
        "What measures the model after each epoch, by name: accuracy, or generator, which needs features.",
    )
    features: str | None = _field(
        None,
        "Run, or RUN/step_N, of a separately trained classifier, or FILE.onnx: by its features generated images are "
        "compared with training images after each epoch (evaluator generator); none, as by default: they are not.",
        short="features",
    )
    init_from: str | None = _field(
        None, "Run, or RUN/step_N, with whose weights the run begins; by default with random ones.", short="init_from"
    )
    keep: int = _field(
        0,
        "Checkpoints to keep: the last, others spread over the run, and besides these the best by validation; 0: all.",
        NOT_NEGATIVE,
        short="keep",
    )
    patience: int = _field(
        0,
        "Epochs without a higher validation accuracy after which the run ends; 0: it takes all its steps.",
        NOT_NEGATIVE,
        short="patience",
    )
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    adam: AdamConfig = field(default_factory=AdamConfig)
    muon: MuonConfig = field(default_factory=MuonConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    weak: AugmentConfig = field(default_factory=AugmentConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)

    @property
    def total_steps(self) -> int:
        """Steps from the first to the last."""
        return self.epochs * self.steps_per_epoch if self.steps is None else self.steps

    @property
    def measured_by(self) -> tuple[str, ...]:
        """Names of evaluators: those of `evaluators`, and the generator's where there are features for it."""
        measures_generator = self.features is not None and GENERATOR not in self.evaluators
        return (*self.evaluators, GENERATOR) if measures_generator else self.evaluators

    def uses_propagated_labels(self, step: int) -> bool:
        """Whether the step after `step` steps uses the propagated labels."""
        epochs = self.total_steps / self.steps_per_epoch
        # Rounded inwards: a short run has too short a pause rather than none of the graph at its beginning.
        first = math.ceil(self.propagation.pause_from * epochs - 1e-6)
        end = math.floor(self.propagation.pause_until * epochs + 1e-6)
        return not first <= step // self.steps_per_epoch < end


class Setting(NamedTuple):
    """A field of the tree."""

    place: str  # "model.width"
    kind: Any  # its type, as annotated
    default: Any
    help: str
    allowed: Range | None
    choices: tuple[str, ...]
    short: str  # a name without the branch, for doors that have short names; or nothing

    def takes(self, value: Any) -> bool:
        """Whether the value is of the field's type; an integer is a float, and True is not an integer."""
        return _is_of(value, self.kind)


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is UnionType:
        return any(_is_of(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        length_fits = others == [...] or (isinstance(value, tuple) and len(value) == 1 + len(others))
        return isinstance(value, tuple) and length_fits and all(_is_of(item, first) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _settings(kind: type[Any], branch: str = "") -> Iterator[Setting]:
    types = get_type_hints(kind)
    for one in dataclasses.fields(kind):
        wanted = types[one.name]
        if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
            yield from _settings(wanted, f"{branch}{one.name}.")
        else:
            meta = one.metadata
            about = (meta["help"], meta["range"], meta["choices"], meta["short"])
            yield Setting(f"{branch}{one.name}", wanted, one.default, *about)


SETTINGS: dict[str, Setting] = {one.place: one for one in _settings(Config)}
_BRANCHES = {place.rpartition(".")[0] for place in SETTINGS}
SHORT: dict[str, str] = {one.short: one.place for one in SETTINGS.values() if one.short}  # places by short name

# Settings of a run's length: the same run may be made longer, unless its rate decays.
LENGTH_SETTINGS = frozenset({"epochs", "steps"})
# Settings of where images come from. The same images may come another way: their digest decides.
# So does that of embeddings.
SOURCE_SETTINGS = frozenset(
    {
        "data.dataset",
        "data.data_dir",
        "data.image_size",
        "data.stream",
        "data.labels_file",
        "propagation.embeddings",
    }
)
# Settings that name a file or a folder.
PATHS = frozenset({"data.data_dir", "data.labels_file", "propagation.embeddings", "init_from", "features"})
# Settings of what a run reports and keeps, and of when it ends early; they change none of the steps that it takes.
REPORT_SETTINGS = frozenset({"evaluators", "features", "keep", "patience"})


def flatten(config: Config) -> dict[str, Any]:
    """Every setting by its place: `{"model.head": "stacked", ...}`."""

    def value(place: str) -> Any:
        branch: Any = config
        for name in place.split("."):
            branch = getattr(branch, name)
        return branch

    return {place: value(place) for place in SETTINGS}


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values at the places given.

    Lists are taken for tuples, paths for text, NumPy's numbers for Python's.

    Raises:
      UserError: the setting is unknown, or the value is of another type.
    """
    branches: dict[str, dict[str, Any]] = {}
    for place, value in values.items():
        value = tuple(map(_plain, value)) if isinstance(value, list | tuple) else _plain(value)
        if place not in SETTINGS:
            raise UserError(f"no setting is named '{place}'; the settings are those of `sgan train --help`")
        if not SETTINGS[place].takes(value):
            raise UserError(f"‹{place}›: {value!r:.60}; expected {_kind(SETTINGS[place].kind)}")
        if place in PATHS and value == "":  # Path("") is the current folder
            raise UserError(f"‹{place}›: '' is no path; leave it out, or name a file or folder")
        branch, _, name = place.rpartition(".")
        branches.setdefault(branch, {})[name] = value
    own = branches.pop("", {})
    parts = {branch: replace(getattr(config, branch), **fields) for branch, fields in branches.items()}
    return replace(config, **own, **parts)


def _plain(value: Any) -> Any:
    """A path as text, and Python's own value for one of NumPy's, which is not imported for that."""
    if isinstance(value, Path):
        return str(value)
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _kind(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is UnionType:
        return " or ".join(_kind(one) for one in get_args(kind))
    names = {int: "a whole number", float: "a number", str: "text", bool: "True or False", type(None): "none"}
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        return "a list of text" if others == [...] and first is str else "two whole numbers"
    return names[kind]


def to_json(config: Config) -> dict[str, Any]:
    """The configuration as nested dictionaries of plain values."""
    return dataclasses.asdict(config)


def from_json(values: Any) -> Config:
    """The inverse of `to_json`.

    Files of version 0.1 are understood (`upgraded`). A missing field takes its default.

    Raises:
      UserError: a field is unknown or of another type.
    """
    try:
        return changed(Config(), dict(_leaves(upgraded(values))))
    except UserError as error:
        raise UserError(f"config.json: {error.marked}; start a new run with ‹run›") from None


def _leaves(values: Any, branch: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(values, dict):
        raise UserError(f"{branch.rstrip('.') or 'config'} is {values!r:.40}, expected settings by name")
    for name, value in values.items():
        if f"{branch}{name}" in _BRANCHES:
            yield from _leaves(value, f"{branch}{name}.")
        elif isinstance(value, dict):
            raise UserError(f"no settings are named '{branch}{name}'")
        else:
            yield f"{branch}{name}", value


_RENAMED = {"alone_from": "pause_from", "alone_until": "pause_until", "back": "reverse_weight"}


def upgraded(values: Any) -> Any:
    """The values of a configuration of version 0.1 as this version has them; others as they are.

    In 0.1 the objective was a name, the batch size counted the images of two sources, an image size was the side of a
    square, mirrored images were a setting of their own, and the graph's settings had other names.
    """
    if not isinstance(values, dict) or not isinstance(values.get("objective", {}), str):
        return values
    new = values | {"objective": {"name": values["objective"]}}
    # A value of another type stays as it is, so that whoever reads it next reports it.
    if type(batch := values.get("batch_size")) is int:
        new["batch_size"] = batch // 2
    data, graph, augment = (values.get(name) for name in ("data", "propagation", "augment"))
    if isinstance(data, dict) and type(side := data.get("image_size")) is int:
        new["data"] = data | {"image_size": [side, side]}
    if isinstance(augment, dict) and isinstance(augment.get("mirror"), bool):
        new["augment"] = {name: value for name, value in augment.items() if name != "mirror"}
        new["augment"]["extra"] = ["mirror"] if augment["mirror"] else []
    if isinstance(graph, dict):
        new["propagation"] = {_RENAMED.get(name, name): value for name, value in graph.items()}
        if isinstance(graph.get("slanted"), bool):
            new["propagation"]["deslant"] = not new["propagation"].pop("slanted")
    return new


def settings_of_file(values: Any) -> dict[str, Any]:
    """Settings by place out of a file's values: a run's config.json whole, or any part of the tree.

    Raises:
      UserError: a field is unknown, or fields stand in the place of a value.
    """
    tree = values["config"] if isinstance(values, dict) and isinstance(values.get("config"), dict) else values
    return dict(_leaves(upgraded(tree)))


def differences(old: Config, new: Config, free: frozenset[str] = frozenset()) -> list[str]:
    """What differs in two configurations, a phrase each; lengths, origins of images, reports and `free` may differ.

    The preset comes first, as other differences may be its own; then the settings that have a short name.
    """
    was, now = flatten(old), flatten(new)
    free = free | LENGTH_SETTINGS | SOURCE_SETTINGS | REPORT_SETTINGS
    differing = [place for place in now if place not in free and was[place] != now[place]]
    differing.sort(key=lambda place: (place != "preset", not SETTINGS[place].short))
    return [f"{place} was {_shown(was[place])}, now {_shown(now[place])}" for place in differing]


def most_telling(differences: Sequence[str]) -> str:
    """The first of the differences, and how many more there are."""
    more = len(differences) - TELLING
    return "; ".join(differences[:TELLING]) + (f"; and {more} more" if more > 0 else "")


def _shown(value: Any) -> Any:
    """A value of a setting in a message."""
    if isinstance(value, tuple):
        return (" x " if all(isinstance(item, int) for item in value) else ",").join(map(str, value)) or "none"
    return "none" if value is None else value


def located(config: Config) -> Config:
    """The configuration with files and folders that are found from any working directory."""
    settings = flatten(config)
    paths = {place: str(Path(path).absolute()) for place in PATHS if (path := settings[place])}
    for place in ("init_from", "features"):  # without links: `runs/latest` is soon another run
        if (path := settings[place]) is not None and Path(path).suffix != ".onnx":  # a link may have that name alone
            paths[place] = str(Path(path).resolve())
    return changed(config, paths)


def without_folders(config: Config) -> Config:
    """The configuration for a file that is passed on: of every path of this machine only the last part."""
    paths = {
        place: value
        for place, value in flatten(config).items()
        if isinstance(value, str) and (place in PATHS or PurePath(value).is_absolute())
    }
    return changed(config, {place: PurePath(value).name for place, value in paths.items()})


def choose(table: Mapping[str, Any], name: str, what: str) -> Any:
    """`table[name]`, or an error that names what there is to choose from."""
    if name not in table:
        raise UserError(f"unknown {what} '{name}'; choose one of {', '.join(sorted(table))}")
    return table[name]


def validate(config: Config) -> None:
    """Checks every setting against its range, and those that depend on one another.

    Raises:
      UserError: names the setting and what it takes.
    """
    for place, value in flatten(config).items():
        _check(SETTINGS[place], value)
    for wrong in _conflicts(config):
        raise UserError(wrong)


def check_image_size(size: tuple[int, int]) -> None:
    """Checks a size to which images are to be resized.

    Raises:
      UserError: a side is too small or too large.
    """
    _check(SETTINGS["data.image_size"], size)


def _check(setting: Setting, value: Any) -> None:
    numbers: Iterable[Any] = value if isinstance(value, tuple) else (value,)
    if setting.allowed is not None:
        for number in numbers:
            if number is not None and not setting.allowed.holds(number):
                shown = " x ".join(map(str, value)) if isinstance(value, tuple) else value
                raise UserError(f"‹{setting.place}›: {shown}; {setting.allowed}")
    if setting.choices and value not in setting.choices:
        raise UserError(f"‹{setting.place}›: {value}; choose one of {', '.join(setting.choices)}")


def _conflicts(config: Config) -> Iterator[str]:
    """What is wrong between settings of which each is in its range."""
    data, graph, adam = config.data, config.propagation, config.adam
    if data.labels is not None and data.validation >= data.labels:
        least = "; expected at least 2 labels, one to train on" if data.labels < 2 else ""
        yield f"‹data.validation›: {data.validation}; {between(0, data.labels - 1)}{least}"
    if config.generator.images is not None and config.generator.images > (config.unlabelled or config.batch_size):
        most = f"the unlabelled images of a step, {config.unlabelled or config.batch_size}"
        yield f"‹generator.images›: {config.generator.images}; must be at most {most}"
    if config.patience and not data.validation:
        yield f"‹patience›: {config.patience}; counts epochs by validation accuracy; give ‹data.validation›, too"
    if config.patience and "accuracy" not in config.evaluators:
        yield f"‹patience›: {config.patience}; counts epochs by validation accuracy; expected accuracy in ‹evaluators›"
    if GENERATOR in config.evaluators and config.features is None:
        needs = "‹features› RUN, a run whose classifier was trained separately, or FILE.onnx"
        yield f"‹evaluators›: {GENERATOR}; needs {needs}"
    if graph.candidates < graph.neighbours:
        least = f"‹propagation.neighbours›, {graph.neighbours}"
        yield f"‹propagation.candidates›: {graph.candidates}; must be at least {least}"
    if graph.pause_until < graph.pause_from:
        least = f"‹propagation.pause_from›, {graph.pause_from}"
        yield f"‹propagation.pause_until›: {graph.pause_until}; must be at least {least}"
    if graph.embeddings is not None and not graph.neighbours:
        yield (
            f"‹propagation.embeddings›: {graph.embeddings}; needs a graph: ‹preset› best-objects, "
            "or ‹propagation.neighbours› 6 with ‹consistency.weight› 1"
        )
    if graph.trusted and graph.useful > graph.trusted:
        most = f"‹propagation.trusted›, {graph.trusted}"
        yield f"‹propagation.useful›: {graph.useful}; must be at most {most}"
    if config.consistency.fairness and config.consistency.rule != "freematch":
        yield f"‹consistency.fairness›: {config.consistency.fairness}; needs ‹consistency.rule› freematch"
    if config.unlabelled is not None and config.unlabelled < config.batch_size:
        yield f"‹unlabelled›: {config.unlabelled}; must be at least ‹batch_size›, {config.batch_size}"
    if not adam.epsilon + adam.epsilon_root > 0:
        yield f"‹adam.epsilon›: {adam.epsilon}; must be a positive number, or ‹adam.epsilon_root› one"

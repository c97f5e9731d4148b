"""Named values of the configuration, each with what it is for, its paper, its measured error and its time.

Errors are of MNIST's 10,000 test images after the last step, mean and deviation over n draws of 100 labels; minutes are
those of the steps in bfloat16 on two cores of a Zen 5 (photographs: of a Zen 4), and for `best*` without the comparison
of all images, which is made once for a data set (both and triple: by the ratio of their step's time to that of best and
feature_matching, one core). BENCHMARKS.md has command, commit and machine of each.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sgan_jax.config import (
    LARGEST_GRAPH,
    AdamConfig,
    AugmentConfig,
    Config,
    ConsistencyConfig,
    GeneratorConfig,
    ModelConfig,
    MuonConfig,
    ObjectiveConfig,
    PropagationConfig,
    ViewsConfig,
)


class Preset(NamedTuple):
    """A row of the table."""

    config: Config
    purpose: str
    source: str  # paper, and what differs from it
    error: str  # % of MNIST's test images with 100 labels, and n; "" where it was not measured
    minutes: str  # of the steps of a run


def _of(objective: str) -> ObjectiveConfig:
    return ObjectiveConfig(name=objective)


# Half the tutorial's channels and five times its learning rate: a run takes minutes.
_SMALL = Config(steps_per_epoch=100, model=ModelConfig(width=64), adam=AdamConfig(learning_rate=1e-3))
# What the presets of one paper each have in common, so that they differ in their objective only. At a constant rate
# the accuracy of most of them dropped by 0.3 to 2.9 points from its peak to the last step, which is the one reported.
_FAMILY = replace(_SMALL, adam=replace(_SMALL.adam, schedule="cosine"))
# Chosen on training images, of other draws of labels than those that BENCHMARKS.md reports.
_STRONG = AugmentConfig(rotation=20.0, shear=0.3, scale=0.2, shift=2.0)

_CONSISTENCY = Config(
    objective=_of("feature_matching"),
    epochs=4,
    batch_size=32,
    unlabelled=256,
    ema_decay=0.995,
    model=ModelConfig(networks="compact", width=32, dropout=0.3),
    adam=AdamConfig(learning_rate=1e-3, beta1=0.9, beta2=0.99, schedule="cosine"),
    augment=AugmentConfig(rotation=10.0, shear=0.15, scale=0.1, shift=1.5, elastic=0.7),
    consistency=ConsistencyConfig(weight=1.0),
)
_HANDWRITING = replace(
    _CONSISTENCY,
    batch_size=16,
    muon=MuonConfig(3e-3),
    propagation=PropagationConfig(6, 40, parts=True, deslant=True, reverse_weight=0.15),
)
# A classifier that uses the propagated labels to the end repeats their mistakes. Without them for a while, with a few
# labels and its own teacher, it loses some of these mistakes and makes others: then both sources know more together
# than either (Blum and Mitchell, "Combining labeled and unlabeled data with co-training", COLT 1998). It begins with
# them, since without them whole classes are lost with a hundred labels.
_BEST = replace(
    _HANDWRITING, epochs=14, propagation=replace(_HANDWRITING.propagation, pause_from=2 / 14, pause_until=4 / 14)
)
# Chosen on training images of Fashion-MNIST, of draws of labels from 100 on.
_OBJECTS = replace(
    _CONSISTENCY,
    epochs=8,
    batch_size=64,
    augment=AugmentConfig(rotation=5.0, shear=0.1, scale=0.1, shift=1.5, extra=("mirror",)),
    propagation=PropagationConfig(neighbours=6),
)

# Half the channels of the tutorial's generator, against a stronger discriminator.
_OF_PAIRS = GeneratorConfig(networks="tutorial", discriminator="compact", width=64, images=64, beta1=0.5, averaged=True)

# The trunk, views and rates of all presets for photographs: they differ in how pseudo-labels are chosen.
_PHOTOGRAPHS = Config(
    objective=_of("supervised"),
    epochs=24,
    steps_per_epoch=300,
    batch_size=64,
    unlabelled=160,
    ema_decay=0.995,
    model=ModelConfig(networks="residual", width=32, dropout=0.0, norm="batch"),
    adam=AdamConfig(learning_rate=1e-3, beta1=0.9, beta2=0.99, schedule="cosine"),
    muon=MuonConfig(0.01),
    weak=AugmentConfig(crop=4, extra=("mirror",), border="reflect"),
    augment=AugmentConfig(
        rotation=10.0,
        shear=0.1,
        scale=0.1,
        crop=4,
        extra=("mirror",),
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        invert=0.1,
        cutout=16,
        border="reflect",
        fill="grey",
    ),
    views=ViewsConfig(labelled="weak", teacher="weak", student="strong"),
    consistency=ConsistencyConfig(weight=1.0, rule="freematch", rule_decay=0.99),  # 0.999 is for a million steps
)

_TABLE = {
    "tutorial": Preset(
        Config(),
        "the tutorial's run, four updates a step",
        "Brownlee, How to Implement a Semi-Supervised GAN From Scratch in Keras; Salimans et al., arXiv 1606.03498",
        "7.33 (n = 1)",
        "24",
    ),
    "joint": Preset(
        Config(objective=_of("joint")),
        "the same losses in one update of both players",
        "Salimans et al., arXiv 1606.03498; Shen et al., arXiv 2103.00430",
        "3.31 (n = 1)",
        "12",
    ),
    "fast": Preset(
        replace(_SMALL, objective=_of("joint"), augment=_STRONG),
        "a good classifier in a minute, and a generator that draws",
        "the losses of joint on smaller networks, with augmented labelled images",
        "2.46 +- 0.40 (n = 3)",
        "0.8",
    ),
    "supervised": Preset(
        replace(_FAMILY, objective=_of("supervised")),
        "baseline: the labelled images only",
        "Odena, arXiv 1606.01583, its CNN",
        "21.73 +- 1.66 (n = 5)",
        "0.1",
    ),
    "supervised-augmented": Preset(
        replace(_FAMILY, objective=_of("supervised"), augment=_STRONG),
        "baseline: the labelled images only, augmented",
        "the same",
        "6.04 +- 1.00 (n = 5)",
        "0.1",
    ),
    "k_plus_one": Preset(
        replace(_FAMILY, objective=_of("joint"), model=ModelConfig(head="k_plus_one", width=64)),
        "one softmax with a class for generated images",
        "Odena, arXiv 1606.01583; the losses of joint on this head",
        "6.78 +- 0.69 (n = 5)",
        "0.8",
    ),
    "feature_matching": Preset(
        replace(_FAMILY, objective=_of("feature_matching")),
        "the generator matches mean features",
        "Salimans et al., arXiv 1606.03498, section 3.1",
        "12.60 +- 1.24 (n = 5)",
        "1.1",
    ),
    "improved-gan-mnist": Preset(
        Config(
            objective=_of("feature_matching"),
            epochs=300,
            batch_size=100,
            ema_decay=0.9999,
            model=ModelConfig(networks="mlp", width=1000, dropout=0.0),
            adam=AdamConfig(learning_rate=3e-3, epsilon=0.0, epsilon_root=1e-8),
        ),
        "feature matching with the paper's own networks, noise and rates",
        "Salimans et al., arXiv 1606.03498, and their code",
        "0.91 (n = 1)",
        "46",
    ),
    "catgan": Preset(
        replace(_FAMILY, objective=_of("catgan")),
        "entropies of the classes instead of real and fake",
        "Springenberg, arXiv 1511.06390",
        "4.99 +- 0.22 (n = 5)",
        "1.2",
    ),
    "complement": Preset(
        replace(_FAMILY, objective=_of("complement")),
        "feature matching with entropy and pull-away terms",
        "Dai et al., arXiv 1705.09783, without its PixelCNN",
        "13.85 +- 1.68 (n = 5)",
        "1.2",
    ),
    "manifold": Preset(
        replace(_FAMILY, objective=_of("manifold")),
        "feature matching, classifier smooth along the generator's manifold",
        "Lecouat et al., arXiv 1805.08957",
        "11.64 +- 1.70 (n = 5)",
        "1.7",
    ),
    "invariance": Preset(
        replace(_FAMILY, objective=_of("invariance")),
        "feature matching, classifier constant along tangents of the manifold",
        "Kumar et al., arXiv 1705.08850, without their encoder",
        "11.85 +- 1.29 (n = 3)",
        "5.5",
    ),
    "triple": Preset(
        replace(_FAMILY, objective=ObjectiveConfig("triple"), generator=GeneratorConfig(averaged=True)),
        "three players: a classifier, a generator that draws the class asked for, their judge",
        "Li et al., arXiv 1703.02291, with a projection discriminator and R1",
        "",
        "1.3",
    ),
    "consistency": Preset(
        _CONSISTENCY,
        "any pictures: a teacher of averaged weights, augmented unlabelled images",
        "FixMatch, arXiv 2001.07685; Mean teacher, arXiv 1703.01780; the losses of feature_matching",
        "1.35 +- 0.12 (n = 3)",
        "2.2",
    ),
    "photos": Preset(
        _PHOTOGRAPHS,
        "colour photographs: a residual trunk, thresholds that follow the teacher",
        "FreeMatch, arXiv 2205.07246, with a teacher of averaged weights; no generator",
        "",
        "85",
    ),
    "fixmatch": Preset(
        replace(_PHOTOGRAPHS, consistency=replace(_PHOTOGRAPHS.consistency, rule="fixed", teacher="student")),
        "baseline for photos: one threshold, and no teacher but the classifier",
        "FixMatch, arXiv 2001.07685, with the trunk, views and rates of photos",
        "",
        "85",
    ),
    "freematch": Preset(
        replace(_PHOTOGRAPHS, consistency=replace(_PHOTOGRAPHS.consistency, teacher="student", fairness=0.01)),
        "baseline for photos: thresholds that follow the classifier, fairness term",
        "FreeMatch, arXiv 2205.07246, with the trunk, views and rates of photos",
        "",
        "85",
    ),
    "best": Preset(
        _BEST,
        "handwriting: the lowest error; its generator draws few shapes",
        "consistency with labels propagated along a graph (Zhou et al., NIPS 2003)",
        "0.52 +- 0.05 (n = 10)",
        "7.7",
    ),
    "both": Preset(
        replace(
            _BEST,
            objective=ObjectiveConfig("triple", classifier_pairs=0.0, generated_weight=0.0),
            generator=_OF_PAIRS,
        ),
        "handwriting: the classifier of best, and a generator that draws the class asked for",
        "best; Triple-GAN, arXiv 1703.02291, whose generator learns from the classifier and not the other way",
        "",
        "17",
    ),
    "best-objects": Preset(
        _OBJECTS,
        "grey pictures of things: weaker augmentation, mirrored images",
        "the same",
        "",
        "5.8",
    ),
    "best-unaugmented": Preset(
        replace(_HANDWRITING, epochs=6, augment=AugmentConfig()),
        "handwriting, without augmentation, to compare with papers",
        "the same",
        "0.98 +- 0.05 (n = 10)",
        "3.5",
    ),
}

# What becomes of the generator, by objective; with an objective that is not listed it is trained to draw.
_ONLY_SERVES = "The generator of this objective only serves the classifier; it may draw few shapes, again and again."
_NOT_FOR_DRAWING = {
    "supervised": "This objective does not train the generator: its images are noise.",
    **dict.fromkeys(("feature_matching", "complement", "manifold", "invariance"), _ONLY_SERVES),
}

TABLE: dict[str, Preset] = {name: row._replace(config=replace(row.config, preset=name)) for name, row in _TABLE.items()}
PRESETS: dict[str, Config] = {name: row.config for name, row in TABLE.items()}


class ImageFacts(NamedTuple):
    """What is known about images before training."""

    height: int
    width: int
    channels: int  # 1 (grey) or 3 (RGB)
    train: int  # training images
    unlabelled: int  # of these, those without a label
    streamed: bool  # whether they do not fit in memory


class Fit(NamedTuple):
    """A row of the table of recommendations."""

    preset: str
    reason: str
    fits: Callable[[ImageFacts], bool]


# The first row that fits is recommended.
_FITS = (
    Fit("photos", "for colour images", lambda facts: facts.channels > 1 and not facts.streamed),
    Fit("consistency", "for images that do not fit in memory", lambda facts: facts.streamed),
    Fit("consistency", "for too many images to compare all of them", lambda facts: facts.train > LARGEST_GRAPH),
    Fit("consistency", "for large images", lambda facts: max(facts.height, facts.width) > _COMPARED),
    Fit("consistency", "for few images", lambda facts: facts.train <= _BEST.propagation.neighbours),
    Fit("consistency", "as every image has a label, so that none is propagated", lambda facts: not facts.unlabelled),
    Fit("best", "for handwriting and drawings; for grey pictures of things best-objects", lambda _: True),
)
_COMPARED = 64  # pixels of a side: five times the pixels of MNIST, and so of the time to compare images


def recommended(facts: ImageFacts) -> tuple[str, str]:
    """The preset that fits images, and why."""
    row = next(row for row in _FITS if row.fits(facts))
    return row.preset, row.reason


def generator_learns(config: Config) -> bool:
    """Whether the objective trains the generator; if not, its images are noise from the first step to the last."""
    return config.objective.name != "supervised"


def drawing_note(config: Config) -> str:
    """A note where the generator is not made for drawing, with presets whose generator is; else nothing."""
    note = _NOT_FOR_DRAWING.get(config.objective.name, "")
    return f"{note} For generated pictures take the preset tutorial or fast." if note else ""


def usual_head(preset: str) -> str:
    """The head of a preset; of one that is not in the table, the default one."""
    return PRESETS.get(preset, Config()).model.head

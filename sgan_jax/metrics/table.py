"""Evaluators by name: what measures a model after each epoch. A new one is a function and a row of EVALUATORS."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.config import GENERATOR
from sgan_jax.metrics import accuracy as correct
from sgan_jax.metrics.classify import Classify, class_logits
from sgan_jax.metrics.confusion import confusion_matrix
from sgan_jax.metrics.features import FIGURES, Basis, Features
from sgan_jax.metrics.generated import NEIGHBOURS, Real
from sgan_jax.metrics.measure import PERCENT, Measure
from sgan_jax.metrics.subsets import Subset, compared, evaluation_subset, held_out_subset, how_many_compared
from sgan_jax.types import TrainState

COMPARED = 2000  # images of each kind in `generator`, few enough for every epoch


class Subject(NamedTuple):
    """What an evaluator may measure, and on which images."""

    classify: Classify
    generate: Callable[[TrainState, jax.Array, int], np.ndarray]  # (state, key, count) -> uint8 images
    classifies: bool
    subsets: dict[str, Subset]  # "train", and "test" and "validation" where there are any: images and labels
    classes: int  # K
    key: jax.Array  # the run's key for samples: the same latents after each epoch
    training: np.ndarray  # all training images in memory, with and without a label, uint8 [N, H, W, C]
    features: Features | None = None  # by which generated images are compared


class Evaluated(NamedTuple):
    """The result of an evaluator."""

    measures: dict[str, Measure]
    counts: dict[str, int] = {}  # noqa: RUF012 - images behind a measure, where these are not all of its subset
    confusion: np.ndarray | None = None  # of held-out images, or else training images, int64 [K, K]
    class_logits: dict[str, np.ndarray] = {}  # noqa: RUF012 - of all images of a subset, float32 [N, K], to be kept
    about: dict[str, Any] = {}  # noqa: RUF012 - plain values by name, that the line of the measures is to have


class NotFinite(Exception):
    """The model's output is NaN or infinite."""

    def __init__(self, what: str):
        super().__init__(what)
        self.what = what


Evaluator = Callable[[TrainState, bool], Evaluated]  # (state, whether the run ends with it)


def accuracy(subject: Subject) -> Evaluator:
    """Accuracies on every subset, and with averaged weights on the one that is held out from training.

    Before the run's end the training images are represented by a fixed subset of 10,000: all of MNIST's after every
    hundred steps would take longer than quick steps do.
    """
    classify, held_out = subject.classify, held_out_subset(subject.subsets)
    count = len(subject.subsets["train"][1])
    chosen = evaluation_subset(count)
    fixed = chosen if len(chosen) < count else None

    def of(state: TrainState, ends: bool) -> Evaluated:
        if not subject.classifies:
            return Evaluated({})
        measures, counts, logits, confusion = {}, {}, {}, None
        for name, (images, labels, _) in subject.subsets.items():
            which = None if ends or name != "train" else fixed
            outputs = class_logits(classify, state.model("d"), images, subject.classes, which)
            if not np.isfinite(outputs).all():
                raise NotFinite("a class logit")
            known = labels if which is None else labels[which]
            value = correct.accuracy(outputs, known)
            if name == (held_out or "train"):
                confusion = confusion_matrix(known, outputs.argmax(axis=1), subject.classes)
            measures[f"{name}_accuracy"] = Measure(value, "%", len(outputs))
            if which is not None:
                counts[f"{name}_accuracy"] = len(which)
            if name == held_out:
                logits[name] = outputs
                averaged = class_logits(classify, state.model("d", averaged=True), images, subject.classes)
                measures[f"ema_{name}_accuracy"] = Measure(correct.accuracy(averaged, labels), "%", len(labels))
        return Evaluated(measures, counts, confusion, logits)

    return of


def generator(subject: Subject) -> Evaluator:
    """Frechet distance, recall and coverage of generated images beside as many training images.

    Those of `eval --generator` for the same number of images. `about` has the features, and the same figures of test
    images: the floor. Real images are described once. Without features there are no figures.
    """
    features, training = subject.features, subject.training
    if features is None:
        return lambda state, ends: Evaluated({})
    tests = subject.subsets["test"].images if "test" in subject.subsets else training[:0]
    n = how_many_compared(len(training), len(tests), COMPARED, NEIGHBOURS + 1)
    images = compared(len(training), len(tests), n)

    @cache
    def real() -> Real:
        return Real(features.describe(training, images.training).features)

    @cache
    def about() -> dict[str, Any]:
        floor = _figures(real(), features.describe(tests, images.test).features) if len(images.test) else {}
        return {"features": Basis(features.about, n, floor).to_json()}

    def of(state: TrainState, ends: bool) -> Evaluated:
        measures = _figures(real(), features.describe(subject.generate(state, subject.key, n), None).features)
        return Evaluated(measures, dict.fromkeys(measures, n), about=about())

    return of


def _figures(real: Real, features: np.ndarray) -> dict[str, Measure]:
    """The figures of images by their features, `[n, F]`."""
    n, of_manifolds = len(features), real.manifolds(features)
    measures = (
        Measure(real.frechet_distance(features), "", n),
        Measure(of_manifolds.recall, PERCENT, n),
        Measure(of_manifolds.coverage, PERCENT, n),
    )
    return dict(zip(FIGURES, measures, strict=True))


EVALUATORS: dict[str, Callable[[Subject], Evaluator]] = {"accuracy": accuracy, GENERATOR: generator}

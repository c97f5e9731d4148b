"""Evaluators by name: what measures a model after each epoch. A new one is a function and a row of EVALUATORS."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from sgan_jax.metrics import accuracy as correct
from sgan_jax.metrics.classify import Classify, class_logits
from sgan_jax.metrics.confusion import confusion_matrix
from sgan_jax.metrics.measure import Measure
from sgan_jax.metrics.subsets import Subset, evaluation_subset, held_out_subset
from sgan_jax.types import Model, TrainState


class Subject(NamedTuple):
    """What an evaluator may measure, and on which images."""

    classify: Classify
    generate: Callable[[Model, jax.Array, int], np.ndarray]  # (model, key, count) -> uint8 images
    classifies: bool
    subsets: dict[str, Subset]  # "train", and "test" and "validation" where there are any: images and labels
    classes: int  # K
    key: jax.Array  # the run's key for samples: the same latents after each epoch


class Evaluated(NamedTuple):
    """The result of an evaluator."""

    measures: dict[str, Measure]
    counts: dict[str, int] = {}  # noqa: RUF012 - images behind a measure, where these are not all of its subset
    confusion: np.ndarray | None = None  # of held-out images, or else training images, int64 [K, K]
    class_logits: dict[str, np.ndarray] = {}  # noqa: RUF012 - of all images of a subset, float32 [N, K], to be kept


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


EVALUATORS: dict[str, Callable[[Subject], Evaluator]] = {"accuracy": accuracy}

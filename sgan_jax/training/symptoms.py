"""Warnings during training: named checks of an epoch, each of which is reported once in a run.

A new check is a function and a row of CHECKS. What a check compares is cheap: figures and images that an epoch's end
has made anyway, and at most a thousand images through the classifier.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.config import Config
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.layout import few
from sgan_jax.engine.step import owners
from sgan_jax.engine.system import System
from sgan_jax.metrics.classify import class_logits, probabilities
from sgan_jax.metrics.diversity import distance
from sgan_jax.metrics.table import Evaluated
from sgan_jax.runs.directory import RunDir
from sgan_jax.types import TrainState

# Loss terms that unlabelled images are in, whatever the objective.
UNLABELLED_TERMS = ("d/real", "d/entropy", "d/imbalance", "d/consistency", "g/features")
COLLAPSED = 0.1  # of the distance of real images: below, the generator makes one shape
REAL = 100  # real images whose distance is taken
SAMPLE = 1000  # training images whose pseudo-labels are inspected
FROM_DISK = 100  # of these, where they are streamed
FEWEST = 10  # pseudo-labels that may be of one class by chance
FALLING = 5  # epochs


class Observed(NamedTuple):
    """What an epoch has brought to light. A field that is None was not observed."""

    class_names: tuple[str, ...]
    settled: bool  # whether it is not the run's first epoch, whose networks have hardly begun, or it is the only one
    zero_terms: tuple[str, ...] | None = None  # those of UNLABELLED_TERMS that were 0 in each of its steps
    confusion: np.ndarray | None = None  # of held-out images, or else training images, int64 [K, K]
    pseudo_labels: np.ndarray | None = None  # classes of unlabelled images by which training takes them, integers [M]
    generated: float | None = None  # distance of two generated images, as a fraction of that of two real ones
    validation: tuple[float, ...] = ()  # accuracies after each epoch so far, the newest last


Check = Callable[[Observed], str | None]  # the warning, or None


def unlabelled_term_zero(seen: Observed) -> str | None:
    """A term of unlabelled images had no effect throughout the epoch."""
    if not seen.zero_terms:
        return None
    return f"{' and '.join(seen.zero_terms)}: 0 in every step of an epoch; unlabelled images had no effect there"


def class_never_predicted(seen: Observed) -> str | None:
    """Classes with images are never predicted."""
    if seen.confusion is None or not seen.settled:
        return None
    images, predicted = seen.confusion.sum(axis=1), seen.confusion.sum(axis=0)
    missing = [name for name, n, m in zip(seen.class_names, images, predicted, strict=True) if n and not m]
    if not missing:
        return None
    which = f"class {missing[0]} is" if len(missing) == 1 else f"classes {few(missing)} are"
    return f"{which} never predicted, of {images.sum():,} images"


def pseudo_labels_of_one_class(seen: Observed) -> str | None:
    """All unlabelled images that have a pseudo-label have the same one."""
    labels = seen.pseudo_labels
    if labels is None or len(labels) < FEWEST or (labels != labels[0]).any():
        return None
    return f"all pseudo-labels, of {len(labels):,} images, are of class {seen.class_names[labels[0]]}"


def generator_collapsed(seen: Observed) -> str | None:
    """Generated images are nearly the same."""
    if seen.generated is None or not seen.settled or seen.generated >= COLLAPSED:
        return None
    share = f"{100 * seen.generated:.1f} % of what two real ones do"
    how = f"root mean square of pixels; below {100 * COLLAPSED:.0f} %"
    return f"the generator makes one shape: two of its images differ by {share} ({how})"


def validation_falling(seen: Observed) -> str | None:
    """The validation accuracy has fallen in each of the last epochs."""
    last = seen.validation[-FALLING - 1 :]
    if len(last) <= FALLING or any(after >= before for before, after in pairwise(last)):
        return None
    fell = f"from {100 * last[0]:.1f} to {100 * last[-1]:.1f} %"
    return f"validation accuracy has fallen for {FALLING} epochs, {fell}"


CHECKS: dict[str, Check] = {
    "unlabelled_term_zero": unlabelled_term_zero,
    "class_never_predicted": class_never_predicted,
    "pseudo_labels_of_one_class": pseudo_labels_of_one_class,
    "generator_collapsed": generator_collapsed,
    "validation_falling": validation_falling,
}


class Watch:
    """Observes the epochs of a run and makes the warnings that it has not reported yet."""

    def __init__(self, config: Config, dataset: Dataset, system: System, run: RunDir):
        """Begins where a run resumes.

        Args:
          config: of the run.
          dataset: what it is trained on.
          system: what is trained.
          run: whose metrics have what was reported before.
        """
        self._config, self._dataset, self._system = config, dataset, system
        self._reported = {warning.name for warning in run.warnings()}
        self._validation = [one["validation_accuracy"] for one in run.metrics() if "validation_accuracy" in one]
        self._zero: set[str] | None = None  # terms that have been 0 since the epoch's first step; None: not seen
        self._propagated: np.ndarray | None = None
        self._real: float | None = None
        self._sample: np.ndarray | None = None

    def fed(self, pseudo_labels: Any) -> None:
        """Takes the propagated labels that training begins with, `[N, K]`, or None."""
        if pseudo_labels is not None:
            self._propagated = np.asarray(pseudo_labels).argmax(axis=1)

    def taken(self, before: int, loss: Mapping[str, np.ndarray]) -> None:
        """Takes the loss terms of the steps after `before`, `[steps]` each."""
        if before % self._config.steps_per_epoch == 0:
            self._zero = {name for name in UNLABELLED_TERMS if name in loss}
        if self._zero:
            self._zero = {name for name in self._zero if not np.any(loss[name])}

    def epoch(self, step: int, state: TrainState, generated: np.ndarray, evaluated: Evaluated) -> dict[str, str]:
        """The warnings of an epoch, by name of the check; each is reported once.

        Args:
          step: its last one.
          state: after it.
          generated: some generated images.
          evaluated: what was measured.
        """
        config = self._config
        if validation := evaluated.measures.get("validation_accuracy"):
            self._validation.append(validation.value)
        seen = Observed(
            self._dataset.class_names,
            settled=step > config.steps_per_epoch or step == config.total_steps,
            zero_terms=None if self._zero is None else tuple(sorted(self._zero)),
            confusion=evaluated.confusion,
            pseudo_labels=self._pseudo_labels(state),
            generated=self._diversity(generated),
            validation=tuple(self._validation),
        )
        self._zero = None
        made = {name: CHECKS[name](seen) for name in CHECKS if name not in self._reported}
        warnings = {name: text for name, text in made.items() if text is not None}
        self._reported |= warnings.keys()
        return warnings

    def _pseudo_labels(self, state: TrainState) -> np.ndarray | None:
        """Classes of unlabelled images as consistency takes them; None where there is none."""
        consistency, name = self._config.consistency, "pseudo_labels_of_one_class"
        if not consistency.weight or name in self._reported:
            return None
        if self._propagated is not None:
            return self._propagated
        model, classes = state.model("d", averaged=consistency.teacher == "averaged"), self._dataset.num_classes
        of_classes = probabilities(class_logits(self._system.classify, model, self._unlabelled(), classes))
        threshold = consistency.threshold if consistency.rule == "fixed" else 0.0  # others follow the teacher
        return of_classes.argmax(axis=1)[of_classes.max(axis=1) > threshold]

    def _unlabelled(self) -> np.ndarray:
        """Images from all over those that training takes as unlabelled ones."""
        if self._sample is None:
            source, most = self._dataset.train_images, SAMPLE
            if self._dataset.streamed is not None:
                source, most = self._dataset.streamed, FROM_DISK  # type: ignore[assignment]
            chosen = np.linspace(0, len(source) - 1, min(most, len(source))).astype(int)
            self._sample = np.stack([source[index] for index in chosen.tolist()])
        return self._sample

    def _diversity(self, generated: np.ndarray) -> float | None:
        """The distance of two generated images by that of two real ones; None for a generator that is not trained."""
        if "g" not in owners(self._system.recipe.objective).values():
            return None
        if self._real is None:
            images = self._dataset.train_images
            self._real = distance(images[np.linspace(0, len(images) - 1, min(REAL, len(images))).astype(int)])
        return distance(generated) / self._real if self._real else None

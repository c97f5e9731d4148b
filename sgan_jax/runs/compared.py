"""A run beside its baseline, whose run directory lies beside the run's. No JAX here."""

from typing import NamedTuple

from sgan_jax.metrics.measure import Measure, label, measures
from sgan_jax.runs.directory import RunDir

ACCURACIES = ("test_accuracy", "validation_accuracy", "train_accuracy")  # the first that both have is compared


class WithBaseline(NamedTuple):
    """A measure of a run and of its baseline."""

    name: str  # of the measure, in words
    run: Measure
    baseline: Measure

    def __str__(self) -> str:
        """`test accuracy: 97.50 % with unlabelled images, 85.00 % with the labels alone`."""
        return f"{self.name}: {self.run} with unlabelled images, {self.baseline} with the labels alone"


def with_baseline(run: RunDir) -> WithBaseline | None:
    """The accuracies of both; None without a baseline, and until both have ended."""
    ours, theirs = measures(run.result()), measures(run.baseline.result())
    for name in ACCURACIES:
        if name in ours and name in theirs:
            return WithBaseline(label(name), ours[name], theirs[name])
    return None

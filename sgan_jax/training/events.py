"""What training reports to whoever started it. The default listener ignores everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sgan_jax.metrics.measure import Measure

if TYPE_CHECKING:
    from sgan_jax.types import Metrics


class Span(NamedTuple):
    """The steps that a call is to take."""

    total: int  # the run's last step
    first: int  # steps taken before
    steps_per_epoch: int
    notice: str  # a warning that belongs to every figure on these data, or nothing


class Setup(NamedTuple):
    """What a call trains, on what."""

    device: str  # its kind
    devices: int  # how many share each step
    precision: str
    image_shape: tuple[int, int, int]  # (H, W, C)
    labelled: Mapping[str, int]  # images with a label, by class
    validation: int  # of these, how many are kept from training
    unlabelled: int  # other training images
    test: int
    parameters: Mapping[str, int]  # of each network


class Epoch(NamedTuple):
    """What was measured at the end of an epoch."""

    step: int
    measures: Mapping[str, Measure]
    counts: Mapping[str, int]  # images behind a measure, where these are not all of its subset
    notice: str
    warnings: tuple[str, ...] = ()  # of `symptoms`, each once in a run


class Steps:
    """Listens to the steps of a run. Subclasses show or record what interests them."""

    def step(self, step: int, metrics: Metrics) -> None:
        """A step was taken; called for each, after the dispatch that took it."""

    def dispatched(self, step: int, metrics: Metrics) -> None:
        """A dispatch ended with this step."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch has ended, and its checkpoint is being written."""

    def ends_early(self, why: str) -> None:
        """The run ends before its last step; `finished` follows."""

    def finished(self, run: Path, notice: str) -> None:
        """The run has taken its last step and written its result."""


class Listener:
    """Listens to a training call. Subclasses show or record what interests them."""

    def note(self, text: str) -> None:
        """A line about what is going to happen."""

    def begins(self, setup: Setup) -> None:
        """Training is about to begin, or to resume."""

    def is_finished(self, run: Path, step: int, measures: Mapping[str, Measure]) -> None:
        """The run ended at this step in an earlier call, and nothing is left to train."""

    def comparing(self, stage: str, done: int, total: int) -> None:
        """So many blocks of all are done of a stage of the comparison of images, before the first step."""

    def logged(self, step: int, figures: Mapping[str, float]) -> None:
        """A line of metrics.jsonl was written: loss and watched terms, and after an epoch the values of measures."""

    @contextmanager
    def steps(self, span: Span) -> Iterator[Steps]:
        """Around the steps of a run; may be entered again after a rollback."""
        yield Steps()


Callback = Callable[[int, Mapping[str, float]], object]  # (step, figures by name), as of `Listener.logged`


class Calling(Listener):
    """Calls a function with the figures of each line of metrics.jsonl; another listener gets everything."""

    def __init__(self, callback: Callback, listener: Listener | None = None):
        self.callback, self.listener = callback, listener or Listener()

    def note(self, text: str) -> None:
        """Hands the line on."""
        self.listener.note(text)

    def begins(self, setup: Setup) -> None:
        """Hands it on."""
        self.listener.begins(setup)

    def is_finished(self, run: Path, step: int, measures: Mapping[str, Measure]) -> None:
        """Hands it on."""
        self.listener.is_finished(run, step, measures)

    def comparing(self, stage: str, done: int, total: int) -> None:
        """Hands it on."""
        self.listener.comparing(stage, done, total)

    def logged(self, step: int, figures: Mapping[str, float]) -> None:
        """Hands the figures on."""
        self.listener.logged(step, figures)
        self.callback(step, figures)

    @contextmanager
    def steps(self, span: Span) -> Iterator[Steps]:
        """That of the other listener."""
        with self.listener.steps(span) as steps:
            yield steps

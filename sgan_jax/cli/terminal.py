"""What a person sees of training on the terminal: notes, the progress bar, a line for each epoch."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import Signals

from sgan_jax.cli.progress import Progress
from sgan_jax.cli.spelling import command
from sgan_jax.cli.waiting import Waiting
from sgan_jax.data.layout import few
from sgan_jax.metrics.measure import Measure, number
from sgan_jax.training.events import Epoch, Listener, Setup, Span, Steps
from sgan_jax.training.signals import Stop
from sgan_jax.types import Metrics


class Terminal(Listener):
    """Prints what training reports."""

    def __init__(self, log_every: int = 0, brief: bool = False):
        """Prints nothing yet.

        Args:
          log_every: print the tutorial's line every so many steps; 0: never.
          brief: leave out what explains the output, and what to do next: for one run of many.
        """
        self.log_every, self.brief = log_every, brief
        self._progress: Progress | None = None
        self._waiting = Waiting()

    def note(self, text: str) -> None:
        """Prints the line."""
        self._waiting.leave()
        print(f"{text}\n", end="", flush=True)  # in one piece, for a signal's line comes from another thread

    def begins(self, setup: Setup) -> None:
        """Prints what is trained, on what."""
        if not self.brief:
            for line in _described(setup):
                self.note(line)

    def is_finished(self, run: Path, step: int, measures: Mapping[str, Measure]) -> None:
        """Prints what the end of training printed."""
        if not self.brief:
            for line in _conclusion(run, step, measures):
                self.note(line)

    def comparing(self, stage: str, done: int, total: int) -> None:
        """Shows how far the comparison of images is."""
        self._waiting.show(stage, done, total)

    @contextmanager
    def steps(self, span: Span) -> Iterator[Steps]:
        """Shows a bar on a terminal, and plain lines elsewhere."""
        with Progress(span, self.log_every, explains=not self.brief) as self._progress:
            try:
                yield _Lines(self._progress, self.brief)
            finally:
                self._progress = None

    def stopping(self, number: Signals, stop: Stop) -> None:
        """Prints what a first signal does. The bar ends, so that the terminal is as it was whatever comes next."""
        progress = self._progress
        if progress is not None:
            progress.leave()
        again = "Ctrl-C again" if number is Signals.SIGINT else f"another {number.name}"
        if stop.saves:
            saves = "stopping: the steps under way are taken and a checkpoint is saved"
            self.note(f"{saves}; {again} stops at once, without it")
        else:
            self.note(f"stopping; {again} stops at once")


class _Lines(Steps):
    def __init__(self, progress: Progress, brief: bool):
        self.progress, self.brief = progress, brief
        self.last: Epoch | None = None

    def step(self, step: int, metrics: Metrics) -> None:
        self.progress.log(step, metrics)

    def dispatched(self, step: int, metrics: Metrics) -> None:
        self.progress.update(step, metrics)

    def epoch(self, epoch: Epoch) -> None:
        self.last = epoch
        figures = ", ".join(_shown(name, measure, epoch.counts) for name, measure in epoch.measures.items())
        self.progress.print(f"step_{epoch.step}: {figures or 'no classifier'}")

        for warning in epoch.warnings:
            self.progress.print(f"warning: {warning}")

    def ends_early(self, why: str) -> None:
        self.progress.print(why)

    def finished(self, run: Path, notice: str) -> None:
        self.progress.print(f"finished: {run}{_bracketed(notice)}")
        if self.last is not None and not self.brief:
            for line in _conclusion(run, self.last.step, self.last.measures):
                self.progress.print(line)


def _described(setup: Setup) -> list[str]:
    height, width, channels = setup.image_shape
    color = {1: "grey", 3: "RGB"}.get(channels, f"{channels} channels")
    labels = sum(setup.labelled.values())
    devices = f"{setup.devices} x {setup.device}" if setup.devices > 1 else setup.device
    validation = f", of which {setup.validation} are for validation only" if setup.validation else ""
    test = f"{setup.test:,} for the test" if setup.test else "none for the test"
    networks = ", ".join(f"{name} {count:,}" for name, count in setup.parameters.items())
    return [
        f"device: {devices}, {setup.precision}",
        f"images: {height} x {width}, {color}; {labels:,} labelled{validation}, {setup.unlabelled:,} unlabelled, "
        f"{test}",
        f"labelled: {_by_class(setup.labelled)}",
        f"parameters: {networks}",
    ]


def _by_class(labelled: Mapping[str, int]) -> str:
    """How many images of each class have a label."""
    if len(labelled) > 1 and len(set(labelled.values())) == 1:
        each = next(iter(labelled.values()))
        return f"{each:,} of each of {len(labelled)} classes ({few(list(labelled))})"
    return few([f"{name} {count:,}" for name, count in labelled.items()])


def _conclusion(run: Path, step: int, measures: Mapping[str, Measure]) -> list[str]:
    """The figures, where the results are, and what to do next."""
    held_out = next((name for name in ("test_accuracy", "validation_accuracy") if name in measures), None)
    figures = [] if held_out is None else [_shown(held_out, measures[held_out], _images(measures))]
    place = shlex.quote(str(run))
    uses = f"{command('predict')} --run {place} IMAGE" if measures else f"{command('sample')} --run {place}"
    return [
        *figures,
        f"results: {run / 'result.json'}, checkpoints/step_{step}, samples/step_{step}.png",
        f"next: {command('report')} --run {place}, or {uses}",
    ]


def _shown(name: str, measure: Measure, counts: Mapping[str, int]) -> str:
    words = name.replace("ema", "averaged weights").replace("_", " ")
    is_percent = measure.unit == "%"
    value = f"{number(measure)}%" if is_percent else f"{measure.value:.4g} {measure.unit}".rstrip()
    return f"{words} {value}" + (f" of {counts[name]:,}" if name in counts else "")


def _images(measures: Mapping[str, Measure]) -> dict[str, int]:
    return {name: measure.images for name, measure in measures.items() if measure.images is not None}


def _bracketed(notice: str) -> str:
    return f" ({notice})" if notice else ""

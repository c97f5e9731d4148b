"""What a person sees of training on the terminal: notes, the progress bar, a line for each epoch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import Signals

from sgan_jax.cli.progress import Progress
from sgan_jax.metrics.measure import Measure, number
from sgan_jax.training.events import Epoch, Listener, Span, Steps
from sgan_jax.training.signals import Stop
from sgan_jax.types import Metrics


class Terminal(Listener):
    """Prints what training reports."""

    def __init__(self, log_every: int = 0):
        """`log_every`: print the tutorial's line every so many steps; 0: never."""
        self.log_every = log_every
        self._progress: Progress | None = None

    def note(self, text: str) -> None:
        """Prints the line."""
        print(f"{text}\n", end="", flush=True)  # in one piece, for a signal's line comes from another thread

    @contextmanager
    def steps(self, span: Span) -> Iterator[Steps]:
        """Shows a bar on a terminal, and plain lines elsewhere."""
        with Progress(span, self.log_every) as self._progress:
            try:
                yield _Lines(self._progress)
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
    def __init__(self, progress: Progress):
        self.progress = progress

    def step(self, step: int, metrics: Metrics) -> None:
        self.progress.log(step, metrics)

    def dispatched(self, step: int, metrics: Metrics) -> None:
        self.progress.update(step, metrics)

    def epoch(self, epoch: Epoch) -> None:
        figures = ", ".join(_shown(name, measure, epoch.counts) for name, measure in epoch.measures.items())
        self.progress.print(f"step_{epoch.step}: {figures or 'no classifier'}{_bracketed(epoch.notice)}")

    def ends_early(self, why: str) -> None:
        self.progress.print(why)

    def finished(self, run: Path, notice: str) -> None:
        self.progress.print(f"finished: {run}{_bracketed(notice)}")


def _shown(name: str, measure: Measure, counts: Mapping[str, int]) -> str:
    words = name.replace("ema", "averaged weights").replace("_", " ")
    is_percent = measure.unit == "%"
    value = f"{number(measure)}%" if is_percent else f"{measure.value:.4g} {measure.unit}".rstrip()
    return f"{words} {value}" + (f" of {counts[name]:,}" if name in counts else "")


def _bracketed(notice: str) -> str:
    return f" ({notice})" if notice else ""

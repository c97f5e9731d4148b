"""What a person sees while training runs: a bar on a terminal, plain lines elsewhere, the tutorial's line on request.

    with Progress(Span(12000, first_step, 600, dataset.notice), log_every=0) as progress:
        for step in range(first_step + 1, 12001):
            ...
            progress.log(step, Metrics({"d/supervised": 2.305, ...}, {"d/accuracy": 0.06, ...}))
            progress.update(step, Metrics({"d/supervised": 2.305, ...}, {"d/accuracy": 0.06, ...}))

A dispatch of many steps logs each of them and updates once.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from sgan_jax.metrics.names import MEANINGS
from sgan_jax.report.text import duration
from sgan_jax.training.events import Span

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

    from sgan_jax.types import Metrics

RATE_SPAN = 20.0  # seconds of recent history behind steps/s
LEFT_SPAN = 600.0  # and behind the time left: longer, so that it allows for the pauses of evaluation
MARK_SPACING = 0.25  # seconds between remembered marks
DRAW_EVERY = 0.1  # seconds between two drawings of the bar
LINE_EVERY = 10.0  # seconds between two plain lines within an epoch
MIN_BAR = 10  # columns below which the bar is left out

EXPECT_AFTER = 10.0  # seconds of timed steps after which the time of a run is estimated

ACCURACY = "batch accuracy"
SHORT_NAMES = {"d/supervised": "c", "d/real": "d real", "d/fake": "d fake", "g/fool": "g"}
GROUPS = {"c": ("d/supervised", "d/accuracy"), "d": ("d/real", "d/fake"), "g": ("g/fool",)}
Field = tuple[str, str]  # name (may be empty) and value


def tutorial_line(step: int, metrics: "Metrics") -> str:
    """The tutorial's line for one step: `>1, c[2.305,6], d[0.096,2.399], g[0.095]`.

    That is step, c[supervised loss, labelled accuracy in whole percent], d[real loss, fake loss], g[loss]. A group of
    which nothing was measured is left out (a plain GAN has no c), a missing last figure too (`c[2.305]`); a missing
    first figure is a dash (`d[-,2.399]`), so that the place of a figure always identifies it. Terms that the
    tutorial does not have follow by player and name: `g features[0.013]`.
    """
    figures = {key: f"{value:.3f}" for key, value in (metrics.watch | metrics.loss).items()}
    if "d/accuracy" in metrics.watch:
        figures["d/accuracy"] = f"{100 * metrics.watch['d/accuracy']:.0f}"
    parts = [f">{step}"]
    for name, keys in GROUPS.items():
        if any(key in figures for key in keys):
            parts.append(f"{name}[{','.join(figures.get(key, '-') for key in keys).removesuffix(',-')}]")
    parts += [f"{key.replace('/', ' ')}[{figures[key]}]" for key in _other_terms(metrics)]
    return ", ".join(parts)


def metric_fields(metrics: "Metrics") -> list[Field]:
    """Names and values as shown: losses under short names in the tutorial's order, then other losses, then accuracy.

    Of what is only watched, the tutorial's figures are shown; the others are for metrics.jsonl.
    """
    every = metrics.watch | metrics.loss
    ordered = [key for key in SHORT_NAMES if key in every]
    ordered += _other_terms(metrics)
    fields = [(SHORT_NAMES.get(key, key.replace("/", " ")), _figure(every[key])) for key in ordered]
    if "d/accuracy" in metrics.watch:
        fields.append((ACCURACY, f"{100 * metrics.watch['d/accuracy']:.0f}%"))
    return fields


def legend(metrics: "Metrics") -> list[str]:
    """Lines that explain the fields of `metric_fields`."""
    every = metrics.watch | metrics.loss
    keys = [key for key in SHORT_NAMES if key in every] + _other_terms(metrics)
    rows = [(SHORT_NAMES.get(key, key.replace("/", " ")), MEANINGS.get(key, "a term of the loss")) for key in keys]
    if "d/accuracy" in metrics.watch:
        rows.append((ACCURACY, "Of the labelled images that the step trained on, as it saw them; not of other images."))
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:{width}}  {meaning}" for name, meaning in rows]


def _other_terms(metrics: "Metrics") -> list[str]:
    """Losses that the tutorial does not have."""
    return [key for key in metrics.loss if key not in SHORT_NAMES]


class Pace:
    """Steps per second over a recent span, from marks of (time, step) made by this process.

    The first mark is the first finished step: it includes compilation, so that rates begin after it.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()
        self._begun: tuple[float, int] | None = None

    @property
    def first(self) -> int:
        """The step with which the first mark was made."""
        return self._begun[1] if self._begun else 0

    def span(self) -> float:
        """Seconds from the first mark to the last."""
        return self._marks[-1][0] - self._begun[0] if self._begun else 0.0

    def mark(self, now: float, step: int) -> None:
        """Note that `step` was finished at `now` (seconds of a monotonic clock)."""
        self._begun = self._begun or (now, step)
        if len(self._marks) > 1 and now - self._marks[-2][0] < MARK_SPACING:
            self._marks.pop()  # too close to the mark before it to keep both
        self._marks.append((now, step))
        while len(self._marks) > 2 and self._marks[1][0] <= now - LEFT_SPAN:
            self._marks.popleft()

    def rate(self, span: float) -> float | None:
        """Steps per second over the last `span` seconds, or since the first mark if that is later; None before two."""
        if not self._marks:
            return None
        now, step = self._marks[-1]
        base = self._marks[0]
        for mark in reversed(self._marks):
            if mark[0] <= now - span:
                base = mark
                break
        return (step - base[1]) / (now - base[0]) if step > base[1] and now > base[0] else None


class Progress:
    """Shows how far training is; a context manager.

    Args:
        span: the steps that the run is to take.
        explains: whether lines explain the figures and state how long the steps will take.
        log_every: `log` prints `tutorial_line` of every so many steps; 0: of none.
        stream: where to write; standard output by default. A bar if it is a terminal, otherwise plain lines.
        console: a rich console to draw on instead of `stream`.
        clock: seconds of a monotonic clock.

    Raises:
        ValueError: a count out of range.
    """

    def __init__(
        self,
        span: Span,
        log_every: int = 0,
        stream: TextIO | None = None,
        *,
        explains: bool = False,
        console: "Console | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if span.total < 1 or span.steps_per_epoch < 1 or span.first < 0 or log_every < 0:
            raise ValueError(f"counts out of range: {span}, {log_every=}")
        self._span, self._log_every = span, log_every
        self._stream = sys.stdout if stream is None else stream
        self._console = console if console is not None else _terminal(self._stream)
        self._clock = clock
        self._live: Live | None = None
        self._lock = Lock()  # of the bar, which a signal ends from another thread
        self._pace = Pace()
        self._step = span.first
        self._metrics: Metrics | None = None
        self._to_explain, self._to_expect = explains, explains
        self._drawn = self._written = -float("inf")

    def __enter__(self) -> Self:
        if self._console is not None:
            from rich.live import Live

            # Drawn at updates and not by a thread of rich's own: the cores are for the training.
            self._live = Live(self._picture(), console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """End the bar and show the cursor again; what is printed later comes below. Any thread may call it."""
        with self._lock:
            if self._live is not None:
                self._live.update(self._picture())
                self._live.stop()
                self._live = None

    def log(self, step: int, metrics: "Metrics") -> None:
        """Print the tutorial's line for `step` if it is one of those asked for."""
        if self._log_every and step % self._log_every == 0:
            self.print(tutorial_line(step, metrics))

    def update(self, step: int, metrics: "Metrics") -> None:
        """Show the state after `step` steps of the run; values are finite or not."""
        now = self._clock()
        ends_epoch = self._ends_epoch(step)
        self._pace.mark(now, step)
        self._step = step
        self._metrics = metrics
        self._explain(metrics)
        with self._lock:
            if self._live is not None and (ends_epoch or now - self._drawn >= DRAW_EVERY):
                self._drawn = now
                self._live.update(self._picture(), refresh=True)
        if self._console is None and (ends_epoch or now - self._written >= LINE_EVERY):
            fields = [*self._where(), *metric_fields(metrics)]
            self.print("  ".join(f"{name} {value}".lstrip() for name, value in fields).rstrip())

    def _explain(self, metrics: "Metrics") -> None:
        """Once, what the figures are; and once the steps have been timed for a while, how long the others will take."""
        if self._to_explain:
            self._to_explain = False
            for line in legend(metrics):
                self.print(line)
        if self._to_expect and self._pace.span() >= EXPECT_AFTER and (rate := self._pace.rate(LEFT_SPAN)):
            self._to_expect = False
            if left := max(self._span.total - self._step, 0):
                of = f"by the pace of steps {self._pace.first + 1:,} to {self._step:,}"
                self.print(f"expected time: {duration(left / rate)} for {left:,} more steps, {of}")

    def print(self, line: str) -> None:
        """Write a line of text: above the bar on a terminal, in its turn elsewhere. No markup is read in it."""
        if self._console is not None:
            encoding = self._console.encoding
            self._console.print(_clean(line, encoding), markup=False, highlight=False, emoji=False, soft_wrap=True)
            return
        self._written = self._clock()
        self._stream.write(_clean(line, getattr(self._stream, "encoding", None)) + "\n")
        self._stream.flush()

    def _crossed(self, step: int, every: int) -> bool:
        """Whether a multiple of `every` lies after the step last shown, up to this one."""
        return every > 0 and step // every > self._step // every

    def _ends_epoch(self, step: int) -> bool:
        return self._crossed(step, self._span.steps_per_epoch) or self._step < self._span.total <= step

    def _where(self) -> list[Field]:
        # Before the first update the epoch is that of the step to come.
        step = max(self._step, min(self._span.first + 1, self._span.total))
        epoch, epochs = -(-step // self._span.steps_per_epoch), -(-self._span.total // self._span.steps_per_epoch)
        rate, pace = self._pace.rate(RATE_SPAN), self._pace.rate(LEFT_SPAN)
        left = max(self._span.total - self._step, 0)
        seconds = left / pace if pace else (None if left else 0.0)
        return [
            ("epoch", f"{epoch:>{len(str(epochs))}}/{epochs}"),
            ("step", f"{self._step:>{len(str(self._span.total))}}/{self._span.total}"),
            ("", f"{_rate(rate):>4} steps/s"),
            ("", f"{duration(seconds)} left"),
        ]

    def _picture(self) -> "RenderableType":
        """The bar and its figures, in as many rows as the terminal's width makes necessary."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        assert self._console is not None
        width = self._console.width
        where = [Text.assemble((f"{name} " if name else "", "dim"), value) for name, value in self._where()]
        what = []
        for name, value in metric_fields(self._metrics) if self._metrics else ():
            finite = "n" not in value  # as of nan and inf
            what.append(Text.assemble((f"{name} ", "dim"), (value, "bold" if finite else "bold red")))
        what = what or [Text("waiting for the first step", "dim")]
        rows: list[RenderableType] = []
        bar = width - sum(field.cell_len for field in where) - 2 * len(where) - 1
        if bar >= MIN_BAR:
            row = Table.grid(padding=(0, 2, 0, 0))
            progress = ProgressBar(total=self._span.total, completed=min(self._step, self._span.total), width=bar)
            row.add_row(where[0], progress, *where[1:])
            rows.append(row)
        else:
            rows += _packed(where, width)
        return Group(*rows, *_packed(what, width))


def _packed(fields: "Sequence[Text]", width: int) -> "list[Text]":
    """Fields side by side, two spaces between them, as many to a row as fit."""
    from rich.text import Text

    rows: list[list[Text]] = []
    for field in fields:
        if rows and sum(f.cell_len + 2 for f in rows[-1]) + field.cell_len < width:
            rows[-1].append(field)
        else:
            rows.append([field])
    lines = [Text("  ").join(row) for row in rows]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return lines


def _terminal(stream: TextIO) -> "Console | None":
    """A rich console on a stream that is a terminal with a movable cursor, else None."""
    # The stream is asked and not rich, which takes FORCE_COLOR for a terminal and would fill log files with escapes.
    if not stream.isatty():
        return None
    from rich.console import Console

    console = Console(file=stream, force_terminal=True)
    return None if console.is_dumb_terminal else console


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 10_000 else f"{value:.3f}"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.2f}" if rate < 9.995 else f"{rate:.1f}" if rate < 99.95 else f"{rate:.0f}"


def _clean(text: str, encoding: str | None) -> str:
    """Text without control characters (line ends and tabs stay) and with '?' for what the stream cannot encode."""
    text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
    return text.encode(encoding or "utf-8", "replace").decode(encoding or "utf-8")

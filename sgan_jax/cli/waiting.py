"""How far a stage is that comes before the first step: one line that changes on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from sgan_jax.report.text import duration

DRAW_EVERY = 0.2  # seconds between two drawings of the line
LINE_EVERY = 10.0  # seconds between two plain lines
_CLEAR = "\x1b[K"  # to the end of the line


class Waiting:
    """Shows percentage and time left of one stage after the other.

    Args:
        stream: where to write; standard output by default.
        clock: seconds of a monotonic clock.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._stage, self._begun, self._written = "", 0.0, 0.0
        self._open = False  # whether the cursor stands at the end of a line that changes

    def show(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` equal parts of a stage are done."""
        now, terminal = self._clock(), self._stream.isatty()
        if stage != self._stage:
            self._stage, self._begun, self._written = stage, now, now
            return  # the first part began before its end was known
        ends = done >= total
        if not ends and now - self._written < (DRAW_EVERY if terminal else LINE_EVERY):
            return
        if ends and not self._open and now - self._begun < LINE_EVERY:
            return  # too short to be worth a line
        self._written = now
        left = duration((now - self._begun) * (total - done) / max(done - 1, 1))
        text = f"{stage}: {100 * done // total}%, {left} left"
        self._stream.write(f"\r{text}{_CLEAR}" if terminal else f"{text}\n")
        self._stream.flush()
        self._open = terminal
        if ends:
            self.leave()

    def leave(self) -> None:
        """End the line that changes, so that other text comes below it."""
        if self._open:
            self._open = False
            self._stream.write("\n")
            self._stream.flush()

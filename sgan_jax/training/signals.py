"""Signals that ask a run to save and leave."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sgan_jax.engine.devices import Team

_AT_ITS_END = 1 << 16  # larger than the number of any signal


class Stopped(Exception):
    """A signal has asked for the end, and the computation is given up: a resume begins it anew."""


class Stop:
    """Which signal has asked for the end, if one has."""

    by: signal.Signals | None = None

    def anywhere(self, group: Team, at_its_end: bool = False) -> bool:
        """Whether a signal came to any process of the run, or one of them knows that the run is at its end.

        Each process then takes the signal for its own, unless the run is at its end. A signal that comes while the
        processes exchange this is kept for the next call.

        Args:
          group: whose processes are asked.
          at_its_end: whether this process knows that the run ends early.
        """
        number = group.largest(_AT_ITS_END if at_its_end else self.by or 0)
        if number and number != _AT_ITS_END:
            self.by = signal.Signals(number)
        return bool(number)

    def check(self) -> None:
        """Gives up what is being computed if a signal came to this process.

        Raises:
          Stopped: one did.
        """
        if self.by:
            raise Stopped


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask the loop to save and leave; a second one ends at once."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.by = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

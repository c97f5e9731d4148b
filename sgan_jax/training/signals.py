"""Signals that ask a run to save and leave."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sgan_jax.engine.devices import Team


class Stopped(Exception):
    """A signal has asked for the end, and the computation is given up: a resume begins it anew."""


class Stop:
    """Which signal has asked for the end, if one has."""

    by: signal.Signals | None = None

    def anywhere(self, group: Team) -> bool:
        """Whether a signal came to any process of the run; each then takes it for its own.

        A signal that comes while the processes exchange this is kept for the next call.
        """
        number = group.largest(self.by or 0)
        if number:
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

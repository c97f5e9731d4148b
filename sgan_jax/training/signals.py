"""Signals that ask a run to save and leave."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from sgan_jax.engine.devices import Team

_ASKING = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 0.5  # seconds that the announcement of a first signal gets when a second one ends the process
_AT_ITS_END = 1 << 16  # larger than the number of any signal


class Stopped(Exception):
    """A signal has asked for the end, and the computation is given up: a resume begins it anew."""


class Stop:
    """Which signal has asked for the end, if one has."""

    by: signal.Signals | None = None
    saves: bool = False  # whether steps are being taken, so that a checkpoint is saved at the end

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


Announce = Callable[[signal.Signals, Stop], None]


@contextmanager
def stop_on_signal(announce: Announce = lambda number, stop: None) -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask the loop to save and leave; a second one ends the process at once.

    Python calls handlers in the main thread, between two of its instructions: after a compilation or a dispatch that
    may take minutes. Its wakeup file descriptor gets every signal at once, and a thread reads it.

    Args:
      announce: called in that thread at the first signal of a kind, before the loop notices it.
    """
    stop = Stop()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watcher = Thread(target=_watch, args=(reader, stop, announce), daemon=True)
    before = {number: signal.signal(number, _left_to_the_thread) for number in _ASKING}
    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        watcher.join()
        os.close(reader)


def _left_to_the_thread(number: int, frame: FrameType | None) -> None: ...


def _watch(reader: int, stop: Stop, announce: Announce) -> None:
    """Takes the signals from the file descriptor, until its other end is closed."""
    announced: dict[int, Thread] = {}
    while numbers := os.read(reader, 64):
        for number in numbers:
            if number in announced:
                announced[number].join(_PATIENCE)
                _end_by(number)
            elif number in _ASKING:
                stop.by = signal.Signals(number)
                # In a thread of its own: a terminal that takes no text must not keep a second signal from its effect.
                announced[number] = Thread(target=_quietly, args=(announce, stop.by, stop), daemon=True)
                announced[number].start()
    for thread in announced.values():
        thread.join(_PATIENCE)


def _quietly(announce: Announce, number: signal.Signals, stop: Stop) -> None:
    with contextlib.suppress(OSError, ValueError):  # the output is closed
        announce(number, stop)


def _end_by(number: int) -> None:
    """Ends the process as the signal itself would; Python resets a handler in the main thread only."""
    ctypes.CDLL(None).signal(number, None)
    os.kill(os.getpid(), number)

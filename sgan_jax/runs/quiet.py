"""Suppresses what Orbax and TensorStore report beside the errors that they raise.

Where TensorStore cannot read or write an array, Orbax raises an error and closes its event loop while other arrays are
still on their way. Each of these then fails in a thread with "Event loop is closed". Python prints a traceback for
each, also after the error was handled.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

GRACE_SECONDS = 0.02  # for the arrays on their way: on a local disk they fail within a few milliseconds


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses the reports within; hooks and loggers are then as before, whatever other threads do."""
    absl = logging.getLogger("absl")  # Orbax logs each save, and tracebacks of the errors that it raises
    only_critical = _OnlyCritical()  # one for each call: other threads remove their own
    absl.addFilter(only_critical)
    _late_errors.suppress()
    try:
        yield
    except Exception:
        time.sleep(GRACE_SECONDS)
        raise
    finally:
        _late_errors.restore()
        absl.removeFilter(only_critical)


def quiet_late_errors() -> None:
    """Suppresses errors of a closed event loop until the process ends; for the command line."""
    _late_errors.suppress()


class _OnlyCritical(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL


class _LateErrors:
    """Suppresses errors of a closed event loop while at least one caller asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers = 0
        self._hook: partial[None] | None = None
        self._only_critical = _OnlyCritical()

    def suppress(self) -> None:
        with self._lock:
            self._callers += 1
            if self._callers == 1:
                sys.unraisablehook = self._hook = partial(_report_unless_late, sys.unraisablehook)
                logging.getLogger("asyncio").addFilter(self._only_critical)

    def restore(self) -> None:
        with self._lock:
            self._callers -= 1
            if self._callers == 0:
                if sys.unraisablehook is self._hook:  # else somebody has replaced it meanwhile
                    sys.unraisablehook = self._hook.args[0]
                logging.getLogger("asyncio").removeFilter(self._only_critical)


def _report_unless_late(report: Callable[[Any], Any], failure: Any) -> None:
    if not (isinstance(failure.exc_value, RuntimeError) and str(failure.exc_value) == "Event loop is closed"):
        report(failure)


_late_errors = _LateErrors()

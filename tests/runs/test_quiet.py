"""What Orbax and TensorStore report beside their errors is suppressed in a call, and nothing is changed after it."""

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from sgan_jax.runs import quiet as module
from sgan_jax.runs.quiet import quiet, quiet_late_errors


@pytest.fixture(autouse=True)
def as_at_the_start_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # The command line, which other tests call in this process, suppresses late errors until the end.
    monkeypatch.setattr(module, "_late_errors", module._LateErrors())


def settings() -> tuple[Any, ...]:
    """What a call might change in the process."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    return sys.unraisablehook, *((logger.level, list(logger.filters)) for logger in loggers)


class Late:
    """Raises an error where nobody can catch it."""

    def __init__(self, error: Exception):
        self.error = error

    def __del__(self) -> None:
        raise self.error


@contextmanager
def recorded() -> Iterator[list[str]]:
    """The texts of the errors that Python reports because nobody can catch them."""
    texts: list[str] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda failure: texts.append(str(failure.exc_value))
    try:
        yield texts
    finally:
        sys.unraisablehook = before


def test_within_a_call_errors_of_a_closed_event_loop_are_not_reported_and_others_are() -> None:
    with recorded() as texts:
        for _ in range(2):
            with quiet():
                Late(RuntimeError("Event loop is closed"))
                Late(RuntimeError("another"))
        Late(RuntimeError("Event loop is closed"))
    assert texts == ["another", "another", "Event loop is closed"]


def test_the_command_line_suppresses_errors_of_a_closed_event_loop_after_a_call_as_well() -> None:
    with recorded() as texts:
        quiet_late_errors()
        with quiet():
            pass
        Late(RuntimeError("Event loop is closed"))
        Late(RuntimeError("another"))
        module._late_errors.restore()
    assert texts == ["another"]


def test_within_a_call_orbax_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        logging.getLogger("absl").error("within")
        logging.getLogger("asyncio").error("within")
    logging.getLogger("absl").error("after")
    assert caplog.messages == ["after"]


@pytest.mark.parametrize("first", [0, 1])
def test_hooks_and_loggers_are_as_before_in_whatever_order_calls_end(first: int) -> None:
    before = settings()
    calls = [ExitStack(), ExitStack()]
    for call in calls:
        call.enter_context(quiet())
    assert settings() != before
    calls[first].close()
    assert settings() != before
    calls[1 - first].close()
    assert settings() == before


def test_hooks_and_loggers_are_as_before_after_an_error_in_any_of_several_threads() -> None:
    before = settings()

    def fail() -> None:
        for _ in range(3):
            with pytest.raises(ValueError), quiet():
                raise ValueError

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert settings() == before


def test_a_hook_that_somebody_sets_within_a_call_stays() -> None:
    before = sys.unraisablehook
    try:
        with quiet():
            theirs = sys.unraisablehook = lambda failure: None
        assert sys.unraisablehook is theirs
    finally:
        sys.unraisablehook = before

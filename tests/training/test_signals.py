"""Signals that ask a run to end: every process gets them, and none is lost."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from outer import environment

from sgan_jax.training.signals import Stop, stop_on_signal


class Others:
    """The other processes of a run: their numbers in turn, and a signal that comes to this one meanwhile."""

    def __init__(self, *numbers: int, meanwhile: tuple[Stop, signal.Signals] | None = None):
        self.numbers, self.meanwhile = list(numbers), meanwhile

    def largest(self, number: int) -> int:
        if self.meanwhile:
            stop, came = self.meanwhile
            stop.by, self.meanwhile = came, None
        return max(number, self.numbers.pop(0))


def test_a_signal_to_one_process_is_every_processs() -> None:
    stop = Stop()
    assert not stop.anywhere(Others(0)) and stop.by is None
    assert stop.anywhere(Others(15)) and stop.by is signal.SIGTERM


def test_a_signal_that_comes_while_the_processes_exchange_theirs_counts_the_next_time() -> None:
    stop = Stop()
    others = Others(0, 0, meanwhile=(stop, signal.SIGTERM))
    assert not stop.anywhere(others)
    assert stop.by is signal.SIGTERM
    assert stop.anywhere(others)


def test_that_a_run_is_at_its_end_is_every_processs_and_no_signal() -> None:
    leader, other = Stop(), Stop()
    assert leader.anywhere(Others(0), at_its_end=True) and leader.by is None
    exchanged: list[int] = []
    number = type("Number", (), {"largest": lambda self, number: exchanged.append(number) or number})()
    leader.anywhere(number, at_its_end=True)
    assert other.anywhere(Others(*exchanged)) and other.by is None
    other.by = signal.SIGINT
    assert other.anywhere(Others(*exchanged)) and other.by is signal.SIGINT


# The main thread computes something that takes hours and, like a compilation or an epoch on a GPU, runs no handler.
IN_COMPILED_CODE = """
import hashlib, sys
from sgan_jax.training.signals import stop_on_signal

with stop_on_signal(lambda number, stop: print(number.name, stop.by.name, stop.saves, flush=True)):
    print("computes", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_announced_at_once_and_a_second_one_ends_the_process_also_in_compiled_code(number) -> None:
    python = [sys.executable, "-P", "-c", IN_COMPILED_CODE]
    with subprocess.Popen(python, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "computes\n"
        process.send_signal(number)
        assert process.stdout.readline() == f"{number.name} {number.name} False\n"
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(20) == -number


def test_an_announcement_that_cannot_be_written_changes_nothing_and_afterwards_all_is_as_before() -> None:
    def handlers() -> tuple[object, ...]:
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), wakeup, threading.active_count()

    def fail(number: signal.Signals, stop: Stop) -> None:
        raise BrokenPipeError

    before, files = handlers(), os.listdir("/proc/self/fd")
    with stop_on_signal(fail) as stop:
        assert not stop.anywhere(Others(0))
        os.kill(os.getpid(), signal.SIGTERM)
        while not stop.by:
            pass
    assert stop.by is signal.SIGTERM
    assert handlers() == before and os.listdir("/proc/self/fd") == files

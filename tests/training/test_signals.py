"""Signals that ask a run to end: every process gets them, and none is lost."""

import signal

from sgan_jax.training.signals import Stop


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

"""One trial of a sweep: what identifies it, and its training."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError
from sgan_jax.sweep.directory import Key, key
from sgan_jax.training import loop
from sgan_jax.training.events import Listener
from sgan_jax.training.signals import Stop
from sgan_jax.training.start import Options


class Trial(NamedTuple):
    """One training run of a sweep."""

    number: int  # of the trials of this sweep, from 1
    total: int  # number of trials of this sweep
    config: Config
    path: Path  # the run directory

    @property
    def key(self) -> Key:
        """What identifies the trial."""
        return key(self.config)

    def __str__(self) -> str:
        """`trial 2 of 4: joint-20-s0`."""
        return f"trial {self.number} of {self.total}: {self.key}"


class Ended(NamedTuple):
    """A trial that has ended."""

    trial: Trial
    error: UserError | None = None  # what kept it from its last step


class Shared(NamedTuple):
    """What all trials of a sweep are trained with."""

    dataset: Dataset
    on_nan: str  # as of `training.start.Options`
    command: Sequence[str] = ()  # for config.json


def train(config: Config, path: Path, shared: Shared, stop: Stop, listener: Listener | None = None) -> bool:
    """Trains one run in this process, or resumes it; the only place where a sweep calls `loop.train`.

    Args:
      config: what to train.
      path: the run directory.
      shared: what all trials are trained with.
      stop: asked at each step whether to stop.
      listener: of the training.

    Returns:
      Whether the run reached its last step; otherwise a signal stopped it.

    Raises:
      UserError: the settings, the data or the directory do not permit it.
    """
    options = Options(path, on_nan=shared.on_nan, command=shared.command, stopping=lambda: nullcontext(stop))
    return loop.train(config, options, shared.dataset, listener).finished

"""Takes the steps of a run: how many a dispatch, on which devices, until when."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.engine.devices import Team, available
from sgan_jax.engine.memory import trim_growth
from sgan_jax.engine.system import System
from sgan_jax.training.profiler import Profile
from sgan_jax.types import Data, Metrics, TrainState


class Diverged(Exception):
    """A loss is NaN or infinite. Nothing of the dispatch in which that happened has been yielded."""

    def __init__(self, step: int, term: str, value: float):
        super().__init__(f"step {step}: {term} is {value}")
        self.step = step


class Dispatched(NamedTuple):
    """The result of one dispatch."""

    before: int  # steps that were taken before it
    step: int  # and after it
    state: TrainState  # given up at the next dispatch
    metrics: Metrics  # columns of its steps, [step - before] each

    def of_step(self, step: int) -> Metrics:
        """The metrics of one of its steps, as plain numbers."""
        row = step - self.before - 1
        of_row = ({name: float(column[row]) for name, column in columns.items()} for columns in self.metrics)
        return Metrics(*of_row)


class Feed(NamedTuple):
    """What steps take."""

    data: Data  # host arrays
    unlabelled: Iterator[np.ndarray] | None = None  # of each step in turn, uint8 [U, H, W, C], where `data` has none


def steps_at_once(platform: str, config: Config, step: int) -> int:
    """Steps of the dispatch after `step`: what is left of the epoch on an accelerator, one on a CPU.

    XLA's CPU backend is slower inside loops than outside, by far.
    """
    if platform == "cpu":
        return 1
    return min(config.steps_per_epoch - step % config.steps_per_epoch, config.total_steps - step)


class Dispatcher(NamedTuple):
    """Takes steps of a system on a team's devices; in each of the team's processes it must be used the same way."""

    config: Config  # how long, and in which steps propagated labels are used
    system: System
    team: Team
    stopped: Callable[[], bool]  # asked before each dispatch, whether to end; every process gets the same answer
    profile: Profile | None = None  # steps to trace, by the leader; dispatches of all processes end where they do

    def run(self, feed: Feed, state: TrainState, key: jax.Array) -> Iterator[Dispatched]:
        """Trains from `state` to the configured end, one dispatch an item.

        Args:
          feed: what the steps take.
          state: host arrays or those of one device.
          key: of the run.

        Raises:
          Diverged: a loss became infinite or NaN.
        """
        config, team, profile = self.config, self.team, self.profile
        advance = self.system.advance(team, streamed=feed.unlabelled is not None)
        first = step = int(state.step)
        state, data, key = team.place(state), team.place(feed.data), team.place(key)
        with ExitStack() as tracing:
            while step < config.total_steps and not self.stopped():
                before = step
                steps = self._steps_after(step, first, feed)
                if profile and step - first + 1 == profile.first and team.leads:
                    tracing.enter_context(jax.profiler.trace(profile.folder))
                if feed.unlabelled:
                    data = data._replace(unl_images=team.place(jax.numpy.asarray(next(feed.unlabelled))))
                # Without propagated labels it is another program.
                seen = data if config.uses_propagated_labels(step) else data._replace(pseudo_labels=None)
                state, metrics = advance(state, seen, key, steps)
                columns = jax.device_get(metrics)  # waits, or the queue of steps would grow ahead of the device
                trim_growth()
                _check_finite(before, columns)
                step += steps
                if profile and step - first == profile.last:
                    tracing.close()
                yield Dispatched(before, step, state, columns)

    def _steps_after(self, step: int, first: int, feed: Feed) -> int:
        steps = 1 if feed.unlabelled else steps_at_once(available()[0].platform, self.config, step)
        return self.profile.cut(step - first, steps) if self.profile else steps


def _check_finite(before: int, metrics: Metrics) -> None:
    """Raises Diverged for the first step of a dispatch with a value that is NaN or infinite."""
    columns = metrics.loss | metrics.watch
    rows = {name: np.flatnonzero(~np.isfinite(column)) for name, column in columns.items()}
    bad = [(int(of_name[0]), name) for name, of_name in rows.items() if len(of_name)]
    if bad:
        row, name = min(bad)
        raise Diverged(before + row + 1, name, float(columns[name][row]))

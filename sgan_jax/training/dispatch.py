"""Takes the steps of a run: how many a dispatch, on which devices, until when. What becomes of them is for others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.engine.devices import Team
from sgan_jax.engine.step import repeat
from sgan_jax.engine.system import System
from sgan_jax.training.profiler import Profile
from sgan_jax.types import Data, TrainState


class Diverged(Exception):
    """A loss is no number any more. Nothing of the dispatch in which that happened has been yielded."""

    def __init__(self, step: int, term: str, value: float):
        super().__init__(f"step {step}: {term} is {value}")
        self.step = step


class Dispatched(NamedTuple):
    """What one dispatch left."""

    before: int  # steps that were taken before it
    step: int  # and after it
    state: TrainState  # given up at the next dispatch
    columns: dict[str, np.ndarray]  # metrics of its steps, [step - before] each


def steps_at_once(platform: str, config: Config, step: int) -> int:
    """Steps of the dispatch after `step`: what is left of the epoch on an accelerator, one on a CPU.

    XLA's CPU backend is slower inside loops than outside, by far.
    """
    if platform == "cpu":
        return 1
    return min(config.steps_per_epoch - step % config.steps_per_epoch, config.total_steps - step)


def dispatches(
    config: Config,
    system: System,
    team: Team,
    data: Data,
    state: TrainState,
    key: jax.Array,
    stopped: Callable[[], bool],
    profile: Profile | None = None,
    feed: Iterator[np.ndarray] | None = None,
) -> Iterator[Dispatched]:
    """Trains from `state` to the configured end, one dispatch an item.

    Args:
      config: says how long, and in which steps the shares in `data` are seen.
      system: what is trained.
      team: the devices; in each of its processes this is to be called alike.
      data: as host arrays.
      state: host arrays or those of one device.
      key: of the run.
      stopped: asked before each dispatch, whether to end; every process is to get the same answer.
      profile: the steps to trace, by the team's leader; the dispatches of all its processes end where they do.
      feed: the unlabelled images of each step in turn, uint8 `[U, H, W, C]`, where `data` has none.

    Raises:
      Diverged: a loss became infinite or NaN.
    """
    train_step = system.train_step(team, streamed=feed is not None)
    advance = jax.jit(repeat(train_step), static_argnums=3, donate_argnums=0)
    step = int(state.step)
    state, data, key = team.place(state), team.place(data), team.place(key)
    first = step
    with ExitStack() as tracing:
        while step < config.total_steps and not stopped():
            before, taken = step, step - first
            steps = 1 if feed else steps_at_once(jax.default_backend(), config, step)
            if profile:
                steps = profile.cut(taken, steps)
                if taken + 1 == profile.first and team.leads:
                    tracing.enter_context(jax.profiler.trace(profile.folder))
            if feed:
                data = data._replace(unl_images=team.place(jax.numpy.asarray(next(feed))))
            heard = data if config.hears_graph(step) else data._replace(unl_shares=None)  # another program
            state, metrics = advance(state, heard, key, steps)
            columns = _to_host(metrics)  # waits, or the queue of steps would grow ahead of the device
            _refuse_divergence(before, columns)
            step += steps
            if profile and step - first == profile.last:
                tracing.close()
            yield Dispatched(before, step, state, columns)


def _refuse_divergence(before: int, columns: dict[str, np.ndarray]) -> None:
    """Raises Diverged for the first step of a dispatch with a value that is no number."""
    bad = {name: np.flatnonzero(~np.isfinite(column)) for name, column in columns.items()}
    found = [(int(rows[0]), name) for name, rows in bad.items() if len(rows)]
    if found:
        row, name = min(found)
        raise Diverged(before + row + 1, name, float(columns[name][row]))


def _to_host(metrics: dict[str, jax.Array]) -> dict[str, Any]:
    fetched: dict[str, Any] = jax.device_get(metrics)
    return fetched

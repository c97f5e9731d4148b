"""Takes the steps of a run: how many a dispatch, on which devices, until when. What becomes of them is for others."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.devices import Team
from sgan_jax.profiler import Profile
from sgan_jax.step import repeat
from sgan_jax.system import System
from sgan_jax.types import Data, TrainState


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
) -> Iterator[Dispatched]:
    """Trains from `state` to the configured end, one dispatch an item.

    Args:
      config: says how long.
      system: what is trained.
      team: the devices; in each of its processes this is to be called alike.
      data: as host arrays.
      state: host arrays or those of one device.
      key: of the run.
      stopped: asked before each dispatch, whether to end; every process is to get the same answer.
      profile: the steps to trace.
    """
    advance = jax.jit(repeat(system.train_step(team)), static_argnums=3, donate_argnums=0)
    step = int(state.step)
    if step >= config.total_steps:
        return  # before `place`, in which processes wait for each other: the leader does not come here
    state, data, key = team.place(state), team.place(data), team.place(key)
    first = step
    with ExitStack() as tracing:
        while step < config.total_steps and not stopped():
            before, taken = step, step - first
            steps = steps_at_once(jax.default_backend(), config, step)
            if profile:
                steps = profile.cut(taken, steps)
                if taken + 1 == profile.first:
                    tracing.enter_context(jax.profiler.trace(profile.folder))
            state, metrics = advance(state, data, key, steps)
            columns = _to_host(metrics)  # waits, or the queue of steps would grow ahead of the device
            step += steps
            if profile and step - first == profile.last:
                tracing.close()
            yield Dispatched(before, step, state, columns)


def _to_host(metrics: dict[str, jax.Array]) -> dict[str, Any]:
    fetched: dict[str, Any] = jax.device_get(metrics)
    return fetched

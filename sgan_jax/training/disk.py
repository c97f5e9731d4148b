"""The disk that a run's checkpoints take, before it begins."""

import logging
import shutil

import jax

from sgan_jax.config import Config
from sgan_jax.report.text import size_text
from sgan_jax.runs import retention
from sgan_jax.runs.directory import RunDir
from sgan_jax.types import TrainState

log = logging.getLogger(__name__)


def planned(run: RunDir, config: Config, first: int, state: TrainState) -> str:
    """A line about the checkpoints that the run will have; warns where the disk has less room than they need.

    Args:
      run: the run directory, with the checkpoints that are there.
      config: of the run.
      first: steps taken.
      state: of the run, which a checkpoint holds.
    """
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    there = retention.steps(run.checkpoints)
    epochs = -(-config.total_steps // config.steps_per_epoch) - first // config.steps_per_epoch
    every = len(there) + epochs
    count = min(every, config.keep + bool(config.data.validation)) if config.keep else every
    # The one before is removed when the next one is whole.
    needed = (min(count + 1, every) - len(there)) * size
    free = shutil.disk_usage(run.path).free
    if needed > free:
        log.warning(
            "%s: %s of disk are free; the checkpoints to come need %s; ‹keep› keeps fewer",
            run.path,
            size_text(free),
            size_text(needed),
        )
    number = f"{count} of {every}" if count < every else f"{count}"
    return f"checkpoints: {number}, of {size_text(size)} each, {size_text(count * size)} of disk in all"

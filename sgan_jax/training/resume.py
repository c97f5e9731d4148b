"""Where a run begins or resumes, and where it goes back to when a loss becomes NaN."""

import logging
from collections.abc import Callable

import jax

from sgan_jax.config import Config
from sgan_jax.engine.system import System, derive_keys
from sgan_jax.errors import UserError
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.training.dispatch import Diverged
from sgan_jax.types import TrainState

log = logging.getLogger(__name__)

MAX_ROLLBACKS = 10  # of a run: what diverges so often does so whatever the randomness


def resume(run: RunDir, system: System, fresh: Callable[[], TrainState]) -> tuple[TrainState, int]:
    """The state of the newest undamaged checkpoint and its step, or a fresh state and 0.

    Args:
      run: the run directory.
      system: what is trained.
      fresh: makes the state of step 0.

    Raises:
      UserError: there are checkpoints, and none of them can be restored; they stay as they are.
    """
    damaged = []
    for step in reversed(checkpoint.steps(run.checkpoints)):
        path = run.checkpoints / f"step_{step}"
        try:
            state = checkpoint.restore(path, system.abstract_state())
        except checkpoint.Damaged as error:
            log.warning("%s; trying the one before", error.marked)
            damaged.append(path)
            continue
        for other in damaged:
            checkpoint.set_aside(other)
        return jax.tree.map(jax.numpy.asarray, state), step
    if damaged:
        raise UserError(f"{run.checkpoints}: no checkpoint can be restored; remove it to start anew, or another ‹run›")
    return fresh(), 0


def training_key(config: Config, rollbacks: int) -> jax.Array:
    """The key of the steps: the seed's own, and another one after each rollback of the run."""
    key = derive_keys(config.seed).train
    return jax.random.fold_in(key, rollbacks) if rollbacks else key


def roll_back(run: RunDir, error: Diverged, on_nan: str) -> None:
    """Notes in the run that it goes back to its last checkpoint.

    Raises:
      UserError: that was not asked for, is not possible with several processes, or has happened too often.
    """
    saved = checkpoint.steps(run.checkpoints)
    last = f"the last good checkpoint is step_{saved[-1]}" if saved else "there is no checkpoint yet"
    advice = "a smaller ‹adam.learning_rate› may help, in a new run"
    if on_nan == "stop":
        raise UserError(
            f"{run.path}: {error}; {last}: ‹on_nan› rollback resumes from it with other randomness; {advice}"
        )
    if jax.process_count() > 1:
        raise UserError(f"{run.path}: {error}; {last}; ‹on_nan› rollback is for one process; {advice}")
    if len(run.record().rollbacks) >= MAX_ROLLBACKS:
        raise UserError(f"{run.path}: {error}, after {MAX_ROLLBACKS} rollbacks; {last}; {advice}")
    run.note_rollback(str(error))

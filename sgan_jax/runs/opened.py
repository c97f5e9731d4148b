"""A run opened at one of its checkpoints: `eval`, `sample`, `predict` and `export` begin with it."""

from pathlib import Path
from typing import NamedTuple

import jax

from sgan_jax.config import Config
from sgan_jax.engine.system import System, build
from sgan_jax.errors import UserError
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import checkpoint_path, existing
from sgan_jax.runs.record import RunRecord
from sgan_jax.types import TrainState


class Opened(NamedTuple):
    """A run, its networks, and the state of a checkpoint. Opening a run needs no data set."""

    run: RunDir
    record: RunRecord
    system: System
    state: TrainState
    step: int

    @property
    def config(self) -> Config:
        """What was trained."""
        return self.record.config

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.record.dataset.image_shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the K classes."""
        return self.record.dataset.class_names

    @property
    def notice(self) -> str:
        """A warning that belongs to every result of the run, or nothing."""
        return self.record.dataset.notice

    def needs_classifier(self, command: str) -> None:
        """Checks that the run has a classifier.

        Args:
          command: the verb of the message, such as "evaluate".

        Raises:
          UserError: the run's head has no classifier.
        """
        if not self.system.classifies:
            raise UserError(
                f"{self.run.path}: its head '{self.config.model.head}' has no classifier to {command}; "
                "`sample` shows its generator"
            )


def open_run(path: Path | None, ckpt: str = "latest") -> Opened:
    """Opens a run.

    Args:
      path: the run directory; by default the directory that `ckpt` lies in if that is a path, else the newest run's.
      ckpt: `latest`, `best` (by validation accuracy), `step_7200` or a path.

    Raises:
      UserError: the run or checkpoint does not exist, is damaged or of another version.
    """
    run = existing(path, ckpt)
    record = run.record()
    system = build(record.config, record.dataset.image_shape, len(record.dataset.class_names))
    chosen = checkpoint_path(run, ckpt, checkpoint.steps(run.checkpoints))
    state = jax.tree.map(jax.numpy.asarray, checkpoint.restore(chosen, system.abstract_state()))
    return Opened(run, record, system, state, int(state.step))

"""A run opened at one of its checkpoints: `eval`, `sample`, `predict` and `export` begin with it."""

from pathlib import Path
from typing import NamedTuple

import jax

from sgan_jax.config import Config
from sgan_jax.engine.system import System, build
from sgan_jax.errors import UserError
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir, checkpoint_path, existing
from sgan_jax.types import TrainState


class Opened(NamedTuple):
    """A run, its networks, and the state of a checkpoint. Opening a run needs no data set."""

    run: RunDir
    config: Config
    image_shape: tuple[int, int, int]  # (H, W, C)
    class_names: tuple[str, ...]
    notice: str  # a warning that belongs to every result of the run, or nothing
    system: System
    state: TrainState
    step: int

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
      ckpt: `latest`, `step_7200` or a path.

    Raises:
      UserError: there is no such run or checkpoint, or it is damaged or of another version.
    """
    run = existing(path, ckpt)
    dataset, config = run.record()["dataset"], run.config()
    height, width, channels = dataset["image_shape"]
    names = tuple(map(str, dataset["class_names"]))
    system = build(config, (height, width, channels), len(names))
    chosen = checkpoint_path(run, ckpt, checkpoint.steps(run.checkpoints))
    state = jax.tree.map(jax.numpy.asarray, checkpoint.restore(chosen, system.abstract_state()))
    return Opened(run, config, (height, width, channels), names, dataset["notice"], system, state, int(state.step))

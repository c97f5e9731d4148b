"""A run that is there, opened at one of its checkpoints: what `eval`, `sample`, `predict` and `export` begin with."""

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
    """A run, what it trained, and the state of a checkpoint. No data set is needed for it."""

    run: RunDir
    config: Config
    image_shape: tuple[int, int, int]  # (H, W, C)
    class_names: tuple[str, ...]
    notice: str  # what every result of the run has to say, or nothing
    system: System
    state: TrainState
    step: int

    def needs_classifier(self, command: str) -> None:
        """Refuses a run that has none.

        Raises:
          UserError: its head is `real_fake`.
        """
        if not self.system.classifies:
            raise UserError(
                f"{self.run.path}: its head '{self.config.model.head}' has no classifier to {command}; "
                "`sample` shows its generator"
            )


def open_run(path: Path | None, ckpt: str = "latest") -> Opened:
    """Opens a run.

    Args:
      path: its directory; by default the newest run's, or the one that `ckpt` lies in.
      ckpt: `latest`, `step_7200` or a path.

    Raises:
      UserError: no such run or checkpoint, or one that is damaged or of another version.
    """
    run = existing(path, ckpt)
    dataset, config = run.record()["dataset"], run.config()
    height, width, channels = dataset["image_shape"]
    names = tuple(map(str, dataset["class_names"]))
    system = build(config, (height, width, channels), len(names))
    chosen = checkpoint_path(run, ckpt, checkpoint.steps(run.checkpoints))
    state = jax.tree.map(jax.numpy.asarray, checkpoint.restore(chosen, system.abstract_state()))
    return Opened(run, config, (height, width, channels), names, dataset["notice"], system, state, int(state.step))

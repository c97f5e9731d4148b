"""The weights that a new run begins with: random ones, or those of another run."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.config import Config, flatten, most_telling
from sgan_jax.data.layout import few
from sgan_jax.data.load import Dataset
from sgan_jax.engine.system import System, derive_keys
from sgan_jax.engine.transfer import class_change, output_sources, with_weights_of
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import run_and_checkpoint
from sgan_jax.runs.opened import Opened, open_run
from sgan_jax.runs.record import Origin
from sgan_jax.training.start import Prepared
from sgan_jax.types import TrainState

EXAMPLES = 500  # images by which layers are scaled at first, as in the code of Improved GAN
NETWORK_SETTINGS = ("model.networks", "model.width", "model.latent", "model.head")  # that decide shapes of parameters


class Beginning(NamedTuple):
    """The state of step 0 of a run that begins with another run's weights."""

    state: TrainState
    origin: Origin

    def __str__(self) -> str:
        """A line about it."""
        origin = self.origin
        changes = {"kept": origin.kept, "new": origin.new, "dropped": origin.dropped}
        classes = "; ".join(f"{what}: {few(names)}" for what, names in changes.items() if names)
        return f"begins with the weights of {origin.run} at step {origin.step}; classes {classes}"


def fresh_state(config: Config, system: System, dataset: Dataset) -> TrainState:
    """The state of step 0 with random weights."""
    return system.begin(derive_keys(config.seed).init, _examples(dataset))


def begin_from(run: RunDir, prepared: Prepared) -> Beginning | None:
    """The state of step 0 by the run that `init_from` names; None without it, or where `run` has a checkpoint itself.

    Raises:
      UserError: that run or checkpoint is not there, or has other networks or images; names the difference.
    """
    config, dataset, system = prepared.config, prepared.dataset, prepared.system
    if config.init_from is None or checkpoint.steps(run.checkpoints):
        return None
    place = f"‹init_from› {config.init_from}"
    try:
        opened = open_run(*run_and_checkpoint(Path(config.init_from)))
    except UserError as error:
        raise UserError(f"‹init_from›: {error.marked}") from None
    if differing := _differences(opened, config, dataset):
        raise UserError(f"{place}: {most_telling(differing)}; expected a run of the same networks and image shape")
    there, here = opened.class_names, dataset.class_names
    sources = output_sources(HEADS[config.model.head], there, here)
    try:
        state = with_weights_of(opened.state, fresh_state(config, system, dataset), sources, system.disc.output_layer)
    except ValueError as error:
        raise UserError(f"{place}: other networks: {error}") from None
    origin = Origin(
        str(opened.run.path.resolve()), opened.step, checkpoint.digest(opened.state), *class_change(there, here)
    )
    return Beginning(state, origin)


def _differences(opened: Opened, config: Config, dataset: Dataset) -> list[str]:
    """What keeps the weights of the opened run from fitting, a phrase each."""
    was, now = flatten(opened.config), flatten(config)
    differing = [
        f"‹{place}› is {was[place]} there, {now[place]} here" for place in NETWORK_SETTINGS if was[place] != now[place]
    ]
    shapes = opened.image_shape, dataset.train_images.shape[1:]
    if shapes[0] != shapes[1]:
        differing.append("images are {} there, {} here".format(*map(_shape_text, shapes)))
    return differing


def _shape_text(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width} x {height} {'grey' if channels == 1 else 'RGB'}"


def _examples(dataset: Dataset) -> np.ndarray:
    """The images by which layers are scaled: the first, or from all over a custom set, which may lie by class."""
    images = dataset.train_images
    if not dataset.custom:
        return images[:EXAMPLES]
    return images[np.linspace(0, len(images) - 1, min(EXAMPLES, len(images)), dtype=int)]

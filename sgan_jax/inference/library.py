"""The program as a library: train a configuration, load a run, classify and generate.

    import sgan_jax

    result = sgan_jax.train(sgan_jax.preset("fast", labels=100))
    run = sgan_jax.load(result.run)
    run.classify(images).labels
    run.uncertain(images, 50)
    run.generate(16)

No call prints, changes signals or leaves settings of the process changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.config import SHORT, Config, changed, choose
from sgan_jax.data.arrays import as_images
from sgan_jax.data.load import Dataset
from sgan_jax.data.value_range import clip_excursions
from sgan_jax.engine.system import derive_keys
from sgan_jax.errors import UserError
from sgan_jax.inference.sample import class_asked
from sgan_jax.metrics.classify import class_logits, probabilities
from sgan_jax.metrics.uncertainty import choose_to_label
from sgan_jax.presets import PRESETS
from sgan_jax.runs.opened import Opened, open_run
from sgan_jax.training import loop
from sgan_jax.training.events import Callback, Calling, Listener
from sgan_jax.training.start import Options


def preset(name: str, settings: Mapping[str, Any] | None = None, **short: Any) -> Config:
    """A preset with settings changed: `preset("fast", {"model.dropout": 0.2}, labels=100)`.

    Args:
      name: of a row of docs/presets.md.
      settings: by their place in the configuration.
      **short: by their short names, those of the flags of `train`: labels, width, learning_rate ...

    Raises:
      UserError: the preset or a setting is unknown, a value is of another type, or another preset is among them.
    """
    for key in short:
        choose(SHORT, key, "setting")
    if "preset" in (settings or {}):
        raise UserError(f"settings: the preset is {name} already; leave 'preset' out of them")
    return changed(
        choose(PRESETS, name, "preset"), {SHORT[key]: value for key, value in short.items()} | {**(settings or {})}
    )


def train(
    config: Config,
    run: str | Path | None = None,
    dataset: Dataset | None = None,
    listener: Listener | None = None,
    callback: Callback | None = None,
) -> loop.Result:
    """Trains, or resumes the run that is in the directory.

    Args:
      config: what to train.
      run: the run directory; by default one named after the configuration under `runs/`.
      dataset: the images, if the caller has them; by default those that `config.data` names.
      listener: learns of each step and epoch.
      callback: called with the step and the figures of each line of metrics.jsonl, such as
        `{"d/supervised": 0.1, "test_accuracy": 0.95}`: every 100 steps and after each epoch.

    Returns:
      The run directory, and how far the run is.

    Raises:
      UserError: the settings, the data or the directory do not permit it.
    """
    if not isinstance(config, Config):
        raise UserError(f"config: {config!r:.60}; expected a Config, as sgan_jax.preset makes it")
    if callback is not None:
        listener = Calling(callback, listener)
    return loop.train(config, Options(None if run is None else Path(run)), dataset, listener)


class Classified(NamedTuple):
    """What a classifier predicts for N images."""

    labels: list[str]  # the most probable class of each
    probabilities: np.ndarray  # float64 [N, K]
    class_names: tuple[str, ...]


class Run:
    """A trained run at one of its checkpoints."""

    def __init__(self, opened: Opened):
        """`opened`: from `open_run`."""
        self.opened = opened

    @property
    def config(self) -> Config:
        """What was trained."""
        return self.opened.config

    @property
    def step(self) -> int:
        """The checkpoint's step."""
        return self.opened.step

    def classify(self, images: Any, averaged: bool = False) -> Classified:
        """Classes of images.

        Args:
          images: uint8 or floats of 0..1, `[N, H, W]` or `[N, H, W, C]`, of the shape that the run was trained on;
            floats slightly outside are clipped, with a warning (`clip_excursions`).
          averaged: use the averaged weights.

        Raises:
          UserError: the run has no classifier, or the images are of another shape.
        """
        self.opened.needs_classifier("classify with")
        pixels = as_images(clip_excursions(np.asarray(images), "images"), "images")
        if pixels.shape[1:] != self.opened.image_shape:
            raise UserError(f"images: shape {pixels.shape[1:]}; expected {self.opened.image_shape} as in training")
        system, names = self.opened.system, self.opened.class_names
        model = self.opened.state.model("d", averaged)
        of_classes = probabilities(class_logits(system.classify, model, pixels, len(names)))
        return Classified([names[index] for index in of_classes.argmax(axis=1)], of_classes, names)

    def uncertain(self, images: Any, count: int, averaged: bool = False) -> np.ndarray:
        """Which images to label next: the least certain ones, no two of them similar.

        Args:
          images: as of `classify`.
          count: how many to choose.
          averaged: use the averaged weights.

        Returns:
          Indices, int64 `[count]`, the least certain image first; all of them if they are fewer.

        Raises:
          UserError: as of `classify`, or `count` is below 1.
        """
        if count < 1:
            raise UserError(f"count: {count}; must be at least 1")
        of_classes = self.classify(images, averaged).probabilities
        pixels, system = as_images(np.asarray(images), "images"), self.opened.system
        model = self.opened.state.model("d", averaged)
        width = jax.eval_shape(system.features, model, pixels[:1]).shape[1]
        return choose_to_label(
            of_classes, lambda indices: class_logits(system.features, model, pixels, width, indices), count
        )

    def generate(self, count: int, seed: int = 0, averaged: bool = False, label: str | None = None) -> np.ndarray:
        """Generated images, uint8 `[count, H, W, C]`; the same seed gives the same images.

        Args:
          count: how many.
          seed: of the latents.
          averaged: use the averaged weights, which some presets draw with by themselves.
          label: class of all images; by default, where the generator is conditional, one class after the other.

        Raises:
          UserError: the generator does not draw that class.
        """
        classes = (
            None if label is None else np.full(count, class_asked(self.opened.system, self.opened.class_names, label))
        )
        model = self.opened.system.drawing(self.opened.state, averaged)
        return self.opened.system.generate(model, derive_keys(seed).samples, count, classes)


def load(path: str | Path, ckpt: str = "latest") -> Run:
    """A run to classify and generate with.

    Args:
      path: the run directory.
      ckpt: `latest`, `best` (by validation accuracy), `step_7200` or a path.

    Raises:
      UserError: the run or the checkpoint does not exist, or it is damaged.
    """
    return Run(open_run(Path(path), ckpt))

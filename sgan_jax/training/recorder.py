"""What one process of a run does with the steps that are taken: it records, evaluates, draws and saves."""

import math
import time
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset
from sgan_jax.engine.devices import local
from sgan_jax.engine.system import System, derive_keys, sample_images
from sgan_jax.metrics.accuracy import accuracy
from sgan_jax.metrics.classify import class_logits, make_classify, probabilities
from sgan_jax.metrics.subsets import evaluation_subset, held_out_subset, subsets
from sgan_jax.report import pictures
from sgan_jax.runs import checkpoint, predictions
from sgan_jax.runs.directory import RunDir, write_json
from sgan_jax.training.dispatch import Dispatched, Diverged
from sgan_jax.training.progress import Progress
from sgan_jax.training.tensorboard import Board
from sgan_jax.types import TrainState

METRICS_EVERY = 100  # steps between two lines of losses in metrics.jsonl
SAMPLES = 100  # images of a grid


class Session:
    """The part of a run that one process makes."""

    def __init__(
        self,
        config: Config,
        run: RunDir,
        dataset: Dataset,
        system: System,
        saver: checkpoint.Saver,
        validation: np.ndarray,
        board: Board | None,
    ):
        self.board = board
        self.config, self.run_dir, self.dataset, self.system, self.saver = config, run, dataset, system, saver
        self.parts = subsets(dataset, validation)
        every = len(self.parts["train"][1])
        some = evaluation_subset(every)
        self.some = some if len(some) < every else None
        self.keys = derive_keys(config.seed)
        self.classify = make_classify(system.disc)
        self.earlier = max((line.get("seconds") or 0.0 for line in run.metrics()), default=0.0)
        self.start = time.monotonic()

    def run(self, dispatched: Iterable[Dispatched], first: int, log_every: int) -> int:
        """Records what the dispatches after step `first` leave; returns the last step taken."""
        config, step = self.config, first
        with Progress(config.total_steps, first, config.steps_per_epoch, log_every) as progress:
            progress.tag = self.dataset.notice
            for before, step, everywhere, columns in dispatched:
                state = local(everywhere)
                whole = step % config.steps_per_epoch == 0 or step == config.total_steps
                for row, done in enumerate(range(before + 1, step + 1)):
                    values = {name: float(column[row]) for name, column in columns.items()}
                    progress.log(done, values)
                    if done % METRICS_EVERY == 0 and not (whole and done == step):
                        self._log(done, values)
                progress.update(step, values)
                if whole:
                    progress.print(self._finish_epoch(step, state, values))
            if step > first:
                self._save(step, state)
                self.saver.wait()
            if step == config.total_steps:
                progress.print(self._finish(step))
        return step

    def conclude(self, step: int, state: TrainState) -> None:
        """Does what is left after the last checkpoint: a kill may have come between, or a stop at just this step."""
        line = self.run_dir.metrics_of(step)
        if not line or (self.system.classifies and "train_accuracy" not in line):
            self.run_dir.forget_after(step - 1)
            self._finish_epoch(step, state, line)
        self._finish(step)

    def take_back(self, step: int) -> None:
        """Forgets what came after a step from which the run goes on once more, its damaged checkpoints set aside."""
        self.run_dir.forget_after(step)
        self.saver.reload()
        if self.board:
            self.board.take_back(step)

    def _save(self, step: int, state: TrainState) -> None:
        self._refuse_divergence(step, state)
        self.saver.save(step, state)

    def _refuse_divergence(self, step: int, state: TrainState) -> None:
        """Raises Diverged for parameters that are no numbers: the losses of a step are those before its update."""
        if not all(bool(jax.numpy.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
            raise Diverged(step, "a parameter", math.nan)

    def _log(self, step: int, values: dict[str, Any]) -> None:
        if self.board:
            self.board.figures(step, values)
        self.run_dir.log({"step": step, "seconds": round(self.earlier + time.monotonic() - self.start, 2), **values})

    def _finish_epoch(self, step: int, state: TrainState, values: dict[str, float]) -> str:
        """Evaluates, draws samples, logs and saves, if there are numbers to be kept; returns a line about it."""
        self._refuse_divergence(step, state)
        accuracy = self._evaluate(step, state) if self.system.classifies else {}
        images = sample_images(self.system.gen, state.params.g, self.keys.samples, SAMPLES)
        pictures.save_grid(images, self.run_dir.sample_file(step))
        if self.board:
            self.board.picture(step, "samples", pictures.grid(images))
        self._log(step, values | accuracy)
        self.saver.save(step, state)
        figures = ", ".join(self._shown(name, value, step) for name, value in accuracy.items())
        return f"step_{step}: {figures or 'no classifier'}{self._noticed()}"

    def _evaluate(self, step: int, state: TrainState) -> dict[str, float]:
        """Accuracies on what is at hand; what the classifier says of images that it has not learned of is kept."""
        accuracies = {}
        for name, (images, labels) in self.parts.items():
            which = self._looked_at(name, step)
            said = class_logits(self.classify, state.params.d, images, self.dataset.num_classes, which)
            if not np.isfinite(said).all():
                raise Diverged(step, "a class logit", math.nan)
            accuracies[f"{name}_accuracy"] = accuracy(said, labels if which is None else labels[which])
            if name == held_out_subset(self.parts):
                averaged = class_logits(self.classify, state.ema.d, images, self.dataset.num_classes)
                accuracies[f"ema_{name}_accuracy"] = accuracy(averaged, labels)
                kept = predictions.collect(name, images, labels, probabilities(said))
                predictions.save(self.run_dir.predictions_file(step), kept)
                if self.board:
                    figure = pictures.confusion_figure(kept.confusion, self.dataset.class_names, f"{name}, step {step}")
                    self.board.picture(step, "confusion", pictures.pixels(figure))
        return accuracies

    def _looked_at(self, name: str, step: int) -> np.ndarray | None:
        """Indices of the images of a part, or None for all; of those for training only some before the last step.

        All of MNIST's after every hundred steps take longer than steps that are quick.
        """
        return self.some if name == "train" and step < self.config.total_steps else None

    def _shown(self, name: str, accuracy: float, step: int) -> str:
        which = self._looked_at(name.removesuffix("_accuracy"), step)
        some = "" if which is None else f" of {len(which):,}"
        return f"{name.replace('ema', 'averaged weights').replace('_', ' ')} {100 * accuracy:.3f}%{some}"

    def _noticed(self) -> str:
        return f" ({self.dataset.notice})" if self.dataset.notice else ""

    def _finish(self, step: int) -> str:
        """Writes the final figures; returns a line about it."""
        result = {
            "dataset": self.dataset.name,
            "notice": self.dataset.notice,
            "labels": self.config.data.labels,
            **self.run_dir.metrics_of(step),
        }
        write_json(self.run_dir.result_file, result)
        return f"finished: {self.run_dir.path}{self._noticed()}"

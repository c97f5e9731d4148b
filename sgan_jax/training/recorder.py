"""Records what training does: metrics, evaluations, samples and checkpoints, in the run directory and TensorBoard."""

import math
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset
from sgan_jax.engine.devices import local
from sgan_jax.engine.system import System, derive_keys
from sgan_jax.files import write_json
from sgan_jax.graph.trust import Propagated
from sgan_jax.metrics.classify import probabilities
from sgan_jax.metrics.features import Features
from sgan_jax.metrics.measure import Measure, losses
from sgan_jax.metrics.subsets import subsets
from sgan_jax.metrics.table import EVALUATORS, Evaluated, NotFinite, Subject
from sgan_jax.report import pictures
from sgan_jax.runs import checkpoint, predictions, retention
from sgan_jax.runs.begin import point_latest
from sgan_jax.runs.directory import RunDir
from sgan_jax.training.dispatch import Dispatched, Diverged
from sgan_jax.training.events import Epoch, Listener, Span, Steps
from sgan_jax.training.symptoms import Watch
from sgan_jax.training.tensorboard import Board
from sgan_jax.types import Metrics, TrainState

METRICS_EVERY = 100  # steps between two lines of losses in metrics.jsonl
SAMPLES = 100  # images of a grid


class Outputs(NamedTuple):
    """Where records go."""

    run: RunDir
    saver: checkpoint.Saver
    board: Board | None
    listener: Listener
    newest: bool = False  # whether `runs/latest` is to point at the run, from its first checkpoint on

    def save(self, step: int, state: TrainState) -> None:
        """Saves a checkpoint. The first one is waited for where `runs/latest` is to point at the run."""
        first = self.newest and not self.run.usable
        self.saver.save(step, state)
        if first:
            self.saver.wait()
            point_latest(self.run)


class Recorder:
    """Records the part of a run that one process makes."""

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        system: System,
        validation: np.ndarray,
        outputs: Outputs,
        features: Features | None = None,
    ):
        """Makes the evaluators.

        Args:
          config: of the run; `prepare` has checked the names of its evaluators.
          dataset: what it is trained on.
          system: what is trained.
          validation: indices of the labelled images that are kept from training.
          outputs: where records go.
          features: by which generated images are compared; None: they are not.
        """
        self.config, self.dataset, self.system, self.outputs = config, dataset, system, outputs
        self.keys = derive_keys(config.seed)
        self.subsets = subsets(dataset, validation)
        subject = Subject(
            classify=system.classify,
            generate=system.draw,
            classifies=system.classifies,
            subsets=self.subsets,
            classes=dataset.num_classes,
            key=self.keys.samples,
            training=dataset.train_images,
            features=features,
        )
        self.evaluators = [EVALUATORS[name](subject) for name in config.measured_by]
        self.earlier = max((line.get("seconds") or 0.0 for line in outputs.run.metrics()), default=0.0)
        self.start = time.monotonic()
        self.watch = Watch(config, dataset, system, outputs.run)
        self.early_end = retention.early_end(outputs.run.metrics(), config)  # why the run ends early, once it does

    def record(self, dispatched: Iterable[Dispatched], first: int) -> int:
        """Records the results of the dispatches after step `first`; returns the last step taken."""
        config, step = self.config, first
        span = Span(config.total_steps, first, config.steps_per_epoch, self.dataset.notice)
        with self.outputs.listener.steps(span) as steps:
            for one in dispatched:
                step, state = one.step, local(one.state)
                self.watch.taken(one.before, one.metrics.loss)
                ends_epoch = step % config.steps_per_epoch == 0 or step == config.total_steps
                for done in range(one.before + 1, step + 1):
                    metrics = one.of_step(done)
                    steps.step(done, metrics)
                    if done % METRICS_EVERY == 0 and not (ends_epoch and done == step):
                        self._log(done, metrics, Evaluated({}))
                steps.dispatched(step, metrics)
                if ends_epoch:
                    steps.epoch(self._finish_epoch(step, state, metrics))
            if step > first:
                _check_parameters(step, state)
                self._save(step, state)
                self.thin_out()
            if step == config.total_steps or self.early_end:
                self._finish(step, steps)
        return step

    def conclude(self, step: int, state: TrainState) -> None:
        """Writes what is missing after the last checkpoint: a kill may have come between, or a stop at this step."""
        run = self.outputs.run
        line = run.metrics_of(step)
        evaluated = "units" in line or "train_accuracy" in line  # the latter in runs of version 0.1
        measurable = self.system.classifies or self.config.measured_by != ("accuracy",)
        if not line or (measurable and not evaluated):
            run.forget_after(step - 1)
            terms = {name: value for name, value in line.items() if isinstance(value, float) and "/" in name}
            loss = losses(line)
            watch = {name: value for name, value in terms.items() if name not in loss}
            self._finish_epoch(step, state, Metrics(loss, watch))
        self._finish(step, Steps())

    def thin_out(self) -> None:
        """Waits for the newest checkpoint, and removes those that the run does not keep."""
        saver, run = self.outputs.saver, self.outputs.run
        saver.wait()
        if self.config.keep:
            saved = retention.steps(run.checkpoints)
            saver.remove(retention.surplus(saved, self.config, retention.best(run.metrics(), saved)))

    def propagated(self, propagated: Propagated) -> None:
        """Notes in the run whether the labels that training gets from the graph are used, and why."""
        self.watch.fed(propagated.probabilities)
        self.outputs.listener.note(propagated.trust.described(self.config.propagation))
        self.outputs.run.note_trust(propagated.trust)

    def roll_back(self, step: int) -> None:
        """Forgets what came after a step from which the run resumes, its damaged checkpoints set aside."""
        self.outputs.run.forget_after(step)
        self.watch = Watch(self.config, self.dataset, self.system, self.outputs.run)
        self.early_end = retention.early_end(self.outputs.run.metrics(), self.config)
        self.outputs.saver.reload()
        if self.outputs.board:
            self.outputs.board.take_back(step)

    def _save(self, step: int, state: TrainState) -> None:
        if self.config.keep:
            self.thin_out()  # now, when the one before has been written while the run trained
        self.outputs.save(step, state)

    def _log(
        self,
        step: int,
        metrics: Metrics,
        evaluated: Evaluated,
        warnings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        measures = evaluated.measures
        figures = {name: measure.value for name, measure in measures.items()}
        values = metrics.loss | metrics.watch | figures
        if self.outputs.board:
            self.outputs.board.figures(step, values)
        about: dict[str, Any] = {"watched": sorted(metrics.watch), **evaluated.about}
        if measures:
            about["units"] = {name: measure.unit for name, measure in measures.items()}
            about["images"] = {name: one.images for name, one in measures.items() if one.images is not None}
        if warnings:
            about["warnings"] = dict(warnings)
        seconds = round(self.earlier + time.monotonic() - self.start, 2)
        self.outputs.run.log({"step": step, "seconds": seconds, **values, **about})
        self.outputs.listener.logged(step, values)

    def _finish_epoch(self, step: int, state: TrainState, metrics: Metrics) -> Epoch:
        """Evaluates, draws samples, logs and saves, if all numbers are finite; notes whether the run ends early."""
        _check_parameters(step, state)
        evaluated = self._evaluate(step, state, ends=step == self.config.total_steps)
        self._judge(step, evaluated)
        if self.early_end:
            evaluated = self._evaluate(step, state, ends=True)
        images = self.system.generate(
            self.system.drawing(state), self.keys.samples, SAMPLES, self.system.in_rows(SAMPLES)
        )
        png = pictures.save_grid(images, self.outputs.run.sample_file(step))
        if self.outputs.board:
            self.outputs.board.picture(step, "samples", png)
        warnings = self.watch.epoch(step, state, images, evaluated)
        self._log(step, metrics, evaluated, warnings)
        self._save(step, state)
        return Epoch(step, evaluated.measures, evaluated.counts, self.dataset.notice, tuple(warnings.values()))

    def _judge(self, step: int, evaluated: Evaluated) -> None:
        """Notes whether the run ends early with this epoch."""
        if self.config.patience:
            line = {"step": step} | {name: measure.value for name, measure in evaluated.measures.items()}
            self.early_end = retention.early_end([*self.outputs.run.metrics(), line], self.config)

    def _evaluate(self, step: int, state: TrainState, ends: bool) -> Evaluated:
        """The results of all evaluators; predictions for held-out images are saved."""
        measures: dict[str, Measure] = {}
        counts: dict[str, int] = {}
        about: dict[str, Any] = {}
        confusion = None
        for evaluator in self.evaluators:
            try:
                evaluated = evaluator(state, ends)
            except NotFinite as error:
                raise Diverged(step, error.what, math.nan) from None
            measures |= evaluated.measures
            counts |= evaluated.counts
            about |= evaluated.about
            confusion = evaluated.confusion if confusion is None else confusion
            for name, logits in evaluated.class_logits.items():
                self._keep_predictions(step, name, logits)
        return Evaluated(measures, counts, confusion, about=about)

    def _keep_predictions(self, step: int, subset: str, logits: np.ndarray) -> None:
        predicted = predictions.collect(subset, self.subsets[subset], probabilities(logits))
        predictions.save(self.outputs.run.predictions_file(step), predicted)
        if self.outputs.board:
            title = f"{subset}, step {step}"
            figure = pictures.confusion_figure(predicted.confusion, self.dataset.class_names, title)
            self.outputs.board.picture(step, "confusion", pictures.png(figure, 75))

    def _finish(self, step: int, steps: Steps) -> None:
        """Writes the final figures."""
        run = self.outputs.run
        result = {
            "dataset": self.dataset.name,
            "notice": self.dataset.notice,
            "labels": self.config.data.labels,
            **run.metrics_of(step),
        }
        if warnings := run.warnings():
            result["warnings"] = {warning.name: warning.text for warning in warnings}
        if self.early_end:
            result["early_end"] = self.early_end
            steps.ends_early(self.early_end)
        write_json(run.result_file, result)
        steps.finished(run.path, self.dataset.notice)


def _check_parameters(step: int, state: TrainState) -> None:
    """Raises Diverged for parameters that are NaN or infinite: the losses of a step are those before its update."""
    if not all(bool(jax.numpy.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params)):
        raise Diverged(step, "a parameter", math.nan)

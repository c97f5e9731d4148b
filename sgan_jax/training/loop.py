"""Training: the loop around the compiled step, with everything that a run leaves behind."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from sgan_jax.config import Config
from sgan_jax.data.labels import class_weights
from sgan_jax.data.load import Dataset
from sgan_jax.data.stream import batches
from sgan_jax.engine.system import uses_unlabelled
from sgan_jax.errors import UserError
from sgan_jax.graph import cache
from sgan_jax.graph.blocks import Report, no_report
from sgan_jax.graph.propagation import LabelledImages
from sgan_jax.graph.trust import Propagated, propagate_tested
from sgan_jax.metrics.measure import measures
from sgan_jax.runs import checkpoint
from sgan_jax.runs.begin import begin, with_own_paths
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import default_path
from sgan_jax.runs.retention import early_end
from sgan_jax.training import disk
from sgan_jax.training.dispatch import Dispatched, Dispatcher, Diverged, Feed
from sgan_jax.training.events import Listener
from sgan_jax.training.features import features_for, note_about
from sgan_jax.training.initial import begin_from, fresh_state
from sgan_jax.training.recorder import Outputs, Recorder
from sgan_jax.training.resume import resume, roll_back, training_key
from sgan_jax.training.signals import Stop, Stopped
from sgan_jax.training.start import Options, Prepared, prepare, record, setup, split
from sgan_jax.training.tensorboard import Board
from sgan_jax.types import Data, TrainState


class Result(NamedTuple):
    """How a training call ended."""

    run: Path  # the run directory
    step: int  # steps that the run has taken
    total: int  # steps that it is to take
    stopped: signal.Signals | None = None  # the signal that ended the call before the run's end
    early: bool = False  # whether the run has ended before step `total`, because its validation accuracy did not rise

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self.early or self.step >= self.total


def train(
    config: Config,
    options: Options | None = None,
    dataset: Dataset | None = None,
    listener: Listener | None = None,
) -> Result:
    """Trains, or resumes the run that is in the directory.

    Args:
      config: what to train; `dataset` "auto" is resolved here.
      options: how; by default on one device, in a directory named after the configuration.
      dataset: what `config.data` names, if the caller has it.
      listener: learns what happens; by default nobody does.

    Returns:
      The run directory, and how far the run is.

    Raises:
      UserError: the settings, the data or the directory do not permit it.
    """
    options, listener = options or Options(), listener or Listener()
    prepared = prepare(config, options, dataset)
    path = options.run or default_path(prepared.config, prepared.dataset.name)
    with options.stopping() as stop:
        take_part = _lead if prepared.team.leads else _follow
        last, early = take_part(_Call(prepared, options, listener, stop, RunDir(path)))
        total = prepared.config.total_steps
        return Result(path, last, total, stop.by if last < total and not early else None, early)


class _Taken(NamedTuple):
    """How far a process has taken the run."""

    step: int
    early: bool = False  # whether it ends with this step, before its last one


class _Call(NamedTuple):
    """A training call, from the first checks to the last step."""

    prepared: Prepared
    options: Options
    listener: Listener
    stop: Stop
    run: RunDir

    def dispatches(
        self, labelled: np.ndarray, state: TrainState, rollbacks: int, recorder: Recorder | None = None
    ) -> Iterator[Dispatched]:
        """The steps from `state` on.

        Args:
          labelled: indices of the images whose labels are used.
          state: where they begin.
          rollbacks: of the run.
          recorder: of this process, which knows when the run ends early; None where another process has it.
        """
        config, _, system, team, _ = self.prepared
        self.stop.saves = False  # in a sweep an earlier trial may have
        report = self.listener.comparing if team.leads else no_report
        propagated = _propagated(self.prepared, labelled, self.stop, report)
        feed = _feed(self.prepared, labelled, int(state.step), propagated)
        self.stop.saves = True
        if recorder and propagated:
            recorder.propagated(propagated)

        def stopped() -> bool:
            return self.stop.anywhere(team, recorder is not None and bool(recorder.early_end))

        return Dispatcher(config, system, team, stopped, self.options.profile).run(
            feed, state, training_key(config, rollbacks)
        )


def _lead(call: _Call) -> _Taken:
    """Takes the run's steps and keeps its directory."""
    prepared, options, listener, _, run = call
    config, dataset, system, team, drawn = prepared
    _note_data(dataset, listener)
    with ExitStack() as stack:
        fresh = partial(fresh_state, config, system, dataset)
        with team.preparing():
            features = features_for(with_own_paths(run, config), dataset, run.path)  # before anything is written
            beginning = begin_from(run, prepared)
            stack.enter_context(run.locked())
            asked = record(prepared, options.command)._replace(origin=beginning.origin if beginning else None)
            labelled = begin(run, asked, drawn, newest=options.newest)
            # Before the saver, which does not learn again of what was there when it was made.
            state, first = resume(run, system, lambda: beginning.state if beginning else fresh())
            run.forget_after(first)
            if options.profile:
                options.profile.check(config.total_steps - first)
            saver = stack.enter_context(checkpoint.saver(run.checkpoints))
            outputs = Outputs(run, saver, None, listener, options.newest)
            if beginning:
                listener.note(str(beginning))
                outputs.save(first, state)  # so that no resume needs the other run
                saver.wait()
            early = bool(early_end(run.metrics(), config))
            ended = early or first >= config.total_steps
            if not ended:
                outputs = outputs._replace(board=stack.enter_context(Board(run.tensorboard, first)))
        rollbacks = len(run.record().rollbacks)
        state, labelled, *_ = team.from_leader((state, labelled, np.asarray(rollbacks), np.asarray(int(early))))
        for_training, validation = split(labelled, config)
        recorder = Recorder(config, dataset, system, validation, outputs, features)
        recorder.thin_out()  # as the run would have done before a kill, or is asked to do now
        if ended:
            recorder.conclude(first, state)
            longer = "more patience resumes it" if recorder.early_end else "more epochs or steps make it longer"
            listener.note(f"{run.path}: {recorder.early_end or f'finished at step {first}'}; {longer}")
            listener.is_finished(run.path, first, measures(run.metrics_of(first)))
            return _Taken(first, bool(recorder.early_end))
        listener.note(f"{run.path}: {f'from step {first}' if first else 'new run'}, to step {config.total_steps}")
        listener.begins(setup(prepared))
        if about := note_about(config, features):
            listener.note(about)
        listener.note(disk.planned(run, config, first, state))
        run.result_file.unlink(missing_ok=True)  # of a shorter run that is made longer
        while True:
            try:
                rollbacks = len(run.record().rollbacks)
                taken = call.dispatches(for_training, state, rollbacks, recorder)
                return _Taken(recorder.record(taken, first), bool(recorder.early_end))
            except Stopped:  # before the first step
                return _Taken(first)
            except Diverged as error:
                saver.wait()
                roll_back(run, error, options.on_nan)
                state, first = resume(run, system, fresh)
                recorder.roll_back(first)
                listener.note(f"{run.path}: {error}; resumes from step {first} with other randomness")


def _note_data(dataset: Dataset, listener: Listener) -> None:
    """Notes what a user should know about the data."""
    if dataset.notice:
        listener.note(f"*** {dataset.notice} ***")
    if dataset.labels_file:
        listener.note(f"labels from {dataset.labels_file}")
    if dataset.embeddings is not None:
        listener.note("the graph compares embeddings: {:,} vectors of {:,} numbers".format(*dataset.embeddings.shape))


def _follow(call: _Call) -> _Taken:
    """Takes the leader's steps with it and leaves everything else to it."""
    config, _, system, team, drawn = call.prepared
    if not team.leader_is_ready():
        raise UserError("the run's first process could not begin; its own message has the reason")
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), system.abstract_state())
    state, labelled, rollbacks, early = team.from_leader((like, drawn, np.zeros((), int), np.zeros((), int)))
    step = int(state.step)
    if step >= config.total_steps or early:
        return _Taken(step, bool(early))  # so does the leader, for whom a graph and the devices would wait in vain
    try:
        for done in call.dispatches(split(labelled, config)[0], state, int(rollbacks)):
            step = done.step
    except Diverged as error:
        raise UserError(f"{error}; the run's first process has more in its message") from None
    return _Taken(step, early=step < config.total_steps and not call.stop.by)


def _propagated(prepared: Prepared, labelled: np.ndarray, stop: Stop, report: Report) -> Propagated | None:
    """The labels that are propagated where the configuration asks for them, the leader's in every process."""
    config, dataset, _, team, _ = prepared
    if not config.propagation.neighbours:
        return None
    # Processes that wait for one another compare the images to the end, each for itself.
    check = stop.check if jax.process_count() == 1 else lambda: None
    compared = dataset, config.propagation, check, report
    if dataset.embeddings is None:
        neighbours, more_neighbours = (
            cache.load_by_deformation(*compared),
            partial(cache.load_by_orientations, *compared),
        )
    else:
        neighbours, more_neighbours = cache.load_by_embeddings(*compared), None
    known = LabelledImages(labelled, dataset.train_labels[labelled], dataset.num_classes)
    probabilities, trust = propagate_tested(neighbours, known, config.propagation, more_neighbours, check)
    if not team.from_leader(np.asarray(int(probabilities is not None))):
        return Propagated(None, trust)
    if probabilities is None:  # the last bits of this process made another verdict
        probabilities = np.zeros((len(dataset.train_images), dataset.num_classes), np.float32)
    return Propagated(team.from_leader(probabilities), trust)


def _feed(prepared: Prepared, labelled: np.ndarray, first: int, propagated: Propagated | None) -> Feed:
    """The data of the steps after `first`."""
    config, dataset, system, _, _ = prepared
    arrays = dataset.train_images[labelled], dataset.train_labels[labelled], dataset.train_images
    data = Data(*map(jax.numpy.asarray, arrays))
    if config.class_balance != "none":
        data = data._replace(lab_weights=jax.numpy.asarray(class_weights(arrays[1], dataset.num_classes)))
    unlabelled = None
    if dataset.streamed is not None and uses_unlabelled(config):
        unlabelled = batches(dataset.streamed, system.recipe.unlabelled, config.seed, first)
    if propagated and propagated.probabilities is not None:
        data = data._replace(pseudo_labels=jax.numpy.asarray(propagated.probabilities))
    return Feed(data, unlabelled)

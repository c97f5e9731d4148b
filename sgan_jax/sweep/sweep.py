"""A sweep: each preset with each number of labels, over several draws of the labelled images, one training run each.

Draw i has seed and label seed i, whatever the preset. Trials of one draw and number of labels therefore have the same
labelled images, so that presets can be compared draw by draw.
"""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from signal import Signals
from typing import NamedTuple, Protocol

from sgan_jax.config import Config, located, validate
from sgan_jax.data.load import EMBEDDED, Dataset, load, warned_if_labelled
from sgan_jax.engine.devices import available
from sgan_jax.engine.system import build, check_names
from sgan_jax.errors import UserError, mendable
from sgan_jax.files import locked
from sgan_jax.runs.record import Images
from sgan_jax.sweep import ray_cluster, table, trial
from sgan_jax.sweep.directory import ROOT, Key, SweepDir, key
from sgan_jax.sweep.record import averaged_record, last_checkpoint, record_of
from sgan_jax.sweep.trial import Ended, Shared, Trial
from sgan_jax.training import events
from sgan_jax.training.features import features_for
from sgan_jax.training.signals import Stop
from sgan_jax.training.start import check_extras, check_on_nan, labelled_images

log = logging.getLogger(__name__)


class Listener(Protocol):
    """What `sweep` calls as it proceeds."""

    training: events.Listener | None  # of each trial that is trained in this process

    def started(self, trial: Trial) -> None:
        """The training of a trial begins in this process."""

    def finished(self, trial: Trial) -> None:
        """A trial has reached its last step and is recorded."""

    def note(self, text: str) -> None:
        """One line about the sweep as a whole."""


class _Silent:
    """Ignores every call."""

    training: events.Listener | None = None

    def started(self, trial: Trial) -> None: ...

    def finished(self, trial: Trial) -> None: ...

    def note(self, text: str) -> None: ...


class Result(NamedTuple):
    """What one call of `sweep` did."""

    path: Path  # the sweep directory
    trained: list[Key]  # trials that this call trained to their last step
    failed: list[Key]  # trials that could not be trained to their last step; each was logged as a warning
    total: int  # number of trials asked for
    stopped_by: Signals | None  # the signal that stopped the sweep; the same call then resumes it
    report: table.Report | None  # of all trials in the directory; None where it was stopped, or has no trial


class Options(NamedTuple):
    """How a call trains the trials, which decides none of their results."""

    out: Path | None = None  # the sweep directory; by default one named after the data set under `sweeps/`
    ray: str | None = None  # address of a Ray cluster that trains the trials; by default they are trained here, in turn
    on_nan: str = "stop"  # as of `training.start.Options`, for each trial
    command: Sequence[str] = ()  # the caller's command line, for config.json
    stopping: Callable[[], AbstractContextManager[Stop]] = lambda: nullcontext(Stop())  # whom to ask whether to end


class _Sweep(NamedTuple):
    """A sweep whose settings and data have been checked."""

    configs: list[Config]  # one for each trial
    folder: SweepDir
    shared: Shared
    ray: str | None
    listener: Listener


def sweep(configs: Sequence[Config], options: Options | None = None, listener: Listener | None = None) -> Result:
    """Trains the trials that are not done yet and reports on all trials of the directory.

    A trial that cannot be trained to its end is logged as a warning, and the other trials are trained.

    Args:
      configs: one for each trial; `dataset` "auto" is resolved here.
      options: how to train them.
      listener: called as the sweep proceeds.

    Raises:
      UserError: the settings, the data, the directory or the cluster do not permit it; no trial has been trained.
    """
    options = options or Options()
    checked = _check(configs, options, listener or _Silent())
    configs, folder = checked.configs, checked.folder
    with ExitStack() as stack:
        stack.enter_context(locked(folder.path, "‹out›"))
        dataset = checked.shared.dataset
        done = folder.begin(configs, Images(dataset.name, dataset.digest))
        if present := sum(key(config) in done for config in configs):
            checked.listener.note(f"{folder.path}: {present} of {len(configs)} trials are there")
        ensembles = _unfinished_ensembles(configs, done)
        _check_members([config for members in ensembles for config in members], folder, done)
        trials = [
            Trial(number, len(configs), config, folder.run(key(config)).path)
            for number, config in enumerate(configs, 1)
            if key(config) not in done
        ]
        if options.ray and trials:
            stack.enter_context(ray_cluster.connected(options.ray))  # first: Ray installs signal handlers, too
        stop = stack.enter_context(options.stopping())
        trained, failed = _train(trials, checked, stop)
        if stop.by:
            return Result(folder.path, trained, failed, len(configs), stop.by, None)
        for members in ensembles:
            if not any(key(config) in failed for config in members):
                folder.append(averaged_record(members, folder, dataset))
        report = table.report(folder.path) if folder.records() else None
        return Result(folder.path, trained, failed, len(configs), None, report)


def _check(configs: Sequence[Config], options: Options, listener: Listener) -> _Sweep:
    """Loads the data and refuses what no sweep can be made of, before anything is written or trained."""
    check_on_nan(options.on_nan)
    for config in configs:
        validate(config)
        check_names(config)
    available()  # before data are fetched
    if options.ray:
        ray_cluster.installed_ray(options.ray)
    else:  # a cluster's workers may have extras that are not here
        for config in configs:
            check_extras(config, None)
    dataset = _load(configs[0], options.out)
    if not options.ray:
        for config in configs:
            check_extras(config, dataset)
    name = configs[0].data.dataset if configs[0].data.data_dir else dataset.name
    # Located here: a worker of a cluster has another working directory.
    resolved = [located(dataclasses.replace(c, data=dataclasses.replace(c.data, dataset=name))) for c in configs]
    if not dataset.has_test:
        raise UserError(f"{dataset.name}: no test images; a sweep compares errors on them")
    for config in resolved:
        labelled_images(config, dataset)
    for config in {config.preset: config for config in resolved}.values():
        if not build(config, dataset.train_images.shape[1:], dataset.num_classes).classifies:
            raise UserError(f"‹model.head› {config.model.head}: has no classifier whose error a sweep could measure")
    folder = SweepDir(options.out or ROOT / dataset.name.replace("/", "-"))
    if not options.ray:
        any(features_for(config, dataset, folder.path) for config in resolved)  # opens them once: all name the same
    return _Sweep(resolved, folder, Shared(dataset, options.on_nan, options.command), options.ray, listener)


def _load(config: Config, out: Path | None) -> Dataset:
    """The data; "auto" stays what it was when the sweep began that is resumed here."""
    data = config.data
    custom = data.data_dir, data.image_size, data.stream, data.labels_file
    if data.dataset != "auto" or any(value is not None for value in custom):
        return warned_if_labelled(load(data.dataset, *custom))
    places = [out] if out else [ROOT / name for name in ("mnist", EMBEDDED)]
    begun = [name for name in (SweepDir(place).dataset() for place in places) if name]
    return load(begun[0] if len(begun) == 1 else "auto")


def _train(trials: Sequence[Trial], checked: _Sweep, stop: Stop) -> tuple[list[Key], list[Key]]:
    """Trains and records the trials; returns those that reached their last step and those that failed."""
    trained: list[Key] = []
    failed: list[Key] = []
    for ended in (_on_cluster if checked.ray else _here)(trials, checked, stop):
        if ended.error:
            log.warning("%s: %s", ended.trial.key, ended.error.marked)
            failed.append(ended.trial.key)
        else:
            checked.folder.append(record_of(ended.trial.config, checked.folder.run(ended.trial.key)))
            checked.listener.finished(ended.trial)
            trained.append(ended.trial.key)
    return trained, failed


def _here(trials: Sequence[Trial], checked: _Sweep, stop: Stop) -> Iterator[Ended]:
    """Trains one trial after the other in this process; yields each that has ended.

    The second trial costs 2.1 s beyond its steps, where a process of its own would cost 4.4 s. The bits are the same, a
    step takes no longer in the fourth trial than in the first, and a trial leaves 1 to 17 MB in memory.
    """
    for one in trials:
        checked.listener.started(one)
        failure = None
        try:
            if not trial.train(one.config, one.path, checked.shared, stop, checked.listener.training):
                return
        except Exception as error:
            message = mendable(error)
            unnamed = isinstance(error, OSError) and error.filename is None  # perhaps of the output, which all share
            if message is None or unnamed:
                raise
            failure = UserError(message)  # a new one: the error itself keeps arrays alive, after a lack of memory
        yield Ended(one, failure)
        if stop.by:  # the signal came too late for the run to stop
            return


def _on_cluster(trials: Sequence[Trial], checked: _Sweep, stop: Stop) -> Iterator[Ended]:
    """Trains the trials on the cluster's workers, as many at once as it takes; yields each that has ended."""
    checked.listener.note(f"{len(trials)} trials are given to the cluster")
    yield from ray_cluster.train(trials, checked.shared, stop)


def _unfinished_ensembles(configs: Sequence[Config], done: set[Key]) -> list[list[Config]]:
    """Trials of the same draw, preset and number of labels, whose average is not recorded yet."""
    ensembles: dict[Key, list[Config]] = {}
    for config in configs:
        ensembles.setdefault(key(config)._replace(member=0), []).append(config)
    return [
        members for first, members in ensembles.items() if len(members) > 1 and first.averaged(len(members)) not in done
    ]


def _check_members(configs: Sequence[Config], folder: SweepDir, done: set[Key]) -> None:
    """Refuses trials that are done and to be averaged but whose weights are missing, before others train for hours."""
    for config in configs:
        path = last_checkpoint(config, folder)
        if key(config) in done and not path.is_dir():
            raise UserError(f"{path}: not found; ‹ensemble› averages its weights; another ‹out›")

"""Training: the loop around the pure step, with everything a run leaves behind."""

import dataclasses
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sgan_jax import __version__
from sgan_jax.config import Config, located, to_json, validate
from sgan_jax.data.load import DEFAULT_LABELS, EMBEDDED, Dataset, how_many, load
from sgan_jax.data.sizes import square
from sgan_jax.data.stream import batches
from sgan_jax.engine.devices import Team, resolve_precision, team
from sgan_jax.engine.system import System, build, check_names, derive_keys
from sgan_jax.errors import UserError
from sgan_jax.graph import cache
from sgan_jax.graph.propagation import LabelledImages, propagate
from sgan_jax.runs import checkpoint, source
from sgan_jax.runs.directory import RunDir, default_path
from sgan_jax.training.dispatch import Dispatched, Diverged, dispatches
from sgan_jax.training.profiler import Profile
from sgan_jax.training.recorder import Session
from sgan_jax.training.signals import Stop, Stopped, stop_on_signal
from sgan_jax.training.start import labelled_images, split
from sgan_jax.training.tensorboard import Board
from sgan_jax.types import Data, TrainState

ON_NAN = ("stop", "rollback")
MAX_ROLLBACKS = 10  # of a run: what diverges so often does so whatever the randomness
EXAMPLES = 500  # images by which layers are scaled at first, as in the code of Improved GAN


def train(
    config: Config,
    path: Path | None = None,
    log_every: int = 0,
    devices: int | None = None,
    profile: Profile | None = None,
    stop: Stop | None = None,
    dataset: Dataset | None = None,
    on_nan: str = "stop",
) -> int:
    """Trains, or goes on with the run that is in the directory.

    Args:
      config: what to train; `dataset` "auto" is resolved here.
      path: the run directory; by default one named after the configuration under `runs/`.
      log_every: print the tutorial's line every so many steps.
      devices: how many share each step; by default one of a single process, or all of several.
      profile: the steps to trace.
      stop: whom to ask whether to end, if the caller heeds the signals and tells of them; it then also learns of one
        that came too late to stop this run.
      dataset: what `config.data` names, if the caller has it; the run is then the caller's, too, and not what commands
        take for the newest one.
      on_nan: what to do when a loss is no number any more: "stop", or "rollback" to the last checkpoint and go on from
        there with other randomness.

    Returns:
      The exit status: 0, or 128 + the signal's number if one stopped the run (the same command then goes on).

    Raises:
      UserError: the settings, the data or the directory do not permit it.
    """
    validate(config)
    check_names(config)
    check_on_nan(on_nan)
    of_caller, dataset = dataset is not None, dataset or _load(config, path)
    config = _resolved(config, dataset)
    validate(config)
    system = build(config, dataset.train_images.shape[1:], dataset.num_classes)
    drawn = labelled_images(config, dataset)
    group = team(devices, system.half_batch)
    if not group.same(f"{to_json(config)} {dataset.digest} {profile and profile.steps}".encode()):
        raise UserError("the processes of this run have other flags or other data; start each with the same")
    with ExitStack() as stack:
        told = stop is not None  # by the caller
        stop = stop or stack.enter_context(stop_on_signal())
        if not group.leads:
            last = _follow(config, system, group, dataset, drawn, stop, profile)
            return 128 + stop.by if stop.by and last < config.total_steps else 0
        if dataset.notice:
            print(f"*** {dataset.notice} ***", flush=True)
        if config.precision == "auto":
            print(f"precision: {resolve_precision('auto')} (auto)", flush=True)
        run = RunDir(path or default_path(config, dataset.name))
        with group.preparing():
            stack.enter_context(run.locked())
            labelled = run.begin(config, _record(config, dataset, group, drawn), drawn, newest=not of_caller)
            # Before the saver, which does not look of itself again at what it found when it was made.
            state, first = _resume(run, config, system, dataset)
            run.forget_after(first)
            if profile:
                profile.check(config.total_steps - first)
            saver = stack.enter_context(checkpoint.saver(run.checkpoints))
            board = stack.enter_context(Board(run.tensorboard, first)) if first < config.total_steps else None
        state, labelled, _ = group.from_leader((state, labelled, np.asarray(len(run.rollbacks()))))
        for_training, validation = split(labelled, config)
        session = Session(config, run, dataset, system, saver, validation, board)
        if first >= config.total_steps:
            session.conclude(first, state)
            print(f"{run.path}: finished at step {first}; more epochs or steps make it longer")
            return 0
        start = f"from step {first}" if first else "new run"
        print(f"{run.path}: {start}, to step {config.total_steps}", flush=True)
        run.result_file.unlink(missing_ok=True)  # of a shorter run that is made longer
        while True:
            key = _training_key(config, len(run.rollbacks()))
            try:
                steps = _dispatches(config, system, group, dataset, for_training, state, key, stop, profile)
                last = session.run(steps, first, log_every)
                break
            except Stopped:  # before the first step
                last = first
                break
            except Diverged as error:
                saver.wait()
                _roll_back(run, group, error, on_nan)
                state, first = _resume(run, config, system, dataset)
                session.take_back(first)
                print(f"{run.path}: {error}; goes on from step {first} with other randomness", flush=True)
    if stop.by and last < config.total_steps:
        if not told:
            stop.tell()
        return 128 + stop.by
    return 0


def check_on_nan(on_nan: str) -> None:
    """Raises a UserError for what `train` does not know to do about a loss that is no number."""
    if on_nan not in ON_NAN:
        raise UserError(f"‹on_nan›: {on_nan}; choose one of {', '.join(ON_NAN)}")


def _load(config: Config, path: Path | None) -> Dataset:
    """The data; "auto" stays what it was when the run began that this command goes on with."""
    data = config.data
    if data.dataset != "auto" or (data.data_dir, data.image_size, data.stream) != (None, None, None):
        return load(data.dataset, data.data_dir, square(data.image_size), data.stream)
    if path:
        places = [path]
    else:
        counted = dataclasses.replace(config, data=dataclasses.replace(data, labels=data.labels or DEFAULT_LABELS))
        places = [default_path(counted, name) for name in ("mnist", EMBEDDED)]
    begun = [RunDir(place).dataset() for place in places if (place / "config.json").exists()]
    return load(begun[0] if len(begun) == 1 else "auto")


def _resolved(config: Config, dataset: Dataset) -> Config:
    """The configuration as the run keeps it: with the number of labels, and a folder that other places find, too."""
    streamed = dataset.streamed is not None
    data = dataclasses.replace(config.data, labels=how_many(config.data.labels, dataset), stream=streamed)
    return located(dataclasses.replace(config, data=data))


def _record(config: Config, dataset: Dataset, group: Team, drawn: np.ndarray) -> dict[str, Any]:
    """What config.json tells beside the configuration."""
    device = jax.devices()[0]
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "notice": dataset.notice,
            "own": dataset.custom,
            "train": len(dataset.train_images),
            "streamed": len(dataset.streamed) if dataset.streamed is not None else 0,
            "test": len(dataset.test_images),
            "image_shape": list(dataset.train_images.shape[1:]),
            "class_names": list(dataset.class_names),
            "labels_per_class": np.bincount(dataset.train_labels[drawn], minlength=dataset.num_classes).tolist(),
        },
        "versions": {"sgan_jax": __version__, "python": platform.python_version()} | {p: version(p) for p in packages},
        "commit": source.commit(),
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": group.mesh.size,
            "precision": resolve_precision(config.precision),
        },
        "command": sys.argv,
    }


def _resume(run: RunDir, config: Config, system: System, dataset: Dataset) -> tuple[TrainState, int]:
    """The state of the newest undamaged checkpoint and its step, or a fresh state and 0.

    Raises:
      UserError: there are checkpoints, and none of them can be restored; they stay as they are.
    """
    damaged = []
    for step in reversed(checkpoint.steps(run.checkpoints)):
        path = run.checkpoints / f"step_{step}"
        try:
            state = checkpoint.restore(path, system.abstract_state())
        except checkpoint.Damaged as error:
            print(f"sgan: warning: {error}; trying the one before", file=sys.stderr)
            damaged.append(path)
            continue
        for other in damaged:
            checkpoint.set_aside(other)
        return jax.tree.map(jax.numpy.asarray, state), step
    if damaged:
        raise UserError(f"{run.checkpoints}: no checkpoint can be restored; remove it to start anew, or another ‹run›")
    return jax.jit(system.init)(derive_keys(config.seed).init, _examples(dataset)), 0


def _examples(dataset: Dataset) -> np.ndarray:
    """The images by which layers are scaled: the first, or from all over a set of one's own, which may lie by class."""
    images = dataset.train_images
    if not dataset.custom:
        return images[:EXAMPLES]
    return images[np.linspace(0, len(images) - 1, min(EXAMPLES, len(images)), dtype=int)]


def _follow(
    config: Config,
    system: System,
    group: Team,
    dataset: Dataset,
    drawn: np.ndarray,
    stop: Stop,
    profile: Profile | None,
) -> int:
    """Takes the leader's steps with it and leaves everything else to it; returns the last step taken."""
    if not group.leader_is_ready():
        raise UserError("the run's first process could not begin; it says why")
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), system.abstract_state())
    state, labelled, rollbacks = group.from_leader((like, drawn, np.zeros((), int)))
    key, step = _training_key(config, int(rollbacks)), int(state.step)
    if step >= config.total_steps:
        return step  # so does the leader, for whom a graph and the devices would wait in vain
    try:
        for done in _dispatches(config, system, group, dataset, split(labelled, config)[0], state, key, stop, profile):
            step = done.step
    except Diverged as error:
        raise UserError(f"{error}; the run's first process says more") from None
    return step


def _training_key(config: Config, rollbacks: int) -> jax.Array:
    """The key of the steps: the seed's own, and another one after each time that the run was rolled back."""
    key = derive_keys(config.seed).train
    return jax.random.fold_in(key, rollbacks) if rollbacks else key


def _roll_back(run: RunDir, group: Team, error: Diverged, on_nan: str) -> None:
    """Notes that the run goes back, or refuses to."""
    saved = checkpoint.steps(run.checkpoints)
    last = f"the last good checkpoint is step_{saved[-1]}" if saved else "there is no checkpoint yet"
    advice = "a smaller ‹adam.learning_rate› may help, in a new run"
    if on_nan == "stop":
        raise UserError(
            f"{run.path}: {error}; {last}: ‹on_nan› rollback goes on from it with other randomness; {advice}"
        )
    if jax.process_count() > 1:
        raise UserError(f"{run.path}: {error}; {last}; ‹on_nan› rollback is for one process; {advice}")
    if len(run.rollbacks()) >= MAX_ROLLBACKS:
        raise UserError(f"{run.path}: {error}, after {MAX_ROLLBACKS} rollbacks; {last}; {advice}")
    run.note_rollback(str(error))


def _dispatches(
    config: Config,
    system: System,
    group: Team,
    dataset: Dataset,
    labelled: np.ndarray,
    state: TrainState,
    key: jax.Array,
    stop: Stop,
    profile: Profile | None = None,
) -> Iterator[Dispatched]:
    arrays = dataset.train_images[labelled], dataset.train_labels[labelled], dataset.train_images
    data, feed = Data(*map(jax.numpy.asarray, arrays)), None
    if dataset.streamed is not None:
        feed = batches(dataset.streamed, system.unlabelled, config.seed, int(state.step))
    if config.propagation.neighbours:
        # Processes that wait for one another compare the images to the end, each for itself.
        check = stop.check if jax.process_count() == 1 else lambda: None
        neighbours = cache.load_by_deformation(dataset, config.propagation, check)
        more_neighbours = partial(cache.load_by_orientations, dataset, config.propagation, check)
        known = LabelledImages(labelled, dataset.train_labels[labelled], dataset.num_classes)
        shares = propagate(neighbours, known, config.propagation, more_neighbours, check)
        data = data._replace(unl_shares=jax.numpy.asarray(group.from_leader(shares)))
    return dispatches(config, system, group, data, state, key, lambda: stop.anywhere(group), profile, feed)

"""Training: the loop around the pure step, with everything a run leaves behind."""

import dataclasses
import platform
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np

from sgan_jax import __version__, checkpoint, graph, pictures
from sgan_jax.config import Config, to_json, validate
from sgan_jax.data import EMBEDDED, Dataset, choose_labelled, load
from sgan_jax.devices import Team, local, resolve_precision, team
from sgan_jax.dispatch import Dispatched, dispatches
from sgan_jax.errors import UserError
from sgan_jax.evaluate import Classify, Images, evaluate, make_classify
from sgan_jax.profiler import Profile
from sgan_jax.progress import Progress
from sgan_jax.propagation import propagate
from sgan_jax.run_dir import RunDir, default_path, write_json
from sgan_jax.system import Keys, System, build, check_names, derive_keys, sample_images
from sgan_jax.types import Data, Params, TrainState

METRICS_EVERY = 100  # steps between two lines of losses in metrics.jsonl
SAMPLES = 100  # images of a grid
EXAMPLES = 500  # images by which layers are scaled at first, as in the code of Improved GAN


def train(
    config: Config,
    path: Path | None = None,
    log_every: int = 0,
    devices: int | None = None,
    profile: Profile | None = None,
    stop: "Stop | None" = None,
    dataset: Dataset | None = None,
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
      dataset: what `config.data` names, if the caller has it.

    Returns:
      The exit status: 0, or 128 + the signal's number if one stopped the run (the same command then goes on).

    Raises:
      UserError: the settings, the data or the directory do not permit it.
    """
    validate(config)
    check_names(config)
    dataset = dataset or _load(config, path)
    if config.data.data_dir is not None:  # as the run will be evaluated from other folders
        located = dataclasses.replace(config.data, data_dir=str(Path(config.data.data_dir).absolute()))
        config = dataclasses.replace(config, data=located)
    system = build(config, dataset.train_images.shape[1:], dataset.num_classes)
    drawn = choose_labelled(dataset.train_labels, config.data.labels, dataset.num_classes, config.data.label_seed)
    group = team(devices, system.half_batch)
    if not group.same(f"{to_json(config)} {dataset.digest}".encode()):
        raise UserError("the processes of this run have other flags or other data; start each with the same")
    with ExitStack() as stack:
        told = stop is not None  # by the caller
        stop = stop or stack.enter_context(stop_on_signal())
        if not group.leads:
            _follow(config, system, group, dataset, drawn, stop)
            return 128 + stop.by if stop.by else 0
        if dataset.notice:
            print(f"*** {dataset.notice} ***", flush=True)
        if config.precision == "auto":
            print(f"precision: {resolve_precision('auto')} (auto)", flush=True)
        run = RunDir(path or default_path(config, dataset.name))
        with group.preparing():
            stack.enter_context(run.locked())
            labelled = run.begin(config, _record(config, dataset, group), drawn)
            # Before the saver, which does not look again at what it found when it was made.
            state, first = _resume(run, system, derive_keys(config.seed), dataset.train_images[:EXAMPLES])
            run.forget_after(first)
            saver = stack.enter_context(checkpoint.saver(run.checkpoints))
        state, labelled = group.from_leader((state, labelled))
        for_training, validation = _split(labelled, config)
        session = _Session(config, run, dataset, system, saver, validation)
        if first >= config.total_steps:
            session.conclude(first, state)
            print(f"{run.path}: finished at step {first}; --epochs or --steps makes it longer")
            return 0
        start = f"from step {first}" if first else "new run"
        print(f"{run.path}: {start}, to step {config.total_steps}", flush=True)
        run.result_file.unlink(missing_ok=True)  # of a shorter run that is made longer
        steps = _dispatches(config, system, group, dataset, for_training, state, stop, profile)
        last = session.run(steps, first, log_every)
    if stop.by and last < config.total_steps:
        if not told:
            stop.tell()
        return 128 + stop.by
    return 0


def _load(config: Config, path: Path | None) -> Dataset:
    """The data; "auto" stays what it was when the run began that this command goes on with."""
    if config.data.dataset != "auto" or config.data.data_dir is not None:
        return load(config.data.dataset, config.data.data_dir)
    places = [path] if path else [default_path(config, name) for name in ("mnist", EMBEDDED)]
    begun = [RunDir(place).dataset() for place in places if (place / "config.json").exists()]
    return load(begun[0] if len(begun) == 1 else "auto")


def _record(config: Config, dataset: Dataset, group: Team) -> dict[str, Any]:
    """What config.json tells beside the configuration."""
    device = jax.devices()[0]
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "notice": dataset.notice,
            "train": len(dataset.train_images),
            "test": len(dataset.test_images),
            "image_shape": list(dataset.train_images.shape[1:]),
            "class_names": list(dataset.class_names),
        },
        "versions": {"sgan_jax": __version__, "python": platform.python_version()} | {p: version(p) for p in packages},
        "device": {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": group.mesh.size,
            "precision": resolve_precision(config.precision),
        },
        "command": sys.argv,
    }


def _resume(run: RunDir, system: System, keys: Keys, examples: np.ndarray) -> tuple[TrainState, int]:
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
        raise UserError(f"{run.checkpoints}: no checkpoint can be restored; remove it to start anew, or another --run")
    return jax.jit(system.init)(keys.init, examples), 0


def _follow(config: Config, system: System, group: Team, dataset: Dataset, drawn: np.ndarray, stop: "Stop") -> None:
    """Takes the leader's steps with it and leaves everything else to it."""
    if not group.leader_is_ready():
        raise UserError("the run's first process could not begin; it says why")
    like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), system.abstract_state())
    state, labelled = group.from_leader((like, drawn))
    for _ in _dispatches(config, system, group, dataset, _split(labelled, config)[0], state, stop):
        pass


def _split(labelled: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the labelled images, for training and for validation: the last ones, balanced as the first are."""
    first = len(labelled) - config.data.validation
    return labelled[:first], labelled[first:]


def _dispatches(
    config: Config,
    system: System,
    group: Team,
    dataset: Dataset,
    labelled: np.ndarray,
    state: TrainState,
    stop: "Stop",
    profile: Profile | None = None,
) -> Iterator[Dispatched]:
    arrays = dataset.train_images[labelled], dataset.train_labels[labelled], dataset.train_images
    data = Data(*map(jax.numpy.asarray, arrays))
    if config.propagation.neighbours:
        near = graph.load(dataset, config.propagation.neighbours, config.propagation.candidates)
        shares = propagate(near, labelled, dataset.train_labels[labelled], dataset.num_classes)
        data = data._replace(unl_shares=jax.numpy.asarray(group.from_leader(shares)))
    key = derive_keys(config.seed).train
    return dispatches(config, system, group, data, state, key, lambda: stop.anywhere(group), profile)


class Stop:
    """Which signal has asked for the end, if one has."""

    by: signal.Signals | None = None

    def anywhere(self, group: Team) -> bool:
        """Whether a signal came to any process of the run; each then takes it for its own."""
        number = group.largest(self.by or 0)
        self.by = signal.Signals(number) if number else None
        return bool(number)

    def tell(self) -> None:
        """Says that a signal ended what was going on."""
        if self.by:
            print(f"stopped by {self.by.name}; the same command goes on from there", flush=True)


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask the loop to save and leave; a second one ends at once."""
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.by = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Session:
    """The part of a run that one process makes."""

    def __init__(
        self,
        config: Config,
        run: RunDir,
        dataset: Dataset,
        system: System,
        saver: checkpoint.Saver,
        validation: np.ndarray,
    ):
        self.config, self.run_dir, self.dataset, self.system, self.saver = config, run, dataset, system, saver
        self.validation = validation
        self.keys = derive_keys(config.seed)
        self.classify: Classify = make_classify(system.disc)
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
                    progress.print(self._finish_epoch(step, state, self.dataset.train_images, values))
            if step > first:
                self.saver.save(step, state)
                self.saver.wait()
            if step == config.total_steps:
                progress.print(self._finish(step))
        return step

    def conclude(self, step: int, state: TrainState) -> None:
        """Does what is left after the last checkpoint: a kill may have come between, or a stop at just this step."""
        line = next((line for line in self.run_dir.metrics() if line["step"] == step), {})
        if not line or (self.system.classifies and "test_accuracy" not in line):
            self.run_dir.forget_after(step - 1)
            self._finish_epoch(step, state, self.dataset.train_images, line)
        self._finish(step)

    def _log(self, step: int, values: dict[str, Any]) -> None:
        self.run_dir.log({"step": step, "seconds": round(self.earlier + time.monotonic() - self.start, 2), **values})

    def _finish_epoch(self, step: int, state: TrainState, train_images: Images, values: dict[str, float]) -> str:
        """Evaluates, draws samples, logs and saves; returns a line about it."""
        accuracy = {}
        if self.system.classifies:
            train = train_images, self.dataset.train_labels
            test = self.dataset.test_images, self.dataset.test_labels
            of: dict[str, tuple[Params, tuple[Images, np.ndarray]]] = {
                "train_accuracy": (state.params.d, train),
                "test_accuracy": (state.params.d, test),
                "ema_test_accuracy": (state.ema.d, test),
            }
            if len(self.validation):
                kept = train_images[self.validation], self.dataset.train_labels[self.validation]
                of["validation_accuracy"] = state.params.d, kept
            for name, (params, (images, labels)) in of.items():
                accuracy[name] = evaluate(self.classify, params, images, labels, self.dataset.num_classes).accuracy
        images = sample_images(self.system.gen, state.params.g, self.keys.samples, SAMPLES)
        pictures.save_grid(images, self.run_dir.sample_file(step))
        self._log(step, values | accuracy)
        self.saver.save(step, state)
        figures = ", ".join(
            f"{name.replace('ema', 'averaged weights').replace('_', ' ')} {100 * value:.3f}%"
            for name, value in accuracy.items()
        )
        return f"step_{step}: {figures or 'no classifier'}{self._noticed()}"

    def _noticed(self) -> str:
        return f" ({self.dataset.notice})" if self.dataset.notice else ""

    def _finish(self, step: int) -> str:
        """Writes the final figures; returns a line about it."""
        last = [line for line in self.run_dir.metrics() if line["step"] == step][-1]
        result = {
            "dataset": self.dataset.name,
            "notice": self.dataset.notice,
            "labels": self.config.data.labels,
            **last,
        }
        write_json(self.run_dir.result_file, result)
        return f"finished: {self.run_dir.path}{self._noticed()}"

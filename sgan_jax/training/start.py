"""What must be true before the first step: settings, data and devices together, checked before anything is written."""

import dataclasses
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax import __version__
from sgan_jax.config import Config, choose, located, to_json, validate
from sgan_jax.data.embeddings import with_embeddings
from sgan_jax.data.load import DEFAULT_LABELS, EMBEDDED, Dataset, choose_labelled, how_many, load, warned_if_labelled
from sgan_jax.data.stream import installed_grain
from sgan_jax.engine.devices import Team, available, resolve_precision, team
from sgan_jax.engine.system import System, build, check_names, uses_unlabelled
from sgan_jax.errors import UserError
from sgan_jax.graph import cache
from sgan_jax.metrics.table import EVALUATORS
from sgan_jax.models.heads import HEADS
from sgan_jax.runs import source
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import default_path
from sgan_jax.runs.record import DatasetRecord, Part, RunRecord
from sgan_jax.training.events import Setup
from sgan_jax.training.profiler import Profile
from sgan_jax.training.signals import Stop

ON_NAN = ("stop", "rollback")


class Options(NamedTuple):
    """How a call trains, in contrast to what: nothing here decides a run's result."""

    run: Path | None = None  # the run directory; by default one named after the configuration under `runs/`
    newest: bool = False  # whether `runs/latest` is to point at it
    devices: int | None = None  # that share each step; by default one of a single process, or all of several
    profile: Profile | None = None  # the steps to trace
    on_nan: str = "stop"  # or "rollback": to the last checkpoint, and on from there with other randomness
    command: Sequence[str] = ()  # the caller's command line, for config.json
    stopping: Callable[[], AbstractContextManager[Stop]] = lambda: nullcontext(Stop())  # whom to ask whether to end


class Prepared(NamedTuple):
    """What training begins with."""

    config: Config  # as the run keeps it
    dataset: Dataset
    system: System
    team: Team
    labelled: np.ndarray  # int64 [labels], indices of the images that keep their label


def prepare(config: Config, options: Options, dataset: Dataset | None = None) -> Prepared:
    """Loads the data and checks everything that training needs.

    Args:
      config: what to train; `dataset` "auto" is resolved here.
      options: how.
      dataset: what `config.data` names, if the caller has it.

    Raises:
      UserError: the settings, the data or the devices do not permit it.
    """
    validate(config)
    check_names(config)
    if config.patience and not HEADS[config.model.head].classifies:
        raise UserError(f"‹patience›: {config.patience}; head '{config.model.head}' has no accuracy that could rise")
    for name in config.evaluators:
        choose(EVALUATORS, name, "evaluator")
    check_on_nan(options.on_nan)
    available()  # before data are fetched
    check_extras(config, dataset)
    dataset = dataset or load_data(config, options.run)
    check_extras(config, dataset)
    if config.propagation.embeddings is not None and dataset.streamed is None:  # no graph compares streamed images
        dataset = with_embeddings(dataset, config.propagation.embeddings)
    config = _resolved(config, dataset)
    validate(config)
    system = build(config, dataset.train_images.shape[1:], dataset.num_classes)
    labelled = labelled_images(config, dataset)
    if options.profile:
        options.profile.check(config.total_steps)  # of a run that resumes, fewer are left
    group = team(options.devices, config.batch_size, config.unlabelled)
    steps = options.profile and options.profile.steps
    if not group.same(
        f"{to_json(config)} {dataset.digest} {dataset.embeddings_digest} {dataset.class_names} {steps}".encode()
    ):
        raise UserError("the processes of this run have other flags or other data; start each with the same")
    return Prepared(config, dataset, system, group, labelled)


def check_extras(config: Config, dataset: Dataset | None) -> None:
    """Raises a UserError if training needs a package that is not installed.

    Args:
      config: what is trained; its names are checked.
      dataset: on what; None as long as it is not loaded.
    """
    streamed = config.data.stream if dataset is None else dataset.streamed is not None
    if streamed and uses_unlabelled(config):
        installed_grain()


def check_on_nan(on_nan: str) -> None:
    """Raises a UserError for a reaction to a NaN loss that training does not have."""
    if on_nan not in ON_NAN:
        raise UserError(f"‹on_nan›: {on_nan}; choose one of {', '.join(ON_NAN)}")


def labelled_images(config: Config, dataset: Dataset) -> np.ndarray:
    """Indices of the images that keep their label, int64 `[labels]`: those to train on, then those for validation.

    Raises:
      UserError: too few have a label, or the preset compares all images and cannot with these.
    """
    data = config.data
    count = how_many(data.labels, dataset)
    drawn = choose_labelled(dataset.train_labels, count, dataset.num_classes, data.label_seed, dataset.class_names)
    if (missing := _missing_class(dataset, drawn)) is not None:
        if len(drawn) < dataset.num_classes:
            raise UserError(f"‹data.labels›: {len(drawn)}; must be at least {dataset.num_classes}, one for each class")
        raise UserError(f"‹data.data_dir›: no training image of class '{missing}' has a label; expected one at least")
    if (missing := _missing_class(dataset, split(drawn, config)[0])) is not None:
        raise UserError(
            f"‹data.validation›: keeps all labels of class '{missing}' from training; expected a smaller number"
        )
    if config.propagation.neighbours:
        if dataset.streamed is not None:
            raise UserError(
                f"‹preset› {config.preset}: compares all images with one another, and these do not fit in memory; "
                "‹preset› consistency does not"
            )
        cache.check_size(dataset, config.propagation)
    return drawn


def split(labelled: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the labelled images, for training and for validation: the last ones, balanced as the first are."""
    first = len(labelled) - config.data.validation
    return labelled[:first], labelled[first:]


def record(prepared: Prepared, command: Sequence[str]) -> RunRecord:
    """What config.json holds of a run that begins now."""
    config, dataset = prepared.config, prepared.dataset
    device = available()[0]
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    labels = dataset.train_labels[prepared.labelled]
    of_dataset = DatasetRecord(
        dataset.name,
        dataset.digest,
        dataset.notice,
        train=len(dataset.train_images),
        image_shape=dataset.train_images.shape[1:],
        class_names=dataset.class_names,
        custom=dataset.custom,
        streamed=len(dataset.streamed) if dataset.streamed is not None else 0,
        test=len(dataset.test_images),
        labels_per_class=tuple(np.bincount(labels, minlength=dataset.num_classes).tolist()),
        labels_file=str(dataset.labels_file.absolute()) if dataset.labels_file else "",
        embeddings=dataset.embeddings_digest,
    )
    part = Part(
        {"sgan_jax": __version__, "python": platform.python_version()} | {p: version(p) for p in packages},
        source.commit(),
        {
            "platform": device.platform,
            "kind": device.device_kind,
            "count": prepared.team.mesh.size,
            "precision": resolve_precision(config.precision),
        },
        tuple(command),
    )
    return RunRecord(config, of_dataset, (part,))


def setup(prepared: Prepared) -> Setup:
    """What is trained, on what."""
    config, dataset, system, group, labelled = prepared
    counts = np.bincount(dataset.train_labels[labelled], minlength=dataset.num_classes).tolist()
    images = dataset.train_images if dataset.streamed is None else dataset.streamed
    height, width, channels = dataset.train_images.shape[1:]
    networks = system.networks()
    return Setup(
        device=available()[0].device_kind,
        devices=group.mesh.size,
        precision=resolve_precision(config.precision),
        image_shape=(height, width, channels),
        labelled=dict(zip(dataset.class_names, counts, strict=True)),
        validation=config.data.validation,
        unlabelled=len(images) - len(labelled),
        test=len(dataset.test_images),
        parameters={name: sum(layer.parameters for layer in net.layers()) for name, net in networks.items()},
    )


def load_data(config: Config, path: Path | None) -> Dataset:
    """The data; "auto" stays what it was when the run began that this call resumes.

    Args:
      config: whose `data` names them.
      path: the run directory; None for the default one.

    Raises:
      UserError: they cannot be loaded.
    """
    data = config.data
    custom = data.data_dir, data.image_size, data.labels_file
    if data.dataset != "auto" or custom != (None, None, None) or data.stream:
        return warned_if_labelled(load(data.dataset, *custom[:2], data.stream, data.labels_file))
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


def _missing_class(dataset: Dataset, labelled: np.ndarray) -> str | None:
    """A class that none of the images is of."""
    counts = np.bincount(dataset.train_labels[labelled], minlength=dataset.num_classes)
    return None if counts.all() else dataset.class_names[int(counts.argmin())]

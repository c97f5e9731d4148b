"""Evaluates a run's classifier on the images that it was trained and tested on, or on other labelled images."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.config import DataConfig
from sgan_jax.data.arrays import is_npz
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.labelled import load_labelled
from sgan_jax.data.layout import few
from sgan_jax.data.listing import list_images
from sgan_jax.data.load import is_folder_of_images, load
from sgan_jax.errors import UserError
from sgan_jax.metrics import per_class
from sgan_jax.metrics.accuracy import accuracy
from sgan_jax.metrics.classify import Classify, class_logits, probabilities
from sgan_jax.metrics.confusion import confusion_matrix
from sgan_jax.metrics.subsets import Subset, held_out_subset, subsets
from sgan_jax.report import pictures
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened
from sgan_jax.runs.predictions import Predictions
from sgan_jax.runs.record import DatasetRecord
from sgan_jax.types import Model

OTHER = "other"  # the subset of images that the run was not trained on


class EvaluationResult(NamedTuple):
    """Figures of a checkpoint's classifier. `save_evaluation` writes what reports need of them."""

    run: Path
    step: int
    notice: str  # a warning that belongs to every result of the run, or nothing
    accuracies: dict[str, float]  # of the last weights, 0..1, by subset: "train", "test", "validation"; or OTHER alone
    averaged_accuracies: dict[str, float]  # of the averaged weights
    images: dict[str, int]  # how many there are in each subset
    subset: str  # the subset of `confusion`: "test", else "validation", else "train"; or OTHER
    class_names: tuple[str, ...]
    confusion: np.ndarray  # of the last weights: true class (rows), predicted class (columns), int64 [K, K]
    title: str  # of the picture of `confusion`
    predictions: Predictions | None  # of the last weights; None where `subset` is "train"
    other: str = ""  # where the images lie that the run was not trained on; "" for the data of the run
    file_name: str = ""  # of `confusion_file`, where the run's own name does not fit

    @property
    def recall(self) -> np.ndarray:
        """Recall of each class, float64 `[K]`; NaN for a class without images."""
        return per_class.recall(self.confusion)

    @property
    def precision(self) -> np.ndarray:
        """Precision of each class, float64 `[K]`; NaN for a class that is never predicted."""
        return per_class.precision(self.confusion)

    @property
    def confusion_file(self) -> Path:
        """The PNG into which `save_evaluation` draws `confusion`."""
        own = RunDir(self.run).confusion_file(self.step)
        return own.with_name(self.file_name) if self.file_name else own


def evaluate(opened: Opened, data_dir: str | None = None, labels_file: str | None = None) -> EvaluationResult:
    """Accuracies on all images whose class is known, and figures of each class on held-out images.

    Args:
      opened: the run, opened at a checkpoint.
      data_dir: where the run's images are now, if they were moved; or other labelled images of its classes.
      labels_file: where the CSV file of their labels is now, if it was moved; or that of the other images.

    Raises:
      UserError: the run has no classifier, the data are missing, or other images are of other classes.
    """
    opened.needs_classifier("evaluate")
    dataset = _data_of(opened, data_dir, labels_file)
    if dataset is None and data_dir is not None:
        return _of_other(opened, Path(data_dir), None if labels_file is None else Path(labels_file))
    if dataset is None:
        name, record = opened.run.dataset(), opened.record.dataset
        raise UserError(
            f"{name}: {opened.run.path} was trained on other data, {record.name}; give its folder with ‹data.data_dir›"
        )
    labelled = opened.run.labelled()
    by_name = subsets(dataset, labelled[len(labelled) - opened.config.data.validation :])
    held_out = held_out_subset(by_name)
    result, shown = _figures(opened, by_name, held_out or "train", dataset.name)
    if held_out is None:
        return result
    return result._replace(predictions=predictions.collect(held_out, by_name[held_out], probabilities(shown)))


def _of_other(opened: Opened, path: Path, labels_file: Path | None) -> EvaluationResult:
    """Figures on images that the run was not trained on; their classes are matched by name."""
    found, names = load_labelled(path, opened.image_shape, labels_file), opened.class_names
    if strange := [name for name in found.class_names if name not in names]:
        raise UserError(
            f"‹data.data_dir› {path}: {few(strange)}: no class of {opened.run.path}, whose classes are {few(names)}"
        )
    index = np.asarray([names.index(name) for name in found.class_names], np.int32)
    subset = Subset(found.images, index[found.labels], found.files)
    result, shown = _figures(opened, {OTHER: subset}, OTHER, found.name)
    return result._replace(
        predictions=predictions.collect(OTHER, subset, probabilities(shown)),
        other=str(path),
        file_name=f"step_{opened.step}-{found.name}-{found.digest[:8]}-confusion.png",
    )


def _figures(opened: Opened, by_name: dict[str, Subset], subset: str, data: str) -> tuple[EvaluationResult, np.ndarray]:
    """The result without predictions, and the class logits of the last weights on `subset`."""
    classify, state, names = opened.system.classify, opened.state, opened.class_names
    logits = _logits(classify, state.model("d"), by_name, len(names))
    averaged_logits = _logits(classify, state.model("d", averaged=True), by_name, len(names))
    labels, predicted = by_name[subset].labels, logits[subset].argmax(axis=1)
    result = EvaluationResult(
        run=opened.run.path,
        step=opened.step,
        notice=opened.notice,
        accuracies=_accuracies(logits, by_name),
        averaged_accuracies=_accuracies(averaged_logits, by_name),
        images={name: len(one.labels) for name, one in by_name.items()},
        subset=subset,
        class_names=names,
        confusion=confusion_matrix(labels, predicted, len(names)),
        title=f"{opened.notice or data}, {opened.config.data.labels} labels, step {opened.step}: {subset} images",
        predictions=None,
    )
    return result, logits[subset]


def save_evaluation(result: EvaluationResult) -> None:
    """Draws the confusion matrix into the run directory, and writes the predictions beside it if they are on its data.

    Raises:
      UserError: the files cannot be written.
    """
    pictures.save_confusion(result.confusion, result.class_names, result.confusion_file, result.title)
    if result.predictions is not None and not result.other:
        predictions.save(RunDir(result.run).predictions_file(result.step), result.predictions)


def _data_of(opened: Opened, data_dir: str | None, labels_file: str | None) -> Dataset | None:
    """The data set that the run was trained on; None where it is another one now."""
    run, config, record = opened.run, opened.config, opened.record.dataset
    folder = data_dir or config.data.data_dir
    if record.custom and not folder:
        names = "x_train, y_train, x_test and y_test" if record.test else "x_train and y_train alone"
        raise UserError(
            f"{run.path}: a Python program trained it on arrays; give them as ‹data.data_dir› FILE.npz with {names}"
        )
    labels = labels_file or _labels_file(config.data, data_dir)
    if data_dir and not _may_be_of_run(Path(data_dir), labels, record):
        return None
    dataset = load(
        config.data.dataset if folder else run.dataset(),
        folder,
        config.data.image_size,
        config.data.stream if folder else None,
        labels,
    )
    if dataset.digest != record.digest:
        return None
    if dataset.custom and dataset.class_names != record.class_names:
        if data_dir:
            return None
        now, then = (", ".join(names) for names in (dataset.class_names, record.class_names))
        raise UserError(
            f"{dataset.name}: the classes are {now}; {run.path} was trained on the same images as {then}; expected the "
            "same names in the same order"
        )
    return dataset


def _may_be_of_run(path: Path, labels_file: str | None, record: DatasetRecord) -> bool:
    """Whether a folder may hold the images of the run, by its classes and number of files; True of other paths."""
    if not is_folder_of_images(path):
        return record.custom == is_npz(path)
    if not record.custom:
        return False
    try:
        listing = list_images(path, None if labels_file is None else Path(labels_file))
    except UserError:  # also raised for the other images, if it is about these
        return False
    enough = len(listing.train.paths) >= record.train and len(listing.test.paths) >= record.test
    return listing.class_names == record.class_names and enough


def _labels_file(was: DataConfig, data_dir: str | None) -> str | None:
    """The CSV file of labels; one that lay beside the images has moved with them."""
    if data_dir is None or was.labels_file is None or was.data_dir is None:
        return was.labels_file
    file, folder = Path(was.labels_file), Path(was.data_dir)
    return str(Path(data_dir) / file.relative_to(folder)) if folder in file.parents else was.labels_file


def _logits(classify: Classify, model: Model, by_name: dict[str, Subset], classes: int) -> dict[str, np.ndarray]:
    return {name: class_logits(classify, model, subset.images, classes) for name, subset in by_name.items()}


def _accuracies(logits: dict[str, np.ndarray], by_name: dict[str, Subset]) -> dict[str, float]:
    return {name: accuracy(logits[name], subset.labels) for name, subset in by_name.items()}

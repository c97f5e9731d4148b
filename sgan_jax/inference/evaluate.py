"""Evaluates a run's classifier on the images that it was trained and tested on."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.config import DataConfig
from sgan_jax.data.dataset import Dataset
from sgan_jax.data.load import load
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
from sgan_jax.types import Model


class EvaluationResult(NamedTuple):
    """Figures of a checkpoint's classifier. `save_evaluation` writes what reports need of them."""

    run: Path
    step: int
    notice: str  # a warning that belongs to every result of the run, or nothing
    accuracies: dict[str, float]  # of the last weights, 0..1, by subset: "train", "test", "validation"
    averaged_accuracies: dict[str, float]  # of the averaged weights
    images: dict[str, int]  # how many there are in each subset
    subset: str  # the subset of `confusion`: "test", else "validation", else "train"
    class_names: tuple[str, ...]
    confusion: np.ndarray  # of the last weights: true class (rows), predicted class (columns), int64 [K, K]
    title: str  # of the picture of `confusion`
    predictions: Predictions | None  # of the last weights; None where `subset` is "train"

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
        return RunDir(self.run).confusion_file(self.step)


def evaluate(opened: Opened, data_dir: str | None = None, labels_file: str | None = None) -> EvaluationResult:
    """Accuracies on all images whose class is known, and figures of each class on held-out images.

    Args:
      opened: the run, opened at a checkpoint.
      data_dir: where the run's images are now, if they were moved.
      labels_file: where the CSV file of their labels is now, if it was moved.

    Raises:
      UserError: the run has no classifier, or the data are missing or are other data than the run was trained on.
    """
    opened.needs_classifier("evaluate")
    dataset = _data_of(opened, data_dir, labels_file)
    labelled = opened.run.labelled()
    by_name = subsets(dataset, labelled[len(labelled) - opened.config.data.validation :])
    held_out = held_out_subset(by_name)
    subset = held_out or "train"
    classify, state, classes = opened.system.classify, opened.state, dataset.num_classes
    logits = _logits(classify, state.model("d"), by_name, classes)
    averaged_logits = _logits(classify, state.model("d", averaged=True), by_name, classes)
    shown, of_subset = logits[subset], by_name[subset]
    return EvaluationResult(
        run=opened.run.path,
        step=opened.step,
        notice=opened.notice,
        accuracies=_accuracies(logits, by_name),
        averaged_accuracies=_accuracies(averaged_logits, by_name),
        images={name: len(one.labels) for name, one in by_name.items()},
        subset=subset,
        class_names=dataset.class_names,
        confusion=confusion_matrix(of_subset.labels, shown.argmax(axis=1), classes),
        title=f"{opened.notice or dataset.name}, {opened.config.data.labels} labels, step {opened.step}: "
        f"{subset} images",
        predictions=predictions.collect(held_out, of_subset, probabilities(shown)) if held_out else None,
    )


def save_evaluation(result: EvaluationResult) -> None:
    """Draws the confusion matrix into the run directory, and writes the predictions beside it.

    Raises:
      UserError: the files cannot be written.
    """
    pictures.save_confusion(result.confusion, result.class_names, result.confusion_file, result.title)
    if result.predictions is not None:
        predictions.save(RunDir(result.run).predictions_file(result.step), result.predictions)


def _data_of(opened: Opened, data_dir: str | None, labels_file: str | None) -> Dataset:
    """The data set that the run was trained on."""
    run, config, record = opened.run, opened.config, opened.record.dataset
    folder = data_dir or config.data.data_dir
    if record.custom and not folder:
        names = "x_train, y_train, x_test and y_test" if record.test else "x_train and y_train alone"
        raise UserError(
            f"{run.path}: a Python program trained it on arrays; give them as ‹data.data_dir› FILE.npz with {names}"
        )
    dataset = load(
        config.data.dataset if folder else run.dataset(),
        folder,
        config.data.image_size,
        config.data.stream if folder else None,
        labels_file or _labels_file(config.data, data_dir),
    )
    if dataset.digest != record.digest:
        raise UserError(
            f"{dataset.name}: {run.path} was trained on other data, {record.name}; give its folder with ‹data.data_dir›"
        )
    if dataset.custom and dataset.class_names != record.class_names:
        now, then = (", ".join(names) for names in (dataset.class_names, record.class_names))
        raise UserError(
            f"{dataset.name}: the classes are {now}; {run.path} was trained on the same images as {then}; expected the "
            "same names in the same order"
        )
    return dataset


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

"""Evaluates a run's classifier on the images that it was trained and tested on, or on other labelled images."""

from collections.abc import Callable
from functools import partial
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
from sgan_jax.metrics.accuracy import accuracy, top_k_accuracy
from sgan_jax.metrics.calibration import calibration_error
from sgan_jax.metrics.classify import class_logits, probabilities
from sgan_jax.metrics.confusion import confusion_matrix
from sgan_jax.metrics.subsets import Subset, held_out_subset, subsets
from sgan_jax.report import pictures
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened
from sgan_jax.runs.predictions import Predictions
from sgan_jax.runs.record import DatasetRecord

TOP_K = 5  # of a run of more classes
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
    top_k: int  # how many classes count in `top_k_accuracies`; 0: these are empty
    top_k_accuracies: dict[str, float]  # of the last weights, 0..1, by subset
    calibration_error: float  # expected calibration error of the last weights on `subset`, 0..1
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
    def f1(self) -> np.ndarray:
        """Harmonic mean of recall and precision of each class, float64 `[K]`; NaN for a class without images."""
        return per_class.f1(self.confusion)

    @property
    def confusion_file(self) -> Path:
        """The PNG into which `save_evaluation` draws `confusion`."""
        own = RunDir(self.run).confusion_file(self.step)
        return own.with_name(self.file_name) if self.file_name else own


def evaluate(
    opened: Opened, data_dir: str | None = None, labels_file: str | None = None, top_k: int | None = None
) -> EvaluationResult:
    """Accuracies on all images whose class is known, and figures of each class on held-out images.

    Args:
      opened: the run, opened at a checkpoint.
      data_dir: where the run's images are now, if they were moved; or other labelled images of its classes.
      labels_file: where the CSV file of their labels is now, if it was moved; or that of the other images.
      top_k: for the accuracy by so many classes; by default TOP_K of a run of more classes than that.

    Raises:
      UserError: the run has no classifier, the data are missing, or other images are of other classes; or there are
        fewer classes than `top_k`.
    """
    opened.needs_classifier("evaluate")
    classes = len(opened.class_names)
    if top_k is not None and not 1 <= top_k <= classes:
        raise UserError(f"‹top_k›: {top_k}; must be between 1 and {classes}, the number of classes")
    top_k = top_k or (TOP_K if classes > TOP_K else 0)
    dataset = _data_of(opened, data_dir, labels_file)
    if dataset is None and data_dir is not None:
        return _of_other(opened, Path(data_dir), None if labels_file is None else Path(labels_file), top_k)
    if dataset is None:
        raise _other_data(opened)
    labelled = opened.run.labelled()
    by_name = subsets(dataset, labelled[len(labelled) - opened.config.data.validation :])
    held_out = held_out_subset(by_name)
    evaluation = _Evaluation(by_name, held_out or "train", dataset.name, top_k)
    result, of_classes = evaluation.of(opened)
    if held_out is None:
        return result
    return result._replace(predictions=predictions.collect(held_out, by_name[held_out], of_classes))


def data_of(opened: Opened, data_dir: str | None = None, labels_file: str | None = None) -> Dataset:
    """The data set that a run was trained on.

    Args:
      opened: the run.
      data_dir: where its images are now, if they were moved.
      labels_file: where the CSV file of their labels is now, if it was moved.

    Raises:
      UserError: the data are missing, or there are other ones.
    """
    dataset = _data_of(opened, data_dir, labels_file)
    if dataset is None:
        raise _other_data(opened, data_dir)
    return dataset


def _other_data(opened: Opened, where: str | None = None) -> UserError:
    name = where or opened.run.dataset()
    return UserError(
        f"{name}: {opened.run.path} was trained on other data, {opened.record.dataset.name}; give its folder with "
        "‹data.data_dir›"
    )


def _of_other(opened: Opened, path: Path, labels_file: Path | None, top_k: int) -> EvaluationResult:
    """Figures on images that the run was not trained on; their classes are matched by name."""
    other, names = load_labelled(path, opened.image_shape, labels_file), opened.class_names
    if strange := [name for name in other.class_names if name not in names]:
        raise UserError(
            f"‹data.data_dir› {path}: {few(strange)}: no class of {opened.run.path}, whose classes are {few(names)}"
        )
    index = np.asarray([names.index(name) for name in other.class_names], np.int32)
    subset = Subset(other.images, index[other.labels], other.files)
    result, of_classes = _Evaluation({OTHER: subset}, OTHER, other.name, top_k).of(opened)
    return result._replace(
        predictions=predictions.collect(OTHER, subset, of_classes),
        other=str(path),
        file_name=f"step_{opened.step}-{other.name}-{other.digest[:8]}-confusion.png",
    )


class _Evaluation(NamedTuple):
    """Images, and what is wanted to be known about a classifier on them."""

    by_name: dict[str, Subset]
    subset: str  # the name of the one with figures of each class
    data: str  # the name of the data set
    top_k: int

    def of(self, opened: Opened) -> tuple[EvaluationResult, np.ndarray]:
        """The result without predictions, and the class probabilities of the last weights on the subset, `[M, K]`."""
        labels, names = self.by_name[self.subset].labels, opened.class_names
        logits = self._logits(opened, averaged=False)
        of_classes = probabilities(logits[self.subset])
        what = f"{opened.config.data.labels} labels, step {opened.step}: {self.subset} images"
        result = EvaluationResult(
            run=opened.run.path,
            step=opened.step,
            notice=opened.notice,
            accuracies=self._accuracies(logits, accuracy),
            averaged_accuracies=self._accuracies(self._logits(opened, averaged=True), accuracy),
            images={name: len(subset.labels) for name, subset in self.by_name.items()},
            subset=self.subset,
            class_names=names,
            top_k=self.top_k,
            top_k_accuracies=self._accuracies(logits, partial(top_k_accuracy, k=self.top_k)) if self.top_k else {},
            calibration_error=calibration_error(labels, of_classes),
            confusion=confusion_matrix(labels, logits[self.subset].argmax(axis=1), len(names)),
            title=f"{opened.notice or self.data}, {what}",
            predictions=None,
        )
        return result, of_classes

    def _logits(self, opened: Opened, averaged: bool) -> dict[str, np.ndarray]:
        model, classes = opened.state.model("d", averaged), len(opened.class_names)
        return {
            name: class_logits(opened.system.classify, model, images, classes)
            for name, (images, *_) in self.by_name.items()
        }

    def _accuracies(
        self, logits: dict[str, np.ndarray], accuracy: Callable[[np.ndarray, np.ndarray], float]
    ) -> dict[str, float]:
        return {name: accuracy(logits[name], subset.labels) for name, subset in self.by_name.items()}


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

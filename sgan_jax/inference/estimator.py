"""The engine as a scikit-learn classifier: `SGANClassifier().fit(X, y).predict(X)`, -1 in y for images without a label.

It runs what `train` runs; what it saves is a run directory, as every command takes it.
"""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sgan_jax.config import SETTINGS, SHORT, Config, changed, choose
from sgan_jax.data.arrays import as_images
from sgan_jax.data.classes import are_known, as_classes, as_labels
from sgan_jax.data.load import UNKNOWN, Dataset
from sgan_jax.data.value_range import clip_excursions, warn_of_range
from sgan_jax.engine.system import System, build, derive_keys
from sgan_jax.errors import UserError, reason, spelled
from sgan_jax.files import write_json
from sgan_jax.inference.parameters import check, check_count, check_path, check_scored, seed
from sgan_jax.inference.sample import class_asked
from sgan_jax.metrics.classify import class_logits, probabilities
from sgan_jax.models.heads import HEADS
from sgan_jax.presets import PRESETS
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened, open_run
from sgan_jax.training import loop
from sgan_jax.training.events import Listener
from sgan_jax.training.start import Options
from sgan_jax.types import TrainState


class SGANClassifier(ClassifierMixin, BaseEstimator):
    """A classifier that learns from few labelled and many unlabelled images, with a generator beside it.

    Args:
      preset: as of `train`.
      head, epochs, steps_per_epoch, steps, batch_size, width, learning_rate, precision: as of `train`; by default the
        preset's.
      settings: any other settings of the configuration, by place: `{"augment.rotation": 10.0}`.
      image_shape: (H, W) or (H, W, C) of images that come as rows, `[N, H * W * C]`, as pipelines hand them on; by
        default those are grey squares.
      averaged: predict with the averaged weights.
      random_state: seed, an integer; None is 0. A RandomState gives another seed at each `fit`.
      init_from: a run directory, or RUN/step_N, with whose weights `fit` begins; see docs/labels.md.
      run_dir: where to train; a run that is there is resumed. By default a temporary folder.
      verbose: print what `train` prints.

    Attributes:
      classes_: the labels, in order.
      image_shape_: (H, W, C).
      result_: final figures, as of result.json; after `load` of an earlier checkpoint those of its step.
    """

    def __init__(
        self,
        preset: str = "best",
        *,
        head: str | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        width: int | None = None,
        learning_rate: float | None = None,
        precision: str | None = None,
        settings: Mapping[str, Any] | None = None,
        image_shape: tuple[int, ...] | None = None,
        averaged: bool = False,
        random_state: int | np.random.RandomState | None = None,
        init_from: str | Path | None = None,
        run_dir: str | Path | None = None,
        verbose: bool = False,
    ):
        self.preset = preset
        self.head = head
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.steps = steps
        self.batch_size = batch_size
        self.width = width
        self.learning_rate = learning_rate
        self.precision = precision
        self.settings = settings
        self.image_shape = image_shape
        self.averaged = averaged
        self.random_state = random_state
        self.init_from = init_from
        self.run_dir = run_dir
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Trains.

        Args:
          X: images `[N, H, W]`, `[N, H, W, C]` or as rows; uint8, or floats of 0 to 1;
            floats slightly outside are clipped, with a warning (`clip_excursions`).
          y: labels `[N]`, integers or text; -1 for images without one. Empty text, None and NaN are not labels either.

        Raises:
          ValueError: images or labels are something else, or the settings do not permit it.
        """
        try:
            check(self.get_params())
            config = self._config()
            images = self._images(X, self._shape_of_rows())
            warn_of_range(np.asarray(X), "X")
            given = _labels(y)
            names, labels = as_classes(given.reshape(-1), "y")
            if len(labels) != len(images):
                raise UserError(f"y: {len(labels)} labels for {len(images)} images; expected one each (-1: unknown)")
            none = np.zeros(0, np.int32)
            dataset = Dataset("images", images, labels, images[:0], none, names, custom=True)
            if not choose(HEADS, config.model.head, "head").classifies:
                raise UserError(f"‹model.head›: '{config.model.head}' has no classifier to fit")
            with contextlib.ExitStack() as stack:
                folder = self.run_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="sgan-"))
                loop.train(config, Options(Path(folder)), dataset, self._listener())
                self._take(open_run(Path(folder)))
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        self.classes_ = np.unique(given.reshape(-1)[labels != UNKNOWN])
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes in the order of `classes_`, `[N, K]`, float64.

        Raises:
          NotFittedError: `fit` comes first.
          ValueError: the images are not of the shape of those learned from.
        """
        check_is_fitted(self)
        try:
            images = self._images(X, self.image_shape_)
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        if images.shape[1:] != self.image_shape_:
            raise ValueError(f"X: images of shape {images.shape[1:]}; expected {self.image_shape_} as in fit")
        system, state = self._opened()
        model = state.model("d", self.averaged)
        return probabilities(class_logits(system.classify, model, images, len(self.classes_)))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each image, `[N]`."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy on the images that have a label, 0..1; those of label -1 do not count.

        Raises:
          NotFittedError: `fit` comes first.
          ValueError: labels, images and weights do not fit, or no image has a label.
        """
        check_is_fitted(self)
        y = _labels(y).reshape(-1)
        try:
            check_scored(y, _array(X), self.classes_, sample_weight)
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        if self.classes_.dtype.kind == "U":  # of a run whose classes are text, or look like numbers and are
            y = y.astype(str)
        known = are_known(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(self.predict(np.asarray(X)[known]) == y[known], weights=weights))

    def sample(self, count: int = 100, random_state: Any = 0, label: Any = None) -> np.ndarray:
        """Generated images, uint8 `[count, H, W, C]`; `random_state` as of the class.

        `label` is the class of all images, for a generator that draws the class asked for (preset both); by default
        there is one class after the other.
        """
        check_is_fitted(self)
        try:
            check_count(count)
            key = derive_keys(seed(random_state)).samples
            system, state = self._opened()
            classes = None if label is None else np.full(count, class_asked(system, self.classes_.tolist(), label))
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        return system.generate(system.drawing(state), key, count, classes)

    def save(self, path: str | Path) -> Path:
        """Writes a run directory, which `load` reads, and `eval`, `predict` and `export` as well.

        Raises:
          ValueError: there is something at `path` already, or it cannot be written.
        """
        check_is_fitted(self)
        try:
            check_path(path)
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        run = RunDir(Path(path))
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise ValueError(f"{path}: exists; expected a new or empty directory")
        try:
            with checkpoint.saver(run.checkpoints) as saver:
                saver.save(int(self.state_.step), self.state_)
            run.write_labelled(self.labelled_)
            if int(self.state_.step) >= self.record_.config.total_steps:
                write_json(run.result_file, self.result_)
            run.log(self.result_)
            run.write_record(self.record_._replace(label_kind=self.classes_.dtype.kind))  # last
        except (UserError, OSError) as error:
            raise ValueError(_spelled(error) if isinstance(error, UserError) else str(error)) from None
        return run.path

    @classmethod
    def load(cls, path: str | Path, ckpt: str = "latest") -> Self:
        """A classifier from a run directory, of `save` or of `train`.

        Args:
          path: the directory.
          ckpt: `latest`, `best` (by validation accuracy) or `step_7200`.

        Raises:
          ValueError: there is none, or it is damaged, or has no classifier.
        """
        try:
            check_path(path, ckpt)
            opened = open_run(Path(path), ckpt)
            opened.needs_classifier("load")
        except UserError as error:
            raise ValueError(_spelled(error)) from None
        config = opened.config
        made = cls(
            config.preset,
            head=config.model.head,
            epochs=config.epochs,
            steps_per_epoch=config.steps_per_epoch,
            steps=config.steps,
            batch_size=config.batch_size,
            width=config.model.width,
            learning_rate=config.adam.learning_rate,
            precision=config.precision,
            random_state=config.seed,
            init_from=config.init_from,
        )
        made._take(opened)
        names, kind = opened.class_names, opened.record.label_kind
        # What `train` made has classes by name: numbers if all are, as those of MNIST.
        numbers = kind in ("i", "u") if kind else all(name.isdecimal() and str(int(name)) == name for name in names)
        made.classes_ = np.asarray([int(name) if numbers else name for name in names])
        made.n_features_in_ = int(np.prod(opened.image_shape))
        return made

    def __sklearn_tags__(self) -> Any:
        """Images, which scikit-learn's own checks of two-dimensional data do not fit."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are weights."""
        return hasattr(self, "state_")

    def _config(self) -> Config:
        params = self.get_params()
        given = {SHORT[name]: value for name, value in params.items() if name in SHORT and value is not None}
        given |= {"seed": seed(self.random_state)} | dict(self.settings or {})
        return changed(choose(PRESETS, self.preset, "preset"), given)

    def _listener(self) -> Listener | None:
        if not self.verbose:
            return None
        from sgan_jax.cli.terminal import Terminal  # the one place that prints

        return Terminal()

    def _shape_of_rows(self) -> tuple[int, int, int] | None:
        if self.image_shape is None:
            return None
        height, width, channels = map(int, (*self.image_shape, 1)[:3])
        return height, width, channels

    def _images(self, X: Any, shape: tuple[int, int, int] | None) -> np.ndarray:
        """uint8 `[N, H, W, C]`; rows are images of `shape`, or grey squares."""
        array = _array(X)
        if array.ndim == 2:
            side = round(array.shape[1] ** 0.5)
            wanted = shape or (side, side, 1)
            if array.shape[1] != np.prod(wanted):
                what = f"expected rows of {np.prod(wanted)}" if shape else "which is not square; give image_shape"
                raise UserError(f"X: rows of {array.shape[1]} pixels; {what}")
            array = array.reshape(-1, *wanted)
        return as_images(clip_excursions(array, "X"), "X")

    def _take(self, opened: Opened) -> None:
        self.image_shape_ = opened.image_shape
        self.record_ = opened.record
        self.labelled_ = opened.run.labelled()
        self.state_: TrainState = jax.tree.map(np.asarray, opened.state)
        self.result_ = _figures(opened)

    def _opened(self) -> tuple[System, TrainState]:
        system = build(self.record_.config, self.image_shape_, len(self.classes_))
        return system, jax.tree.map(jax.numpy.asarray, self.state_)


def _array(X: Any) -> np.ndarray:
    try:
        return np.asarray(X)
    except ValueError as error:  # lists of different lengths
        raise UserError(f"X: no array ({reason(error)}); expected [N, H, W] or [N, H, W, C]") from None


def _figures(opened: Opened) -> dict[str, Any]:
    """The figures of the step that was opened: those of the run's end are of other weights."""
    end = opened.run.result()
    if end.get("step") == opened.step:
        return end
    about = {"dataset": opened.record.dataset.name, "notice": opened.notice}
    return about | {"labels": opened.config.data.labels, "step": opened.step} | opened.run.metrics_of(opened.step)


def _spelled(error: UserError) -> str:
    """The error with settings spelled as parameters."""

    def parameter(place: str) -> str:
        return (SETTINGS[place].short if place in SETTINGS else "") or place

    return spelled(error.marked, parameter)


def _labels(y: Any) -> np.ndarray:
    """Labels as integers or text, by the rules of `data.classes`.

    Raises:
      ValueError: bytes are not UTF-8.
    """
    try:
        return as_labels(y, "y")
    except UserError as error:
        raise ValueError(_spelled(error)) from None

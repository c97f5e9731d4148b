"""Measures a run's generator by the features of a separately trained classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.inference.evaluate import data_of
from sgan_jax.inference.sample import classes_of_many, generate_many
from sgan_jax.metrics.features import About, Described
from sgan_jax.metrics.generated import NEIGHBOURS, Real, entropy, kernel_distance, nearest, too_near
from sgan_jax.metrics.measure import PERCENT, Measure
from sgan_jax.metrics.subsets import MOST_TRAINING, compared, how_many_compared
from sgan_jax.presets import generator_learns
from sgan_jax.runs.features import open_features
from sgan_jax.runs.opened import Opened

MOST_IMAGES = 10_000  # that are compared, unless the caller asks for more


class GeneratorEvaluation(NamedTuple):
    """Figures of a checkpoint's generator, and the floor of each: what test images score in their place."""

    run: Path
    step: int
    notice: str  # a warning that belongs to every result of the run, or nothing
    images: int  # n, of generated images, of training images and of test images
    features: About  # what gave the features
    figures: dict[str, Measure]
    floor: dict[str, Measure]  # of the test images; empty where there are fewer than n
    kernel_deviation: float  # of the kernel distance over its subsets
    histogram: dict[str, int]  # generated images by the class that the reference predicts; empty of a file's features


def evaluate_generator(
    opened: Opened,
    reference: Path,
    data_dir: str | None = None,
    labels_file: str | None = None,
    count: int | None = None,
) -> GeneratorEvaluation:
    """Measures the generator of a checkpoint.

    Args:
      opened: the run, opened at a checkpoint.
      reference: another run, of a classifier for images of the same shape, whose features are compared; or FILE.onnx.
      data_dir: where the run's images are now, if they were moved.
      labels_file: where the CSV file of their labels is now, if it was moved.
      count: n, how many images of each kind are compared; by default as many as there are both to train and to test
        on, at most MOST_IMAGES.

    Raises:
      UserError: the run does not train its generator or streams its images, the reference does not fit, the data are
        missing, or there are fewer images than `count`.
    """
    if not generator_learns(opened.config):
        raise UserError(f"{opened.run.path}: its objective does not train the generator, which draws noise")
    features = open_features(reference, opened.image_shape, opened.run.path)
    dataset = data_of(opened, data_dir, labels_file)
    if dataset.streamed is not None:
        raise UserError(f"{dataset.name}: streamed from disk; a generator is measured where the images fit in memory")
    training, tests = len(dataset.train_images), len(dataset.test_images)
    n = _count(count, min(training, MOST_TRAINING), tests)
    images = compared(training, tests, n)
    real = _Training(features.describe(dataset.train_images, images.candidates).features, images.chosen)
    generated = features.describe(generate_many(opened, n), None)
    figures, deviation = real.against(generated)
    figures |= _agreement(generated, features.class_names, classes_of_many(opened, n), opened.class_names)
    floor: dict[str, Measure] = {}
    if len(images.test):
        test = features.describe(dataset.test_images, images.test)
        labels = dataset.test_labels[images.test]
        floor = real.against(test)[0] | _agreement(test, features.class_names, labels, dataset.class_names)
        floor = {name: floor[name] for name in figures if name in floor}
    return GeneratorEvaluation(
        run=opened.run.path,
        step=opened.step,
        notice=opened.notice,
        images=n,
        features=features.about,
        figures=figures,
        floor=floor,
        kernel_deviation=deviation,
        histogram=_histogram(generated, features.class_names),
    )


class _Training:
    """Features of training images: of those that are compared, and of all that may be copied."""

    def __init__(self, candidates: np.ndarray, compared: np.ndarray):
        self.candidates, self.compared = candidates, Real(candidates[compared])
        self.to_compared = nearest(self.compared.features, self.compared.features, np.arange(len(compared)))[1]
        self.to_candidates = nearest(self.compared.features, candidates, compared)[1]

    def against(self, images: Described) -> tuple[dict[str, Measure], float]:
        """The figures of other images, and the deviation of the kernel distance."""
        n, features = len(images.features), images.features
        kernel = kernel_distance(self.compared.features, features)
        of_manifolds = self.compared.manifolds(features)
        figures = {
            "frechet_distance": Measure(self.compared.frechet_distance(features), "", n),
            "kernel_distance": Measure(kernel.mean, "", n),
            "precision": Measure(of_manifolds.precision, PERCENT, n),
            "recall": Measure(of_manifolds.recall, PERCENT, n),
            "density": Measure(of_manifolds.density, "", n),
            "coverage": Measure(of_manifolds.coverage, PERCENT, n),
        }
        if images.classes is not None:
            figures["class_entropy"] = Measure(entropy(np.bincount(images.classes)), "bits", n)
        duplicates = too_near(nearest(features, features, np.arange(n))[1], self.to_compared)
        copies = too_near(nearest(features, self.candidates)[1], self.to_candidates)
        figures |= {
            "duplicates": Measure(duplicates, PERCENT, n),
            "copies_of_training_images": Measure(copies, PERCENT, n),
        }
        return figures, kernel.deviation


def _agreement(
    images: Described, predicted: tuple[str, ...], classes: np.ndarray | None, asked: Sequence[str]
) -> dict[str, Measure]:
    """How many images show the class that was asked for, by the classifier of the features.

    Args:
      images: whose classes it predicts.
      predicted: its class names.
      classes: that were asked for, indices; None of an unconditional generator.
      asked: their names.

    Returns:
      Nothing where there was no class to ask for, an image has none, or the classifier has other classes.
    """
    if classes is None or set(asked) != set(predicted) or (classes < 0).any():
        return {}
    agree = np.asarray(predicted)[images.classes] == np.asarray(asked)[classes]
    return {"class_agreement": Measure(float(agree.mean()), PERCENT, len(agree))}


def _count(count: int | None, training: int, tests: int) -> int:
    """How many images of each kind are compared."""
    least = NEIGHBOURS + 1
    if training < least:
        raise UserError(f"{training} training images; expected at least {least} to measure a generator")
    if count is None:
        return how_many_compared(training, tests, MOST_IMAGES, least)
    if not least <= count <= training:
        raise UserError(f"‹images›: {count}; must be between {least} and {training}, the training images")
    return count


def _histogram(images: Described, names: tuple[str, ...]) -> dict[str, int]:
    """Images by their class."""
    if images.classes is None:
        return {}
    return dict(zip(names, np.bincount(images.classes, minlength=len(names)).tolist(), strict=True))

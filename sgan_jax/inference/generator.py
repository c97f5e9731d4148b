"""Measures a run's generator by the features of a separately trained classifier."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.inference.evaluate import data_of
from sgan_jax.inference.sample import generate_many
from sgan_jax.metrics import classify
from sgan_jax.metrics.generated import (
    NEIGHBOURS,
    entropy,
    frechet_distance,
    kernel_distance,
    manifolds,
    nearest,
    too_near,
)
from sgan_jax.metrics.measure import PERCENT, Measure, is_number
from sgan_jax.presets import generator_learns
from sgan_jax.runs import checkpoint
from sgan_jax.runs.opened import Opened

MOST_IMAGES = 10_000  # that are compared, unless the caller asks for more
MOST_TRAINING = 60_000  # training images of which one may be copied
MOST_FEATURES = 2048  # as many as Inception has; the covariance is of their square


class GeneratorEvaluation(NamedTuple):
    """Figures of a checkpoint's generator, and the floor of each: what test images score in their place."""

    run: Path
    step: int
    notice: str  # a warning that belongs to every result of the run, or nothing
    images: int  # n, of generated images, of training images and of test images
    reference: Path  # the run whose classifier gave the features
    reference_step: int
    reference_digest: str  # SHA-256 of its state
    reference_accuracy: float | None  # on its test images at that step, 0..1
    figures: dict[str, Measure]
    floor: dict[str, Measure]  # of the test images; empty where there are fewer than n
    kernel_deviation: float  # of the kernel distance over its subsets
    histogram: dict[str, int]  # generated images by the class that the reference predicts


class _Described(NamedTuple):
    """What the reference makes of images."""

    features: np.ndarray  # float32 [N, F]
    classes: np.ndarray  # int64 [N]


def evaluate_generator(
    opened: Opened,
    reference: Opened,
    data_dir: str | None = None,
    labels_file: str | None = None,
    count: int | None = None,
) -> GeneratorEvaluation:
    """Measures the generator of a checkpoint.

    Args:
      opened: the run, opened at a checkpoint.
      reference: another run, of a classifier for images of the same shape, whose features are compared.
      data_dir: where the run's images are now, if they were moved.
      labels_file: where the CSV file of their labels is now, if it was moved.
      count: n, how many images of each kind are compared; by default as many as there are both to train and to test
        on, at most MOST_IMAGES.

    Raises:
      UserError: the run does not train its generator or streams its images, the reference does not fit, the data are
        missing, or there are fewer images than `count`.
    """
    _check(opened, reference)
    dataset = data_of(opened, data_dir, labels_file)
    if dataset.streamed is not None:
        raise UserError(f"{dataset.name}: streamed from disk; a generator is measured where the images fit in memory")
    training, tests = len(dataset.train_images), len(dataset.test_images)
    n = _count(count, min(training, MOST_TRAINING), tests)
    random = np.random.default_rng(0)
    candidates = np.sort(random.permutation(training)[:MOST_TRAINING])  # of which one may be copied
    compared = np.sort(random.permutation(len(candidates))[:n])
    real = _Real(_describe(reference, dataset.train_images, candidates).features, compared)
    generated = _describe(reference, generate_many(opened, n))
    test = np.sort(random.permutation(tests)[:n])
    figures, deviation = real.against(generated)
    return GeneratorEvaluation(
        run=opened.run.path,
        step=opened.step,
        notice=opened.notice,
        images=n,
        reference=reference.run.path,
        reference_step=reference.step,
        reference_digest=checkpoint.digest(jax.device_get(reference.state)),
        reference_accuracy=_accuracy(reference),
        figures=figures,
        floor=real.against(_describe(reference, dataset.test_images, test))[0] if tests >= n else {},
        kernel_deviation=deviation,
        histogram=dict(zip(reference.class_names, _counts(generated, reference).tolist(), strict=True)),
    )


class _Real:
    """Features of training images: of those that are compared, and of all that may be copied."""

    def __init__(self, candidates: np.ndarray, compared: np.ndarray):
        self.candidates, self.features = candidates, candidates[compared]
        self.to_compared = nearest(self.features, self.features, np.arange(len(compared)))[1]
        self.to_candidates = nearest(self.features, candidates, compared)[1]

    def against(self, images: _Described) -> tuple[dict[str, Measure], float]:
        """The figures of other images, and the deviation of the kernel distance."""
        n, features = len(images.features), images.features
        kernel = kernel_distance(self.features, features)
        of_manifolds = manifolds(self.features, features)
        figures = {
            "frechet_distance": Measure(frechet_distance(self.features, features), "", n),
            "kernel_distance": Measure(kernel.mean, "", n),
            "precision": Measure(of_manifolds.precision, PERCENT, n),
            "recall": Measure(of_manifolds.recall, PERCENT, n),
            "density": Measure(of_manifolds.density, "", n),
            "coverage": Measure(of_manifolds.coverage, PERCENT, n),
            "class_entropy": Measure(entropy(np.bincount(images.classes)), "bits", n),
            "duplicates": Measure(too_near(nearest(features, features, np.arange(n))[1], self.to_compared), PERCENT, n),
            "copies_of_training_images": Measure(
                too_near(nearest(features, self.candidates)[1], self.to_candidates), PERCENT, n
            ),
        }
        return figures, kernel.deviation


def _describe(reference: Opened, images: np.ndarray, indices: np.ndarray | None = None) -> _Described:
    compute, model = reference.system.features_and_logits, reference.state.model("d")
    features, logits = classify.features_and_logits(compute, model, images, indices)
    return _Described(features, logits.argmax(axis=1))


def _check(opened: Opened, reference: Opened) -> None:
    path = reference.run.path
    if not generator_learns(opened.config):
        raise UserError(f"{opened.run.path}: its objective does not train the generator, which draws noise")
    reference.needs_classifier("give features")
    if path.resolve() == opened.run.path.resolve():
        raise UserError(
            f"‹features› {path}: the run that is measured; expected a classifier that was trained separately"
        )
    if reference.image_shape != opened.image_shape:
        theirs, ours = (" x ".join(map(str, one.image_shape)) for one in (reference, opened))
        raise UserError(
            f"‹features› {path}: a classifier of images of {theirs}; expected {ours}, as in {opened.run.path}"
        )
    images = jax.ShapeDtypeStruct((1, *reference.image_shape), jnp.uint8)
    size = jax.eval_shape(reference.system.features_and_logits, reference.state.model("d"), images)[0].shape[1]
    if size > MOST_FEATURES:
        raise UserError(
            f"‹features› {path}: {size:,} features an image; expected at most {MOST_FEATURES:,}; a run of "
            "‹model.networks› residual has few"
        )


def _count(count: int | None, training: int, tests: int) -> int:
    """How many images of each kind are compared."""
    least = NEIGHBOURS + 1
    if training < least:
        raise UserError(f"{training} training images; expected at least {least} to measure a generator")
    if count is None:
        return min(MOST_IMAGES, training, tests if tests >= least else training)
    if not least <= count <= training:
        raise UserError(f"‹images›: {count}; must be between {least} and {training}, the training images")
    return count


def _counts(images: _Described, reference: Opened) -> np.ndarray:
    return np.bincount(images.classes, minlength=len(reference.class_names))


def _accuracy(reference: Opened) -> float | None:
    """The reference's accuracy on its own test images, as its run recorded it."""
    value = reference.run.metrics_of(reference.step).get("test_accuracy")
    return value if is_number(value) else None

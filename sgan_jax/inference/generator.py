"""Measures a run's generator by the features of a classifier that was trained apart."""

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
from sgan_jax.runs import checkpoint
from sgan_jax.runs.opened import Opened

MOST_IMAGES = 10_000  # that are compared, unless the caller asks for more
MOST_TRAINING = 60_000  # training images of which one may be copied
MOST_FEATURES = 2048  # as many as Inception has; the covariance is of their square


class GeneratorEvaluation(NamedTuple):
    """Figures of a checkpoint's generator, and the floor of each: what held-out images score in their place."""

    run: Path
    step: int
    notice: str  # a warning that belongs to every result of the run, or nothing
    images: int  # n: generated images, training images and held-out images alike
    reference: Path  # the run whose classifier gave the features
    reference_step: int
    reference_digest: str  # SHA-256 of its state
    reference_accuracy: float | None  # on its test images at that step, 0..1
    figures: dict[str, Measure]
    floor: dict[str, Measure]  # of the test images; empty where there are fewer than n
    kernel_deviation: float  # of the kernel distance over its subsets
    histogram: dict[str, int]  # generated images by the class that the reference predicts


class _Described(NamedTuple):
    """Images as the reference sees them."""

    features: np.ndarray  # float32 [N, F]
    classes: np.ndarray  # int64 [N]


class _Reference(NamedTuple):
    """A classifier that describes images."""

    opened: Opened

    def describe(self, images: np.ndarray, indices: np.ndarray | None = None) -> _Described:
        compute, model = self.opened.system.features_and_logits, self.opened.state.model("d")
        features, logits = classify.features_and_logits(compute, model, images, indices)
        return _Described(features, logits.argmax(axis=1))


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
      count: n, how many images of each kind are compared; by default as many as there are to test on, at most
        MOST_IMAGES.

    Raises:
      UserError: the reference does not fit, the data are missing, or there are fewer images than `count`.
    """
    described = _reference(opened, reference)
    dataset = data_of(opened, data_dir, labels_file)
    training, held_out = len(dataset.train_images), len(dataset.test_images)
    n = _count(count, training, held_out)
    random = np.random.default_rng(0)
    chosen = np.sort(random.permutation(training)[:MOST_TRAINING])
    own = np.sort(random.permutation(len(chosen))[:n])  # of the chosen ones, those that are compared
    known = described.describe(dataset.train_images, chosen)
    real = _Real(known, own)
    generated = described.describe(generate_many(opened, n))
    test = np.sort(random.permutation(held_out)[:n])
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
        floor=real.against(described.describe(dataset.test_images, test))[0] if held_out >= n else {},
        kernel_deviation=deviation,
        histogram=dict(zip(reference.class_names, _counts(generated, reference).tolist(), strict=True)),
    )


class _Real:
    """Training images, and how near these are to one another."""

    def __init__(self, known: _Described, own: np.ndarray):
        self.known, self.features = known.features, known.features[own]
        self.apart = nearest(self.features, self.features, np.arange(len(own)))[1]  # among so many
        self.apart_in_all = nearest(self.features, self.known, own)[1]

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
            "duplicates": Measure(too_near(nearest(features, features, np.arange(n))[1], self.apart), PERCENT, n),
            "copies_of_training_images": Measure(
                too_near(nearest(features, self.known)[1], self.apart_in_all), PERCENT, n
            ),
        }
        return figures, kernel.deviation


def _reference(opened: Opened, reference: Opened) -> _Reference:
    path = reference.run.path
    reference.needs_classifier("give features")
    if path.resolve() == opened.run.path.resolve():
        raise UserError(f"‹features› {path}: the run that is measured; expected a classifier that was trained apart")
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
    return _Reference(reference)


def _count(count: int | None, training: int, held_out: int) -> int:
    """How many images of each kind are compared."""
    most = min(training, held_out or training)
    count = min(MOST_IMAGES, most) if count is None else count
    if not NEIGHBOURS < count <= training:
        raise UserError(f"‹images›: {count}; must be between {NEIGHBOURS + 1} and {training}, the training images")
    return count


def _counts(images: _Described, reference: Opened) -> np.ndarray:
    return np.bincount(images.classes, minlength=len(reference.class_names))


def _accuracy(reference: Opened) -> float | None:
    """The reference's accuracy on its own test images, as its run recorded it."""
    value = reference.run.metrics_of(reference.step).get("test_accuracy")
    return value if is_number(value) else None

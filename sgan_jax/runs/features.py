"""Opens what describes images by features: the classifier of a run that was trained separately, or an ONNX file."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.metrics.classify import features_and_logits
from sgan_jax.metrics.features import About, Described, Features
from sgan_jax.metrics.measure import is_number
from sgan_jax.runs import checkpoint
from sgan_jax.runs.find import run_and_checkpoint
from sgan_jax.runs.onnx_features import SUFFIX, open_file
from sgan_jax.runs.opened import Opened, open_run

MOST_FEATURES = 2048  # as many as Inception has; the covariance is of their square


def open_features(path: Path, image_shape: tuple[int, int, int], measured: Path) -> Features:
    """The network of a run or file, checked for images that are to be compared by its features.

    Args:
      path: the run, or RUN/step_N; or FILE.onnx.
      image_shape: (H, W, C) of the images.
      measured: where they are from: the run whose generator is measured, or a sweep.

    Raises:
      UserError: there is no such run, it has no classifier or too many features, its images have another shape, or it
        is the run that is measured; or as of `onnx_features.open_file`.
    """
    if path.suffix == SUFFIX and not path.is_dir():
        features = open_file(path, image_shape)
        black = features.describe(np.zeros((1, *image_shape), np.uint8), None)  # raises what the file cannot compute
        _check_number(path, black.features.shape[1])
        return features
    folder, ckpt = run_and_checkpoint(path)
    if folder.resolve() == measured.resolve():
        raise UserError(
            f"‹features› {path}: the run that is measured; expected a classifier that was trained separately"
        )
    try:
        opened = open_run(folder, ckpt)
        opened.needs_classifier("give features")
    except UserError as error:
        raise UserError(f"‹features›: {error.marked}") from None
    if opened.image_shape != image_shape:
        theirs, ours = (" x ".join(map(str, shape)) for shape in (opened.image_shape, image_shape))
        raise UserError(f"‹features› {path}: a classifier of images of {theirs}; expected {ours}, as in {measured}")
    model, compute = opened.state.model("d"), opened.system.features_and_logits
    size = jax.eval_shape(compute, model, jax.ShapeDtypeStruct((1, *image_shape), jnp.uint8))[0].shape[1]
    _check_number(path, size, "; a run of ‹model.networks› residual has few")

    def describe(images: np.ndarray, indices: np.ndarray | None) -> Described:
        features, logits = features_and_logits(compute, model, images, indices)
        return Described(features, logits.argmax(axis=1))

    return Features(_about(opened), opened.class_names, describe)


def _check_number(path: Path, size: int, advice: str = "") -> None:
    if size > MOST_FEATURES:
        raise UserError(f"‹features› {path}: {size:,} features an image; expected at most {MOST_FEATURES:,}{advice}")


def _about(opened: Opened) -> About:
    accuracy = opened.run.metrics_of(opened.step).get("test_accuracy")
    digest = checkpoint.digest(jax.device_get(opened.state))
    return About(str(opened.run.path), opened.step, digest, accuracy if is_number(accuracy) else None)

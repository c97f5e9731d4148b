"""Loads labelled images to evaluate a trained classifier on; unlike a set to train on, one class is enough."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sgan_jax.data.dataset import UNKNOWN
from sgan_jax.data.folder import Decoded, Findings, decode, set_name
from sgan_jax.data.load import check_labels_file, is_folder_of_images, load
from sgan_jax.data.preprocess import preprocess
from sgan_jax.data.splits import Split
from sgan_jax.data.survey import SHOWN, survey
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

Shape = tuple[int, int, int]  # (H, W, C)


class LabelledImages(NamedTuple):
    """N images of known class; those for training and those for tests are not distinguished."""

    name: str
    images: np.ndarray  # uint8 [N, H, W, C]
    labels: np.ndarray  # int32 [N]
    class_names: tuple[str, ...]  # of the labels
    files: tuple[str, ...] = ()  # of each image its file, relative to the folder; empty for arrays

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of images and labels."""
        sha = hashlib.sha256(str(self.images.shape).encode())
        sha.update(np.ascontiguousarray(self.images).data)
        sha.update(self.labels.data)
        return sha.hexdigest()


def load_labelled(path: Path, shape: Shape, labels_file: Path | None = None) -> LabelledImages:
    """Loads the images that have a label, resized and converted as `predict` does.

    Args:
      path: whatever `load` takes as `data_dir`.
      shape: what the images become.
      labels_file: a CSV file of the labels of a folder of images; by default `labels.csv` in it, if it is there.

    Raises:
      UserError: names the file or folder, what was expected and what to do.
    """
    check_labels_file(labels_file, path)
    loaded = _of_folder(path, shape, labels_file) if is_folder_of_images(path) else _of_file(path, shape)
    if not len(loaded.labels):
        raise UserError(f"‹data.data_dir› {path}: no image with a label can be used")
    return loaded


def _of_folder(folder: Path, shape: Shape, labels_file: Path | None) -> LabelledImages:
    surveyed = survey(folder, labels_file, at_least=1)
    findings = Findings(list(surveyed.left_out))
    decoded: list[Decoded] = []
    for readable in (surveyed.train, surveyed.test):
        pairs = zip(readable.split.paths, readable.split.labels, strict=True)
        known = [(path, label) for path, label in pairs if label != UNKNOWN]
        split = Split([path for path, _ in known], [label for _, label in known])
        decoded += decode(surveyed, split, shape, True, findings)
    if left_out := findings.left_out:
        shown = ", ".join(map(str, left_out[:SHOWN])) + (", ..." if left_out[SHOWN:] else "")
        log.warning("%s: %d files left out: %s", folder, len(left_out), shown)
    findings.warn_of_range(folder)
    images = np.stack([one.pixels for one in decoded]) if decoded else np.zeros((0, *shape), np.uint8)
    labels = np.asarray([one.label for one in decoded], np.int32)
    files = tuple(surveyed.listing.name(one.path) for one in decoded)
    return LabelledImages(set_name(folder), images, labels, surveyed.listing.class_names, files)


def _of_file(path: Path, shape: Shape) -> LabelledImages:
    dataset = load("auto", path)
    known = dataset.known
    images = np.concatenate([dataset.train_images[known], dataset.test_images])
    labels = np.concatenate([dataset.train_labels[known], dataset.test_labels])
    return LabelledImages(dataset.name, _shaped(images, shape), labels, dataset.class_names)


def _shaped(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Images `[N, H, W, C]` of another size or colour as `preprocess` makes them."""
    if images.shape[1:] == shape:
        return images
    shaped = np.empty((len(images), *shape), np.uint8)
    for out, image in zip(shaped, images, strict=True):
        out[:] = preprocess(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), shape[-1], shape[:2])
    return shaped

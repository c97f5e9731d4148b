"""Small sets in the file formats of published ones: a few images of noise, and labels that go round."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import io

TRAIN = 15  # images in the training files, and as many further ones where a format has such a file
TEST = 10
ANIMALS = ("ant", "bee", "cow", "dog", "eel")


class Written(NamedTuple):
    """What the files of a set hold, in their order."""

    train_images: np.ndarray  # uint8 [N, H, W, C]
    train_labels: np.ndarray  # 0..K-1
    test_images: np.ndarray
    test_labels: np.ndarray


def noise(side: int, classes: int, channels: int = 3, train: int = TRAIN) -> Written:
    """Random images; no two are the same."""
    random = np.random.default_rng(side)
    images = random.integers(0, 256, (train + TEST, side, side, channels), np.uint8)
    labels = np.arange(train + TEST) % classes
    return Written(images[:train], labels[:train], images[train:], labels[train:])


def cifar10(folder: Path, names: tuple[str, ...] = ANIMALS) -> Written:
    """Five batches of three images, and one to test on."""
    written = noise(32, len(names))
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.split(np.arange(TRAIN), 5), 1):
        rows = _rows(written.train_images[part], written.train_labels[part])
        (folder / f"data_batch_{number}.bin").write_bytes(rows)
    (folder / "test_batch.bin").write_bytes(_rows(written.test_images, written.test_labels))
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    return written


def cifar100(folder: Path, names: tuple[str, ...] = ANIMALS) -> Written:
    """The coarse label of every image is 7."""
    written = noise(32, len(names))
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in (("train", *written[:2]), ("test", *written[2:])):
        rows = _rows(images, np.full(len(images), 7), labels)
        (folder / f"{name}.bin").write_bytes(rows)
    (folder / "fine_label_names.txt").write_text("\n".join(names) + "\n")
    return written


def svhn(folder: Path, extra: bool = False, channels: int = 3) -> Written:
    """Two .mat files; with `extra` a third one, whose images are the training images in reverse."""
    written = noise(32, 10, channels)
    folder.mkdir(parents=True, exist_ok=True)
    mat(folder / "train_32x32.mat", *written[:2])
    mat(folder / "test_32x32.mat", *written[2:])
    if extra:
        mat(folder / "extra_32x32.mat", written.train_images[::-1], written.train_labels[::-1])
    return written


def mat(path: Path, images: np.ndarray, digits: np.ndarray) -> None:
    """One .mat file of SVHN: 0 is stored as 10."""
    labels = np.where(digits == 0, 10, digits).astype(np.uint8)
    io.savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": labels[:, None]}, do_compression=True)


def stl10(folder: Path, names: tuple[str, ...] = ANIMALS, unlabelled: int = 4) -> Written:
    """The unlabelled images are the first training images."""
    written = noise(96, len(names))
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train": written[:2], "test": written[2:], "unlabeled": (written.train_images[:unlabelled], None)}
    for name, (images, labels) in files.items():
        (folder / f"{name}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())
        if labels is not None:
            (folder / f"{name}_y.bin").write_bytes((labels + 1).astype(np.uint8).tobytes())
    (folder / "class_names.txt").write_text("\n".join(names) + "\n")
    return written


def _rows(images: np.ndarray, *labels: np.ndarray) -> bytes:
    pixels = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(column[:, None] for column in labels), pixels], axis=1).astype(np.uint8).tobytes()

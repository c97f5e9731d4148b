"""mnist-5k: 5,000 real MNIST digits inside the package, for machines without a network.

They are the first 500 digits of each class of MNIST's training set, in its order; benchmarks/make_mnist_5k.py makes
the file. Of each class the first 400 are for training, the last 100 for the test. So neither split overlaps MNIST's own
test set, and results are not comparable with results on MNIST.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from sgan_jax.data.dataset import Dataset
from sgan_jax.data.published import CLASS_NAMES

NAME = "mnist-5k"
NOTICE = "mnist-5k: not comparable with MNIST"
FILE = "mnist_5k.npz"
TRAIN_PER_CLASS = 400


def load_embedded() -> Dataset:
    """Loads 4,000 training and 1,000 test digits, uint8 [N, 28, 28, 1], in the order 0, 1, ... 9, 0, 1, ..."""
    with resources.files(__package__).joinpath(FILE).open("rb") as file, np.load(file, allow_pickle=False) as saved:
        images = saved["images"]  # [10, 500, 28, 28]: class, then order in MNIST
    images = images.swapaxes(0, 1)[..., None]  # [500, 10, 28, 28, 1]
    classes, size = images.shape[1], images.shape[2:]
    labels = np.broadcast_to(np.arange(classes, dtype=np.int32), images.shape[:2])
    train, test = slice(None, TRAIN_PER_CLASS), slice(TRAIN_PER_CLASS, None)
    return Dataset(
        name=NAME,
        train_images=images[train].reshape(-1, *size),
        train_labels=labels[train].reshape(-1),
        test_images=images[test].reshape(-1, *size),
        test_labels=labels[test].reshape(-1),
        class_names=CLASS_NAMES["mnist"],
        notice=NOTICE,
    )

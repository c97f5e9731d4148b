"""mnist-5k: the file has its recorded checksum, the splits are balanced, and the digits are those of MNIST."""

import hashlib
from importlib import resources

import numpy as np

from sgan_jax.data import load

FILE_SHA256 = "a60156bc61af9872b906ecf508fa8a47364dd03764986afa19e4cea232968879"
DIGEST = "f93246038a2ef01f8f2f37660bb10b59c757b8c383785d34202f6c40eca7ca06"


def test_the_file_has_its_recorded_checksum():
    raw = resources.files("sgan_jax.data").joinpath("mnist_5k.npz").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == FILE_SHA256
    assert len(raw) < 1_000_000


def test_the_splits_have_400_and_100_digits_of_each_class():
    got = load.load("mnist-5k")
    assert (got.name, got.notice) == ("mnist-5k", "mnist-5k: not comparable with MNIST")
    assert got.digest == DIGEST
    assert got.train_images.shape == (4000, 28, 28, 1) and got.test_images.shape == (1000, 28, 28, 1)
    assert (got.train_images.dtype, got.train_labels.dtype) == (np.uint8, np.int32)
    assert np.bincount(got.train_labels).tolist() == [400] * 10
    assert np.bincount(got.test_labels).tolist() == [100] * 10
    train = {image.tobytes() for image in got.train_images}
    assert len(train) == 4000 and not train & {image.tobytes() for image in got.test_images}


def test_digits_are_the_first_500_of_each_class_of_mnist(real_mnist):
    got, mnist = load.load("mnist-5k"), load.load(data_dir=real_mnist)
    for k in range(10):
        first = mnist.train_images[mnist.train_labels == k][:500]
        np.testing.assert_array_equal(got.train_images[got.train_labels == k], first[:400])
        np.testing.assert_array_equal(got.test_images[got.test_labels == k], first[400:])

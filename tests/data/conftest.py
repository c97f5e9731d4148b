"""Small sets in IDX files, a cache folder for each test, and the real MNIST if its files are on this machine."""

import gzip
from pathlib import Path

import numpy as np
import pytest

STEMS = {"train_images": "train-images", "train_labels": "train-labels"}
STEMS |= {"test_images": "t10k-images", "test_labels": "t10k-labels"}


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def arrays():
    """30 training and 20 test images in ten classes, in the form of the IDX files."""
    rng = np.random.default_rng(7)
    return {
        "train_images": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "train_labels": np.arange(30, dtype=np.uint8) % 10,
        "test_images": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "test_labels": np.arange(20, dtype=np.uint8)[::-1] % 10,
    }


@pytest.fixture
def idx_bytes():
    def pack(array):
        return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes() + array.astype(np.uint8).tobytes()

    return pack


@pytest.fixture
def write_idx(idx_bytes):
    """Writes arrays as the four IDX files and returns their paths."""

    def write(folder, arrays, dash="-", packed=True):
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for key, array in arrays.items():
            path = folder / f"{STEMS[key]}{dash}idx{array.ndim}-ubyte{'.gz' * packed}"
            data = idx_bytes(array)
            path.write_bytes(gzip.compress(data) if packed else data)
            paths[key] = path
        return paths

    return write


@pytest.fixture(scope="session")
def real_mnist():
    folder = Path(__file__).resolve().parents[3] / "shared" / "datasets" / "mnist"
    if not folder.is_dir():
        pytest.skip("the real MNIST files are not on this machine (../shared/datasets/mnist)")
    return folder

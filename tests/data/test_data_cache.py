"""The cache returns the set that was written, or None; never a partial or damaged set."""

import json
import logging
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sgan_jax.data import cache
from sgan_jax.data.dataset import ARRAYS
from sgan_jax.data.load import Dataset


def small(name="mnist", n=12):
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, 4, 5, 3), dtype=np.uint8)
    labels = (np.arange(n) % 3).astype(np.int32)
    return Dataset(name, images, labels, images[::-1], labels[::-1], ("a", "b", "c"))


@pytest.mark.parametrize("name", ["mnist", "emnist/letters"])
def test_the_set_that_was_written_is_read(cache_dir, name):
    made = small(name)
    assert cache.read(name) is None
    cache.write(made)
    got = cache.read(name)
    assert (got.name, got.class_names, got.notice) == (name, ("a", "b", "c"), "")
    for key in ARRAYS:
        np.testing.assert_array_equal(getattr(got, key), getattr(made, key), strict=True)
    assert got.known_digest == made.digest
    assert [p.name for p in (cache_dir / "arrays").iterdir()] == [name.replace("/", "-")]  # no temporary files remain


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


DAMAGE = {
    "flipped bit": lambda d: _flip(d / "train_images.npy"),
    "truncated array": lambda d: (d / "test_images.npy").write_bytes((d / "test_images.npy").read_bytes()[:-7]),
    "empty array file": lambda d: (d / "test_labels.npy").write_bytes(b""),
    "pickled array": lambda d: np.save(d / "train_labels.npy", np.array([{}]), allow_pickle=True),
    "array gone": lambda d: (d / "train_labels.npy").unlink(),
    "manifest gone": lambda d: (d / "dataset.json").unlink(),
    "manifest cut short": lambda d: (d / "dataset.json").write_text((d / "dataset.json").read_text()[:50]),
    "manifest of something else": lambda d: (d / "dataset.json").write_text("[]"),
    "later format": lambda d: (d / "dataset.json").write_text(
        json.dumps(json.loads((d / "dataset.json").read_text()) | {"format": 99})
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_cache_is_a_warning_and_is_replaced(cache_dir, caplog, case):
    cache.write(small())
    DAMAGE[case](cache_dir / "arrays" / "mnist")
    with caplog.at_level(logging.WARNING):
        assert cache.read("mnist") is None
    assert len(caplog.messages) == 1 and "making it again" in caplog.text and str(cache_dir) in caplog.text
    cache.write(small())
    assert cache.read("mnist").digest == small().digest


def test_a_failed_write_warns_and_leaves_no_files(cache_dir, caplog, monkeypatch):
    save, calls = np.save, []

    def full_disk(path, array, **kwargs):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        save(path, array, **kwargs)

    monkeypatch.setattr(np, "save", full_disk)
    with caplog.at_level(logging.WARNING):
        cache.write(small())
    assert list((cache_dir / "arrays").iterdir()) == []
    assert len(caplog.messages) == 1 and "No space left" in caplog.text
    assert cache.read("mnist") is None


def test_a_cache_folder_that_cannot_be_created_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        assert cache.read("mnist") is None
        cache.write(small())
    assert len(caplog.messages) == 1 and "cache cannot be written" in caplog.text
    with cache.scratch() as folder:
        assert folder.is_dir() and tmp_path not in folder.parents
    assert not folder.exists()


def test_scratch_folders_are_removed_at_the_end_or_if_killed_by_a_later_start(cache_dir):
    with pytest.raises(KeyboardInterrupt), cache.scratch() as folder:
        (folder / "download").write_text("half")
        raise KeyboardInterrupt
    assert list(cache_dir.iterdir()) == []
    for name, age in (("old", cache.STALE_SECONDS + 60), ("young", 0)):
        (cache_dir / f".scratch-{name}").mkdir()
        when = time.time() - age
        os.utime(cache_dir / f".scratch-{name}", (when, when))
    with cache.scratch():
        pass
    assert [p.name for p in cache_dir.iterdir()] == [".scratch-young"]  # it may belong to a running process


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("SGAN_CACHE", "~/chosen")
    assert cache.root() == tmp_path / "chosen"
    monkeypatch.delenv("SGAN_CACHE")
    assert cache.root() == tmp_path / "xdg" / "sgan_jax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == Path.home() / ".cache" / "sgan_jax" == tmp_path / ".cache" / "sgan_jax"


def test_concurrent_readers_and_writers_do_not_interfere(cache_dir, caplog):
    """Readers get a whole set or None while eight writers publish it."""
    seen, threads = [], []
    for _ in range(8):
        threads.append(threading.Thread(target=lambda: cache.write(small(n=300))))
        threads.append(threading.Thread(target=lambda: seen.append(cache.read("mnist"))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen.append(cache.read("mnist"))
    assert seen[-1] is not None
    for got in seen:
        assert got is None or Dataset(*(getattr(got, k) for k in ("name", *ARRAYS, "class_names"))).digest == got.digest
    assert [p.name for p in (cache_dir / "arrays").iterdir()] == ["mnist"]
    assert not caplog.messages


def test_a_set_as_large_as_mnist_loads_in_under_a_second():
    images = np.random.default_rng(0).integers(0, 256, (70000, 28, 28, 1), dtype=np.uint8)
    labels = (np.arange(70000) % 10).astype(np.int32)
    cache.write(Dataset("mnist", images[:60000], labels[:60000], images[60000:], labels[60000:], tuple("0123456789")))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        digest = cache.read("mnist").digest
        times.append(time.perf_counter() - start)
    assert digest and min(times) < 1.0


def test_a_cache_folder_without_permission_to_read_is_a_warning(cache_dir, monkeypatch, caplog):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cache.Path, "exists", denied)  # root may read every folder
    with caplog.at_level(logging.WARNING):
        assert cache.read("mnist") is None
    assert "Permission denied" in caplog.text and "making it again" in caplog.text

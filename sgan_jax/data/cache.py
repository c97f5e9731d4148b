"""Keeps downloaded data sets as plain .npy arrays beside a small JSON file, so that a second start is fast.

    $SGAN_CACHE, or $XDG_CACHE_HOME/sgan_jax, or ~/.cache/sgan_jax
      arrays/mnist/{train,test}_{images,labels}.npy, dataset.json

A set appears by one rename, and its checksums are verified when it is read. A cache that cannot be written causes a
warning only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import ARRAYS, Dataset
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

MANIFEST = "dataset.json"
FORMAT = 1
STALE_SECONDS = 24 * 3600


def root() -> Path:
    """The cache folder, which need not exist yet.

    Raises:
      UserError: no home directory, so no place for the cache.
    """
    try:
        if chosen := os.environ.get("SGAN_CACHE"):
            return Path(chosen).expanduser()
        if base := os.environ.get("XDG_CACHE_HOME"):
            return Path(base) / "sgan_jax"
        return Path.home() / ".cache" / "sgan_jax"
    except RuntimeError as error:
        raise UserError(f"no home directory for the cache ({error}); set SGAN_CACHE to a folder") from error


def folder(name: str) -> Path:
    """The folder of the set `name`; a slash in the name of a TFDS set ("emnist/letters") becomes a hyphen."""
    return root() / "arrays" / re.sub(r"[^\w-]+", "-", name)


def read(name: str) -> Dataset | None:
    """Reads the set `name`; None if it is not in the cache, or (with a warning) if it is damaged."""
    where = folder(name)
    try:
        return _read(where, name) if where.exists() else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, UserError) as error:
        log.warning("cache %s: cannot be used (%s): making it again", where, error)
    return None


def _read(where: Path, name: str) -> Dataset:
    saved = json.loads((where / MANIFEST).read_text())
    if (saved["format"], saved["name"]) != (FORMAT, name):
        raise ValueError(f"{MANIFEST} is of format {saved['format']}, set {saved['name']}")
    arrays = {}
    for key in ARRAYS:
        array = np.load(where / f"{key}.npy", allow_pickle=False)
        # The checksums of MNIST take 0.03 s, little beside a run on damaged images.
        if [array.dtype.name, list(array.shape), zlib.crc32(np.ascontiguousarray(array))] != saved["arrays"][key]:
            raise ValueError(f"{key}.npy is not what was written")
        arrays[key] = array
    return Dataset(name=name, **arrays, class_names=tuple(saved["class_names"]), known_digest=saved["digest"])


def write(dataset: Dataset) -> None:
    """Writes the set for the next start; a failure is a warning, and leaves no partial files."""
    partial = None
    try:
        where = folder(dataset.name)
        where.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{where.name}.", dir=where.parent))
        _save(dataset, partial)
        _publish(partial, where, dataset)
    except (OSError, UserError) as error:
        log.warning("cache cannot be written (%s): the next start will fetch %s again", error, dataset.name)
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _save(dataset: Dataset, into: Path) -> None:
    arrays = {key: np.ascontiguousarray(getattr(dataset, key)) for key in ARRAYS}
    for key, array in arrays.items():
        np.save(into / f"{key}.npy", array, allow_pickle=False)
    saved = {
        "format": FORMAT,
        "name": dataset.name,
        "class_names": dataset.class_names,
        "digest": dataset.digest,
        "arrays": {key: [a.dtype.name, list(a.shape), zlib.crc32(a)] for key, a in arrays.items()},
    }
    (into / MANIFEST).write_text(json.dumps(saved, indent=1) + "\n")


def _publish(partial: Path, where: Path, dataset: Dataset) -> None:
    """Renames the folder to its place, unless another process has put the same set there."""
    try:
        os.rename(partial, where)
    except OSError:  # the place is taken: another process was faster, or the set there is damaged
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, EOFError):
            if _read(where, dataset.name).digest == dataset.digest:
                shutil.rmtree(partial)
                return
        shutil.rmtree(where, ignore_errors=True)
        os.rename(partial, where)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder for downloads, in the cache or else where the system has temporary files."""
    try:
        base = root()
        base.mkdir(parents=True, exist_ok=True)
        for other in base.glob(".scratch-*"):  # an old one is of a process that was killed
            if time.time() - other.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(other, ignore_errors=True)
        made = tempfile.TemporaryDirectory(prefix=".scratch-", dir=base, ignore_cleanup_errors=True)
    except (OSError, UserError):  # `write` will warn of it
        made = tempfile.TemporaryDirectory(prefix="sgan-", ignore_cleanup_errors=True)
    with made as path:
        yield Path(path)

"""Downloaded sets as plain .npy arrays beside a small JSON, so that the second start takes a moment.

    $SGAN_CACHE, or $XDG_CACHE_HOME/sgan_jax, or ~/.cache/sgan_jax
      arrays/mnist/{train,test}_{images,labels}.npy, dataset.json

A set appears by one rename and is checked in full when it is read; a cache that cannot be written costs a warning.
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
    """The cache folder, which need not exist yet. Raises UserError where there is no home directory to put it in."""
    try:
        if own := os.environ.get("SGAN_CACHE"):
            return Path(own).expanduser()
        if base := os.environ.get("XDG_CACHE_HOME"):
            return Path(base) / "sgan_jax"
        return Path.home() / ".cache" / "sgan_jax"
    except RuntimeError as error:
        raise UserError(f"no home directory for the cache ({error}); set SGAN_CACHE to a folder") from error


def folder(name: str) -> Path:
    """Where the set `name` is kept; a TFDS name may hold a slash ("emnist/letters")."""
    return root() / "arrays" / re.sub(r"[^\w-]+", "-", name)


def read(name: str) -> Dataset | None:
    """The set as it was written, or None where there is none, or (with a warning) where it is not whole."""
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
        # The checksum of MNIST takes 0.03 s: cheap beside a run on damaged images.
        if [array.dtype.name, list(array.shape), zlib.crc32(np.ascontiguousarray(array))] != saved["arrays"][key]:
            raise ValueError(f"{key}.npy is not what was written")
        arrays[key] = array
    return Dataset(name=name, **arrays, class_names=tuple(saved["class_names"]), known_digest=saved["digest"])


def write(dataset: Dataset) -> None:
    """Keep the set for the next start; a failure is a warning, and leaves nothing behind."""
    part = None
    try:
        where = folder(dataset.name)
        where.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{where.name}.", dir=where.parent))
        arrays = {key: np.ascontiguousarray(getattr(dataset, key)) for key in ARRAYS}
        for key, array in arrays.items():
            np.save(part / f"{key}.npy", array, allow_pickle=False)
        saved = {
            "format": FORMAT,
            "name": dataset.name,
            "class_names": dataset.class_names,
            "digest": dataset.digest,
            "arrays": {key: [a.dtype.name, list(a.shape), zlib.crc32(a)] for key, a in arrays.items()},
        }
        (part / MANIFEST).write_text(json.dumps(saved, indent=1) + "\n")
        try:
            os.rename(part, where)
        except OSError:  # there is one: another start was faster, or it is damaged
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, EOFError):
                if _read(where, dataset.name).digest == dataset.digest:
                    shutil.rmtree(part)
                    return
            shutil.rmtree(where, ignore_errors=True)
            os.rename(part, where)
    except (OSError, UserError) as error:
        log.warning("cache cannot be written (%s): the next start will fetch %s again", error, dataset.name)
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for downloads, beside the cache or else where temporary files go, gone afterwards."""
    try:
        base: Path | None = root()
        assert base is not None
        base.mkdir(parents=True, exist_ok=True)
        for left in base.glob(".scratch-*"):  # of a start that was killed
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        made = tempfile.TemporaryDirectory(prefix=".scratch-", dir=base, ignore_cleanup_errors=True)
    except (OSError, UserError):  # write() will say so
        made = tempfile.TemporaryDirectory(prefix="sgan-", ignore_cleanup_errors=True)
    with made as path:
        yield Path(path)

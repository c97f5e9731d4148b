"""Loads the four IDX files of MNIST and of sets in its format, gzip-compressed or not.

An IDX file is two zero bytes, the type (8 = uint8), the number of dimensions, a big-endian int32 for each of them, and
the data.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path

import numpy as np

from sgan_jax.data import memory
from sgan_jax.data.dataset import Dataset, check_labels
from sgan_jax.data.published import CLASS_NAMES, local_name
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import RAISED, Problems, UserError

NAMES = ("mnist", "fashion_mnist", "kmnist")  # published sets in such files
STEMS = {"train_images": "train-images", "train_labels": "train-labels"}
STEMS |= {"test_images": "t10k-images", "test_labels": "t10k-labels"}

_CHUNK = 1 << 24  # bytes that are decompressed at a time

# SHA-256 of the uncompressed files: compressed files differ between gzip programs.
CANONICAL: dict[str, dict[str, str]] = {
    "mnist": {
        "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}


def read_idx(path: Path, ndim: int) -> tuple[np.ndarray, str]:
    """Reads one IDX file.

    Args:
      path: the file.
      ndim: the number of dimensions that it must have.

    Returns:
      The array, uint8, and the SHA-256 (hex) of the uncompressed file.

    Raises:
      UserError: the file cannot be read or decompressed, or has another type or length; the message names it.
    """
    raw = _read_uncompressed(path)
    magic, expected = raw[:4], bytes((0, 0, 8, ndim))
    if magic != expected:
        raise UserError(
            f"{path}: wrong magic number 0x{magic.hex() or '(empty file)'}; "
            f"expected 0x{expected.hex()} (IDX, uint8, {ndim} dimension{'s' * (ndim > 1)})"
        )
    head = 4 + 4 * ndim
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, head, 4))
    if len(raw) < head or len(raw) - head != math.prod(shape):
        size = " x ".join(map(str, shape))
        raise UserError(
            f"{path}: the header states {size} = {math.prod(shape)} bytes of data, the file has "
            f"{max(len(raw) - head, 0)}; expected the two to agree: copy it again"
        )
    if 0 in shape:
        raise UserError(f"{path}: holds no data (shape {shape}); expected at least one example")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape), hashlib.sha256(raw).hexdigest()


def _read_uncompressed(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return _unpacked(raw, path) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path}: truncated or corrupt gzip file ({error}); expected a whole one: copy it again"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); expected an IDX file") from error


def _unpacked(packed: bytes, path: Path) -> bytes:
    """Decompresses gzip; little data can unpack to more than fits in memory."""
    most, size, chunks = memory.largest(), 0, []
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        while chunk := file.read(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise UserError(f"{path}: {len(packed) / 1e9:.2f} GB that unpack to {memory.excess(size)}, at least")
    return b"".join(chunks)


def has_idx_files(data_dir: Path) -> bool:
    """Whether at least one of the four files is in the folder."""
    return any(path for stem in STEMS.values() for path in data_dir.glob(f"{stem}[-.]idx*-ubyte*"))


def find_files(data_dir: Path, problems: Problems = RAISED) -> dict[str, Path]:
    """Finds the four files of a folder.

    Args:
      data_dir: the folder.
      problems: around the check of each file.

    Returns:
      The path of each file by the name of its array in ARRAYS; without those that are missing.

    Raises:
      UserError: a file is missing; the message names it.
    """
    paths = {}
    for key, stem in STEMS.items():
        ndim = 3 if key.endswith("images") else 1
        plain = (f"{stem}-idx{ndim}-ubyte", f"{stem}.idx{ndim}-ubyte")
        names = [name + suffix for suffix in ("", ".gz") for name in plain]
        path = next((data_dir / name for name in names if (data_dir / name).exists()), None)
        with problems:
            if path is None:
                raise UserError(
                    f"‹data.data_dir› {data_dir}: no file {plain[0]} or {plain[0]}.gz; expected the four IDX files "
                    "{train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, gzip-compressed or not"
                )
            paths[key] = path
    return paths


def load_idx(data_dir: str | Path, dataset: str = "auto", problems: Problems = RAISED) -> Dataset:
    """Loads the set of the four IDX files in a folder; images are in the order of the files.

    Args:
      data_dir: the folder.
      dataset: "auto" recognises MNIST and Fashion-MNIST by their checksums, and names any other set after the folder. A
        name of NAMES is checked against the set's checksums, where they are on record.
      problems: around the check of each file.

    Raises:
      UserError: a file is missing, damaged or another one than `dataset` names, or the files do not match.
    """
    data_dir = Path(data_dir)
    paths = find_files(data_dir, problems)
    arrays: dict[str, np.ndarray] = {}
    digests: dict[str, str] = {}
    for key, path in paths.items():
        with problems:
            arrays[key], digests[key] = read_idx(path, 3 if key.endswith("images") else 1)
    _check_shapes(arrays, paths, problems)
    name = _name(data_dir, dataset, digests, paths, problems)
    class_names = CLASS_NAMES.get(name, ())
    with problems:
        if "train_labels" in arrays:
            class_names = class_names or _numbered_classes(arrays["train_labels"], paths["train_labels"])
    labels: dict[str, np.ndarray] = {}
    for key in ("train_labels", "test_labels"):
        with problems:
            if key in arrays and class_names:
                labels[key] = check_labels(arrays[key], len(class_names), paths[key])
    problems.check()
    if name not in CLASS_NAMES:
        for key in ("train_images", "test_images"):
            warn_of_range(arrays[key], paths[key], "bytes of 0 to 255")
    return Dataset(
        name=name,
        train_images=arrays["train_images"][..., None],
        train_labels=labels["train_labels"],
        test_images=arrays["test_images"][..., None],
        test_labels=labels["test_labels"],
        class_names=class_names,
    )


def _check_shapes(arrays: dict[str, np.ndarray], paths: dict[str, Path], problems: Problems) -> None:
    """Checks that there is a label for each image, and that images of both splits have one size."""
    for split in ("train", "test"):
        images, labels = f"{split}_images", f"{split}_labels"
        with problems:
            if {images, labels} <= arrays.keys() and len(arrays[images]) != len(arrays[labels]):
                raise UserError(
                    f"{paths[labels]}: {len(arrays[labels])} labels for the {len(arrays[images])} images of "
                    f"{paths[images].name}; expected as many labels as images"
                )
    sizes = {key: array.shape[1:] for key, array in arrays.items() if key.endswith("images")}
    with problems:
        if len(set(sizes.values())) > 1:
            raise UserError(
                f"{paths['test_images']}: images of {sizes['test_images']} pixels; "
                f"expected {sizes['train_images']} as in {paths['train_images'].name}"
            )


def _numbered_classes(labels: np.ndarray, path: Path) -> tuple[str, ...]:
    """Class names 0, 1, ..., as many as there are different training labels, so that a wrong label is out of range."""
    class_names = tuple(str(k) for k in range(len(np.unique(labels))))
    if len(class_names) < 2:
        raise UserError(f"{path}: every label is the same; expected at least two classes")
    return class_names


def _name(data_dir: Path, dataset: str, digests: dict[str, str], paths: dict[str, Path], problems: Problems) -> str:
    """The name of the set; checks that files whose checksums are on record are the named ones."""
    if dataset == "auto":
        names = (name for name, canonical in CANONICAL.items() if digests == canonical)
        return next(names, None) or local_name(data_dir, "idx")
    for key, expected in CANONICAL.get(dataset, {}).items():
        with problems:
            if digests.get(key, expected) != expected:
                raise UserError(
                    f"{paths[key]}: not the file of {dataset} (SHA-256 unpacked {digests[key][:12]}..., expected "
                    f"{expected[:12]}...); ‹data.dataset› auto takes the folder for what it is"
                )
    return dataset

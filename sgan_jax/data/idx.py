"""The four IDX files of MNIST and its kin, gzip-compressed or not.

Format: two zero bytes, the type (8 = uint8), the number of dimensions, a big-endian int32 for each, then the bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import math
import zlib
from pathlib import Path

import numpy as np

from sgan_jax.data.dataset import ARRAYS, CLASS_NAMES, Dataset, check_labels, local_name
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

OR_IMAGES = ", or a folder of images with a folder for each class, or an .npz file"
STEMS = {"train_images": "train-images", "train_labels": "train-labels"}
STEMS |= {"test_images": "t10k-images", "test_labels": "t10k-labels"}

# SHA-256 of the files unpacked, so that it does not matter who packed them, nor how.
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
    """The array (uint8, `ndim` dimensions) of one IDX file, and the SHA-256 (hex) of the file unpacked.

    Raises UserError, naming the file, on anything unreadable, badly packed, of another type or length.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path}: truncated or corrupt gzip file ({error}); expected a whole one: copy it again"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); expected an IDX file") from error
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
            f"{path}: the header says {size} = {math.prod(shape)} bytes of data, the file has "
            f"{max(len(raw) - head, 0)}; expected the two to agree: copy it again"
        )
    if 0 in shape:
        raise UserError(f"{path}: holds no data (shape {shape}); expected at least one example")
    return np.frombuffer(raw, np.uint8, offset=head).reshape(shape), hashlib.sha256(raw).hexdigest()


def some_files(data_dir: Path) -> bool:
    """Whether any of the four files is there."""
    return any(path for stem in STEMS.values() for path in data_dir.glob(f"{stem}[-.]idx*-ubyte*"))


def find_files(data_dir: Path) -> dict[str, Path]:
    """The four files of `data_dir` by array name; UserError that names what is missing."""
    if not data_dir.is_dir():
        state = "is not a folder" if data_dir.exists() else "does not exist"
        raise UserError(f"‹data.data_dir› {data_dir}: {state}; expected a folder with the four IDX files{OR_IMAGES}")
    found = {}
    for key, stem in STEMS.items():
        ndim = 3 if key.endswith("images") else 1
        plain = (f"{stem}-idx{ndim}-ubyte", f"{stem}.idx{ndim}-ubyte")
        names = [name + suffix for suffix in ("", ".gz") for name in plain]
        path = next((data_dir / name for name in names if (data_dir / name).exists()), None)
        if path is None:
            raise UserError(
                f"‹data.data_dir› {data_dir}: no file {plain[0]} or {plain[0]}.gz; expected the four IDX files "
                "{train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, gzip-compressed or not" + OR_IMAGES
            )
        found[key] = path
    return found


def load_idx(data_dir: str | Path, dataset: str = "auto") -> Dataset:
    """The set whose four IDX files lie in `data_dir`, in the order of the files.

    `dataset` is "auto" (MNIST and Fashion-MNIST are known by their contents, anything else bears the folder's name) or
    a name of CLASS_NAMES, whose contents the files must then have where they are on record. Raises UserError.
    """
    data_dir = Path(data_dir)
    if dataset != "auto" and dataset not in CLASS_NAMES:
        raise UserError(
            f"‹data.dataset› {dataset} with ‹data.data_dir›: expected auto or one of {', '.join(sorted(CLASS_NAMES))}"
        )
    paths = find_files(data_dir)
    read = {key: read_idx(path, 3 if key.endswith("images") else 1) for key, path in paths.items()}
    arrays = {key: array for key, (array, _) in read.items()}
    digests = {key: digest for key, (_, digest) in read.items()}
    for part in ("train", "test"):
        images, labels = f"{part}_images", f"{part}_labels"
        if len(arrays[images]) != len(arrays[labels]):
            raise UserError(
                f"{paths[labels]}: {len(arrays[labels])} labels for the {len(arrays[images])} images of "
                f"{paths[images].name}; expected as many labels as images"
            )
    sizes = {key: arrays[key].shape[1:] for key in ("train_images", "test_images")}
    if sizes["train_images"] != sizes["test_images"]:
        raise UserError(
            f"{paths['test_images']}: images of {sizes['test_images']} pixels; "
            f"expected {sizes['train_images']} as in {paths['train_images'].name}"
        )
    name = _name(data_dir, dataset, digests, paths)
    class_names = CLASS_NAMES.get(name)
    if class_names is None:
        # Without a name to go by, the labels in use say how many classes there are; a stray one then stands out.
        class_names = tuple(str(k) for k in range(len(np.unique(arrays["train_labels"]))))
        if len(class_names) < 2:
            raise UserError(f"{paths['train_labels']}: every label is the same; expected at least two classes")
    return Dataset(
        name=name,
        train_images=arrays["train_images"][..., None],
        train_labels=check_labels(arrays["train_labels"], len(class_names), paths["train_labels"]),
        test_images=arrays["test_images"][..., None],
        test_labels=check_labels(arrays["test_labels"], len(class_names), paths["test_labels"]),
        class_names=class_names,
    )


def _name(data_dir: Path, dataset: str, digests: dict[str, str], paths: dict[str, Path]) -> str:
    """What the set is called, by its contents where they are known."""
    if dataset == "auto":
        for name, canonical in CANONICAL.items():
            if digests == canonical:
                return name
        return local_name(data_dir, "idx")
    if dataset not in CANONICAL:
        log.warning("%s: taken for %s on your word; its contents are not on record here", data_dir, dataset)
        return dataset
    for key in ARRAYS:
        if digests[key] != CANONICAL[dataset][key]:
            raise UserError(
                f"{paths[key]}: not the file of {dataset} (SHA-256 unpacked {digests[key][:12]}..., expected "
                f"{CANONICAL[dataset][key][:12]}...); ‹data.dataset› auto takes the folder for what it is"
            )
    return dataset

"""Loads custom images from an .npz file: x_train and y_train; optionally x_test and y_test; optionally x_unlabelled.

Images are [N, H, W] or [N, H, W, C], C 1 or 3: uint8, or floats of 0 to 1. Labels are integers or text; -1 marks an
unlabelled image, as in scikit-learn. Names of arrays may be in capitals. Pickled objects are refused, so that no code
in the file is run.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from sgan_jax.data import memory
from sgan_jax.data.classes import Meaning, as_classes, as_labels, check_one_each, meaning
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.folder import set_name
from sgan_jax.data.images import resize
from sgan_jax.data.layout import few
from sgan_jax.data.sizes import Size, check_custom_images
from sgan_jax.data.value_range import warn_of_range
from sgan_jax.errors import RAISED, Problems, UserError, reason

log = logging.getLogger(__name__)

SUFFIX = ".npz"
_IMAGES = ("x_train", "x_test", "x_unlabelled")
_LABELS = ("y_train", "y_test")
_VALIDATION = {"x_val": "x_test", "y_val": "y_test"}
_SYNONYMS = {"x_unlabeled": "x_unlabelled"}
_SYNONYMS |= {f"{kind}_{word}": f"{kind}_val" for kind in "xy" for word in ("valid", "validation")}


def load_npz(path: str | Path, size: Size | None = None, problems: Problems = RAISED) -> Dataset:
    """Loads the set in an .npz file.

    Args:
      path: the file.
      size: height and width to resize all images to.
      problems: around the check of each array.

    Raises:
      UserError: names the file, the array and what was expected.
    """
    path = Path(path)
    arrays = _read(path)
    images = {}
    for name in (name for name in _IMAGES if name in arrays):
        with problems:
            images[name] = as_images(arrays[name], f"{path}: {name}")
            warn_of_range(arrays[name], f"{path}: {name}")
    _check_label_counts(arrays, path, problems)
    images = _of_one_shape(images, size, path, problems)
    with problems:
        names, labels = as_classes(arrays["y_train"], f"{path}: y_train")
        test_labels = _known_classes(arrays.get("y_test", np.zeros(0, np.int32)), names, f"{path}: y_test")
    problems.check()
    if "x_unlabelled" in images:
        images["x_train"] = np.concatenate([images["x_train"], images["x_unlabelled"]])
        labels = np.concatenate([labels, np.full(len(images["x_unlabelled"]), UNKNOWN, np.int32)])
    return Dataset(
        name=set_name(path),
        train_images=images["x_train"],
        train_labels=labels,
        test_images=images.get("x_test", images["x_train"][:0]),
        test_labels=test_labels,
        class_names=names,
        custom=True,
    )


def as_images(array: np.ndarray, where: str) -> np.ndarray:
    """Converts images to uint8.

    Args:
      array: integers of 0..255, or floats of 0..1 or bools; `[N, H, W]` or `[N, H, W, C]`, C 1 or 3.
      where: the name of the array in messages.

    Returns:
      uint8 `[N, H, W, C]`.

    Raises:
      UserError: the array has another shape, type or range.
    """
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape[1:]:
        last = "; channels come last" if array.ndim == 4 and array.shape[1] in (1, 3) else ""
        raise UserError(f"{where}: shape {array.shape}; expected [N, H, W] or [N, H, W, C], C 1 or 3{last}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    kind = array.dtype.kind
    if kind not in "iufb":
        raise UserError(f"{where}: type {array.dtype}; expected uint8, or floats of 0 to 1")
    if array.size:
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= (1 if kind in "fb" else 255)):  # true of NaN as well
            expected = "floats of 0 to 1" if kind == "f" else "integers of 0 to 255"
            raise UserError(f"{where}: values from {low} to {high}; expected {expected}")
    return np.rint(array * 255.0).astype(np.uint8) if kind in "fb" else array.astype(np.uint8)


def is_npz(path: Path) -> bool:
    """Whether the path names an .npz file."""
    return path.suffix.lower() == SUFFIX


def _known_classes(labels: np.ndarray, names: tuple[str, ...], where: str) -> np.ndarray:
    """The index in `names` of each test label, int32 [M]."""
    index = {name: code for code, name in enumerate(names)}
    check_one_each(labels, where)
    if labels.dtype.kind not in "iuU":
        raise UserError(f"{where}: type {labels.dtype}; expected integers or text as in y_train")
    for value in np.unique(labels):
        if str(value) not in index:
            missing = meaning(str(value)) is Meaning.NO_LABEL
            advice = "; test images without a label can be in x_unlabelled" if missing else ""
            shown = f"'{value}'" if labels.dtype.kind == "U" else value
            raise UserError(f"{where}: label {shown} is none of y_train's, {few(names)}{advice}")
    return np.asarray([index[str(value)] for value in labels], np.int32)


def _read(path: Path) -> dict[str, np.ndarray]:
    """Reads those arrays of the file that have a meaning here, by the names that the module's docstring gives."""
    if not path.is_file():
        raise UserError(f"‹data.data_dir› {path}: no such file; expected a folder, or an .npz file")
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise UserError(f"{path}: one array, no .npz archive; expected x_train, y_train (numpy.savez)")
            names = _names(file.files, path)
            _check_memory(file, list(names.values()), path)
            arrays = {name: file[stored] for name, stored in names.items()}
            return arrays | {name: as_labels(arrays[name], f"{path}: {name}") for name in _LABELS if name in arrays}
    except (UserError, MemoryError):
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # NumPy, zipfile and zlib raise many types
        raise UserError(f"{path}: damaged, or no .npz file of plain arrays ({reason(error)})") from None


def _names(stored: list[str], path: Path) -> dict[str, str]:
    """The name in the file of each array that is used. Warns of arrays that are not used.

    Raises:
      UserError: an array is missing, or two have names that mean the same.
    """
    names: dict[str, str] = {}
    for name in stored:
        key = _SYNONYMS.get(name.lower(), name.lower())
        if key in _IMAGES + _LABELS or key in _VALIDATION:
            if key in names:
                raise UserError(f"{path}: both {names[key]} and {name}; expected one of them")
            names[key] = name
    if len(names.keys() & _VALIDATION.keys()) == 2 and not {"x_test", "y_test"} & names.keys():
        log.warning("%s: %s and %s are used as test images and labels", path, names["x_val"], names["y_val"])
        names |= {test: names.pop(validation) for validation, test in _VALIDATION.items()}
    names = {key: name for key, name in names.items() if key not in _VALIDATION}
    for name in ("x_train", "y_train"):
        if name not in names:
            raise UserError(f"{path}: no array {name} (there are {few(stored) or 'none'}); expected x_train, y_train")
    if ("x_test" in names) != ("y_test" in names):
        raise UserError(f"{path}: one of x_test and y_test only; expected both or neither")
    if unused := sorted(set(stored) - set(names.values())):
        log.warning("%s: not used: %s; the names that are: %s", path, few(unused), ", ".join(sorted(_IMAGES + _LABELS)))
    return names


def _check_memory(file: np.lib.npyio.NpzFile, names: list[str], path: Path) -> None:
    """Checks by the archive's table of contents that its arrays fit in memory, before they are unpacked."""
    entries = file.zip.infolist() if file.zip is not None else []
    sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in entries}
    if too_large := memory.excess(sum(sizes.get(name, 0) for name in names)):
        raise UserError(
            f"{path}: unpacks to {too_large}; store uint8 instead of floats, or give a folder, whose unlabelled images "
            "are read from disk"
        )


def _check_label_counts(arrays: dict[str, np.ndarray], path: Path, problems: Problems) -> None:
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        with problems:
            # Labels of another number of axes are an error where classes are taken from them.
            if y in arrays and arrays[y].ndim == 1 and arrays[y].shape != arrays[x].shape[:1]:
                count = ", ".join(map(str, arrays[x].shape[:1]))
                raise UserError(
                    f"{path}: {y} has shape {arrays[y].shape}; expected ({count},), a label for each image of {x}"
                )


def _of_one_shape(
    images: dict[str, np.ndarray], size: Size | None, path: Path, problems: Problems
) -> dict[str, np.ndarray]:
    """Resizes the arrays to `size`; without it, checks that they agree and are not too large."""
    if "x_train" not in images:
        return images
    shape = images["x_train"].shape[1:]
    with problems:
        if size is None:
            check_custom_images(shape[:2], path)
    agreed = {}
    for name, array in images.items():
        with problems:
            if array.shape[1:] != shape and (size is None or array.shape[-1] != shape[-1]):
                raise UserError(f"{path}: images of {name} are {array.shape[1:]}; expected {shape} as those of x_train")
            agreed[name] = array if size is None or array.shape[1:3] == size else resize(array, size)
    return agreed

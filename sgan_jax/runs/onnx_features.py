"""Features of images by the user's own network, an ONNX file. Only this module imports onnxruntime."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sgan_jax.errors import UserError, missing_extra, reason
from sgan_jax.metrics.features import About, Described, Features

SUFFIX = ".onnx"
CHANNELS = (1, 3)
BATCH_VALUES = 4_000_000  # numbers in a batch of images, 16 MB: deep networks make a hundred times as many of them
MOST_AT_ONCE = 1000  # images in a batch
_ORDER = {"NCHW": (0, 3, 1, 2), "NHWC": (0, 1, 2, 3)}  # axes of [N, H, W, C]
_NOWHERE = Path(os.devnull) / "none"  # in the place of the folder of weights that lie beside the file


class Takes(NamedTuple):
    """The images that a file takes: float32, 0 to 1."""

    name: str  # of its input
    batch: int | None  # how many at once; None: any number
    size: tuple[int, int]  # (H, W)
    channels: int
    order: str  # a key of _ORDER


def open_file(path: Path, image_shape: tuple[int, int, int]) -> Features:
    """The network in an ONNX file.

    Its one input is float32 images of 0..1, `[N, C, H, W]` or `[N, H, W, C]`, C 1 or 3. N, H and W may be free. Where
    the file fixes another size, images are resized in float32 by Pillow's bicubic filter, which antialiases, as Parmar
    et al. recommend (arXiv 2104.11222). Grey images are repeated for a file that takes three channels. Its first output
    has the features of each image, in any shape. All of it is in the file itself, whose digest identifies the features.

    Args:
      path: the file.
      image_shape: (H, W, C) of the images.

    Returns:
      The features. To compute them raises a UserError where the file cannot.

    Raises:
      UserError: onnxruntime is not installed, or the file is missing, is not ONNX or takes something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"‹features› {path}: cannot be read ({error.strerror or error})") from None
    session = _session(path, content)
    takes = _takes(path, session.get_inputs(), image_shape)

    def describe(images: np.ndarray, indices: np.ndarray | None) -> Described:
        images = images if indices is None else images[indices]
        rows = [_computed(path, session, takes, batch) for batch in _batches(images, takes)]
        return Described(np.concatenate(rows)[: len(images)], None)

    return Features(About(str(path), None, hashlib.sha256(content).hexdigest()), (), describe)


def _session(path: Path, content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"‹features› {path}: {missing_extra('onnxruntime', 'features').marked}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it reports is in its errors as well
    # Without a number it binds threads to cores of others. macOS and Windows do not have the first function.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    options.intra_op_num_threads = cores or 1
    # From the working directory it would take weights that the digest does not cover.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(_NOWHERE))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own in common
        if "external" in str(error).lower():
            raise UserError(f"‹features› {path}: keeps its weights in another file; save them inside of it") from None
        raise UserError(f"‹features› {path}: cannot be read as ONNX ({reason(error)})") from None


def _takes(path: Path, inputs: Any, image_shape: tuple[int, int, int]) -> Takes:
    """What the file takes of images of a shape."""
    height, width, channels = image_shape
    expected = "expected one input, float32 [N, C, H, W] or [N, H, W, C] with 1 or 3 for C"
    shown = ", ".join(f"{one.type} {list(one.shape)}" for one in inputs)
    # A free size is a name or None.
    shape: list[Any] = [size if isinstance(size, int) else None for size in inputs[0].shape] if len(inputs) == 1 else []
    order = next(
        (order for order, axes in _ORDER.items() if len(shape) == 4 and shape[axes.index(3)] in CHANNELS), None
    )
    if order is None or inputs[0].type != "tensor(float)":
        raise UserError(f"‹features› {path}: takes {shown}; {expected}")
    batch, own_height, own_width, own_channels = (shape[_ORDER[order].index(axis)] for axis in range(4))
    if own_channels == 1 and channels != 1:
        raise UserError(f"‹features› {path}: takes grey images; expected {channels} channels, as the images have")
    return Takes(inputs[0].name, batch, (own_height or height, own_width or width), own_channels, order)


def _batches(images: np.ndarray, takes: Takes) -> Iterator[np.ndarray]:
    """The images as the file takes them, in batches of one size; black ones fill up the last."""
    height, width = takes.size
    size = takes.batch or min(MOST_AT_ONCE, len(images), max(1, BATCH_VALUES // (height * width * takes.channels)))
    for start in range(0, len(images), size):
        batch = np.zeros((size, height, width, takes.channels), np.float32)
        for place, image in enumerate(images[start : start + size]):
            batch[place] = _resized(image, takes.size)
        yield np.ascontiguousarray(batch.transpose(_ORDER[takes.order]))


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image, uint8 `[H, W, C]`, as float32 of 0..1 of another size."""
    pixels = image.astype(np.float32)
    if image.shape[:2] != size:
        channels = [Image.fromarray(pixels[..., channel]) for channel in range(image.shape[2])]
        resized = [np.asarray(one.resize(size[::-1], Image.Resampling.BICUBIC)) for one in channels]
        pixels = np.stack(resized, axis=-1).clip(0, 255)  # the filter overshoots at edges
    return pixels / 255


def _computed(path: Path, session: Any, takes: Takes, batch: np.ndarray) -> np.ndarray:
    """Features of a batch, float32 `[B, F]`."""
    try:
        output = np.asarray(session.run([session.get_outputs()[0].name], {takes.name: batch})[0], np.float32)
    except Exception as error:
        shape = " x ".join(map(str, batch.shape))
        raise UserError(f"‹features› {path}: computes nothing of images {shape} ({reason(error)})") from None
    if output.ndim < 2 or len(output) != len(batch):
        raise UserError(
            f"‹features› {path}: gives {list(output.shape)} of {len(batch)} images; expected a row for each"
        )
    if not np.isfinite(output).all():
        raise UserError(f"‹features› {path}: gives NaN or infinite features")
    return output.reshape(len(output), -1)

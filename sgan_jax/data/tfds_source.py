"""Sets that TensorFlow Datasets (TFDS) knows: fetched by it, checked against its checksums, read as arrays.

mnist, fashion_mnist and kmnist need no TensorFlow: `_small_builder` overrides the parts of TFDS's own builders that
call it. Other sets go through their own builders, which do (extra `[tfds]`). A network that does not answer costs
seconds: one request with a deadline goes ahead (`probe`), and TFDS's own get the timeouts and few retries they lack.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import numpy as np

from sgan_jax.data import cache
from sgan_jax.data.dataset import ARRAYS, CLASS_NAMES, Dataset, check_labels
from sgan_jax.data.idx import CANONICAL, STEMS, read_idx
from sgan_jax.errors import UserError

log = logging.getLogger(__name__)

SMALL = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
}  # name -> builder in TFDS's mnist module
PROBE_SECONDS = 5.0  # until the first answer of the host, name look-up included
STALL_SECONDS = 10.0  # until a connection, and between two pieces of a file
MAX_RETRIES = 1  # TFDS's own 10 take 205 s
READ_CHUNK = 2000


def fetch(name: str) -> Dataset:
    """The TFDS set `name` ("mnist", "cifar10", "emnist/letters"): its splits train and test.

    Nothing but the returned arrays remains of it. Raises UserError with the reason in one line: no network, a wrong
    checksum, an unknown name, no TensorFlow where it is needed, not an image classification set of one image size.
    """
    try:
        with _bounded_network(), cache.scratch() as folder:
            builder = _builder(name, str(folder))
            return _prepare(name, builder)
    except UserError:
        raise
    except Exception as error:  # TFDS and what it calls raise whatever they like; a user is to see one line of it
        raise UserError(_reason(error)) from error


def probe(url: str, seconds: float) -> None:
    """Raises UserError unless the host of `url` answers (anything at all) within `seconds`, by way of any proxy set.

    The thread is there because a name look-up takes no timeout, and a host of many addresses takes one for each.
    """
    import requests

    outcome: list[str] = []

    def ask() -> None:
        try:
            with requests.head(url, timeout=seconds):
                outcome.append("")
        except Exception as error:
            outcome.append(_reason(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    failure = outcome[0] if outcome else f"no answer within {seconds:g} s"
    if failure:
        raise UserError(f"cannot reach {urlsplit(url).netloc} ({failure})")


@contextlib.contextmanager
def _bounded_network() -> Iterator[None]:
    """Few retries and a timeout on every request while TFDS is at work, and none of its chatter."""
    try:
        import requests
        from tensorflow_datasets.core.download import downloader
    except ImportError as error:
        raise UserError(f"TensorFlow Datasets cannot be imported ({error})") from error
    send = requests.adapters.HTTPAdapter.send

    def send_in_time(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        # TFDS gives no timeout, which requests passes on as None: wait for ever.
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = STALL_SECONDS
        return send(self, request, *args, **kwargs)

    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in ("urllib3", "absl")}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            mock.patch.object(requests.adapters.HTTPAdapter, "send", send_in_time),
            mock.patch.object(downloader, "MAX_RETRIES", MAX_RETRIES),
            contextlib.redirect_stdout(io.StringIO()),  # standard output belongs to the command's own result
        ):
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)


def _small_builder(name: str) -> Any:
    """TFDS's builder class for `name`, with every call of TensorFlow replaced and the files' order kept."""
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets.image_classification import mnist

    stock = getattr(mnist, SMALL[name])
    # The rules go by file name, so that they hold for a mirror as well.
    rules = {stock.URL + url.rsplit("/", 1)[1]: rule for url, rule in registered(stock).items()}

    # Around this class only: what TFDS imports under it would not be registered either, nor ever after.
    with tfds.core.registered.skip_registration():

        class Builder(stock):  # type: ignore[misc, valid-type]
            url_infos = rules

            def _info(self) -> Any:
                info = super()._info()
                # The same indices then mean the same images as with --data-dir.
                info.as_proto.disable_shuffling = True
                return info

            def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
                files = {key: f"{stem}-idx{3 if 'images' in stem else 1}-ubyte.gz" for key, stem in STEMS.items()}
                arrays = {}
                for key, file in files.items():
                    # One by one: of several at once, those still under way when one fails would outlive the folder.
                    path = dl_manager.download(self.URL + file)
                    arrays[key], digest = read_idx(path, 3 if "images" in key else 1)
                    if digest != CANONICAL.get(name, {}).get(key, digest):
                        raise UserError(
                            f"{self.URL}{files[key]}: not the file of {name} (SHA-256 unpacked {digest[:12]}...)"
                        )
                return {
                    part: self._examples(arrays[f"{part}_images"], arrays[f"{part}_labels"])
                    for part in ("train", "test")
                }

            def _examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
                for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield (
                        i,
                        {"image": Image.fromarray(image), "label": int(label)},
                    )  # TFDS encodes arrays with TensorFlow

    Builder.name = name
    return Builder


def registered(stock: Any) -> dict[str, Any]:
    """TFDS's registered size and SHA-256 of each file of a builder class, by address."""
    return dict(stock.url_infos)


def _builder(name: str, folder: str) -> Any:
    """A TFDS builder that writes array_record, the format that is read without TensorFlow, into `folder`."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    if name in SMALL:
        return _small_builder(name)(data_dir=folder, file_format="array_record")
    known = tfds.list_builders(with_community_datasets=False)
    if name.partition("/")[0] not in known:
        ours = ["auto", *SMALL, "mnist-5k"]
        near = difflib.get_close_matches(name, [*ours, *known], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(
            f"unknown data set; {hint}expected {', '.join(ours)}, or the name of an image classification set of TFDS"
        )
    base, slash, config = name.partition("/")
    configs = tfds.builder_cls(base).builder_configs
    if slash and config not in configs:
        raise UserError(f"unknown configuration; expected {', '.join(f'{base}/{c}' for c in configs) or base}")
    builder = tfds.builder(name, data_dir=folder, file_format="array_record")
    _image_and_label(builder)
    if type(builder).__module__.startswith("tensorflow_datasets.") and not importlib.util.find_spec("tensorflow"):
        raise UserError(
            "TFDS needs TensorFlow to prepare this set; expected the extra [tfds] to be installed "
            "(SGAN_EXTRAS=tfds bin/train ..., or pip install -e '.[tfds]')"
        )
    return builder


def _image_and_label(builder: Any) -> tuple[str, str]:
    """The names of the image and the label; UserError unless it is uint8 images of one size, each with one class."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, tuple(builder.info.supervised_keys or ())
    image, label = [features[key] for key in keys] if len(keys) == 2 else (None, None)
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise UserError(f"expected an image classification set; this one gives {keys or 'no pairs'}")
    if (
        None in image.shape
        or image.shape[-1] not in (1, 3)
        or image.np_dtype != np.uint8
        or label.num_classes is None
        or label.num_classes < 2
    ):
        raise UserError(
            f"expected grey or RGB uint8 images of one size in two or more classes; this set has "
            f"{np.dtype(image.np_dtype).name} images of {image.shape} in {label.num_classes} classes"
        )
    return keys[0], keys[1]


def _prepare(name: str, builder: Any) -> Dataset:
    import tensorflow_datasets as tfds

    # A class's rules are all there is to know its addresses by; a set without any is on its own.
    urls = [url for url in builder.url_infos or () if url.startswith("http")]
    if urls:
        log.info("fetching %s from %s", name, urlsplit(urls[0]).netloc)
        probe(urls[0], PROBE_SECONDS)
    rules = tfds.download.DownloadConfig(force_checksums_validation=True, try_download_gcs=False)
    builder.download_and_prepare(download_config=rules)
    image_key, label_key = _image_and_label(builder)
    arrays: dict[str, Any] = {}
    for part in ("train", "test"):
        if part not in builder.info.splits:
            raise UserError(f"no split {part} (it has {', '.join(builder.info.splits)})")
        source = builder.as_data_source(split=part)
        images = np.empty((len(source), *builder.info.features[image_key].shape), np.uint8)
        labels = np.empty(len(source), np.int64)
        for start in range(0, len(source), READ_CHUNK):
            chunk = range(start, min(start + READ_CHUNK, len(source)))
            for i, example in zip(chunk, source.__getitems__(list(chunk)), strict=True):
                images[i], labels[i] = example[image_key], example[label_key]
        names = CLASS_NAMES.get(name) or tuple(builder.info.features[label_key].names)
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = check_labels(labels, len(names), f"{name}, split {part}")
    assert set(arrays) == set(ARRAYS)
    return Dataset(name=name, **arrays, class_names=names)


def _reason(error: BaseException) -> str:
    """One line that says why: the last cause of a chain, since the outer ones only say that something failed."""
    seen = [error]
    while (inner := seen[-1].__cause__ or seen[-1].__context__) is not None and inner not in seen:
        seen.append(inner)
    text = " ".join(str(seen[-1]).split())
    text = re.sub(r"downloaded to \S+, |: \* Expected: .*", "", text)  # of a wrong checksum, half a screen
    return f"{type(seen[-1]).__name__}: {text[:300]}"

"""Fetches data sets of TensorFlow Datasets (TFDS), checks them against its checksums, and reads them as arrays.

The sets of WITHOUT_TENSORFLOW do not need TensorFlow: TFDS downloads and checks their files, and `formats` reads them.
The builders of other sets do need it (extra `[tfds]`). A network that does not answer costs seconds only:
`probe` sends one request with a deadline first, and the requests of TFDS get timeouts and fewer retries.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import io
import logging
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import numpy as np

from sgan_jax.data import cache
from sgan_jax.data.dataset import ARRAYS, Dataset, check_labels
from sgan_jax.data.formats import format_of_set
from sgan_jax.data.published import CLASS_NAMES
from sgan_jax.errors import RAISED, UserError

log = logging.getLogger(__name__)

# Sets whose files TFDS only downloads; an index then means the same image as in a set from files.
WITHOUT_TENSORFLOW = ("mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100", "svhn_cropped", "svhn_extra", "stl10")
BUILDERS = {"svhn_extra": "svhn_cropped"}  # of TFDS, where it has another name for the set
UNUSED = {"svhn_cropped": ("extra_32x32.mat",)}  # files of a builder that are not a part of the set here
ARCHIVE = ".tar.gz"
PROBE_SECONDS = 5.0  # until the host first answers, including the name look-up
STALL_SECONDS = 10.0  # until a connection, and between two parts of a file
MAX_RETRIES = 1  # TFDS's default of 10 takes 205 s
READ_CHUNK = 2000  # examples read at a time


def fetch(name: str) -> Dataset:
    """Fetches the splits train and test of a TFDS set.

    No downloaded file remains on disk.

    Args:
      name: such as "mnist", "cifar10" or "emnist/letters".

    Raises:
      UserError: gives the reason in one line: no network, a wrong checksum, an unknown name, TensorFlow is needed and
        not installed, or the set is not an image classification set of one image size.
    """
    try:
        with _bounded_network(), cache.scratch() as folder:
            if name in WITHOUT_TENSORFLOW:
                return _fetch_files(name, folder)
            return _prepare(name, _builder(name, str(folder)))
    except UserError:
        raise
    except Exception as error:  # TFDS and its libraries raise many types
        raise UserError(_reason(error)) from error


def probe(url: str, seconds: float) -> None:
    """Checks that a host answers, with any status, through the proxy of the environment if there is one.

    A thread sends the request: a name look-up has no timeout, and a host of many addresses takes one timeout for each.

    Args:
      url: an address at the host.
      seconds: the deadline.

    Raises:
      UserError: the host has not answered in time.
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
    """Gives every request of TFDS a timeout and few retries, and hides its log and output, while the context lasts."""
    try:
        import requests
        from tensorflow_datasets.core.download import downloader
    except ImportError as error:
        raise UserError(f"TensorFlow Datasets cannot be imported ({error})") from error
    send = requests.adapters.HTTPAdapter.send

    def send_in_time(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        # TFDS sets no timeout, and requests then waits forever.
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
            contextlib.redirect_stdout(io.StringIO()),  # standard output is for the command's result
        ):
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)


def _fetch_files(name: str, folder: Path) -> Dataset:
    """Downloads the files of a set under their own names, with the checksums of TFDS, and reads them.

    Args:
      name: of WITHOUT_TENSORFLOW.
      folder: an empty one for the files.
    """
    import tensorflow_datasets as tfds

    infos = registered(tfds.builder_cls(BUILDERS.get(name, name)))
    files = format_of_set(name)
    assert files is not None
    _announce(name, infos)
    tfds.disable_progress_bar()
    manager = tfds.download.DownloadManager(
        download_dir=folder / "downloads", url_infos=infos, dataset_name=name, force_checksums_validation=True
    )
    for url in infos:
        file = url.rsplit("/", 1)[1]
        if file not in UNUSED.get(name, ()):
            # One at a time: if one of several downloads fails, the others would outlive the folder.
            _unpack(Path(manager.download(url)), file, folder / "set")
    return files.load(folder / "set", name, RAISED)


def _unpack(downloaded: Path, file: str, into: Path) -> None:
    """Moves a file into a folder under its own name; of an archive the files in it, without their folders."""
    into.mkdir(exist_ok=True)
    if not file.endswith(ARCHIVE):
        downloaded.rename(into / file)
        return
    with tarfile.open(downloaded) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None:
                with (into / Path(member.name).name).open("wb") as target:
                    shutil.copyfileobj(content, target)
    downloaded.unlink()


def registered(stock: Any) -> dict[str, Any]:
    """The size and SHA-256 that TFDS has registered for each file of a builder class, by address."""
    return dict(stock.url_infos)


def _builder(name: str, folder: str) -> Any:
    """A TFDS builder that writes array_record, the format that is read without TensorFlow, into `folder`."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    known = tfds.list_builders(with_community_datasets=False)
    if name.partition("/")[0] not in known:
        ours = ["auto", *WITHOUT_TENSORFLOW, "mnist-5k"]
        similar = difflib.get_close_matches(name, [*ours, *known], 1)
        hint = f"did you mean {similar[0]}? " if similar else ""
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
            "(SGAN_EXTRAS=tfds bin/train ..., or pip install -e '.[tfds]'), or one of "
            f"{', '.join(WITHOUT_TENSORFLOW)}"
        )
    return builder


def _image_and_label(builder: Any) -> tuple[str, str]:
    """The names of the image and the label in an example.

    Raises:
      UserError: not a set of uint8 images of one size that each have one class.
    """
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


def _announce(name: str, infos: Mapping[str, Any]) -> None:
    """Logs where a set comes from, and checks that the host answers.

    TFDS lists the addresses of a set only with their checksums; a set without checksums cannot be probed.
    """
    urls = [url for url in infos if url.startswith("http")]
    if urls:
        log.info("fetching %s from %s", name, urlsplit(urls[0]).netloc)
        probe(urls[0], PROBE_SECONDS)


def _prepare(name: str, builder: Any) -> Dataset:
    """Downloads a set and reads its splits."""
    import tensorflow_datasets as tfds

    _announce(name, builder.url_infos or {})
    settings = tfds.download.DownloadConfig(force_checksums_validation=True, try_download_gcs=False)
    builder.download_and_prepare(download_config=settings)
    image_key, label_key = _image_and_label(builder)
    class_names = CLASS_NAMES.get(name) or tuple(builder.info.features[label_key].names)
    arrays: dict[str, Any] = {}
    for split in ("train", "test"):
        if split not in builder.info.splits:
            raise UserError(f"no split {split} (it has {', '.join(builder.info.splits)})")
        images, labels = _read_split(builder, split, image_key, label_key)
        arrays[f"{split}_images"] = images
        arrays[f"{split}_labels"] = check_labels(labels, len(class_names), f"{name}, split {split}")
    assert set(arrays) == set(ARRAYS)
    return Dataset(name=name, **arrays, class_names=class_names)


def _read_split(builder: Any, split: str, image_key: str, label_key: str) -> tuple[np.ndarray, np.ndarray]:
    """The images of a split, uint8 [N, H, W, C], and its labels, int64 [N]."""
    source = builder.as_data_source(split=split)
    images = np.empty((len(source), *builder.info.features[image_key].shape), np.uint8)
    labels = np.empty(len(source), np.int64)
    for start in range(0, len(source), READ_CHUNK):
        chunk = range(start, min(start + READ_CHUNK, len(source)))
        for i, example in zip(chunk, source.__getitems__(list(chunk)), strict=True):
            images[i], labels[i] = example[image_key], example[label_key]
    return images, labels


def _reason(error: BaseException) -> str:
    """The innermost cause of an error in one line; the outer errors only report that something failed."""
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and inner not in chain:
        chain.append(inner)
    text = " ".join(str(chain[-1]).split())
    text = re.sub(r"downloaded to \S+, |: \* Expected: .*", "", text)  # else half a screen for a wrong checksum
    return f"{type(chain[-1]).__name__}: {text[:300]}"

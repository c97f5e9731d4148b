"""Checks images before training: counts, sizes, memory, files that cannot be used, and copies of images."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.arrays import is_npz
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.folder import Findings, decode, set_name, why_streamed
from sgan_jax.data.formats import format_in
from sgan_jax.data.labels import how_many
from sgan_jax.data.load import check_labels_file, check_unnamed, is_folder_of_images, load_file
from sgan_jax.data.sizes import Size
from sgan_jax.data.splits import LeftOut
from sgan_jax.data.survey import Survey, empty_classes, image_shape, survey
from sgan_jax.errors import Problems, Several, UserError

BETWEEN_SPLITS, BETWEEN_CLASSES, WITHIN_A_CLASS = "in train and test", "in two classes", "twice in a class"


class Fingerprint(NamedTuple):
    """An image without its pixels, as there may be more images than fit in memory."""

    label: int
    name: str
    digest: bytes  # SHA-256 of the pixels


class Copy(NamedTuple):
    """Two images with the same pixels."""

    kind: str  # BETWEEN_SPLITS, BETWEEN_CLASSES or WITHIN_A_CLASS
    original: str
    name: str


class Memory(NamedTuple):
    """Bytes of the images in training."""

    host: int  # of all images, but those that are read from disk
    device: int  # of the training images, and once more of those that keep their label
    streamed: bool  # whether the unlabelled images are read from disk, as they do not fit


class Kind(NamedTuple):
    """What the images come in."""

    what: str  # "a folder of images", "IDX files"
    not_of: tuple[str, ...] = ()  # the published sets that such files may be, and by their checksums are not
    perhaps: tuple[str, ...] = ()  # those that they may be, and that have no checksums on record


class Checked(NamedTuple):
    """What `check` has learned about images."""

    name: str  # of the set, in results
    kind: Kind
    sizes: tuple[tuple[Size, int], ...]  # (height, width), and how many images have it; the most common size first
    channels: int  # 1 (grey) or 3 (RGB), after conversion
    converted: int  # grey images that become RGB, as other images are RGB
    left_out: tuple[LeftOut, ...]  # files that cannot be used
    class_names: tuple[str, ...]
    train: Counter[int]  # training images by label; UNKNOWN for the unlabelled ones
    test: Counter[int]  # test images by label
    copies: tuple[Copy, ...]
    problems: tuple[UserError, ...]  # why training would fail
    is_folder: bool  # whether the images are files in a folder, as opposed to arrays
    memory: Memory | None  # unless there are problems
    labels_file: Path | None = None  # the CSV file that labels were read from


def check(
    path: Path, image_size: Size | None = None, labels_file: Path | None = None, dataset: str = "auto"
) -> Checked:
    """Checks a folder of images, an .npz file or the files of a published set.

    Args:
      path: the folder or file.
      image_size: height and width that the images will be resized to.
      labels_file: as of `load`.
      dataset: as of `load`.

    Raises:
      Several: the images cannot be listed or, from arrays, cannot be loaded; has all that is wrong.
    """
    problems = Problems(keep=True)
    with problems:
        check_labels_file(labels_file, path)
        if is_folder_of_images(path):
            with problems:
                check_unnamed(dataset, path)
            return _check_folder(survey(path, labels_file, problems=problems), image_size, problems)
        loaded = load_file(path, dataset, image_size, problems)
        problems.check()
        return _check_arrays(loaded, _kind(loaded.name, path, dataset))
    raise Several(problems.errors)


def copies(train: Iterable[Fingerprint], test: Iterable[Fingerprint]) -> list[Copy]:
    """Finds images with the same pixels; unlabelled training images that are copies are harmless and not reported."""
    first: dict[bytes, dict[int, str]] = defaultdict(dict)  # digest: the first image of each class
    training: dict[bytes, str] = {}
    pairs = []
    for label, name, digest in train:
        training[digest] = name
        if label == UNKNOWN:
            continue
        by_class = first[digest]
        if label in by_class:
            pairs.append(Copy(WITHIN_A_CLASS, by_class[label], name))
        elif by_class:
            pairs.append(Copy(BETWEEN_CLASSES, next(iter(by_class.values())), name))
        by_class.setdefault(label, name)
    pairs += [Copy(BETWEEN_SPLITS, training[image.digest], image.name) for image in test if image.digest in training]
    return pairs


def _check_folder(surveyed: Survey, image_size: Size | None, problems: Problems) -> Checked:
    """Decodes the images of a folder one at a time, whatever else is wrong.

    Args:
      surveyed: the folder.
      image_size: height and width that the images will be resized to.
      problems: what is wrong with the layout; what is wrong with the images is added.
    """
    sizes = tuple((size, len(paths)) for size, paths in surveyed.sizes())
    headers = surveyed.train.headers + surveyed.test.headers
    splits = (surveyed.train.split, surveyed.test.split)
    train, test = (Counter(split.labels) for split in splits)
    findings, pairs, taken = Findings(list(surveyed.left_out)), list[Copy](), None
    if sizes:
        shape, resized = (*sizes[0][0], surveyed.channels), True  # so that images are compared although sizes differ
        with problems:
            shape, resized = image_shape(surveyed, image_size), image_size is not None
        fingerprints = [
            [
                Fingerprint(image.label, surveyed.listing.name(image.path), _digest(image.pixels))
                for image in decode(surveyed, split, shape, resized, findings)
            ]
            for split in splits
        ]
        train, test = (Counter(image.label for image in images) for images in fingerprints)
        taken = _memory(train, test, math.prod(shape), bool(why_streamed(len(splits[0].paths), shape)))
        pairs = copies(*fingerprints)
        findings.warn_of_range(surveyed.listing.folder)
    problems.errors += empty_classes(surveyed.listing, train, findings.left_out)
    return Checked(
        name=set_name(surveyed.listing.folder),
        kind=Kind("a folder of images"),
        sizes=sizes,
        channels=surveyed.channels,
        converted=sum(header.grey for header in headers) if surveyed.channels == 3 else 0,
        left_out=(*surveyed.listing.missing, *findings.left_out),
        class_names=surveyed.listing.class_names,
        train=train,
        test=test,
        copies=tuple(pairs),
        problems=tuple(problems.errors),
        is_folder=True,
        memory=None if problems.errors else taken,
        labels_file=surveyed.listing.labels_file,
    )


def _memory(train: Counter[int], test: Counter[int], image: int, too_large: bool) -> Memory:
    """The bytes of a folder's images, each of `image` bytes; its labelled images keep their label by default."""
    labelled = train.total() - train[UNKNOWN]
    streamed = too_large and labelled < train.total()
    resident = labelled if streamed else train.total()
    return Memory((resident + test.total()) * image, (resident + labelled) * image, streamed)


def _check_arrays(dataset: Dataset, kind: Kind) -> Checked:
    height, width, channels = dataset.train_images.shape[1:]
    count = len(dataset.train_images) + len(dataset.test_images)
    train = _fingerprints("train", dataset.train_images, dataset.train_labels)
    test = _fingerprints("test", dataset.test_images, dataset.test_labels)
    image, labelled = height * width * channels, min(how_many(None, dataset), int(dataset.known.sum()))
    return Checked(
        name=dataset.name,
        kind=kind,
        sizes=(((height, width), count),),
        channels=channels,
        converted=0,
        left_out=(),
        class_names=dataset.class_names,
        train=Counter(image.label for image in train),
        test=Counter(image.label for image in test),
        copies=tuple(copies(train, test)),
        problems=(),
        is_folder=False,
        memory=Memory(count * image, (len(train) + labelled) * image, streamed=False),
    )


def _kind(name: str, path: Path, dataset: str) -> Kind:
    """What an .npz file or a folder of files of a published set is; `name` is that of the set in it."""
    files = None if is_npz(path) else format_in(path, dataset)
    if files is None:
        return Kind("an .npz file")
    if name in files.names:
        return Kind(files.what)
    perhaps = tuple(one for one in files.names if one not in files.on_record)
    return Kind(files.what, tuple(one for one in files.names if one in files.on_record), perhaps)


def _fingerprints(split: str, images: np.ndarray, labels: np.ndarray) -> list[Fingerprint]:
    pairs = enumerate(zip(labels, images, strict=True))
    return [Fingerprint(int(label), f"{split} image {index}", _digest(image)) for index, (label, image) in pairs]


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image)).digest()

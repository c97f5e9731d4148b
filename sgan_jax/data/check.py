"""What `data check` tells of images before any training: counts, sizes, what cannot be used, what is there twice."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data import folder
from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.data.load import is_folder_of_images, load

SHOWN = 10  # copies of a kind
BETWEEN_PARTS, BETWEEN_CLASSES, WITHIN_A_CLASS = "in train and test", "in two classes", "twice in a class"


class Seen(NamedTuple):
    """An image that can be used, without its pixels: there may be more than fit in memory."""

    label: int
    name: str
    digest: bytes  # of the pixels


class Copy(NamedTuple):
    """Two images with the same pixels."""

    kind: str
    one: str
    other: str


def check(path: Path, image_size: int | None = None) -> int:
    """Prints what is in a folder of images or IDX files, or in an .npz file.

    Returns:
      The exit status, 0.

    Raises:
      UserError: it cannot be trained on; after what was found.
    """
    if is_folder_of_images(path):
        found = folder.survey(path)
        _print_sizes(found, image_size)
        try:
            shape = folder.image_shape(found, image_size)
            train, test = (
                [
                    Seen(label, found.listing.name(file), _digest(image))
                    for file, label, image in folder.images(found, usable.part, shape, image_size)
                ]
                for usable in (found.train, found.test)
            )
            folder.refuse_empty_classes(found, {one.label for one in train})
        finally:
            _print_left_out(found.left_out)
        class_names = found.listing.class_names
    else:
        dataset = load(data_dir=path, image_size=image_size)
        train = _seen("train", dataset.train_images, dataset.train_labels)
        test = _seen("test", dataset.test_images, dataset.test_labels)
        class_names = dataset.class_names
        print(f"images: {_shape(dataset)}")
    _print_counts(class_names, train, test)
    _print_copies(copies(train, test))
    size = f" --image-size {image_size}" if image_size else ""
    print(f"train on them: bin/train --preset best --data-dir {shlex.quote(str(path))}{size}")
    return 0


def copies(train: list[Seen], test: list[Seen]) -> list[Copy]:
    """Images with the same pixels, each with the first of its kind; unlabelled copies within training do no harm."""
    first: dict[bytes, dict[int, str]] = defaultdict(dict)  # of the pixels' digest: the first image of each class
    found = []
    for label, name, digest in train:
        if label == UNKNOWN:
            continue
        held = first[digest]
        if label in held:
            found.append(Copy(WITHIN_A_CLASS, held[label], name))
        elif held:
            found.append(Copy(BETWEEN_CLASSES, next(iter(held.values())), name))
        held.setdefault(label, name)
    learned = {one.digest: one.name for one in train}
    found += [Copy(BETWEEN_PARTS, learned[one.digest], one.name) for one in test if one.digest in learned]
    return found


def _seen(part: str, images: np.ndarray, labels: np.ndarray) -> list[Seen]:
    rows = enumerate(zip(labels, images, strict=True))
    return [Seen(int(label), f"{part} image {index}", _digest(image)) for index, (label, image) in rows]


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image)).digest()


def _shape(dataset: Dataset) -> str:
    height, width, channels = dataset.train_images.shape[1:]
    return f"{width} x {height} pixels, {'grey' if channels == 1 else 'RGB'}"


def _print_sizes(found: folder.Survey, image_size: int | None) -> None:
    color = "grey" if found.channels == 1 else "RGB"
    sizes = sorted(found.sizes().items(), key=lambda item: -len(item[1]))
    for (height, width), paths in sizes[:SHOWN]:
        resized = (
            f", resized to {image_size} x {image_size}" if image_size and (height, width) != (image_size,) * 2 else ""
        )
        print(f"images: {len(paths)} of {width} x {height} pixels, {color}{resized}")
    if len(sizes) > SHOWN:
        print(f"images: {len(sizes) - SHOWN} other sizes")
    grey = sum(header.grey for header in found.train.headers + found.test.headers)
    if found.channels == 3 and grey:
        print(f"images: {grey} are grey and become RGB as the others")


def _print_left_out(left_out: list[folder.LeftOut]) -> None:
    if left_out:
        print(f"left out: {len(left_out)} files")
        for one in left_out:
            print(f"  {one.name}: {one.reason}")


def _print_counts(class_names: tuple[str, ...], train: list[Seen], test: list[Seen]) -> None:
    width = max(len("unlabelled"), *map(len, class_names))
    counts = [Counter(one.label for one in part) for part in (train, test)]
    print(f"\n{'class':{width}}  labelled     test")
    for label, name in enumerate(class_names):
        print(f"{name:{width}}  {counts[0][label]:8d} {counts[1][label]:8d}")
    unlabelled = counts[0][UNKNOWN]
    print(f"{'unlabelled':{width}}  {unlabelled:8d}")
    if not unlabelled:
        print("no unlabelled images: --labels N keeps N labels and uses the other images without theirs")
    if not test:
        print("no test images: --validation N keeps N labelled ones from training to measure on")
    print()


def _print_copies(found: list[Copy]) -> None:
    for kind in (BETWEEN_PARTS, BETWEEN_CLASSES, WITHIN_A_CLASS):
        of_kind = [copy for copy in found if copy.kind == kind]
        if of_kind:
            print(f"the same image {kind}: {len(of_kind)}")
            for copy in of_kind[:SHOWN]:
                print(f"  {copy.other} is {copy.one}")
            if len(of_kind) > SHOWN:
                print("  ...")

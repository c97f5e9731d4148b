"""What `predict` does: classes of image files by a run's classifier. The data that it was trained on is not needed."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgan_jax.data.images import BadImage, each, read_image
from sgan_jax.data.listing import files_below
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.metrics.accuracy import BATCH, class_logits, make_classify, probabilities
from sgan_jax.runs.opened import Opened, open_run

FORMATS = ("text", "csv", "json")


class Said(NamedTuple):
    """What the classifier says of a file; nothing where it is no image."""

    path: Path
    probabilities: np.ndarray | None  # float64 [K]
    reason: str = ""  # why there is nothing


def predict(paths: Sequence[Path], run: Path | None, ckpt: str, format: str, out: Path | None, averaged: bool) -> int:
    """Prints, or writes, class and probability of each image.

    Args:
      paths: image files; of a folder all files in it and below.
      run: the run directory; by default the newest.
      ckpt: as of `eval`.
      format: one of FORMATS.
      out: the file to write instead of printing.
      averaged: use the averaged weights.

    Returns:
      The exit status: 0, or 1 if some files are no images; they are told of.

    Raises:
      UserError: no run, no classifier, no images.
    """
    if format not in FORMATS:
        raise UserError(f"‹format›: {format}; choose one of {', '.join(FORMATS)}")
    opened = open_run(run, ckpt)
    opened.needs_classifier("predict")
    files = list(_expand(paths))
    if not files:
        raise UserError("no images; name image files, or folders of them")
    said = list(classify_files(opened, files, averaged))
    bad = [one for one in said if one.probabilities is None]
    for one in bad:
        print(f"sgan: warning: {one.path}: left out ({one.reason})", file=sys.stderr)
    if len(bad) == len(said):
        raise UserError(f"none of {len(said)} files is an image that can be used")
    rows = [_row(one, opened.class_names) for one in said if one.probabilities is not None]
    text = _WRITERS[format](rows, opened.class_names)
    if out is None:
        print(text, end="")
    else:
        write_atomically(out, text)
        print(out)
    return 1 if bad else 0


def classify_files(opened: Opened, files: Sequence[Path], averaged: bool = False) -> Iterator[Said]:
    """What a run's classifier says of each file, in order, a batch at a time.

    An image of another size than the run's is resized, one of other colours converted.

    Args:
      opened: the run.
      files: image files.
      averaged: use the averaged weights.
    """
    height, width, channels = opened.image_shape
    params = (opened.state.ema if averaged else opened.state.params).d
    classify = make_classify(opened.system.disc)
    size = max(1, min(BATCH, len(files)))  # one compiled shape, however many are read
    for first in range(0, len(files), size):
        some = files[first : first + size]
        read = list(each(lambda path: read_image(path, channels, (height, width)), some))
        images = [image for image in read if not isinstance(image, BadImage)]
        full = np.zeros((size, height, width, channels), np.uint8)
        full[: len(images)] = np.stack(images) if images else full[:0]
        shares = iter(probabilities(class_logits(classify, params, full, len(opened.class_names))))
        for path, image in zip(some, read, strict=True):
            yield Said(path, None, str(image)) if isinstance(image, BadImage) else Said(path, next(shares))


def _expand(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from files_below(path)
        elif path.exists():
            yield path
        else:
            raise UserError(f"{path}: no such file; name image files, or folders of them")


class _Row(NamedTuple):
    image: str
    label: str
    probability: float
    probabilities: dict[str, float]


def _row(said: Said, names: Sequence[str]) -> _Row:
    assert said.probabilities is not None
    best = int(said.probabilities.argmax())
    every = dict(zip(names, (round(float(p), 6) for p in said.probabilities), strict=True))
    return _Row(str(said.path), names[best], round(float(said.probabilities[best]), 6), every)


def _as_text(rows: Sequence[_Row], names: Sequence[str]) -> str:
    width = max(map(len, names))
    return "".join(f"{row.label:{width}}  {100 * row.probability:6.2f}%  {row.image}\n" for row in rows)


def _as_csv(rows: Sequence[_Row], names: Sequence[str]) -> str:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(["image", "class", "probability", *names])
    writer.writerows([row.image, row.label, row.probability, *row.probabilities.values()] for row in rows)
    return held.getvalue()


def _as_json(rows: Sequence[_Row], names: Sequence[str]) -> str:
    values = [row._asdict() | {"class": row.label} for row in rows]
    for value in values:
        del value["label"]
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


_WRITERS = {"text": _as_text, "csv": _as_csv, "json": _as_json}

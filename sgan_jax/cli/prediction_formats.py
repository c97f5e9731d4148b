"""The formats in which `predict` prints predictions: text, CSV and JSON."""

import csv
import io
import json
from collections.abc import Callable, Sequence

from sgan_jax.cli.spelling import one_line
from sgan_jax.inference.predict import ImagePrediction

Rows = Sequence[ImagePrediction]
ClassNames = Sequence[str]

_DIGITS = 6  # decimal places of a probability


def _probabilities(row: ImagePrediction) -> list[float]:
    return [round(float(p), _DIGITS) for p in row.probabilities]


def as_text(rows: Rows, names: ClassNames) -> str:
    """A line for each image: class, probability in per cent, path."""
    width = max(map(len, names))
    return "".join(
        f"{row.class_name:{width}}  {100 * round(row.probability, _DIGITS):6.2f}%  {one_line(str(row.path))}\n"
        for row in rows
    )


def as_csv(rows: Rows, names: ClassNames) -> str:
    """A header, and a line for each image with the probability of every class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "probability", *names])
    writer.writerows(
        [str(row.path), row.class_name, round(row.probability, _DIGITS), *_probabilities(row)] for row in rows
    )
    return text.getvalue()


def as_json(rows: Rows, names: ClassNames) -> str:
    """A list of objects, each with the probability of every class."""
    values = [
        {
            "image": str(row.path),
            "probability": round(row.probability, _DIGITS),
            "probabilities": dict(zip(names, _probabilities(row), strict=True)),
            "class": row.class_name,
        }
        for row in rows
    ]
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Rows, ClassNames], str]] = {"text": as_text, "csv": as_csv, "json": as_json}

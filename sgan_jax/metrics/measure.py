"""Figures with their units, read from a line of metrics.jsonl or results.jsonl. No JAX here.

A line maps names to values. Three kinds of names matter to a reader:

- a **measure** is a figure about a model, such as `test_accuracy`. The line's field `units` gives the unit of each:
  `{"test_accuracy": "%", "frechet_distance": ""}`. Lines of older runs lack this field; their measures are the names
  that end in `_accuracy` and have no "/". Their unit is "%". The field `images` gives the number of images behind a
  measure, where that is known: `{"test_accuracy": 10000}`.
- a **loss** is a term that a player descends, such as `d/supervised`.
- a **watched** term is reported beside the losses and not descended, such as `d/accuracy`. The line's field `watched`
  lists them. In lines of older runs, `WATCHED` recognizes them by name.
"""

import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from sgan_jax.metrics.names import WATCHED

PERCENT = "%"
ALWAYS_LOSSES = frozenset({"d/supervised", "d/real", "d/fake", "g/fool"})  # whatever a line's `watched` lists


class Measure(NamedTuple):
    """One figure."""

    value: float  # in the unit's natural scale; with the unit "%" a fraction 0..1
    unit: str = ""  # "%", "bits" ...; "" for a plain number
    images: int | None = None  # how many it is a figure of, if that is known

    @property
    def shown(self) -> float:
        """The value as a reader sees it: a fraction 0..1 times 100, any other unit unchanged."""
        return 100 * self.value if self.unit == PERCENT else self.value

    def __str__(self) -> str:
        """`98.10 %`, `12.3 bits` or `12.3`."""
        return f"{number(self)} {self.unit}".strip()


def number(measure: Measure) -> str:
    """The value as text, without its unit: for "%" as `percent`, three significant digits for any other unit."""
    if measure.unit == PERCENT:
        return percent(measure.value, measure.images)
    return f"{float(f'{measure.value:.3g}'):,g}"


def percent(fraction: float, images: int | None = None) -> str:
    """100 times a fraction of so many images, with as many decimals as these carry: up to 3; 2 if they are not known.

    A figure of n images is a multiple of 1/n: of 100 images whole percents, of 1,000 one decimal.
    """
    decimals = 2 if images is None else min(max(math.ceil(math.log10(max(images, 1))) - 2, 0), 3)
    return f"{100 * fraction:.{decimals}f}"


def measures(line: Mapping[str, Any]) -> dict[str, Measure]:
    """The measures of a line, by name; values that are not finite numbers are left out.

    Args:
      line: one line of metrics.jsonl or results.jsonl.
    """
    units = line.get("units")
    if not isinstance(units, Mapping):
        units = {name: PERCENT for name in line if name.endswith("_accuracy") and "/" not in name}
    images = line.get("images")
    counts = images if isinstance(images, Mapping) else {}
    return {
        name: Measure(line[name], unit, count if type(count := counts.get(name)) is int else None)
        for name, unit in units.items()
        if isinstance(unit, str) and is_number(line.get(name))
    }


def losses(line: Mapping[str, Any]) -> dict[str, float]:
    """The terms that players descend, `player/term` by name; values that are not finite numbers are left out.

    Args:
      line: one line of metrics.jsonl or results.jsonl.
    """
    listed = line.get("watched")
    watched = set(map(str, listed)) if isinstance(listed, list) else set(filter(WATCHED.fullmatch, line))
    watched -= ALWAYS_LOSSES
    not_losses = watched | set(measures(line))
    return {name: value for name, value in line.items() if "/" in name and name not in not_losses and is_number(value)}


def label(name: str) -> str:
    """A measure's name in words: `ema_test_accuracy` is `averaged weights test accuracy`."""
    if name.startswith("ema_"):
        name = f"averaged weights {name.removeprefix('ema_')}"
    return name.replace("_", " ")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value out of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max

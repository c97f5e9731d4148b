"""Figures with their units, read from a line of metrics.jsonl or results.jsonl. No JAX here.

A line maps names to values. Three kinds of names matter to a reader:

- a **measure** is a figure about a model, such as `test_accuracy`. The line's field `units` gives the unit of each:
  `{"test_accuracy": "%", "frechet_distance": ""}`. Lines of older runs lack this field; their measures are the names
  that end in `_accuracy` and have no "/". Their unit is "%".
- a **loss** is a term that a player descends, such as `d/supervised`.
- a **watched** term is reported beside the losses and not descended, such as `d/accuracy`. The line's field `watched`
  lists them. In lines of older runs, `WATCHED` recognizes them by name.
"""

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

    @property
    def shown(self) -> float:
        """The value as a reader sees it: a fraction 0..1 times 100, any other unit unchanged."""
        return 100 * self.value if self.unit == PERCENT else self.value

    def __str__(self) -> str:
        """`98.10 %`, `12.3 bits` or `12.3`."""
        return f"{number(self)} {self.unit}".strip()


def number(measure: Measure) -> str:
    """The value as text, without its unit: two decimals for "%", three significant digits for any other unit."""
    if measure.unit == PERCENT:
        return f"{measure.shown:.2f}"
    return f"{float(f'{measure.value:.3g}'):,g}"


def measures(line: Mapping[str, Any]) -> dict[str, Measure]:
    """The measures of a line, by name; values that are not finite numbers are left out.

    Args:
      line: one line of metrics.jsonl or results.jsonl.
    """
    units = line.get("units")
    if not isinstance(units, Mapping):
        units = {name: PERCENT for name in line if name.endswith("_accuracy") and "/" not in name}
    return {
        name: Measure(line[name], unit)
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

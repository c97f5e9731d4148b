"""The charts of a run: of its accuracies, of other measures by unit, of its losses by player."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sgan_jax.metrics.measure import label, losses, measures
from sgan_jax.report import pictures

Curves = dict[str, list[tuple[float, float]]]  # points (step, value) by name

PLAYERS = {"d": "Discriminator and classifier", "g": "Generator"}
LOG_FROM = 10  # largest over smallest loss, from which on the scale is logarithmic
_ACCURACY, _GENERATOR = "_accuracy", "generator_"


def charts(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """SVG elements of the measures, then of the losses, over the steps of a run.

    What was measured at one step only has no chart: it would be a lone dot.

    Args:
      lines: those of metrics.jsonl.
    """
    drawn = [
        pictures.curves_svg({words(name): points for name, points in curves.items()}, _title(curves), unit or "value")
        for unit, curves in _over_time(_accuracies_apart(measures_by_unit(lines)))
    ]
    for player, curves in _over_time(losses_by_player(lines).items()):
        values = [value for points in curves.values() for _, value in points]
        log = min(values) > 0 and max(values) >= LOG_FROM * min(values)
        title = f"{PLAYERS.get(player, f'Player {player}')}: terms of the loss"
        drawn.append(pictures.curves_svg(curves, title, "loss", log))
    return drawn


def measures_by_unit(lines: Iterable[Mapping[str, Any]]) -> dict[str, Curves]:
    """Curves of the measures as a reader sees them (accuracies in %), by unit."""
    units: dict[str, Curves] = {}
    for line in lines:
        for name, measure in measures(line).items():
            units.setdefault(measure.unit, {}).setdefault(name, []).append((line["step"], measure.shown))
    return units


def losses_by_player(lines: Iterable[Mapping[str, Any]]) -> dict[str, Curves]:
    """Curves of the terms that are descended, by player; `d/fake` is called `d fake`."""
    players: dict[str, Curves] = {}
    for line in lines:
        for name, value in losses(line).items():
            curves = players.setdefault(name.partition("/")[0], {})
            curves.setdefault(name.replace("/", " "), []).append((line["step"], value))
    return dict(sorted(players.items()))


def _accuracies_apart(units: Mapping[str, Curves]) -> Iterator[tuple[str, Curves]]:
    """The measures of each unit, accuracies by themselves: the name of a curve lacks that word."""
    for unit, curves in units.items():
        for are_accuracies in (True, False):
            some = {name: points for name, points in curves.items() if name.endswith(_ACCURACY) == are_accuracies}
            if some:
                yield unit, some


def _over_time(groups: Iterable[tuple[str, Curves]]) -> Iterator[tuple[str, Curves]]:
    """The groups whose curves reach over two steps or more."""
    for name, curves in groups:
        if len({step for points in curves.values() for step, _ in points}) > 1:
            yield name, curves


def words(name: str) -> str:
    """A measure's name on the page, where accuracies need no word of their own: `averaged weights test`."""
    return label(name.removesuffix(_ACCURACY))


def _title(curves: Curves) -> str:
    if all(name.endswith(_ACCURACY) for name in curves):
        return "Accuracy"
    if len(curves) > 1 and all(name.startswith(_GENERATOR) for name in curves):
        return "Generated images"
    return words(next(iter(curves))) if len(curves) == 1 else "Measures"

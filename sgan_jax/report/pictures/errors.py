"""Errors against numbers of labels."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgan_jax.report.pictures.canvas import INK, MUTED, legible, png, write
from sgan_jax.report.pictures.ticks import logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "Dsv^<>Pph8X*d"  # of published figures, in turn
OWN_MARKERS, COLORS = "osD^", 10  # of ours: the next marker after the ten colours of Matplotlib
APART, ALL_APART = 1.03, 1.12  # factor between neighbouring curves of ours at the same labels; at most, first to last


class Point(NamedTuple):
    """An error at a number of labels."""

    labels: int
    mean: float  # %
    deviation: float | None = None  # %, None where it is not known


class Curve(NamedTuple):
    """What one method reaches, its points by ascending number of labels."""

    name: str
    points: Sequence[Point]
    published: bool = False  # drawn as marks in grey


def save_errors(curves: Sequence[Curve], path: str | Path, title: str) -> None:
    """Write curves of the error (%) against the number of labels as a PNG, both axes logarithmic.

    Bars reach one deviation up and down, as far as the picture goes. A mean of zero has no place on a
    logarithmic axis and is left out.

    Raises:
        UserError: the file cannot be written.
        ValueError: no curve, or a curve without points.
    """
    if not curves or not all(curve.points for curve in curves):
        raise ValueError("a plot of errors needs at least one curve and each curve at least one point")
    write(path, png(errors_figure(curves, title), bbox_inches="tight", pad_inches=0.2))


def errors_figure(curves: Sequence[Curve], title: str) -> "Figure":
    """The figure that `save_errors` writes; arguments as there."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    (title, *names), families = legible([title, *(curve.name for curve in curves)])
    text: dict[str, Any] = {"family": families, "parse_math": False}
    figure = Figure((7, 5))
    axes = figure.add_axes((0.1, 0.12, 0.88, 0.78), xscale="log")
    axes.set_yscale("log", nonpositive="clip")
    labels = sorted({point.labels for curve in curves for point in curve.points})
    axes.set_xlim(labels[0] / 1.3, labels[-1] * 1.3)
    for curve, name, style, aside in zip(curves, names, _styles(curves), _asides(curves), strict=True):
        points = [point for point in curve.points if point.mean > 0]
        deviations = [point.deviation or 0.0 for point in points]
        axes.errorbar([p.labels * aside for p in points], [p.mean for p in points], deviations, label=name, **style)
    logarithmic(axes, *_range([point for curve in curves for point in curve.points if point.mean > 0]))
    axes.set_xticks(labels, [f"{count:,}" for count in labels], fontsize=9, **text)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.grid(which="both", color="#d8dde3", linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("labelled images", fontsize=11, color=MUTED, **text)
    axes.set_ylabel("test error, %", fontsize=11, color=MUTED, **text)
    axes.set_title(title, fontsize=13, fontweight="bold", color=INK, loc="left", **text)
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, prop={"family": families, "size": 9}
    )
    for entry in legend.get_texts():
        entry.set_parse_math(False)
    return figure


def _styles(curves: Sequence[Curve]) -> Iterator[dict[str, Any]]:
    """How each curve is drawn: ours as lines in colours, published ones as grey marks."""
    ours, published = count(), count()
    for curve in curves:
        if curve.published:
            marker = MARKERS[next(published) % len(MARKERS)]
            style = {"marker": marker, "markersize": 5, "color": "#8b949e", "zorder": 2, "linewidth": 0.8}
            yield style | {"linestyle": ":", "elinewidth": 0.8, "markerfacecolor": "white"}
        else:
            marker = OWN_MARKERS[next(ours) // COLORS % len(OWN_MARKERS)]
            yield {"marker": marker, "markersize": 6, "linewidth": 1.8, "capsize": 4, "zorder": 3}


def _asides(curves: Sequence[Curve]) -> Iterator[float]:
    """Factors that move our curves beside one another, so that bars at the same labels do not cover one another."""
    last = sum(not curve.published for curve in curves) - 1
    step, ours = min(APART, ALL_APART ** (1 / max(last, 1))), count()
    for curve in curves:
        yield 1.0 if curve.published else step ** (next(ours) - last / 2)


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """The smallest and largest error to show, bars included; a bar may reach below half its mean unseen."""
    lowest = [max(point.mean - (point.deviation or 0.0), point.mean / 2) for point in points]
    highest = [point.mean + (point.deviation or 0.0) for point in points]
    return min(lowest, default=1.0), max(highest, default=1.0)

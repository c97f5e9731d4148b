"""Errors against numbers of labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgan_jax.report.pictures.canvas import INK, MUTED, legible, png, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "Dsv^<>Pph8X*d"  # of published figures, in turn
OWN_MARKERS, COLORS = "osD^", 10  # of ours: another mark where Matplotlib's colors begin anew
APART, ALL_APART = 1.03, 1.12  # from one of our curves to the next at the same labels, to tell bars apart; to the last
LEAST_SPAN = 6.25  # largest error over smallest, so that two of the ticks at 1, 2, 5, 10 ... are always in between


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

    Bars reach one deviation up and down, as far as the picture goes. A mean of zero has no place on the axis and is
    left out.

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
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    (title, *names), families = legible([title, *(curve.name for curve in curves)])
    text: dict[str, Any] = {"family": families, "parse_math": False}
    figure = Figure((7, 5))
    axes = figure.add_axes((0.1, 0.12, 0.88, 0.78), xscale="log")
    axes.set_yscale("log", nonpositive="clip")
    labels = sorted({point.labels for curve in curves for point in curve.points})
    axes.set_xlim(labels[0] / 1.3, labels[-1] * 1.3)
    ours, published = 0, 0
    last = sum(not curve.published for curve in curves) - 1
    lowest, highest = [], []
    for curve, name in zip(curves, names, strict=True):
        points = [point for point in curve.points if point.mean > 0]
        own = OWN_MARKERS[ours // COLORS % len(OWN_MARKERS)]
        style: dict[str, Any] = {"marker": own, "markersize": 6, "linewidth": 1.8, "capsize": 4, "zorder": 3}
        if curve.published:
            style = {"marker": MARKERS[published % len(MARKERS)], "markersize": 5, "color": "#8b949e", "zorder": 2}
            style |= {"linewidth": 0.8, "linestyle": ":", "elinewidth": 0.8, "markerfacecolor": "white"}
            published += 1
        aside = 1.0 if curve.published else min(APART, ALL_APART ** (1 / max(last, 1))) ** (ours - last / 2)
        ours += not curve.published
        spread = [point.deviation or 0.0 for point in points]
        axes.errorbar([p.labels * aside for p in points], [p.mean for p in points], spread, label=name, **style)
        for point, deviation in zip(points, spread, strict=True):
            lowest.append(max(point.mean - deviation, point.mean / 2))
            highest.append(point.mean + deviation)
    if lowest:
        bottom, top = min(lowest) / 1.2, max(highest) * 1.2
        widening = max(1.0, LEAST_SPAN * bottom / top) ** 0.5
        axes.set_ylim(bottom / widening, top * widening)
    axes.set_xticks(labels, [f"{count:,}" for count in labels], fontsize=9, **text)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
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

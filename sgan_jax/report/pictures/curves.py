"""Curves over the steps of a run, and reliability diagrams: SVG, for pages."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sgan_jax.report.pictures.canvas import INK, MUTED, legible
from sgan_jax.report.pictures.ticks import logarithmic, whole_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.4, 3.4)  # inches: text stays legible on the width of a phone
FEW_POINTS = 40  # below which each point of a curve has a marker


def curves_svg(curves: Mapping[str, Sequence[tuple[float, float]]], title: str, unit: str, log: bool = False) -> str:
    """An SVG element of curves over steps.

    Args:
      curves: points (step, value) by name, at least one point each.
      title: what they are.
      unit: of the values.
      log: draw the values on a logarithmic scale; all must be positive.
    """
    return _svg(curves_figure(curves, title, unit, log))


def curves_figure(
    curves: Mapping[str, Sequence[tuple[float, float]]], title: str, unit: str, log: bool = False
) -> "Figure":
    """The figure that `curves_svg` renders; arguments as there."""
    figure, axes = _axes(title)
    names, families = legible(list(curves))
    for name, points in zip(names, curves.values(), strict=True):
        single = len(points) == 1  # drawn larger: no line leads to it
        marker = "o" if len(points) < FEW_POINTS else None
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.4, marker=marker, markersize=6 if single else 3)
    values = [value for points in curves.values() for _, value in points]
    if log:
        logarithmic(axes, min(values), max(values))
    else:
        axes.ticklabel_format(axis="y", useOffset=False)  # ticks show whole values, not distances from one
        if min(values) == max(values):
            axes.set_ylim(*_around(values[0]))
    whole_steps(axes, max(step for points in curves.values() for step, _ in points))
    axes.set_xlabel("step", fontsize=9, color=MUTED)
    axes.set_ylabel(unit, fontsize=9, color=MUTED)
    legend = axes.legend(frameon=False, prop={"family": families, "size": 8})
    for entry in legend.get_texts():
        entry.set_parse_math(False)
    return figure


def reliability_svg(bins: Sequence[tuple[int, float, float]], title: str) -> str:
    """An SVG element of accuracy against confidence; Guo et al., arXiv 1706.04599, figure 1.

    Args:
      bins: (images, mean confidence, accuracy) of each bin.
      title: which images.
    """
    figure, axes = _axes(title)
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle="--", label="perfectly calibrated")
    largest = max((count for count, _, _ in bins), default=1)
    sizes = [20 + 180 * (count / largest) ** 0.5 for count, _, _ in bins]
    axes.scatter([b[1] for b in bins], [b[2] for b in bins], sizes, color="#0969da", alpha=0.8, label="this classifier")
    for count, confidence, accuracy in bins:
        axes.annotate(f"{count:,}", (confidence, accuracy), (7, -9), textcoords="offset points", fontsize=7, color=INK)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("confidence: mean probability of the predicted class (number of images)", fontsize=9, color=MUTED)
    axes.set_ylabel("accuracy", fontsize=9, color=MUTED)
    axes.legend(frameon=False, fontsize=8, loc="upper left", markerscale=0.4)
    return _svg(figure)


def _around(value: float) -> tuple[float, float]:
    """Limits of an axis with one value in its middle: a tenth of it below and above."""
    margin = abs(value) / 10 or 1.0
    return value - margin, value + margin


def _axes(title: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot()
    (title,), families = legible([title])
    style: dict[str, Any] = {"family": families, "parse_math": False}
    axes.set_title(title, fontsize=10, color=INK, loc="left", **style)
    axes.tick_params(labelsize=8, colors=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eaeef2", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: "Figure") -> str:
    import matplotlib

    buffer = io.StringIO()
    # Glyphs as paths: the reader need not have the font. With a fixed salt, the same picture has the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "sgan_jax"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]

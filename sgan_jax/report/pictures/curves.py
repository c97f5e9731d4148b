"""Curves over the steps of a run, and how far confidence is to be believed: SVG, for pages."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sgan_jax.report.pictures.canvas import INK, MUTED, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.4, 3.4)  # inches: legible on a phone that is as wide


def curves_svg(curves: Mapping[str, Sequence[tuple[float, float]]], title: str, unit: str, log: bool = False) -> str:
    """An SVG element of curves over steps.

    Args:
      curves: points (step, value) by name.
      title: what they are.
      unit: of the values.
      log: draw the values on a logarithmic scale.
    """
    figure, axes = _axes(title)
    names, families = legible(list(curves))
    for name, points in zip(names, curves.values(), strict=True):
        marker = "o" if len(points) < 40 else None
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1.4, marker=marker, markersize=3)
    if log:
        axes.set_yscale("log", nonpositive="mask")
    axes.set_xlabel("step", fontsize=9, color=MUTED)
    axes.set_ylabel(unit, fontsize=9, color=MUTED)
    axes.legend(frameon=False, prop={"family": families, "size": 8})
    return _svg(figure)


def reliability_svg(bins: Sequence[tuple[int, float, float]], title: str) -> str:
    """An SVG element of accuracy against confidence; Guo et al., arXiv 1706.04599, figure 1.

    Args:
      bins: (images, mean confidence, accuracy) of each bin.
      title: what it is of.
    """
    figure, axes = _axes(title)
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle="--", label="as right as it is sure")
    largest = max((count for count, _, _ in bins), default=1)
    sizes = [20 + 180 * (count / largest) ** 0.5 for count, _, _ in bins]
    axes.scatter([b[1] for b in bins], [b[2] for b in bins], sizes, color="#0969da", alpha=0.8, label="this classifier")
    for count, confidence, accuracy in bins:
        axes.annotate(f"{count:,}", (confidence, accuracy), (7, -9), textcoords="offset points", fontsize=7, color=INK)
    axes.set_xlim(0, 1.03)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("mean probability of the class that is said (images in each group)", fontsize=9, color=MUTED)
    axes.set_ylabel("share that is right", fontsize=9, color=MUTED)
    axes.legend(frameon=False, fontsize=8, loc="upper left", markerscale=0.4)
    return _svg(figure)


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
    return figure, axes


def _svg(figure: "Figure") -> str:
    import matplotlib

    held = io.StringIO()
    # Glyphs as paths: whoever looks at it need not have the font. A salt, or the names in a picture change each time.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "sgan_jax"}):
        figure.savefig(held, format="svg", metadata={"Date": None, "Creator": None})
    text = held.getvalue()
    return text[text.index("<svg") :]

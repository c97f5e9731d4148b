"""Scales that can be read: a logarithmic axis with several numbered ticks, an axis of whole steps."""

from math import log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_SPAN = 6.25  # largest value over smallest, so that at least two of the ticks at 1, 2, 5, 10 ... lie in between
FEW_DECADES = 2.5  # up to which each decade has ticks at 1, 2 and 5, and above only at 1
MOST_TICKS = 7


def logarithmic(axes: "Axes", lowest: float, highest: float) -> None:
    """Makes the vertical axis logarithmic, with numbered ticks at 1, 2, 5, 10 ... or at powers of ten.

    Args:
        axes: what to change.
        lowest: smallest value to show, above 0.
        highest: largest value to show.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log", nonpositive="clip")
    bottom, top = lowest / 1.2, highest * 1.2
    widening = max(1.0, LEAST_SPAN * bottom / top) ** 0.5
    bottom, top = bottom / widening, top * widening
    axes.set_ylim(bottom, top)
    few = log10(top / bottom) <= FEW_DECADES
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if few else LogLocator(numticks=MOST_TICKS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def whole_steps(axes: "Axes", last: float) -> None:
    """Has the horizontal axis run from step 0 to the last one, with ticks at whole steps."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, max(last, 1) * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))

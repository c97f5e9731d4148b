"""Confusion matrices."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from sgan_jax.report.pictures.canvas import EMPTY, EMPTY_INK, INK, MUTED, legible, png, readable_ink, ruler, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NUMBERED = 30  # classes up to which a confusion matrix has its counts printed
MAX_NAME = 24  # characters of a class name that are shown
LEAST_SHARE = 1e-3  # of a class: where the colour scale of mistakes begins


def save_confusion(counts: np.ndarray, class_names: Sequence[str], path: str | Path, title: str) -> None:
    """Write a confusion matrix as a PNG: `confusion_colors`, recall at the right, counts for up to 30 classes.

    Args:
        counts: int [K,K], K >= 2, rows the true class, columns the predicted one.
        class_names: K names.
        path: the PNG; parent folders are made.
        title: heading; the accuracy is added beneath it.

    Raises:
        UserError: the file cannot be written.
        ValueError: counts are not a square matrix of non-negative integers, or the number of names differs.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError(f"counts must be [K,K] with K at least 2, not {list(counts.shape)}")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min() < 0:
        raise ValueError("counts must be non-negative integers")
    if len(class_names) != len(counts):
        raise ValueError(f"{len(counts)} classes but {len(class_names)} class names")
    write(path, png(confusion_figure(counts, class_names, title), bbox_inches="tight", pad_inches=0.2))


def confusion_colors(counts: np.ndarray) -> np.ndarray:
    """Colors [K,K,3] (red, green, blue from 0 to 1) of a confusion matrix [K,K], by each cell's share of its row.

    Mistakes run from yellow to red on a logarithmic scale from 0.1% to 100%, the same in every picture, so that one in
    a thousand is visible beside the thousands that are correct. The diagonal is blue; grey means no image at all.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    place = 1 - np.log10(np.clip(share, LEAST_SHARE, 1)) / np.log10(LEAST_SHARE)
    colors: np.ndarray = colormaps["YlOrRd"](place)[..., :3]
    # Two thirds of the scale of blues: a diagonal of nearly full rows must not outshine the mistakes.
    own = np.eye(len(counts), dtype=bool)
    colors[own] = colormaps["Blues"](0.08 + 0.57 * share[own])[:, :3]
    colors[counts == 0] = to_rgb(EMPTY)
    return colors


def confusion_figure(counts: np.ndarray, class_names: Sequence[str], title: str) -> "Figure":
    """The figure that `save_confusion` writes; arguments as there."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    size, colors = len(counts), confusion_colors(counts)
    totals, right = counts.sum(axis=1), counts.diagonal()
    (title, *names), families = legible([title, *class_names])
    names = [name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…" for name in names]
    text: dict[str, Any] = {"family": families, "parse_math": False}
    inches = ruler(families)
    numbered = size <= MAX_NUMBERED
    points = (11 if size <= 10 else 8) if numbered else 6  # size of names and figures
    font: dict[str, Any] = {"fontsize": points}
    cell = max(0.6 if size <= 10 else 0.4, inches(f"{counts.max():,}", font) + 0.14) if numbered else 0.125
    cell = max(cell, 3.6 / size)
    side = cell * size

    figure = Figure((side + 2.5, side + 1.5))
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0.5 / width, 0.5 / height, side / width, side / height))
    axes.imshow(colors, interpolation="nearest")
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=min(1.5, 9 * cell))
    axes.tick_params(which="both", length=0, colors=INK)
    axes.spines[:].set_visible(False)
    turned: dict[str, Any] = {}
    if max(inches(name, font) for name in names) > cell - 0.08:
        turned = {"rotation_mode": "anchor", "ha": "right"}
        turned |= {"rotation": 45, "va": "top"} if numbered else {"rotation": 90, "va": "center"}
    axes.set_xticks(np.arange(size), names, **font, **text, **turned)
    axes.set_yticks(np.arange(size), names, **font, **text)
    axes.set_xlabel("predicted class", fontsize=11, color=MUTED, labelpad=8, **text)
    axes.set_ylabel("true class", fontsize=11, color=MUTED, labelpad=8, **text)

    for (row, column), count in np.ndenumerate(counts) if numbered else ():
        ink = readable_ink(colors[row, column]) if count else EMPTY_INK
        axes.text(column, row, f"{count:,}", ha="center", va="center_baseline", color=ink, **font, **text)
    for row, (hits, total) in enumerate(zip(right, totals, strict=True)):
        recall = f"{hits / total:.1%}" if total else "-"
        axes.text(size - 0.5 + 0.1 / cell, row, recall, va="center_baseline", color=INK, **font, **text)

    def above(string: str, x: float, points_right: float, points_up: float, **style: Any) -> None:
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        axes.annotate(string, (x, 1), (points_right, points_up), **where, **style, **text)

    above("recall", 1, 7.2, 8, fontsize=max(points, 9), color=MUTED)
    accuracy = f"accuracy {right.sum() / max(totals.sum(), 1):.2%}: {right.sum():,} of {totals.sum():,}"
    above(accuracy, 0, 0, 8, fontsize=10, color=MUTED)
    above("\n".join(wrap(title, max(20, int(9 * side)))), 0, 0, 26, fontsize=13, fontweight="bold", color=INK)

    scale = figure.add_axes(((0.5 + side + 0.95) / width, 0.5 / height, 0.16 / width, side / height))
    bar = figure.colorbar(ScalarMappable(LogNorm(LEAST_SHARE, 1), "YlOrRd"), cax=scale)
    bar.set_ticks([0.001, 0.01, 0.1, 1.0], labels=["0.1%", "1%", "10%", "100%"], fontsize=9, **text)
    bar.minorticks_off()
    bar.outline.set_visible(False)
    bar.set_label("mistakes: share of the true class", fontsize=10, color=MUTED, **text)
    return figure

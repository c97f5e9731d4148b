"""PNG pictures: grids of images, confusion matrices, diagrams of networks.

Drawn with Pillow and with Matplotlib's object-oriented Agg interface: no display, no global state. A picture is whole
or absent, since it is written beside its place and then moved there.
"""

import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sgan_jax.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 64  # pixels up to which the tiles of a grid are enlarged
MAX_NUMBERED = 30  # classes up to which a confusion matrix has its counts printed
MAX_NAME = 24  # characters of a class name that are shown
LEAST_SHARE = 1e-3  # of a class: where the color scale of mistakes begins
DPI = 150
FONT = "DejaVu Sans"  # comes with Matplotlib
INK, MUTED, EMPTY, EMPTY_INK = "#1f2328", "#656d76", "#f3f4f6", "#6e7580"

# Of a diagram, in inches.
MARGIN, TOP, BOX_HEIGHT, BOX_INSET, ROW_GAP, BOX_GAP, LANE, NETWORK_GAP = 0.3, 0.95, 0.6, 0.13, 0.36, 0.4, 0.3, 0.8
TITLE: dict[str, Any] = {"fontsize": 14, "fontweight": "bold", "color": INK}
TOTAL: dict[str, Any] = {"fontsize": 10, "color": MUTED}
BOX_FONTS: tuple[dict[str, Any], ...] = (  # name, kind, shape, parameters
    {"fontsize": 10, "fontweight": "bold", "color": INK},
    {"fontsize": 9, "color": MUTED},
    {"fontsize": 9, "color": INK},
    {"fontsize": 9, "color": MUTED},
)
Place = tuple[float, int]  # x of a center, rank


class Layer(NamedTuple):
    """One layer of a diagram."""

    name: str
    kind: str  # what it does, such as "Conv 3x3, stride 2"
    output: tuple[int | None, ...]  # shape, None for the batch
    parameters: int
    inputs: tuple[int, ...] = ()  # indices of the layers it reads; empty for the preceding one


class Network(NamedTuple):
    """A titled list of layers, each after the layers it reads."""

    title: str
    layers: Sequence[Layer]


def save_grid(images: np.ndarray, path: str | Path, columns: int = 10, pad: int = 2) -> None:
    """Write images as the tiles of one PNG, row by row, on black.

    Small images are enlarged by the largest whole factor that keeps a tile within 64 pixels (28 -> 56).

    Args:
        images: uint8 [N,H,W,C], C 1 (gray) or 3 (red, green, blue), N >= 1.
        path: the PNG; parent folders are made.
        columns: tiles in a row; fewer if there are fewer images.
        pad: pixels of the picture between tiles and around them.

    Raises:
        UserError: the file cannot be written.
        ValueError: images of another shape or type.
    """
    from PIL import Image

    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images must be uint8 [N,H,W,1 or 3], not {images.dtype} {list(images.shape)}")
    if columns < 1 or pad < 0:
        raise ValueError(f"columns must be at least 1 and pad at least 0, not {columns} and {pad}")
    factor = max(1, TILE // max(images.shape[1:3]))
    tiles = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = tiles.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + pad) + pad, columns * (width + pad) + pad, channels), np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = pad + row * (height + pad), pad + column * (width + pad)
        canvas[top : top + height, left : left + width] = tile
    buffer = io.BytesIO()
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(buffer, format="PNG", optimize=True)
    _write(path, buffer.getvalue())


def save_confusion(counts: np.ndarray, class_names: Sequence[str], path: str | Path, title: str) -> None:
    """Write a confusion matrix as a PNG: `confusion_colors`, recall at the right, counts for up to 30 classes.

    Args:
        counts: int [K,K], K >= 2, rows the true class, columns the predicted one.
        class_names: K names.
        path: the PNG; parent folders are made.
        title: heading; the accuracy is added beneath it.

    Raises:
        UserError: the file cannot be written.
        ValueError: counts that are no square matrix of non-negative integers, or another number of names.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise ValueError(f"counts must be [K,K] with K at least 2, not {list(counts.shape)}")
    if not np.issubdtype(counts.dtype, np.integer) or counts.min() < 0:
        raise ValueError("counts must be non-negative integers")
    if len(class_names) != len(counts):
        raise ValueError(f"{len(counts)} classes but {len(class_names)} class names")
    _write(path, _png(confusion_figure(counts, class_names, title), bbox_inches="tight", pad_inches=0.2))


def save_diagram(networks: Sequence[Network], path: str | Path) -> None:
    """Write networks side by side as a PNG: a box for each layer, an arrow for each of its inputs.

    Raises:
        UserError: the file cannot be written.
        ValueError: no network, a network without layers, or an input that does not precede its layer.
    """
    if not networks or not all(network.layers for network in networks):
        raise ValueError("a diagram needs at least one network and each network at least one layer")
    _write(path, _png(diagram_figure(networks)))


def confusion_colors(counts: np.ndarray) -> np.ndarray:
    """Colors [K,K,3] (red, green, blue from 0 to 1) of a confusion matrix [K,K], by each cell's share of its row.

    Mistakes run from yellow to red on a logarithmic scale from 0.1% to 100%, the same in every picture, so that one in
    a thousand is seen beside the thousands that are right. The diagonal is blue, and gray stands for no image at all.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    place = 1 - np.log10(np.clip(share, LEAST_SHARE, 1)) / np.log10(LEAST_SHARE)
    colors: np.ndarray = colormaps["YlOrRd"](place)[..., :3]
    # Two thirds of the scale of blues: a diagonal of nearly full rows is to lie quietly under the mistakes.
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
    (title, *names), families = _legible([title, *class_names])
    names = [name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…" for name in names]
    text: dict[str, Any] = {"family": families, "parse_math": False}
    inches = _ruler(families)
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


def diagram_figure(networks: Sequence[Network]) -> "Figure":
    """The figure that `save_diagram` writes; its data units are inches, y downwards."""
    from matplotlib.figure import Figure

    words = [s for network in networks for s in (network.title, *(w for layer in network.layers for w in layer[:2]))]
    words, families = _legible(words)
    inches, word = _ruler(families), iter(words)
    text: dict[str, Any] = {"va": "center_baseline", "family": families, "parse_math": False}

    # Measure first: no text may be wider than its box, no title wider than the room of its network.
    plans = []
    for network in networks:
        title, total = next(word), _parameters(sum(layer.parameters for layer in network.layers))
        boxes = [
            (next(word), next(word), _shape(layer.output), _parameters(layer.parameters)) for layer in network.layers
        ]
        widths = [[inches(*pair) for pair in zip(box, BOX_FONTS, strict=True)] for box in boxes]
        width = max(max(w[0] + w[1], w[2] + w[3]) for w in widths) + 2 * BOX_INSET + 0.35
        places, arrows = arrange(network.layers, width + BOX_GAP, LANE)
        reach = [x + half for x, _ in places for half in (-width / 2, width / 2)]
        reach += [x for arrow in arrows for x, _ in arrow]
        room = max(max(reach) - min(reach), inches(title, TITLE), inches(total, TOTAL))
        plans.append((title, total, boxes, width, places, arrows, room, (max(reach) + min(reach)) / 2))
    ranks = 1 + max(rank for plan in plans for _, rank in plan[4])
    across = 2 * MARGIN + sum(plan[6] for plan in plans) + NETWORK_GAP * (len(plans) - 1)
    down = TOP + ranks * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + MARGIN

    figure = Figure((across, down))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, across), ylim=(down, 0))
    axes.set_axis_off()
    left = MARGIN
    for title, total, boxes, width, places, arrows, room, middle in plans:
        center = left + room / 2
        left += room + NETWORK_GAP
        axes.text(center, MARGIN + 0.1, title, ha="center", **TITLE, **text)
        axes.text(center, MARGIN + 0.36, total, ha="center", **TOTAL, **text)
        for arrow in arrows:
            _draw_arrow(axes, [(center - middle + x, _y(rank)) for x, rank in arrow])
        for (x, rank), box in zip(places, boxes, strict=True):
            _draw_box(axes, center - middle + x - width / 2, _y(rank), width, box, text)
    return figure


def _draw_box(axes: "Axes", x: float, y: float, width: float, box: Sequence[str], text: dict[str, Any]) -> None:
    """Draw a box from its upper left corner (inches): name and kind above, shape and parameters below."""
    from matplotlib.patches import FancyBboxPatch

    face, edge = ("#f6f7f9", "#b8bec6") if box[3] == _parameters(0) else ("#e8f1fb", "#5b8fc7")
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.07", "facecolor": face, "edgecolor": edge}
    axes.add_patch(FancyBboxPatch((x, y), width, BOX_HEIGHT, **style))
    for index, (string, font) in enumerate(zip(box, BOX_FONTS, strict=True)):
        side, ha = (x + width - BOX_INSET, "right") if index % 2 else (x + BOX_INSET, "left")
        axes.text(side, y + (0.19, 0.42)[index // 2], string, ha=ha, **font, **text)


def _draw_arrow(axes: "Axes", corners: Sequence[tuple[float, float]]) -> None:
    """Draw an arrow (inches) from box to box, past the boxes of the ranks between; corners are the tops of each."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    points: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        bottom, middle = y0 + BOX_HEIGHT, y0 + BOX_HEIGHT + 0.4 * ROW_GAP
        # The last stretch is straight, for the head to point downwards.
        points += [(x0, bottom), (x0, middle), (x1, middle), (x1, y1 - 0.2 * ROW_GAP), (x1, y1)]
    codes = [Curve.LINETO, *[Curve.CURVE4] * 3, Curve.LINETO] * (len(corners) - 1)
    curve = Curve(points, [Curve.MOVETO, *codes[1:]])
    style: dict[str, Any] = {"arrowstyle": "-|>,head_length=4,head_width=2.4", "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(path=curve, color=MUTED, linewidth=1.2, joinstyle="miter", **style))


def arrange(layers: Sequence[Layer], pitch: float, lane: float) -> tuple[list[Place], list[list[Place]]]:
    """Places for the boxes and arrows of a network: the ranks from top to bottom, branches side by side.

    Args:
        layers: each after the layers it reads.
        pitch: distance between the centers of two boxes of a rank.
        lane: room for an arrow that passes beside the boxes of a rank.

    Returns:
        a place for each layer, the first at x = 0, and for each arrow its places from box to box.

    Raises:
        ValueError: an input that does not precede its layer.
    """
    rank: dict[tuple[int, ...], int] = {}  # of boxes (i,) and of lanes (source, target, rank)
    parents: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    arrows = []
    for index, layer in enumerate(layers):
        sources = layer.inputs or ((index - 1,) if index else ())
        if not all(0 <= source < index for source in sources):
            raise ValueError(f"layer {index} ({layer.name!r}) reads {list(sources)}; an input must precede its layer")
        rank[index,] = 1 + max((rank[source,] for source in sources), default=-1)
        parents[index,] = []
        for source in sources:
            lanes = [(source, index, r) for r in range(rank[source,] + 1, rank[index,])]
            arrow: list[tuple[int, ...]] = [(source,), *lanes, (index,)]
            for upper, lower in pairwise(arrow):
                rank[lower] = rank[upper] + 1
                parents.setdefault(lower, []).append(upper)
            arrows.append(arrow)

    x: dict[tuple[int, ...], float] = {}
    for level in range(1 + max(rank.values())):
        # Each wants to stand below the mean of what it reads. Where they would overlap they are moved apart, by the
        # least squares: isotonic regression of wishes less offsets, by pooling adjacent violators.
        wish = {node: _mean([x[p] for p in parents[node]]) for node in rank if rank[node] == level}
        row = sorted(wish, key=lambda node: (wish[node], len(node), node))
        widths = [pitch if len(node) == 1 else lane for node in row]
        offsets = [sum(widths[:i]) + widths[i] / 2 for i in range(len(row))]
        blocks: list[list[float]] = []
        for node, offset in zip(row, offsets, strict=True):
            blocks.append([wish[node] - offset])
            while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
                blocks[-2:] = [blocks[-2] + blocks[-1]]
        starts = [_mean(block) for block in blocks for _ in block]
        x |= {node: start + offset for node, start, offset in zip(row, starts, offsets, strict=True)}
    return [(x[i,], rank[i,]) for i in range(len(layers))], [[(x[n], rank[n]) for n in arrow] for arrow in arrows]


def readable_ink(color: Sequence[float] | np.ndarray) -> str:
    """Black or white, whichever has the greater contrast (WCAG 2) on a color of red, green and blue from 0 to 1."""
    return "black" if luminance(color) > 0.179 else "white"


def luminance(color: Sequence[float] | np.ndarray) -> float:
    """Relative luminance (WCAG 2), 0 to 1, of a color of red, green and blue from 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _legible(strings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Strings that can be drawn on one line, and the font families for it.

    Installed fonts are searched for what Matplotlib's own lacks, such as Japanese; a character that no font has becomes
    its number, `U+3042`.
    """
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    strings = ["".join(c for c in " ".join(string.split()) if c.isprintable()) for string in strings]
    missing, families = set("".join(strings)), [FONT]
    # Of the other fonts that come with Matplotlib, some give characters the shapes of others.
    others = (font for font in fontManager.ttflist if font.name != FONT and "mpl-data" not in font.fname)
    for font in [*(font for font in fontManager.ttflist if font.name == FONT), *others]:
        if not missing:
            break
        with suppress(OSError, RuntimeError):  # removed since the list was made
            have = missing & set(map(chr, FT2Font(font.fname).get_charmap()))
            families += [font.name] if have and font.name not in families else []
            missing -= have
    return ["".join(f"U+{ord(c):04X}" if c in missing else c for c in string) for string in strings], families


def _ruler(families: Sequence[str]) -> Callable[[str, dict[str, Any]], float]:
    """A function that gives the width in inches of a string in a font (keywords as of Axes.text)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    def inches(string: str, font: dict[str, Any]) -> float:
        weight = font.get("fontweight", "normal")
        properties = FontProperties(family=list(families), size=font["fontsize"], weight=weight)
        return text_to_path.get_text_width_height_descent(string, properties, False)[0] / 72

    return inches


def _y(rank: int) -> float:
    return TOP + rank * (BOX_HEIGHT + ROW_GAP)


def _parameters(count: int) -> str:
    return f"{count:,} parameter{'s' * (count != 1)}"


def _shape(output: tuple[int | None, ...]) -> str:
    return f"({', '.join(map(str, output))}{',' * (len(output) == 1)})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _png(figure: "Figure", **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", **options)
    return buffer.getvalue()


def _write(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; parent folders are made."""
    path = Path(path)
    if not path.name:
        raise UserError(f"{path}: a picture needs the name of a file; give one ending in .png")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot write the picture ({reason}); choose another place") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)

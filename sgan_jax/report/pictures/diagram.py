"""Diagrams of networks, as Keras's `plot_model` draws them."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgan_jax.report.pictures.canvas import INK, MUTED, legible, png, ruler, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
Place = tuple[float, int]  # x of a centre, rank


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


def save_diagram(networks: Sequence[Network], path: str | Path) -> None:
    """Write networks side by side as a PNG: a box for each layer, an arrow for each of its inputs.

    Raises:
        UserError: the file cannot be written.
        ValueError: no network, a network without layers, or an input that does not precede its layer.
    """
    if not networks or not all(network.layers for network in networks):
        raise ValueError("a diagram needs at least one network and each network at least one layer")
    write(path, png(diagram_figure(networks)))


def diagram_figure(networks: Sequence[Network]) -> "Figure":
    """The figure that `save_diagram` writes; its data units are inches, y downwards."""
    from matplotlib.figure import Figure

    words = [s for network in networks for s in (network.title, *(w for layer in network.layers for w in layer[:2]))]
    words, families = legible(words)
    inches, word = ruler(families), iter(words)
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
        pitch: distance between the centres of two boxes of a rank.
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
        # Each node should stand below the mean of the nodes that it reads. Nodes that would overlap are moved apart by
        # least squares: isotonic regression of wishes minus offsets, by pooling adjacent violators.
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


def _y(rank: int) -> float:
    return TOP + rank * (BOX_HEIGHT + ROW_GAP)


def _parameters(count: int) -> str:
    return f"{count:,} parameter{'s' * (count != 1)}"


def _shape(output: tuple[int | None, ...]) -> str:
    return f"({', '.join(map(str, output))}{',' * (len(output) == 1)})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0

"""Diagrams of networks, as Keras's `plot_model` draws them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sgan_jax.report.pictures.canvas import DPI, INK, MUTED, legible, png, ruler, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of a diagram, in inches.
MARGIN, TOP, BOX_HEIGHT, BOX_INSET, ROW_GAP, BOX_GAP, LANE = 0.3, 0.95, 0.5, 0.13, 0.26, 0.4, 0.3
COLUMN_GAP, NETWORK_GAP, SOURCE = 0.5, 0.8, 0.4  # SOURCE: the room above the boxes for the name of what a network reads
SCREEN = (1800, 960)  # pixels that a diagram may take, so that a usual screen shows all of it
TITLE: dict[str, Any] = {"fontsize": 14, "fontweight": "bold", "color": INK}
TOTAL: dict[str, Any] = {"fontsize": 10, "color": MUTED}
BOX_FONTS: tuple[dict[str, Any], ...] = (  # name, kind, shape, parameters
    {"fontsize": 10, "fontweight": "bold", "color": INK},
    {"fontsize": 9, "color": MUTED},
    {"fontsize": 9, "color": INK},
    {"fontsize": 9, "color": MUTED},
)
Place = tuple[float, int]  # x of a centre, rank
Ruler = Callable[[str, dict[str, Any]], float]


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
    reads: tuple[str, str] | None = None  # what it reads: the output of the network before it, and other things


class _Plan(NamedTuple):
    """A network with the sizes of its boxes, before it is placed."""

    network: Network
    title: str
    total: str
    boxes: list[tuple[str, str, str, str]]  # name, kind, shape, parameters
    width: float  # of a box
    title_width: float
    places: list[Place]
    arrows: list[list[Place]]

    def columns(self, rows: int) -> list[int]:
        """The rank with which each column begins, of `rows` ranks at most where the network allows that.

        A column ends only where a single arrow leads on: from one box, past no other box.
        """
        ranks = 1 + max(rank for _, rank in self.places)
        crossing = [sum(arrow[0][1] < rank <= arrow[-1][1] for arrow in self.arrows) for rank in range(ranks)]
        starts, last = [0], 0
        for rank in range(1, ranks):
            last = rank if crossing[rank] == 1 else last
            if rank - starts[-1] >= rows and last > starts[-1]:
                starts.append(last)
        return starts

    def reach(self, first: int, end: int) -> tuple[float, float]:
        """How far the boxes and arrows of the ranks from `first` to before `end` reach to the left and to the right."""
        xs = [x + half for x, rank in self.places if first <= rank < end for half in (-self.width / 2, self.width / 2)]
        xs += [x for arrow in self.arrows for x, rank in arrow if first <= rank < end]
        return min(xs), max(xs)


class _Column(NamedTuple):
    """Some ranks of a network, placed."""

    first: int  # rank
    end: int
    dx: float  # what is added to the x of a place
    turn: float  # x in the gap to its right, where an arrow to a later column turns

    def at(self, place: Place, top: float) -> tuple[float, float]:
        """Where the top of the box of a place is."""
        return place[0] + self.dx, top + (place[1] - self.first) * (BOX_HEIGHT + ROW_GAP)


class _Layout(NamedTuple):
    """All networks, placed side by side."""

    size: tuple[float, float]
    top: float  # of the first row of boxes
    columns: list[list[_Column]]  # of each network
    titles: list[float]  # x of the middle of each network's title

    @property
    def scale(self) -> float:
        """Pixels an inch at which a screen shows all of it."""
        return min(SCREEN[0] / self.size[0], SCREEN[1] / self.size[1])


def save_diagram(networks: Sequence[Network], path: str | Path) -> None:
    """Write networks side by side as a PNG: a box for each layer, an arrow for each of its inputs.

    Raises:
        UserError: the file cannot be written.
        ValueError: no network, a network without layers, or an input that does not precede its layer.
    """
    if not networks or not all(network.layers for network in networks):
        raise ValueError("a diagram needs at least one network and each network at least one layer")
    figure = diagram_figure(networks)
    write(path, png(figure, dpi=figure.dpi))


def diagram_figure(networks: Sequence[Network]) -> "Figure":
    """The figure that `save_diagram` writes; its data units are inches, y downwards. Long networks are folded."""
    from matplotlib.figure import Figure

    words = [s for network in networks for s in (network.title, *(w for layer in network.layers for w in layer[:2]))]
    words, families = legible(words)
    plans = _plans(networks, iter(words), ruler(families))
    longest = max(len({rank for _, rank in plan.places}) for plan in plans)
    layouts = [_layout(plans, rows) for rows in range(longest, 0, -1)]
    layout = max(layouts, key=lambda one: min(DPI, one.scale))  # of equals the first, which is folded least

    across, down = layout.size
    figure = Figure(layout.size, dpi=min(DPI, layout.scale))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, across), ylim=(down, 0))
    axes.set_axis_off()
    text: dict[str, Any] = {"va": "center_baseline", "family": families, "parse_math": False}
    outlet = (0.0, 0.0), 0.0  # right of the last box of the network before, and where an arrow from there turns
    for plan, columns, middle in zip(plans, layout.columns, layout.titles, strict=True):
        _draw_network(axes, plan, columns, layout.top, text)
        axes.text(middle, MARGIN + 0.1, plan.title, ha="center", **TITLE, **text)
        axes.text(middle, MARGIN + 0.36, plan.total, ha="center", **TOTAL, **text)
        x, y = columns[0].at(plan.places[0], layout.top)
        if plan.network.reads:
            _draw_inputs(axes, plan.network.reads, outlet, (x - plan.width / 2, x, y), text)
        x, y = columns[-1].at(plan.places[-1], layout.top)
        outlet = (x + plan.width / 2, y + BOX_HEIGHT / 2), columns[-1].turn
    return figure


def _plans(networks: Sequence[Network], words: Iterator[str], inches: Ruler) -> list[_Plan]:
    """Measures first: no text may be wider than its box, no title wider than the room of its network."""
    plans = []
    for network in networks:
        title, total = next(words), _parameters(sum(layer.parameters for layer in network.layers))
        boxes = [
            (next(words), next(words), _shape(layer.output), _parameters(layer.parameters)) for layer in network.layers
        ]
        widths = [[inches(*pair) for pair in zip(box, BOX_FONTS, strict=True)] for box in boxes]
        width = max(max(w[0] + w[1], w[2] + w[3]) for w in widths) + 2 * BOX_INSET + 0.35
        title_width = max(inches(title, TITLE), inches(total, TOTAL))
        places = arrange(network.layers, width + BOX_GAP, LANE)
        plans.append(_Plan(network, title, total, boxes, width, title_width, *places))
    return plans


def _layout(plans: Sequence[_Plan], rows: int) -> _Layout:
    """Places the networks side by side, in columns of so many ranks."""
    top = TOP + SOURCE * any(plan.network.reads for plan in plans)
    columns, titles, most, left = [], [], 0, MARGIN
    for plan in plans:
        ranks = 1 + max(rank for _, rank in plan.places)
        starts = plan.columns(rows)
        placed = list[_Column]()
        begin = left
        for first, end in zip(starts, [*starts[1:], ranks], strict=True):
            low, high = plan.reach(first, end)
            placed.append(_Column(first, end, left - low, left + high - low + COLUMN_GAP / 2))
            left += high - low + COLUMN_GAP
            most = max(most, end - first)
        room = max(left - COLUMN_GAP - begin, plan.title_width)
        if room > left - COLUMN_GAP - begin:  # the title is wider than the boxes, which stand below its middle
            aside = (room - (left - COLUMN_GAP - begin)) / 2
            placed = [column._replace(dx=column.dx + aside, turn=column.turn + aside) for column in placed]
        titles.append(begin + room / 2)
        columns.append(placed)
        left = begin + room + NETWORK_GAP
    down = top + most * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + MARGIN
    return _Layout((left - NETWORK_GAP + MARGIN, down), top, columns, titles)


def _draw_network(axes: "Axes", plan: _Plan, columns: Sequence[_Column], top: float, text: dict[str, Any]) -> None:
    """Draw the boxes and arrows of a network."""

    def column_of(place: Place) -> _Column:
        return next(column for column in columns if column.first <= place[1] < column.end)

    for arrow in plan.arrows:
        corners = [column_of(place).at(place, top) for place in arrow]
        if column_of(arrow[0]) == column_of(arrow[-1]):
            _draw_arrow(axes, corners)
        else:
            (x0, y0), (x1, y1) = corners[0], corners[-1]
            begin, end = (x0 + plan.width / 2, y0 + BOX_HEIGHT / 2), (x1 - plan.width / 2, y1 + BOX_HEIGHT / 2)
            _draw_line(axes, _across(begin, column_of(arrow[0]).turn, end))
    for place, box in zip(plan.places, plan.boxes, strict=True):
        x, y = column_of(place).at(place, top)
        _draw_box(axes, x - plan.width / 2, y, plan.width, box, text)


def _draw_inputs(
    axes: "Axes",
    reads: tuple[str, str],
    outlet: tuple[tuple[float, float], float],
    inlet: tuple[float, float, float],
    text: dict[str, Any],
) -> None:
    """Draw what a network reads: an arrow from the network before it, and one from above.

    Args:
      axes: of the figure.
      reads: names of both.
      outlet: right of the last box of the network before, and x where the arrow from there turns.
      inlet: left and middle of the network's first box, and its top.
      text: how text is drawn.
    """
    left, middle, top = inlet
    (begin, turn), (before, other) = outlet, reads
    _draw_line(axes, _across(begin, turn, (left, top + BOX_HEIGHT / 2)))
    axes.text(turn, top - 0.12, before, ha="center", **BOX_FONTS[2], **text)
    _draw_line(axes, [(middle, top - SOURCE + 0.08), (middle, top)])
    axes.text(middle + 0.1, top - SOURCE + 0.16, other, ha="left", **BOX_FONTS[2], **text)


def _draw_box(axes: "Axes", x: float, y: float, width: float, box: Sequence[str], text: dict[str, Any]) -> None:
    """Draw a box from its upper left corner (inches): name and kind above, shape and parameters below."""
    from matplotlib.patches import FancyBboxPatch

    face, edge = ("#f6f7f9", "#b8bec6") if box[3] == _parameters(0) else ("#e8f1fb", "#5b8fc7")
    style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.07", "facecolor": face, "edgecolor": edge}
    axes.add_patch(FancyBboxPatch((x, y), width, BOX_HEIGHT, **style))
    for index, (string, font) in enumerate(zip(box, BOX_FONTS, strict=True)):
        side, ha = (x + width - BOX_INSET, "right") if index % 2 else (x + BOX_INSET, "left")
        axes.text(side, y + (0.15, 0.36)[index // 2], string, ha=ha, **font, **text)


def _draw_arrow(axes: "Axes", corners: Sequence[tuple[float, float]]) -> None:
    """Draw an arrow (inches) from box to box, past the boxes of the ranks between; corners are the tops of each."""
    from matplotlib.path import Path as Curve

    points: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        bottom, middle = y0 + BOX_HEIGHT, y0 + BOX_HEIGHT + 0.4 * ROW_GAP
        # The last stretch is straight, for the head to point downwards.
        points += [(x0, bottom), (x0, middle), (x1, middle), (x1, y1 - 0.2 * ROW_GAP), (x1, y1)]
    codes = [Curve.LINETO, *[Curve.CURVE4] * 3, Curve.LINETO] * (len(corners) - 1)
    _draw_line(axes, points, codes)


def _across(begin: tuple[float, float], turn: float, end: tuple[float, float]) -> list[tuple[float, float]]:
    """The corners of an arrow (inches) from the right of a box to the left of one in a later column."""
    return [begin, (turn, begin[1]), (turn, end[1]), end]


def _draw_line(axes: "Axes", points: Sequence[tuple[float, float]], codes: Sequence[Any] = ()) -> None:
    """Draw an arrow along points, by straight lines or by Matplotlib's codes."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    curve = Curve(points, [Curve.MOVETO, *(codes or [Curve.LINETO] * len(points))[1:]])
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


def _parameters(count: int) -> str:
    return f"{count:,} parameter{'s' * (count != 1)}"


def _shape(output: tuple[int | None, ...]) -> str:
    return f"({', '.join(map(str, output))}{',' * (len(output) == 1)})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0

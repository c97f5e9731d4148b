"""Facts about the pictures: where pixels and boxes are, that nothing overlaps, that files are whole or absent."""

import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from PIL import Image

from sgan_jax.errors import UserError
from sgan_jax.report import pictures
from sgan_jax.report.pictures import (
    Curve,
    Layer,
    Network,
    Point,
    arrange,
    confusion_colors,
    confusion_figure,
    diagram_figure,
    errors_figure,
    luminance,
    readable_ink,
    save_confusion,
    save_diagram,
    save_errors,
    save_grid,
)
from sgan_jax.report.pictures.canvas import DPI
from sgan_jax.report.pictures.diagram import SCREEN

TRUNK = [
    Layer("image", "input", (None, 28, 28, 1), 0),
    Layer("conv", "Conv 3x3, stride 2", (None, 14, 14, 128), 1280),
    Layer("flatten", "Flatten", (None, 25088), 0),
]
ONE = Network("one head", [*TRUNK, Layer("class_logits", "Dense", (None, 10), 250_890)])
TWO = Network(
    "two heads",
    [
        *TRUNK,
        Layer("class_logits", "Dense", (None, 10), 250_890, (2,)),
        Layer("real_logit", "Dense", (None, 1), 25_089, (2,)),
        Layer("class", "softmax", (None, 10), 0, (3,)),
        Layer("real", "sigmoid", (None, 1), 0, (4,)),
    ],
)


def confusion(size: int, examples: int = 1000, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    share = generator.dirichlet(np.full(size, 0.3), size) * 0.2 + 0.8 * np.eye(size)
    return np.stack([generator.multinomial(examples, row / row.sum()) for row in share])


def boxes_of_text(figure: Figure) -> tuple[np.ndarray, list[str]]:
    """Extents [N,4] in pixels (left, bottom, right, top) of all upright text of a figure, and the text."""
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text() and t.get_rotation() in (0, 90)]
    return np.array([t.get_window_extent().extents for t in texts]), [t.get_text() for t in texts]


def overlapping(extents: np.ndarray, names: list[str]) -> list[tuple[str, str]]:
    low = np.maximum(extents[:, None, :2], extents[None, :, :2])
    high = np.minimum(extents[:, None, 2:], extents[None, :, 2:])
    hits = np.argwhere(np.triu(((high - low) > 0.5).all(axis=-1), 1))  # half a pixel is rounding
    return [(names[i], names[j]) for i, j in hits]


# Grids


def test_grid_has_each_image_in_its_place_enlarged_by_a_whole_factor(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 20, 1), dtype=np.uint8)
    save_grid(images, tmp_path / "new" / "grid.png", columns=3, pad=2)
    with Image.open(tmp_path / "new" / "grid.png") as picture:
        assert picture.format == "PNG" and picture.mode == "L"
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * (56 + 2) + 2, 3 * (40 + 2) + 2)
    expected = np.zeros_like(pixels)
    for index, image in enumerate(images[..., 0]):
        top, left = 2 + (index // 3) * 58, 2 + (index % 3) * 42
        expected[top : top + 56, left : left + 40] = np.kron(image, np.ones((2, 2), np.uint8))
    np.testing.assert_array_equal(pixels, expected)


def test_grid_of_color_images_keeps_the_order_of_channels(tmp_path: Path) -> None:
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[0, ..., 0], images[1, ..., 2] = 200, 100
    save_grid(images, tmp_path / "grid.png", columns=10, pad=0)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.mode == "RGB" and picture.size == (128, 64)
        assert picture.getpixel((0, 0)) == (200, 0, 0) and picture.getpixel((127, 63)) == (0, 0, 100)


@pytest.mark.parametrize(("side", "tile"), [(8, 64), (28, 56), (32, 64), (64, 64), (96, 96)])
def test_tiles_are_enlarged_up_to_64_pixels(tmp_path: Path, side: int, tile: int) -> None:
    save_grid(np.zeros((1, side, side, 1), np.uint8), tmp_path / "grid.png", pad=1)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (tile + 2, tile + 2)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 8, 8, 1), np.float32),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((1, 8, 8, 2), np.uint8),
        np.zeros((0, 8, 8, 1), np.uint8),
    ],
)
def test_grid_of_other_arrays_is_an_error(tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="images must be uint8"):
        save_grid(images, tmp_path / "grid.png")


# Files


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"old")

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"grid\.png: cannot write the picture \(No space left on device\)"):
        save_grid(np.zeros((1, 8, 8, 1), np.uint8), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written_are_errors_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "grid.png", Path("."), tmp_path / ("n" * 300 + ".png")):
        with pytest.raises(UserError, match="picture") as caught:
            save_grid(np.zeros((1, 8, 8, 1), np.uint8), path)
        assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_no_jax_no_pyplot_and_nothing_heavy_before_it_is_needed(tmp_path: Path) -> None:
    code = f"""
import sys
import numpy as np
from sgan_jax.report import pictures
from sgan_jax.cli import progress
assert not {{"jax", "matplotlib", "PIL", "rich"}} & set(sys.modules)
pictures.save_confusion(np.eye(2, dtype=int), ["a", "b"], {str(tmp_path / "c.png")!r}, "t")
assert not {{"jax", "matplotlib.pyplot"}} & set(sys.modules)
"""
    root = Path(pictures.__file__).parents[2]
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=root)
    assert (tmp_path / "c.png").exists()


# Confusion matrices


@pytest.mark.parametrize("size", [2, 40])
def test_confusion_picture_is_a_png_of_readable_size(tmp_path: Path, size: int) -> None:
    names = [f"größe {index} é" for index in range(size)]
    save_confusion(confusion(size), names, tmp_path / "new" / "confusion.png", "mnist test, step_600")
    with Image.open(tmp_path / "new" / "confusion.png") as picture:
        picture.load()
        assert picture.format == "PNG" and min(picture.size) > 600 and max(picture.size) < 2400


@pytest.mark.parametrize(
    ("size", "examples", "name"),
    [
        (2, 500, "a cat"),
        (3, 10_000_000, "{}"),
        (10, 6000, "{}"),
        (10, 1000, "ankle boot number {}"),
        (30, 60_000, "{}"),
        (40, 100, "class {}"),
        (100, 100, "an uncommonly long name of a class {}"),
    ],
)
def test_no_text_of_a_confusion_matrix_overlaps(size: int, examples: int, name: str) -> None:
    names = [name.format(index) for index in range(size)]
    title = "a title of some length for the test images of mnist, step_7200"
    extents, strings = boxes_of_text(confusion_figure(confusion(size, examples), names, title))
    assert overlapping(extents, strings) == []
    assert sum(string.endswith("%") for string in strings) >= size  # recall of each class
    assert {"true class", "predicted class", "recall"} <= set(strings)


@pytest.mark.parametrize("size", [2, 12])
def test_counts_are_inside_their_cells_however_large(size: int) -> None:
    figure = confusion_figure(np.full((size, size), 1_234_567_890), ["a"] * size, "title")
    extents, strings = boxes_of_text(figure)
    numbers = extents[[string == "1,234,567,890" for string in strings]]
    assert len(numbers) == size**2
    cell = figure.axes[0].get_window_extent().width / size
    assert (numbers[:, 2] - numbers[:, 0]).max() < cell - 4


def test_confusion_shows_counts_recall_and_accuracy() -> None:
    counts = np.array([[1990, 10, 0], [0, 3, 1], [0, 0, 0]])
    _, strings = boxes_of_text(confusion_figure(counts, ["a", "b", "c"], "title"))
    for expected in ("1,990", "10", "3", "99.5%", "75.0%", "-", "accuracy 99.45%: 1,993 of 2,004"):
        assert strings.count(expected) == 1, expected
    assert strings.count("0") == 5 and strings.count("1") == 1


def test_rows_are_true_classes_and_columns_predictions() -> None:
    figure = confusion_figure(np.array([[5, 7], [11, 13]]), ["a", "b"], "title")
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert places["7"] == (1, 0) and places["11"] == (0, 1)
    assert figure.axes[0].get_ylabel() == "true class" and figure.axes[0].get_xlabel() == "predicted class"
    low, high = figure.axes[0].get_ylim()
    assert low > high  # row 0 at the top


def test_over_thirty_classes_have_no_numbers_in_their_cells() -> None:
    few, many = (confusion_figure(confusion(size), list(map(str, range(size))), "t").axes[0] for size in (30, 31))
    assert len([text for text in few.texts if text.get_horizontalalignment() == "center"]) == 900
    assert not [text for text in many.texts if text.get_horizontalalignment() == "center"]


def test_colors_show_one_mistake_in_a_thousand_and_more_for_more() -> None:
    counts = np.zeros((4, 4), int)
    counts[0] = [989, 1, 10, 0]
    counts[1] = [500, 500, 0, 0]
    colors = confusion_colors(counts)
    none, rare, some, half = (luminance(colors[cell]) for cell in ((0, 3), (0, 1), (0, 2), (1, 0)))
    assert rare > some > half
    assert np.ptp(colors[0, 3]) < 0.02 < 0.15 < np.ptp(colors[0, 1])  # gray for none, a hue for one
    assert none > half
    assert colors[0, 0, 2] > colors[0, 0, 0]  # right is blue
    assert colors[0, 1, 0] > colors[0, 1, 2]  # wrong is yellow to red
    np.testing.assert_array_equal(colors[2], np.broadcast_to(colors[0, 3], (4, 3)))  # a class without images


def test_colors_depend_on_shares_of_the_row_only() -> None:
    counts = confusion(5)
    np.testing.assert_allclose(
        confusion_colors(counts), confusion_colors(counts * np.array([[1], [2], [3], [4], [50]]))
    )


def test_ink_is_readable_on_every_color_of_a_confusion_matrix() -> None:
    shares = np.arange(1, 10_000, 97)
    off, on = np.zeros((2, len(shares), 2, 2), int)
    off[:, 0], on[:, 0] = np.stack([10_000 - shares, shares], 1), np.stack([shares, 10_000 - shares], 1)
    for counts in (*off, *on):
        for color in confusion_colors(counts)[0]:
            light = {"black": 0.0, "white": 1.0}[readable_ink(color)]
            high, low = max(light, luminance(color)), min(light, luminance(color))
            assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2, AA
    assert readable_ink((0, 0, 0)) == "white" and readable_ink((1, 1, 1)) == "black"


def test_characters_that_no_font_has_are_shown_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [font for font in fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", own)
    names = ["お", "$x_1$", "é\n\x1b[0m"]
    _, strings = boxes_of_text(confusion_figure(confusion(3), names, "テ"))
    assert strings.count("U+304A") == 2 and strings.count("$x_1$") == 2 and strings.count("é [0m") == 2
    assert "U+30C6" in strings


def test_other_scripts_are_drawn_without_a_warning(tmp_path: Path) -> None:
    save_confusion(confusion(3), ["お", "Ω", "שלום"], tmp_path / "confusion.png", "кошки $ und Hüte \U00012000")
    save_diagram([Network("生成", [Layer("お", "$", (None,), 1)])], tmp_path / "diagram.png")


@pytest.mark.parametrize(
    ("counts", "names", "match"),
    [
        (np.zeros((2, 3), int), ["a", "b"], "must be"),
        (np.zeros((1, 1), int), ["a"], "at least 2"),
        (np.eye(2), ["a", "b"], "integers"),
        (-np.eye(2, dtype=int), ["a", "b"], "non-negative"),
        (np.eye(2, dtype=int), ["a"], "2 classes but 1 class names"),
    ],
)
def test_confusion_of_other_arrays_is_an_error(
    tmp_path: Path, counts: np.ndarray, names: list[str], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        save_confusion(counts, names, tmp_path / "confusion.png", "title")
    assert list(tmp_path.iterdir()) == []


# Diagrams


def chain(length: int) -> list[Layer]:
    return [Layer(f"layer_{index}", "Dense", (None, 10), 110) for index in range(length)]


def boxes_of(figure: Figure) -> np.ndarray:
    """Extents [N,4] in inches, y downwards, of the boxes of a diagram, in the order of the layers."""
    boxes = [patch.get_bbox() for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    return np.array([[min(b.x0, b.x1), min(b.y0, b.y1), max(b.x0, b.x1), max(b.y0, b.y1)] for b in boxes])


def arrows_of(figure: Figure) -> list[np.ndarray]:
    """Corners [M,2] in inches of the arrows of a diagram."""
    patches = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
    return [patch._path_original.vertices for patch in patches]


def test_diagram_of_a_branching_network_is_wider(tmp_path: Path) -> None:
    one, two, both = (diagram_figure(networks).get_size_inches() for networks in ([ONE], [TWO], [ONE, TWO]))
    assert two[0] > 1.8 * one[0] and two[1] > one[1]
    assert both[0] > one[0] + two[0] - 0.7 and both[1] == two[1]
    save_diagram([TWO], tmp_path / "two.png")
    with Image.open(tmp_path / "two.png") as picture:
        picture.load()
        np.testing.assert_allclose(picture.size, two * DPI, atol=1)


@pytest.mark.parametrize("layers", [chain(1), chain(7), chain(45), [*chain(24), *TWO.layers[3:]]])
def test_a_diagram_fits_a_screen_and_its_arrows_cross_no_box(tmp_path: Path, layers: list[Layer]) -> None:
    moved = [layer._replace(inputs=tuple(len(layers) - 7 + i for i in layer.inputs)) for layer in layers]
    networks = [Network("first", chain(11)), Network("second", moved, ("images", "others"))]
    save_diagram(networks, tmp_path / "networks.png")
    with Image.open(tmp_path / "networks.png") as picture:
        assert picture.width <= SCREEN[0] and picture.height <= SCREEN[1]
    figure = diagram_figure(networks)
    boxes = boxes_of(figure)
    for corners in arrows_of(figure):
        points = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(corners)])
        low, high = boxes[:, None, :2] + 1e-6, boxes[:, None, 2:] - 1e-6
        assert not ((points > low) & (points < high)).all(-1).any()
    assert overlapping(*boxes_of_text(figure)) == []


def test_the_network_that_reads_another_one_stands_to_its_right_and_an_arrow_leads_there() -> None:
    figure = diagram_figure([Network("generator", chain(3)), Network("discriminator", chain(4), ("images", "others"))])
    boxes, arrows = boxes_of(figure), arrows_of(figure)
    last, first = boxes[2], boxes[3]
    assert last[2] < first[0]
    (feeding,) = [arrow for arrow in arrows if abs(arrow[0][0] - last[2]) < 1e-6]
    np.testing.assert_allclose(feeding[0], [last[2], (last[1] + last[3]) / 2])
    np.testing.assert_allclose(feeding[-1], [first[0], (first[1] + first[3]) / 2])
    texts = boxes_of_text(figure)[1]
    assert "images" in texts and "others" in texts


@pytest.mark.parametrize("networks", [[ONE], [TWO], [ONE, TWO], [Network("a title wider than its box" * 2, TRUNK[:1])]])
def test_text_of_a_diagram_is_inside_its_box_and_nothing_overlaps(networks: list[Network]) -> None:
    figure = diagram_figure(networks)
    extents, strings = boxes_of_text(figure)
    assert overlapping(extents, strings) == []
    assert (extents > 0).all() and (extents[:, 2:] < figure.bbox.size).all()
    patches = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]
    boxes = np.array([patch.get_window_extent().extents for patch in patches])
    assert len(boxes) == sum(len(network.layers) for network in networks)
    assert overlapping(boxes, [""] * len(boxes)) == []
    inside = (extents[:, None, :2] >= boxes[:, :2]).all(-1) & (extents[:, None, 2:] <= boxes[:, 2:]).all(-1)
    assert inside.sum() == 4 * len(boxes) == len(strings) - 2 * len(networks)


def test_diagram_says_names_kinds_shapes_and_parameters() -> None:
    _, strings = boxes_of_text(diagram_figure([TWO, Network("bias", [Layer("b", "bias", (None,), 1)])]))
    for expected in ("two heads", "277,259 parameters", "class_logits", "softmax", "(None, 14, 14, 128)", "(None,)"):
        assert strings.count(expected) == 1, expected
    assert strings.count("0 parameters") == 4 and "1,280 parameters" in strings and strings.count("1 parameter") == 2


def test_a_chain_stands_in_one_column() -> None:
    places, arrows = arrange(ONE.layers, 3.0, 0.5)
    assert places == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert arrows == [[(0, rank), (0, rank + 1)] for rank in range(3)]


def test_two_heads_stand_side_by_side_below_what_they_share() -> None:
    places, arrows = arrange(TWO.layers, 3.0, 0.5)
    assert places[3:] == [(-1.5, 3), (1.5, 3), (-1.5, 4), (1.5, 4)]
    assert [(0, 2), (1.5, 3)] in arrows and [(1.5, 3), (1.5, 4)] in arrows and len(arrows) == 6


def test_an_arrow_over_several_ranks_goes_past_the_boxes_between() -> None:
    layers = [Layer(str(i), "", (None,), 0) for i in range(3)] + [Layer("add", "", (None,), 0, (2, 0))]
    places, arrows = arrange(layers, 3.0, 0.5)
    (skip,) = [arrow for arrow in arrows if len(arrow) > 2]
    assert [rank for _, rank in skip] == [0, 1, 2, 3] and skip[0] == places[0] and skip[-1] == places[3]
    assert all(abs(x - places[rank][0]) >= 1.75 for x, rank in skip[1:-1])


def test_boxes_and_passing_arrows_keep_their_distance_in_any_network() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        layers = [Layer("0", "", (None,), 0)]
        for index in range(1, 12):
            sources = generator.choice(index, min(index, int(generator.integers(1, 4))), replace=False)
            layers.append(Layer(str(index), "", (None,), 0, tuple(map(int, sources))))
        places, arrows = arrange(layers, 3.0, 0.5)
        for index, layer in enumerate(layers[1:], 1):
            assert places[index][1] == 1 + max(places[source][1] for source in layer.inputs)
        widths = dict.fromkeys(places, 3.0) | {place: 0.5 for arrow in arrows for place in arrow[1:-1]}
        assert len(widths) == len(layers) + sum(len(arrow) - 2 for arrow in arrows)
        for (one, width), (other, more) in combinations(widths.items(), 2):
            assert one[1] != other[1] or abs(one[0] - other[0]) >= (width + more) / 2 - 1e-9


@pytest.mark.parametrize("inputs", [(1,), (5,), (-1,)])
def test_an_input_that_does_not_precede_its_layer_is_an_error(tmp_path: Path, inputs: tuple[int, ...]) -> None:
    layers = [Layer("a", "", (None,), 0), Layer("b", "", (None,), 0, inputs)]
    with pytest.raises(ValueError, match=r"layer 1 \('b'\) reads"):
        save_diagram([Network("wrong", layers)], tmp_path / "diagram.png")
    with pytest.raises(ValueError, match="at least one"):
        save_diagram([Network("empty", [])], tmp_path / "diagram.png")


# Curves of errors

OURS = Curve("fast", [Point(10, 8.0, 2.0), Point(100, 2.0, 3.0)])
THEIRS = Curve("Improved GAN, arXiv 1606.03498", [Point(20, 16.77, 4.52), Point(100, 0.93, 0.065)], published=True)


def test_errors_are_a_png_of_readable_size(tmp_path: Path) -> None:
    save_errors([OURS, THEIRS], tmp_path / "new" / "error.png", "mnist: test error")
    with Image.open(tmp_path / "new" / "error.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 500


def test_errors_and_labels_are_on_logarithmic_axes_with_a_tick_at_every_number_of_labels() -> None:
    [axes] = errors_figure([OURS, THEIRS], "mnist").axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "20", "100"]
    assert axes.get_ylim()[0] < 0.93 and axes.get_ylim()[1] > 16.77 + 4.52


@pytest.mark.parametrize("mean", [0.7, 1.4, 3.1, 7.0, 90.0])
def test_one_error_is_enough_for_an_axis_that_can_be_read(mean: float) -> None:
    figure = errors_figure([Curve("fast", [Point(100, mean)])], "mnist")
    [axes] = figure.axes
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    assert sum(low < tick < high for tick in axes.get_yticks()) >= 2


def test_bars_of_errors_reach_one_deviation_up_and_down() -> None:
    [axes] = errors_figure([OURS], "mnist").axes
    line, _, [bars] = axes.containers[0]
    np.testing.assert_array_equal(line.get_xydata(), [[10, 8.0], [100, 2.0]])
    np.testing.assert_array_equal(bars.get_segments(), [[[10, 6.0], [10, 10.0]], [[100, -1.0], [100, 5.0]]])


def test_our_curves_stand_beside_one_another_and_published_ones_where_they_are() -> None:
    [axes] = errors_figure([OURS, THEIRS, OURS, OURS], "mnist").axes
    places = [container[0].get_xdata()[0] for container in axes.containers]
    assert places[1] == THEIRS.points[0].labels
    np.testing.assert_allclose(places[::2], [10 / 1.03, 10], rtol=1e-6)
    assert places[3] == pytest.approx(10.3)


def test_every_curve_of_errors_is_named_and_no_text_overlaps() -> None:
    figure = errors_figure([OURS, *[THEIRS] * 12], "mnist-5k: not comparable with MNIST: test error")
    extents, names = boxes_of_text(figure)
    assert names.count("fast") == 1 and names.count(THEIRS.name) == 12
    assert overlapping(extents, names) == []


def test_an_error_of_zero_has_no_place_on_the_axis() -> None:
    [axes] = errors_figure([Curve("best", [Point(10, 0.0), Point(100, 1.0)])], "mnist").axes
    np.testing.assert_array_equal(axes.containers[0][0].get_xydata(), [[100, 1.0]])
    errors_figure([Curve("best", [Point(10, 0.0)])], "mnist")


@pytest.mark.parametrize("curves", [[], [OURS, Curve("none", [])]])
def test_a_plot_of_nothing_is_an_error(tmp_path: Path, curves: list[Curve]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        save_errors(curves, tmp_path / "error.png", "mnist")


def test_no_two_of_our_curves_look_alike() -> None:
    curves = [Curve(f"preset {number}", [Point(100, 1.0 + number, 0.1)]) for number in range(25)]
    lines = [bars.lines[0] for bars in errors_figure(curves, "mnist").axes[0].containers]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 25

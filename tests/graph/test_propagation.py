"""Facts about the graph of like images and about the labels that spread along it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.data.embedded import load_embedded
from sgan_jax.graph.neighbours import (
    PARTS,
    WHOLE,
    Neighbours,
    likest,
    neighbours_by_distortion,
    neighbours_by_orientations,
)
from sgan_jax.graph.propagation import propagate
from sgan_jax.graph.similarity import distortion, gradients, orientations, upright
from sgan_jax.training.signals import Stopped


def bar(column: int, size: int = 12) -> np.ndarray:
    image = np.zeros((1, size, size, 1), np.uint8)
    image[:, 3:9, column : column + 2] = 255
    return image


def unlike(a: np.ndarray, b: np.ndarray, reach: int = 2) -> float:
    return float(distortion(gradients(jnp.asarray(a)), gradients(jnp.asarray(b)), reach)[0].sum())


def test_gradients_are_sobels() -> None:
    ramp = np.tile(np.arange(0, 250, 25, dtype=np.uint8)[None, :, None, None], (1, 1, 7, 2))
    found = np.asarray(gradients(jnp.asarray(ramp)))
    assert found.shape == (1, 10, 7, 4)
    np.testing.assert_allclose(found[0, 1:-1, 1:-1, :2], 50 / 255, rtol=1e-5)  # two rows of 25
    np.testing.assert_allclose(found[0, 1:-1, 1:-1, 2:], 0, atol=1e-6)


def test_what_is_displaced_within_reach_is_no_distance_and_farther_is_one() -> None:
    assert unlike(bar(4), bar(4)) == 0
    assert unlike(bar(4), bar(6)) == pytest.approx(0, abs=1e-6)
    assert unlike(bar(4), bar(7)) > 1
    assert unlike(bar(4), bar(7), reach=3) == pytest.approx(0, abs=1e-6)


def test_distortion_without_reach_is_the_sum_of_squares_over_each_neighbourhood_in_a_row() -> None:
    a, b = (jnp.asarray(np.random.default_rng(seed).normal(size=(1, 5, 6, 2)), jnp.float32) for seed in (0, 1))
    squares = np.square(np.asarray(a - b)).sum(-1)[0]
    padded = np.pad(squares, 1)
    by_hand = [sum(padded[y : y + 3, x : x + 3].sum() for x in range(6)) for y in range(5)]
    for remaining in distortion(a, b, reach=0):
        np.testing.assert_allclose(remaining[0], by_hand, rtol=1e-5)


@pytest.mark.parametrize("shape", [(12, 12, 2), (9, 14, 6)])
def test_distortion_is_the_least_of_all_displacements_both_ways(shape: tuple[int, int, int]) -> None:
    """Every displacement by hand. Within a margin of nothing, the second is the first with them swapped."""
    draw = np.random.default_rng(0)
    a, b = np.zeros((2, 3, *shape), np.float32)
    for x in (a, b):
        x[:, 3:-3, 3:-3] = draw.normal(size=x[:, 3:-3, 3:-3].shape)

    def by_hand(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        around, height, width = np.pad(b, ((0, 0), (2, 2), (2, 2), (0, 0))), *shape[:2]
        best = np.full(a.shape[:3], np.inf)
        for down, across in np.ndindex(5, 5):
            squares = np.square(a - around[:, down : down + height, across : across + width]).sum(-1)
            wide = np.pad(squares, ((0, 0), (1, 1), (1, 1)))
            sums = sum(wide[:, y : y + height, x : x + width] for y, x in np.ndindex(3, 3))
            best = np.minimum(best, sums)
        return best.sum(axis=2)

    of_images, of_others = distortion(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(of_images, by_hand(a, b), rtol=1e-4)
    np.testing.assert_allclose(of_others, by_hand(b, a), rtol=1e-4)


def test_neighbours_are_the_likest_of_the_candidates_in_order_and_never_the_image_itself() -> None:
    images = np.concatenate([bar(2), bar(3), bar(5), bar(8)])
    near = neighbours_by_distortion(images, count=2, candidates=3)
    assert near.indices.dtype == np.int32 and near.weights.dtype == np.float32
    assert (near.indices != np.arange(4)[:, None]).all()
    assert (np.diff(near.weights, axis=1) <= 0).all()
    assert near.indices[0, 0] == 1 and near.indices[3, 0] == 2


def test_an_edge_weighs_by_its_share_of_the_farthest_distance() -> None:
    near = likest(np.array([[7, 5, 9]]), np.array([[4.0, 1.0, 2.0]]), 2, weight=0.5)
    np.testing.assert_array_equal(near.indices, [[5, 9]])
    np.testing.assert_allclose(near.weights, [[0.5 * np.exp(-4), 0.5 * np.exp(-8)]], rtol=1e-5)
    np.testing.assert_array_equal(likest(np.array([[1, 2]]), np.zeros((1, 2)), 2).weights, 1)


def with_foot(image: np.ndarray) -> np.ndarray:
    footed = image.copy()
    footed[:, 9:, 1:11] = 255
    return footed


def test_by_their_upper_half_images_with_and_without_a_foot_are_alike() -> None:
    """Two strokes, upright and across, each four times without a foot and twice with one."""
    upright, across = bar(5), bar(5).transpose(0, 2, 1, 3)
    strokes = [np.roll(one, shift, axis=2) for one in (upright, across) for shift in (-1, 0, 0, 1)]
    images = np.concatenate([*strokes, *(with_foot(strokes[i]) for i in (1, 2, 5, 6))])
    images = images // 2 + np.random.default_rng(0).integers(0, 20, images.shape, dtype=np.uint8)  # no ties
    whole = neighbours_by_distortion(images, 3, 11)
    parts = neighbours_by_distortion(images, 3, 11, PARTS)
    assert whole.indices.shape == (12, 3) and parts.indices.shape == parts.weights.shape == (12, 12)
    np.testing.assert_array_equal(parts.indices[:, :3], whole.indices)
    np.testing.assert_array_equal(parts.weights[:, :3], whole.weights)
    for part in range(4):  # what is the nearest by the whole and by a part is compared once
        assert all(len(set(row)) == 3 for row in parts.indices[:, 3 * part : 3 * part + 3].tolist())
    assert parts.weights[:, 9:].max() <= 0.3 + 1e-6
    assert not set(whole.indices[8]) <= set(range(4)) | {9}
    assert set(parts.indices[8, 9:]) <= set(range(4)) | {9}


def test_a_part_brings_candidates_of_its_own() -> None:
    """Forty images share three quarters of the first, but not the upper one, and two its upper half."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (43, 8, 8, 1), dtype=np.uint8)
    images[1:41, 2:] = images[0, 2:]
    images[41:, :4] = images[0, :4]
    assert not set(neighbours_by_distortion(images, 2, 6, WHOLE).indices[0]) & {41, 42}
    assert set(neighbours_by_distortion(images, 2, 6, PARTS).indices[0, 6:]) == {41, 42}


def slanted(columns_a_row: float, channels: int = 1) -> np.ndarray:
    """A stroke of three columns' width, 10 rows high, in the middle of 20 x 20 pixels."""
    image = np.zeros((1, 20, 20, channels), np.uint8)
    for row in range(5, 15):
        first = int(np.floor(9.5 + columns_a_row * (row - 9.5)))
        image[0, row, first : first + 3] = 200
    return image


@pytest.mark.parametrize(("slant", "channels"), [(0.5, 1), (-0.5, 1), (1.0, 3)])
def test_writing_set_upright_has_its_rows_below_one_another(slant: float, channels: int) -> None:
    image = slanted(slant, channels)
    found = np.asarray(upright(jnp.asarray(image)))
    assert found.dtype == np.uint8 and found.shape == image.shape
    rows = found[0, 5:15, :, 0].astype(float)
    centres = (rows * np.arange(20)).sum(axis=1) / rows.sum(axis=1)
    assert np.ptp(centres) < 0.8  # columns of the stroke itself are whole
    np.testing.assert_allclose(rows.sum(axis=1), 600, atol=2)  # what is moved is neither more nor less


@pytest.mark.parametrize(
    "image", [slanted(0.0), np.zeros((1, 9, 7, 3), np.uint8), np.full((1, 8, 8, 1), 255, np.uint8)]
)
def test_what_has_no_slant_stays_as_it_is(image: np.ndarray) -> None:
    np.testing.assert_array_equal(upright(jnp.asarray(image)), image)


def test_without_slant_a_stroke_is_like_one_of_another_slant() -> None:
    thick = slanted(0.0)
    thick[0, 5:15, 7:14] = 200
    images = np.concatenate([slanted(0.0), slanted(0.9), thick])
    assert neighbours_by_distortion(images, 1, 2).indices[0] == 2
    assert neighbours_by_distortion(images, 1, 2, slanted=False).indices[0] == 1


def test_edges_back_lead_to_the_images_whose_pixels_are_found_in_ones_own() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)
    edges = gradients(jnp.asarray(images))
    first, second = np.divmod(np.arange(49), 7)
    of_others = np.asarray(distortion(edges[first], edges[second])[1]).sum(axis=1).reshape(7, 7)
    of_others[np.arange(7), np.arange(7)] = np.inf
    by_hand = likest(np.tile(np.arange(7), (7, 1)), of_others, 2, 0.25)
    near = neighbours_by_distortion(images, 2, 6, back=0.25)
    forth = neighbours_by_distortion(images, 2, 6)
    assert near.indices.shape == (7, 4)
    np.testing.assert_array_equal(near.indices[:, :2], forth.indices)
    np.testing.assert_array_equal(near.weights[:, :2], forth.weights)
    np.testing.assert_array_equal(near.indices[:, 2:], by_hand.indices)
    np.testing.assert_allclose(near.weights[:, 2:], by_hand.weights, rtol=1e-4)


def test_orientations_tell_an_edges_direction_and_its_part_of_the_image_and_have_length_one() -> None:
    """A bright left half has one edge, whose gradient points to the left: direction 4; for 3 and 5 cos^4 is 0.25."""
    image = np.zeros((1, 14, 14, 1), np.uint8)
    image[:, :, :7] = 255
    found = np.asarray(orientations(gradients(jnp.asarray(image)))).reshape(7, 7, 8)
    np.testing.assert_allclose(np.square(found).sum(), 1, rtol=1e-5)
    middle = found[3, 3]  # rows and columns 6 and 7, away from the frame
    np.testing.assert_allclose(middle / middle[4], [0, 0, 0, 0.5, 1, 0.5, 0, 0], atol=0.01)  # square roots
    np.testing.assert_allclose(found[3, [1, 2, 4, 5]], 0, atol=0.01)


@pytest.mark.parametrize("shape", [(28, 28, 1), (30, 17, 3), (5, 9, 1)])
def test_orientations_fit_any_image(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    found = np.asarray(orientations(gradients(jnp.asarray(images))))
    assert found.shape[0] == 3 and found.shape[1] % 8 == 0 and found.shape[1] <= 7 * 7 * 8
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_neighbours_by_orientations_are_the_nearest_vectors_in_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    near = neighbours_by_orientations(images, 3)
    vectors = np.asarray(orientations(gradients(jnp.asarray(images))), np.float64)
    distances = np.square(vectors[:, None] - vectors[None]).sum(axis=2) + 9 * np.eye(40)
    np.testing.assert_array_equal(near.indices, np.argsort(distances, axis=1)[:, :3])
    likest_three = np.sort(distances, axis=1)[:, :3]
    np.testing.assert_allclose(near.weights, np.exp(-8 * likest_three / likest_three[:, 2:]), rtol=1e-3)
    assert near.indices.dtype == np.int32 and near.weights.dtype == np.float32


def chain(*lengths: int) -> Neighbours:
    """Rows of images, each linked to the one before and after it in its own row."""
    indices = []
    for first, length in zip(np.cumsum((0, *lengths)), lengths, strict=False):
        before, after = np.arange(length) - 1, np.arange(length) + 1
        before[0], after[-1] = 1, length - 2
        indices.append(first + np.stack([before, after], 1))
    joined = np.concatenate(indices).astype(np.int32)
    return Neighbours(joined, np.ones(joined.shape, np.float32))


def test_a_label_spreads_over_all_that_hangs_together_and_no_farther() -> None:
    shares = propagate(chain(8, 8), np.array([0, 12]), np.array([1, 0]), classes=2)
    assert shares.shape == (16, 2) and shares.dtype == np.float32
    np.testing.assert_array_equal(shares.argmax(1), [1] * 8 + [0] * 8)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert shares.max(1).min() > 0.99


def test_between_two_labels_the_nearer_wins() -> None:
    shares = propagate(chain(11), np.array([0, 10]), np.array([0, 1]), classes=2)
    assert (np.diff(shares[:, 0]) < 0).all()
    assert (shares[:5, 0] > 0.5).all() and (shares[6:, 0] < 0.5).all()


def test_classes_come_out_equally_frequent() -> None:
    near, labelled = chain(30), np.array([0, 1, 2, 27, 28, 8])
    shares = propagate(near, labelled, np.array([0, 0, 0, 1, 1, 1]), classes=2)
    np.testing.assert_array_equal(np.bincount(shares.argmax(1)), 15)


def test_the_median_image_is_certain_however_few_the_labels() -> None:
    near = Neighbours(np.array([[1, 2], [0, 2], [1, 3], [2, 4], [3, 5], [4, 3]]), np.ones((6, 2), np.float32))
    shares = propagate(near, np.array([0, 5]), np.array([0, 1]), classes=2)
    ordered = np.sort(shares, axis=1)
    assert np.median(np.log(ordered[:, 1] / ordered[:, 0])) == pytest.approx(6, abs=1e-3)


def test_images_that_no_label_reaches_stay_undecided() -> None:
    shares = propagate(chain(4, 20), np.array([0, 3]), np.array([0, 1]), classes=2)
    np.testing.assert_array_equal(shares[:4].argmax(1), [0, 0, 1, 1])
    np.testing.assert_allclose(shares[4:], 0.5, atol=1e-6)


def test_shares_are_what_the_papers_equations_give() -> None:
    """Dense matrices of thirty images, five labels a class; rounds until none changes its class, then two more."""
    draw = np.random.default_rng(1)
    indices = np.stack([draw.permutation(np.delete(np.arange(30), i))[:3] for i in range(30)]).astype(np.int32)
    weights = draw.uniform(0.01, 0.1, (30, 3)).astype(np.float32)
    edges = np.zeros((30, 30))
    np.put_along_axis(edges, indices, weights, axis=1)
    edges += edges.T
    norm = 1 / np.sqrt(edges.sum(1))
    labelled, labels = np.arange(10), np.arange(10) % 2

    def solve(said: np.ndarray, kept: float) -> np.ndarray:
        values = np.linalg.solve(np.eye(30) - kept * norm[:, None] * edges * norm, said)
        values = values / values.sum(1, keepdims=True)
        for _ in range(50):
            values = values / values.sum(0)
            values = values / values.sum(1, keepdims=True)
        return values

    def all_speak(values: np.ndarray, kept: float) -> np.ndarray:
        said = np.eye(2)[values.argmax(1)]
        said[labelled] = np.eye(2)[labels]
        return solve(said, kept)

    known = np.zeros((30, 2))
    known[labelled, labels] = 1
    before, values = None, solve(known, 0.998)
    while before is None or (before.argmax(1) != values.argmax(1)).any():
        before, values = values, all_speak(values, 0.9995)
    values = all_speak(all_speak(values, 0.995), 0.995)
    shares = propagate(Neighbours(indices, weights), labelled, labels, classes=2)
    found, expected = (np.log(one[:, 0] / one[:, 1]) for one in (shares, values))
    np.testing.assert_allclose(found, expected * 6 / np.median(np.abs(expected)), atol=2e-2)


def test_fifty_labels_a_class_speak_once() -> None:
    draw = np.random.default_rng(2)
    near = chain(70, 70)
    truth = np.repeat([0, 1], 70)
    labelled = np.sort(np.concatenate([draw.choice(70, 50, replace=False), 70 + draw.choice(70, 50, replace=False)]))
    odd = truth.copy()
    odd[labelled[:3]] = 1  # three labels that nothing around them agrees with
    odd[labelled[-3:]] = 0
    links = np.zeros((140, 140))
    np.put_along_axis(links, near.indices, np.exp(-8.0), axis=1)
    links += links.T
    norm = 1 / np.sqrt(links.sum(1))
    known = np.zeros((140, 2))
    known[labelled, odd[labelled]] = 1
    values = np.linalg.solve(np.eye(140) - 0.995 * norm[:, None] * links * norm, known)
    for _ in range(50):
        values = values / values.sum(0)
        values = values / values.sum(1, keepdims=True)
    shares = propagate(near, labelled, odd[labelled], 2)
    found, expected = (np.log(one[:, 0] / one[:, 1]) for one in (shares, values))
    np.testing.assert_allclose(found, expected * 6 / np.median(np.abs(expected)), atol=0.1)


def test_an_odd_labelled_image_is_outvoted_by_what_hangs_together() -> None:
    """Two rings joined by a thread; the second class's only label lies on the thread, nearer to the first ring."""
    rings = chain(20, 20)
    indices = np.concatenate([rings.indices, [[3, 41], [40, 42], [41, 43], [42, 23]]]).astype(np.int32)
    for first in (0, 20):  # closed, and denser than a thread: each image is linked to four others of its ring
        places = np.arange(20)
        ring = first + np.stack([(places + 1) % 20, (places + 2) % 20], 1)
        indices[first : first + 20] = ring
    near = Neighbours(indices, np.ones(indices.shape, np.float32))
    shares = propagate(near, np.array([10, 40]), np.array([0, 1]), classes=2)
    np.testing.assert_array_equal(shares[:40].argmax(1), [0] * 20 + [1] * 20)


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The first 120 of each class inside the package, class by class, and their labels."""
    data = load_embedded()
    chosen = np.concatenate([np.flatnonzero(data.train_labels == c)[:120] for c in range(10)])
    return data.train_images[chosen], data.train_labels[chosen]


def test_a_class_whose_only_label_lies_among_anothers_images_gets_its_own() -> None:
    """Ten labels: nine images that their neighbours agree with, and a two that they take for a seven."""
    images, truth = digits()
    near = neighbours_by_distortion(images, count=6, candidates=20)
    labelled = np.array([1, 229, 343, 379, 526, 713, 775, 879, 1027, 1146])
    np.testing.assert_array_equal(truth[labelled], np.arange(10))
    sevens = truth[near.indices[343]] == 7
    assert near.weights[343][sevens].sum() > 0.9 * near.weights[343].sum()
    found = propagate(near, labelled, truth[labelled], classes=10).argmax(axis=1)
    assert (found == truth).mean() > 0.94, "0.90 without the beginning in which classes have one size"
    assert (found == truth)[truth == 2].mean() > 0.8


def stripes(count: int = 2000) -> tuple[Neighbours, Neighbours, np.ndarray]:
    """Points strewn over a square, linked to the six nearest; two classes in six stripes, which no cheap cut divides.

    Then the same points linked to some of their class, and their classes.
    """
    draw = np.random.default_rng(0)
    points = draw.uniform(0, 1, (count, 2))
    distances = np.square(points[:, None] - points[None]).sum(axis=2) + 9 * np.eye(count)
    near = likest(np.tile(np.arange(count), (count, 1)), distances, 6)
    truth = (6 * points[:, 0]).astype(int) % 2
    linked = np.stack([draw.choice(np.flatnonzero(truth == label), 3) for label in truth]).astype(np.int32)
    return near, Neighbours(linked, np.ones(linked.shape, np.float32)), truth


def test_where_classes_shade_into_one_another_labels_speak_once_and_other_links_are_asked_for() -> None:
    near, others, truth = stripes()
    labelled = np.random.default_rng(1).choice(len(truth), 100, replace=False)

    def right(also: Callable[[], Neighbours] | None) -> float:
        return float((propagate(near, labelled, truth[labelled], 2, also).argmax(axis=1) == truth).mean())

    assert right(None) > 0.8, "twenty rounds would leave 0.7 of them right"
    assert right(lambda: others) > 0.98


def test_what_hangs_together_needs_no_other_links() -> None:
    def also() -> Neighbours:
        raise AssertionError("asked for")

    propagate(chain(8, 8), np.array([0, 12]), np.array([1, 0]), 2, also)


def test_what_the_check_raises_ends_propagation_within_its_equations() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        propagate(chain(30, 30), np.array([0, 31]), np.array([0, 1]), 2, check=check)


def test_ten_labels_a_class_say_nine_in_ten_of_the_rest() -> None:
    images, labels = digits()
    near = neighbours_by_distortion(images, count=4, candidates=20)
    labelled = np.concatenate([np.arange(120 * c, 120 * c + 10) for c in range(10)])
    shares = propagate(near, labelled, labels[labelled], classes=10)
    rest = np.setdiff1d(np.arange(len(images)), labelled)
    assert (shares.argmax(1) == labels)[rest].mean() > 0.9


def test_propagation_is_deterministic() -> None:
    key = np.random.default_rng(0)
    near = Neighbours(key.integers(0, 50, (50, 3)).astype(np.int32), key.uniform(1, 2, (50, 3)).astype(np.float32))
    first, second = (propagate(near, np.arange(4), np.arange(4) % 2, 2) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert isinstance(first, np.ndarray) and not isinstance(first, jax.Array)


@pytest.mark.parametrize(("sizes", "labels"), [((180, 20), (18, 2)), ((100, 100), (12, 4))])
def test_classes_are_as_frequent_as_what_hangs_together_is_large(
    sizes: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    # Two groups of points on a line; labels as frequent as they are large, and where they are alike others, too.
    points = np.concatenate([np.linspace(0, 1, sizes[0]), np.linspace(5, 6, sizes[1])])
    distances = np.square(points[:, None] - points[None, :]) + 10.0 * np.eye(200)
    near = likest(np.tile(np.arange(200), (200, 1)), distances, 4)
    truth = (points > 2).astype(int)
    labelled = np.concatenate([np.flatnonzero(truth == label)[: labels[label]] for label in (0, 1)])
    found = propagate(near, labelled, truth[labelled], 2).argmax(axis=1)
    assert (found == truth).mean() > 0.98

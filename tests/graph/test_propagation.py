"""Facts about labels that are propagated along a graph of similar images."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import numpy as np
import pytest

from sgan_jax.config import PropagationConfig
from sgan_jax.data.embedded import load_embedded
from sgan_jax.graph.neighbours import Neighbours, nearest, nearest_by_deformation
from sgan_jax.graph.propagation import LabelledImages, propagate
from sgan_jax.training.signals import Stopped

CONFIG = PropagationConfig()


def labelled(indices: Sequence[int] | np.ndarray, labels: Sequence[int] | np.ndarray, classes: int) -> LabelledImages:
    return LabelledImages(np.asarray(indices), np.asarray(labels), classes)


def chain(*lengths: int) -> Neighbours:
    """Rows of images, each linked to the one before and after it in its own row."""
    indices = []
    for first, length in zip(np.cumsum((0, *lengths)), lengths, strict=False):
        before, after = np.arange(length) - 1, np.arange(length) + 1
        before[0], after[-1] = 1, length - 2
        indices.append(first + np.stack([before, after], 1))
    joined = np.concatenate(indices).astype(np.int32)
    return Neighbours(joined, np.ones(joined.shape, np.float32))


def test_a_label_reaches_all_connected_images_and_no_others() -> None:
    probabilities = propagate(chain(8, 8), labelled([0, 12], [1, 0], 2), CONFIG)
    assert probabilities.shape == (16, 2) and probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities.argmax(1), [1] * 8 + [0] * 8)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert probabilities.max(1).min() > 0.99


def test_between_two_labels_the_nearer_one_wins() -> None:
    probabilities = propagate(chain(11), labelled([0, 10], [0, 1], 2), CONFIG)
    assert (np.diff(probabilities[:, 0]) < 0).all()
    assert (probabilities[:5, 0] > 0.5).all() and (probabilities[6:, 0] < 0.5).all()


def test_classes_with_equally_many_labels_are_predicted_equally_often() -> None:
    probabilities = propagate(chain(30), labelled([0, 1, 2, 27, 28, 8], [0, 0, 0, 1, 1, 1], 2), CONFIG)
    np.testing.assert_array_equal(np.bincount(probabilities.argmax(1)), 15)


@pytest.mark.parametrize("certainty", [6.0, 3.0])
def test_the_median_image_is_certain_however_few_the_labels(certainty: float) -> None:
    near = Neighbours(np.array([[1, 2], [0, 2], [1, 3], [2, 4], [3, 5], [4, 3]]), np.ones((6, 2), np.float32))
    probabilities = propagate(near, labelled([0, 5], [0, 1], 2), replace(CONFIG, certainty=certainty))
    ordered = np.sort(probabilities, axis=1)
    assert np.median(np.log(ordered[:, 1] / ordered[:, 0])) == pytest.approx(certainty, abs=1e-3)


def test_images_that_no_label_reaches_stay_undecided() -> None:
    probabilities = propagate(chain(4, 20), labelled([0, 3], [0, 1], 2), CONFIG)
    np.testing.assert_array_equal(probabilities[:4].argmax(1), [0, 0, 1, 1])
    np.testing.assert_allclose(probabilities[4:], 0.5, atol=1e-6)


def dense_solver(neighbours: Neighbours) -> Callable[[np.ndarray, float], np.ndarray]:
    """Zhou et al.'s equation 4 and Sinkhorn's scaling, with dense matrices in float64."""
    count = len(neighbours.indices)
    weights = np.zeros((count, count))
    np.put_along_axis(weights, neighbours.indices, neighbours.weights, axis=1)
    weights += weights.T
    scale = 1 / np.sqrt(weights.sum(1))

    def solve(sources: np.ndarray, alpha: float) -> np.ndarray:
        scores = np.linalg.solve(np.eye(count) - alpha * scale[:, None] * weights * scale, sources)
        scores = scores / scores.sum(1, keepdims=True)
        for _ in range(50):
            scores = scores / scores.sum(0)
            scores = scores / scores.sum(1, keepdims=True)
        return scores

    return solve


def assert_log_odds(probabilities: np.ndarray, expected: np.ndarray, atol: float) -> None:
    """Both are of two classes; the expected ones get a median certainty of 6."""
    log_odds, by_hand = (np.log(p[:, 0] / p[:, 1]) for p in (probabilities, expected))
    np.testing.assert_allclose(log_odds, by_hand * 6 / np.median(np.abs(by_hand)), atol=atol)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, alpha=0.9, alpha_wide=0.99, alpha_narrow=0.97)])
def test_probabilities_are_what_the_papers_equations_give(config: PropagationConfig) -> None:
    """Thirty images, five labels a class; iterations until none changes its class, then two narrow propagations."""
    draw = np.random.default_rng(1)
    indices = np.stack([draw.permutation(np.delete(np.arange(30), i))[:3] for i in range(30)]).astype(np.int32)
    neighbours = Neighbours(indices, draw.uniform(0.01, 0.1, (30, 3)).astype(np.float32))
    known = labelled(np.arange(10), np.arange(10) % 2, 2)
    solve = dense_solver(neighbours)

    def propagate_from_all(probabilities: np.ndarray, alpha: float) -> np.ndarray:
        sources = np.eye(2)[probabilities.argmax(1)]
        sources[known.indices] = np.eye(2)[known.labels]
        return solve(sources, alpha)

    sources = np.zeros((30, 2))
    sources[known.indices, known.labels] = 1
    before, expected = None, solve(sources, config.alpha)
    while before is None or (before.argmax(1) != expected.argmax(1)).any():
        before, expected = expected, propagate_from_all(expected, config.alpha_wide)
    expected = propagate_from_all(propagate_from_all(expected, config.alpha_narrow), config.alpha_narrow)
    assert_log_odds(propagate(neighbours, known, config), expected, atol=2e-2)


@pytest.mark.parametrize(("config", "alpha"), [(CONFIG, 0.995), (replace(CONFIG, alpha_many=0.99), 0.99)])
def test_fifty_labels_a_class_are_propagated_once(config: PropagationConfig, alpha: float) -> None:
    draw = np.random.default_rng(2)
    neighbours = chain(70, 70)
    indices = np.sort(np.concatenate([draw.choice(70, 50, replace=False), 70 + draw.choice(70, 50, replace=False)]))
    labels = np.repeat([0, 1], 70)[indices]
    labels[:3], labels[-3:] = 1, 0  # labels that nothing around them agrees with
    sources = np.zeros((140, 2))
    sources[indices, labels] = 1
    expected = dense_solver(neighbours)(sources, alpha)
    assert_log_odds(propagate(neighbours, labelled(indices, labels, 2), config), expected, atol=0.1)


def test_a_labelled_image_among_another_class_does_not_move_the_border() -> None:
    """Two rings joined by a thread; the second class's only label lies on the thread, nearer to the first ring."""
    rings = chain(20, 20)
    indices = np.concatenate([rings.indices, [[3, 41], [40, 42], [41, 43], [42, 23]]]).astype(np.int32)
    for first in (0, 20):  # closed, and denser than a thread: each image is linked to four others of its ring
        places = np.arange(20)
        ring = first + np.stack([(places + 1) % 20, (places + 2) % 20], 1)
        indices[first : first + 20] = ring
    neighbours = Neighbours(indices, np.ones(indices.shape, np.float32))
    probabilities = propagate(neighbours, labelled([10, 40], [0, 1], 2), CONFIG)
    np.testing.assert_array_equal(probabilities[:40].argmax(1), [0] * 20 + [1] * 20)


class Digits:
    """The first 120 of each class inside the package, class by class, and their neighbours."""

    def __init__(self) -> None:
        data = load_embedded()
        chosen = np.concatenate([np.flatnonzero(data.train_labels == c)[:120] for c in range(10)])
        self.truth = data.train_labels[chosen]
        self.neighbours = nearest_by_deformation(
            data.train_images[chosen], PropagationConfig(neighbours=6, candidates=20)
        )

    def predict(self, indices: np.ndarray, config: PropagationConfig) -> np.ndarray:
        known = labelled(indices, self.truth[indices], 10)
        return propagate(self.neighbours, known, config).argmax(axis=1)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def test_a_class_whose_only_label_lies_among_anothers_images_is_predicted(digits: Digits) -> None:
    """Ten labels: nine images that their neighbours agree with, and a two that they take for a seven."""
    indices = np.array([1, 229, 343, 379, 526, 713, 775, 879, 1027, 1146])
    np.testing.assert_array_equal(digits.truth[indices], np.arange(10))
    edges = digits.neighbours
    sevens = digits.truth[edges.indices[343]] == 7
    assert edges.weights[343][sevens].sum() > 0.9 * edges.weights[343].sum()
    right = digits.predict(indices, CONFIG) == digits.truth
    assert right.mean() > 0.94 and right[digits.truth == 2].mean() > 0.8
    without_balanced_start = digits.predict(indices, replace(CONFIG, few_labels=0)) == digits.truth
    assert without_balanced_start.mean() < 0.92


def test_ten_labels_a_class_predict_nine_in_ten_of_the_other_images(digits: Digits) -> None:
    indices = np.concatenate([np.arange(120 * c, 120 * c + 10) for c in range(10)])
    unlabelled = np.setdiff1d(np.arange(len(digits.truth)), indices)
    assert (digits.predict(indices, CONFIG) == digits.truth)[unlabelled].mean() > 0.9


class Stripes:
    """Points of a square, linked to the six nearest; two classes in six stripes, which no cheap cut divides.

    `others` links each point to three of its class.
    """

    def __init__(self, count: int = 1500) -> None:
        draw = np.random.default_rng(0)
        points = draw.uniform(0, 1, (count, 2))
        distances = np.square(points[:, None] - points[None]).sum(axis=2) + 9 * np.eye(count)
        self.neighbours = nearest(np.tile(np.arange(count), (count, 1)), distances, PropagationConfig(neighbours=6))
        self.truth = (6 * points[:, 0]).astype(int) % 2
        linked = np.stack([draw.choice(np.flatnonzero(self.truth == label), 3) for label in self.truth])
        self.others = Neighbours(linked.astype(np.int32), np.ones(linked.shape, np.float32))
        indices = np.random.default_rng(1).choice(count, count // 20, replace=False)
        self.known = labelled(indices, self.truth[indices], 2)

    def accuracy(self, config: PropagationConfig, others: Callable[[], Neighbours] | None) -> float:
        predicted = propagate(self.neighbours, self.known, config, others).argmax(axis=1)
        return float((predicted == self.truth).mean())


def never_called() -> Neighbours:
    raise AssertionError("more neighbours were asked for")


def test_where_classes_overlap_labels_are_propagated_once_with_other_neighbours_as_well() -> None:
    stripes = Stripes()
    assert stripes.accuracy(CONFIG, lambda: stripes.others) > 0.98
    local = stripes.accuracy(CONFIG, None)
    iterative = stripes.accuracy(replace(CONFIG, stable=1.0), never_called)
    assert local > 0.75 > 0.65 > iterative


def test_classes_that_do_not_overlap_need_no_other_neighbours() -> None:
    propagate(chain(8, 8), labelled([0, 12], [1, 0], 2), CONFIG, never_called)


def test_what_the_check_raises_ends_propagation_within_its_equations() -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        propagate(chain(30, 30), labelled([0, 31], [0, 1], 2), CONFIG, check=check)


def test_propagation_is_deterministic() -> None:
    draw = np.random.default_rng(0)
    indices, weights = draw.integers(0, 50, (50, 3)), draw.uniform(1, 2, (50, 3))
    neighbours = Neighbours(indices.astype(np.int32), weights.astype(np.float32))
    known = labelled(np.arange(4), np.arange(4) % 2, 2)
    first, second = (propagate(neighbours, known, CONFIG) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert isinstance(first, np.ndarray) and not isinstance(first, jax.Array)


@pytest.mark.parametrize(("sizes", "labels"), [((180, 20), (18, 2)), ((100, 100), (12, 4))])
def test_classes_are_as_frequent_as_the_connected_images_are(sizes: tuple[int, ...], labels: tuple[int, ...]) -> None:
    """Two groups of points on a line, with labels as frequent as the groups are large, and with other frequencies."""
    points = np.concatenate([np.linspace(0, 1, sizes[0]), np.linspace(5, 6, sizes[1])])
    distances = np.square(points[:, None] - points[None, :]) + 10.0 * np.eye(200)
    neighbours = nearest(np.tile(np.arange(200), (200, 1)), distances, PropagationConfig(neighbours=4))
    truth = (points > 2).astype(int)
    indices = np.concatenate([np.flatnonzero(truth == label)[: labels[label]] for label in (0, 1)])
    predicted = propagate(neighbours, labelled(indices, truth[indices], 2), CONFIG).argmax(axis=1)
    assert (predicted == truth).mean() > 0.98

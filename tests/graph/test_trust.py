"""Facts about the test of a graph on the labels, and what follows from it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sgan_jax.config import PropagationConfig
from sgan_jax.data.embedded import load_embedded
from sgan_jax.graph.neighbours import Neighbours, nearest_by_deformation
from sgan_jax.graph.propagation import LabelledImages, propagate
from sgan_jax.graph.trust import FOLDS, Propagated, folds, kappa, most_likely_certainty, propagate_tested
from sgan_jax.graph.verdict import CALIBRATED, TRUSTED, UNTESTED, UNUSED, Trust

CONFIG = PropagationConfig(neighbours=6)


def labelled(indices: np.ndarray, truth: np.ndarray) -> LabelledImages:
    return LabelledImages(indices, truth[indices], int(truth.max()) + 1)


def wired(truth: np.ndarray, wrong: float, seed: int = 0) -> Neighbours:
    """Six edges from each image, this fraction of them to images of any class and the others to some of its own."""
    draw = np.random.default_rng(seed)
    own = np.stack([draw.choice(np.flatnonzero(truth == label), 6) for label in truth])
    anywhere = draw.integers(0, len(truth), own.shape)
    indices = np.where(draw.uniform(size=own.shape) < wrong, anywhere, own)
    return Neighbours(indices.astype(np.int32), np.ones(own.shape, np.float32))


TRUTH = np.arange(600) % 3
SIXTY = labelled(np.arange(60), TRUTH)


def test_strokes_are_trusted_and_their_labels_are_those_of_propagation_bit_for_bit() -> None:
    digits = load_embedded()
    images, truth = digits.train_images[:300], digits.train_labels[:300]
    neighbours = nearest_by_deformation(images, replace(CONFIG, candidates=10))
    known = labelled(np.arange(100), truth)
    probabilities, trust = propagate_tested(neighbours, known, CONFIG)
    assert trust.verdict == TRUSTED and trust.tested == 100 and trust.right > 70 and trust.certainty == CONFIG.certainty
    np.testing.assert_array_equal(probabilities, propagate(neighbours, known, CONFIG))


def test_a_graph_of_noise_is_not_used() -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (400, 12, 12, 1), np.uint8)
    neighbours = nearest_by_deformation(images, replace(CONFIG, candidates=10))
    probabilities, trust = propagate_tested(neighbours, labelled(np.arange(80), np.arange(400) % 4), CONFIG)
    assert probabilities is None and (trust.verdict, trust.tested, trust.certainty) == (UNUSED, 80, 0.0)
    assert trust.right < 40 and abs(trust.kappa) < 0.3


def likelihood(result: Propagated, truth: np.ndarray) -> float:
    """Mean logarithm of the probabilities of the true classes."""
    assert result.probabilities is not None
    return float(np.log(result.probabilities[np.arange(len(truth)), truth]).mean())


def test_in_between_the_certainty_is_calibrated_on_the_left_out_labels() -> None:
    neighbours = wired(TRUTH, wrong=0.75)
    calibrated = propagate_tested(neighbours, SIXTY, replace(CONFIG, trusted=1.0, useful=0.2))
    full = propagate_tested(neighbours, SIXTY, replace(CONFIG, trusted=0.0))
    trust = calibrated.trust
    assert trust.verdict == CALIBRATED and 0 < trust.certainty < CONFIG.certainty and 0.2 < trust.kappa < 0.9
    assert likelihood(calibrated, TRUTH) > likelihood(full, TRUTH) + 0.1, "of labels that it has not seen"
    ordered = np.log(np.sort(calibrated.probabilities, axis=1))
    assert np.median(ordered[:, -1] - ordered[:, -2]) == pytest.approx(trust.certainty, rel=1e-3)


def test_iterations_are_not_used_where_the_test_leaves_doubt() -> None:
    neighbours, config = wired(TRUTH, wrong=0.6), replace(CONFIG, trusted=1.0, stable=1.0)  # never overlapping
    with_few, with_many = (
        propagate_tested(neighbours, SIXTY, replace(config, iterations=count)).probabilities for count in (1, 20)
    )
    np.testing.assert_array_equal(with_few, with_many)


@pytest.mark.parametrize("wrong", [0.0, 0.6, 0.85, 1.0])
def test_the_verdict_is_that_of_the_two_numbers(wrong: float) -> None:
    neighbours = wired(TRUTH, wrong)
    of_test = propagate_tested(neighbours, SIXTY, CONFIG).trust.kappa
    for trusted, useful, verdict in (
        (of_test, of_test, TRUSTED),
        (of_test + 1e-6, of_test, CALIBRATED),
        (of_test + 2e-6, of_test + 1e-6, UNUSED),
    ):
        assert propagate_tested(neighbours, SIXTY, replace(CONFIG, trusted=trusted, useful=useful)).trust == Trust(
            verdict, 60, propagate_tested(neighbours, SIXTY, CONFIG).trust.right, of_test, pytest.approx(3, abs=3)
        )


@pytest.mark.parametrize(
    ("indices", "config"),
    [
        (np.arange(3), CONFIG),  # one of each class
        (np.array([0, 3, 6, 1, 2]), CONFIG),  # several of one class only
        (np.arange(60), replace(CONFIG, trusted=0.0)),
    ],
)
def test_what_cannot_or_shall_not_be_tested_is_used_as_before(indices: np.ndarray, config: PropagationConfig) -> None:
    neighbours, known = wired(TRUTH, wrong=1.0), labelled(indices, TRUTH)
    probabilities, trust = propagate_tested(neighbours, known, config)
    assert trust == Trust(UNTESTED, certainty=config.certainty)
    np.testing.assert_array_equal(probabilities, propagate(neighbours, known, config))


def test_an_image_that_no_label_reaches_has_no_class() -> None:
    apart = np.arange(40).reshape(20, 2)[:, ::-1].reshape(40, 1)  # pairs
    neighbours = Neighbours(apart.astype(np.int32), np.ones((40, 1), np.float32))
    truth = np.repeat(np.arange(2), 20)
    known = labelled(np.array([0, 2, 4, 20, 22, 24]), truth)
    assert propagate_tested(neighbours, known, CONFIG).trust == Trust(UNUSED, 6, 0, 0.0, 0.0)
    known = labelled(np.array([0, 1, 20, 21]), truth)
    assert propagate_tested(neighbours, known, CONFIG).trust == Trust(TRUSTED, 4, 4, 1.0, 6.0)


def test_more_neighbours_are_tested_where_they_are_used() -> None:
    def none() -> Neighbours:
        raise AssertionError("more neighbours were asked for")

    def result(more: Callable[[], Neighbours] | None, wrong: float, stable: float) -> Trust:
        config = replace(CONFIG, stable=stable, trial_iterations=1)
        return propagate_tested(wired(TRUTH, wrong), SIXTY, config, more).trust

    assert result(none, wrong=0.0, stable=1.0).verdict == TRUSTED
    strong = wired(TRUTH, 0.0, seed=1)
    strong = strong._replace(weights=10 * strong.weights)
    overlapping, helped = (result(more, 1.0, -1.0) for more in (None, lambda: strong))
    assert overlapping.verdict == UNUSED and helped.verdict == TRUSTED


def test_the_test_is_deterministic() -> None:
    first, second = (propagate_tested(wired(TRUTH, 0.7), SIXTY, CONFIG) for _ in range(2))
    assert first.trust == second.trust
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


@pytest.mark.parametrize("counts", [(10, 10, 10), (3, 3), (2, 9), (7, 5, 1), (1, 1, 2, 2), (50, 3)])
def test_each_label_is_left_out_once_and_never_all_of_a_class(counts: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    in_fold = folds(labels)
    assert in_fold.max() + 1 <= min(FOLDS, max(counts))
    for label, count in enumerate(counts):
        of_class = in_fold[labels == label]
        assert (of_class == -1).all() if count == 1 else (of_class >= 0).all()
        sizes = np.bincount(of_class[of_class >= 0], minlength=1)
        assert sizes.max() < count if count > 1 else not sizes.any()
        assert sizes.max() - np.bincount(of_class + 1)[1:].min(initial=sizes.max()) <= 1, "spread evenly"
    if len(set(counts)) == 1:
        left = [np.bincount(labels[in_fold == fold]).tolist() for fold in range(in_fold.max() + 1)]
        assert all(len(set(of_fold)) == 1 for of_fold in left), "as many of each class"


def test_kappa_is_the_textbooks() -> None:
    # Cohen's own form by hand: observed 0.7, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    labels = np.repeat([0, 1], [25, 25])
    predicted = np.concatenate([np.repeat([0, 1], [20, 5]), np.repeat([0, 1], [10, 15])])
    assert kappa(labels, predicted) == pytest.approx(0.4)
    assert kappa(labels, labels) == 1.0 and kappa(labels, 0 * labels) == 0.0 and kappa(labels, 1 - labels) == -1.0
    rare = np.repeat([0, 1], [95, 5])
    assert kappa(rare, 0 * rare) == pytest.approx(0.0), "right for 95 of 100, and worth nothing"


def test_the_calibrated_certainty_makes_the_labels_most_likely() -> None:
    # Two classes at log-odds 1, three of four right: the most likely log-odds are log 3.
    logs = np.tile([0.0, -1.0], (400, 1))
    labels = np.tile([0, 0, 0, 1], 100)
    assert most_likely_certainty(logs, labels, 6.0) == pytest.approx(np.log(3), abs=5e-3)
    assert most_likely_certainty(logs, 0 * labels, 6.0) == 6.0
    assert most_likely_certainty(logs, 1 - labels, 6.0) == pytest.approx(0.0, abs=5e-3)
    assert most_likely_certainty(1000 * logs, labels, 6.0) == pytest.approx(np.log(3) / 1000, abs=5e-3)


@pytest.mark.parametrize(
    ("trust", "config", "line"),
    [
        (
            Trust(TRUSTED, 100, 97, 0.9667, 6.0),
            CONFIG,
            "of 100 labelled images 97 get their class from the others along the graph; beyond chance 0.97, trusted "
            "from 0.5: propagated labels are used",
        ),
        (
            Trust(CALIBRATED, 1000, 550, 0.5, 1.53),
            CONFIG,
            "of 1,000 labelled images 550 get their class from the others along the graph; beyond chance 0.50, trusted "
            "from 0.5: propagated labels are used with certainty 1.5 in the place of 6",
        ),
        (
            Trust(UNUSED, 100, 23, 0.144, 0.0),
            CONFIG,
            "of 100 labelled images 23 get their class from the others along the graph; beyond chance 0.14, useful "
            "from 0.4: propagated labels are not used; a teacher alone predicts the classes of unlabelled images",
        ),
        (
            Trust(UNTESTED, certainty=6.0),
            CONFIG,
            "propagated labels are used without a test on labels: two classes with two labels each would be needed",
        ),
        (
            Trust(UNTESTED, certainty=6.0),
            replace(CONFIG, trusted=0.0),
            "propagated labels are used without a test on labels: the configuration asks so",
        ),
    ],
)
def test_a_line_has_accuracy_number_and_what_follows(trust: Trust, config: PropagationConfig, line: str) -> None:
    assert trust.described(config) == line

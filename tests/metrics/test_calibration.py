"""Facts about calibration, worked by hand."""

import numpy as np
import pytest

from sgan_jax.metrics.calibration import calibration_error, reliability

PROBABILITIES = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.05, 0.95]])
LABELS = np.array([0, 1, 1, 0])


def test_intervals_of_confidence_by_hand() -> None:
    bins = reliability(LABELS, PROBABILITIES)
    assert [(b.images, round(b.confidence, 6), b.accuracy) for b in bins] == [
        (1, 0.65, 1.0),
        (1, 0.85, 0.0),
        (2, 0.95, 0.5),
    ]


def test_the_expected_calibration_error_by_hand() -> None:
    # Distances 0.35, 0.85 and twice 0.45, over four images.
    assert calibration_error(LABELS, PROBABILITIES) == pytest.approx(0.525)


def test_a_classifier_that_is_certain_and_correct_is_calibrated() -> None:
    assert calibration_error(np.array([0, 1]), np.eye(2)) == 0
    assert calibration_error(np.zeros(0, int), np.zeros((0, 2))) == 0

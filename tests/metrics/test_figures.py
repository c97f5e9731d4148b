"""Accuracy, recall, precision and confusion against hand-worked numbers."""

import numpy as np

from sgan_jax.metrics import per_class
from sgan_jax.metrics.accuracy import accuracy, top_k_accuracy
from sgan_jax.metrics.confusion import confusion_matrix

PREDICTED, LABELS = np.array([0, 1, 1, 2, 0, 2, 2]), np.array([0, 1, 0, 2, 0, 1, 2], np.int32)


def test_confusion_counts_true_rows_against_predicted_columns() -> None:
    confusion = confusion_matrix(LABELS, PREDICTED, 3)
    np.testing.assert_array_equal(confusion, [[2, 1, 0], [0, 1, 1], [0, 0, 2]])
    assert confusion.dtype == np.int64
    np.testing.assert_allclose(per_class.recall(confusion), [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(per_class.precision(confusion), [1, 1 / 2, 2 / 3])


def test_accuracy_is_the_fraction_of_images_whose_largest_logit_is_that_of_their_class() -> None:
    logits = np.eye(3, dtype=np.float32)[PREDICTED]
    assert accuracy(logits, LABELS) == 5 / 7
    assert accuracy(logits, LABELS) == np.trace(confusion_matrix(LABELS, PREDICTED, 3)) / 7


def test_f1_is_the_harmonic_mean_of_recall_and_precision() -> None:
    confusion = confusion_matrix(LABELS, PREDICTED, 3)
    recall, precision = per_class.recall(confusion), per_class.precision(confusion)
    np.testing.assert_allclose(per_class.f1(confusion), 2 / (1 / recall + 1 / precision))
    never = np.array([[3, 1, 0], [0, 0, 0], [2, 4, 0]])
    np.testing.assert_allclose(per_class.f1(never), [2 * 3 / (4 + 5), np.nan, 0])


def test_top_k_counts_images_whose_class_is_among_the_k_largest_logits() -> None:
    logits = np.array([[5, 4, 3, 2], [1, 9, 8, 7], [2, 1, 4, 3]], np.float32)
    labels = np.array([0, 3, 1], np.int32)  # ranks 1, 3 and 4
    assert [top_k_accuracy(logits, labels, k) for k in (1, 2, 3, 4)] == [1 / 3, 1 / 3, 2 / 3, 1]
    tied = np.zeros((4, 4), np.float32)  # as argmax, the first of equal ones
    assert [top_k_accuracy(tied, np.arange(4), k) for k in (1, 2, 4)] == [1 / 4, 2 / 4, 1]
    assert top_k_accuracy(logits, labels, 1) == accuracy(logits, labels)
    assert np.isnan(top_k_accuracy(logits[:0], labels[:0], 1))


def test_a_class_without_images_has_no_recall_and_a_class_never_predicted_no_precision() -> None:
    confusion = np.array([[3, 1, 0], [0, 0, 0], [2, 4, 0]])
    np.testing.assert_array_equal(per_class.recall(confusion), [0.75, np.nan, 0])
    np.testing.assert_array_equal(per_class.precision(confusion), [0.6, 0, np.nan])


def test_no_images_give_no_figures_and_no_error() -> None:
    none = np.zeros(0, np.int32)
    confusion = confusion_matrix(none, none, 3)
    assert confusion.sum() == 0
    assert np.isnan(accuracy(np.zeros((0, 3), np.float32), none))
    assert np.isnan(per_class.recall(confusion)).all() and np.isnan(per_class.precision(confusion)).all()

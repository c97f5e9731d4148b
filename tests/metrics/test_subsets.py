"""The images on which a classifier is evaluated."""

from dataclasses import replace

import numpy as np
import pytest

from sgan_jax.data.dataset import UNKNOWN, Dataset
from sgan_jax.metrics.subsets import EVALUATION_SIZE, evaluation_subset, held_out_subset, subsets

TRAIN = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
LABELS = np.array([0, UNKNOWN, 1, 0, UNKNOWN], np.int32)


def dataset(test: int) -> Dataset:
    return Dataset("five", TRAIN, LABELS, TRAIN[:test], np.zeros(test, np.int32), ("a", "b"))


def test_training_images_without_a_label_are_not_evaluated() -> None:
    by_name = subsets(dataset(test=2), np.array([2], int))
    assert list(by_name) == ["train", "test", "validation"]
    assert by_name["train"].images.ravel().tolist() == [0, 2, 3]
    assert by_name["train"].labels.tolist() == [0, 1, 0]
    assert by_name["validation"].images.ravel().tolist() == [2]


def test_images_of_a_folder_keep_the_names_of_their_files() -> None:
    of_folder = replace(dataset(test=2), train_files=tuple("abcde"), test_files=("f", "g"))
    by_name = subsets(of_folder, np.array([2], int))
    assert {name: subset.files for name, subset in by_name.items()} == {
        "train": ("a", "c", "d"),
        "test": ("f", "g"),
        "validation": ("c",),
    }


@pytest.mark.parametrize(
    ("test", "validation", "expected"), [(2, [2], "test"), (2, [], "test"), (0, [2], "validation"), (0, [], None)]
)
def test_held_out_images_are_those_for_testing_or_else_for_validation(test, validation, expected) -> None:
    assert held_out_subset(subsets(dataset(test), np.array(validation, int))) == expected


def test_ten_thousand_images_are_evaluated_the_same_each_time_and_from_all_over_the_set() -> None:
    np.testing.assert_array_equal(evaluation_subset(EVALUATION_SIZE), np.arange(EVALUATION_SIZE))
    indices = evaluation_subset(60_000)
    np.testing.assert_array_equal(indices, evaluation_subset(60_000))
    assert len(np.unique(indices)) == len(indices) == EVALUATION_SIZE
    assert indices.min() >= 0 and indices.max() < 60_000
    # About as many from either half, and from even and odd places.
    np.testing.assert_allclose([(indices < 30_000).mean(), (indices % 2 == 0).mean()], 0.5, atol=0.02)

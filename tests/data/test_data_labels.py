"""The labelled subset is balanced, nested, drawn without replacement, and the same on every machine."""

import dataclasses

import numpy as np
import pytest

from sgan_jax.data.labels import how_many
from sgan_jax.data.load import Dataset, choose_labelled
from sgan_jax.errors import UserError

LABELS = np.random.default_rng(3).permutation(np.repeat(np.arange(10), 40)).astype(np.int32)


@pytest.mark.parametrize("count", [1, 7, 10, 99, 100, 101, 399, 400])
def test_balanced_and_without_replacement(count):
    chosen = choose_labelled(LABELS, count, 10, seed=5)
    assert chosen.shape == (count,) and chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == count
    counts = np.bincount(LABELS[chosen], minlength=10)
    assert counts.max() - counts.min() <= (count % 10 != 0)


def test_a_smaller_draw_is_the_beginning_of_a_larger():
    long = choose_labelled(LABELS, 400, 10, seed=0)
    for count in range(1, 400):
        np.testing.assert_array_equal(choose_labelled(LABELS, count, 10, seed=0), long[:count])


def test_the_draw_is_the_same_with_every_version_of_numpy():
    assert choose_labelled(np.arange(60) % 3, 7, 3, seed=0).tolist() == [8, 10, 0, 17, 52, 45, 56]


def test_other_seeds_draw_other_images_and_reach_all_of_them_evenly():
    hits = np.zeros(400)
    for seed in range(400):
        hits[choose_labelled(LABELS, 100, 10, seed)] += 1
    # Each image is drawn with probability 1/4: 100 +- 8.7 of 400, and five deviations allow for 400 images.
    assert hits.sum() == 40000 and abs(hits - 100).max() < 5 * 8.7


def test_a_rare_class_is_drawn_as_often_as_a_common_one():
    chosen = choose_labelled(np.repeat([0, 1], [4, 4000]), 8, 2, seed=1)
    assert sorted(chosen[chosen < 4]) == [0, 1, 2, 3] and len(chosen) == 8


@pytest.mark.parametrize(
    ("count", "seed", "message"),
    [
        (0, 0, r"data.labels 0: expected at least 1"),
        (-5, 0, r"data.labels -5: expected at least 1"),
        (
            401,
            0,
            r"data.labels 401: class '\d' has 40 training .*; expected at most 400, which are all$",
        ),
        (10, -1, r"data.label_seed -1: expected 0 or more"),
    ],
)
def test_errors_of_impossible_draws_name_the_setting(count, seed, message):
    with pytest.raises(UserError, match=message):
        choose_labelled(LABELS, count, 10, seed)


def test_a_class_with_too_few_examples_is_named():
    labels = np.concatenate([LABELS, np.repeat(10, 3)])
    with pytest.raises(
        UserError, match=r"data.labels 44: class '10' has 3 training .* 4 are needed.*at most 33, or 403, "
    ):
        choose_labelled(labels, 44, 11, seed=0)
    names = [*"abcdefghij", "owl"]
    with pytest.raises(UserError, match=r"data.labels 44: class 'owl' has 3 training examples"):
        choose_labelled(labels, 44, 11, seed=0, class_names=names)
    with pytest.raises(UserError, match=r"class '2' has 0 training .*; expected 8, which are all$"):
        choose_labelled(np.arange(8) % 2, 6, 3, seed=0)
    with pytest.raises(UserError, match="label 10 of example 400 is out of range"):
        choose_labelled(labels, 10, 10, seed=0)


def test_images_without_a_label_are_never_drawn():
    labels = np.where(np.arange(400) % 4 == 0, LABELS, -1)
    chosen = choose_labelled(labels, 20, 10, seed=0)
    assert (labels[chosen] >= 0).all() and len(set(chosen.tolist())) == 20
    with pytest.raises(UserError, match=r"class '\d' has \d+ training examples with a label, .* or 100, which are all"):
        choose_labelled(labels, 99, 10, seed=0)


def test_all_known_labels_are_drawn_from_classes_of_any_sizes_each_spread_evenly():
    labels = np.concatenate([np.repeat([0, 1], [30, 90]), np.full(50, -1)])
    chosen = choose_labelled(labels, 120, 2, seed=0)
    assert sorted(chosen.tolist()) == list(range(120))
    for quarter in chosen.reshape(4, 30):
        assert 6 <= np.bincount(labels[quarter])[0] <= 9  # 7.5 of 30
    np.testing.assert_array_equal(chosen, choose_labelled(labels, 120, 2, seed=0))


def test_the_default_number_of_labels_is_all_of_custom_images_and_a_hundred_of_other_sets():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    labels = np.array([0, 1, -1], np.int32)
    custom = Dataset("pets", images, labels, images[:0], labels[:0], ("a", "b"), custom=True)
    published = dataclasses.replace(custom, custom=False)
    assert (how_many(None, custom), how_many(1, custom), how_many(None, published)) == (2, 1, 100)

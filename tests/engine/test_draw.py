"""Facts about what a step draws: from which images, what belongs together, and what it cannot know."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import DATA, SHAPE, recipe_of

from sgan_jax.data.labels import class_weights
from sgan_jax.engine.step import draw, make_train_step, take
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.adversarial import tutorial
from sgan_jax.objectives.losses import cross_entropy
from sgan_jax.objectives.terms import classify
from sgan_jax.types import Data

RECIPE = recipe_of(tutorial())


def test_scale_maps_black_to_minus_one_white_to_one_and_is_odd_about_the_middle() -> None:
    values = np.asarray(scale(jnp.arange(256, dtype=jnp.uint8)))
    assert values.dtype == np.float32
    assert (values[0], values[255]) == (-1, 1)
    np.testing.assert_allclose(values, np.linspace(-1, 1, 256), atol=1e-7)
    np.testing.assert_array_equal(values, -values[::-1])  # 127.5, which no image has, would be 0


def marked(count: int) -> np.ndarray:
    """Images whose pixels are their index."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1), (count, 2, 2, 1)).copy()


def marks(images: jax.Array) -> np.ndarray:
    """The indices of images that are `marked`."""
    return np.rint(np.asarray(images)[:, 0, 0, 0] * 127.5 + 127.5).astype(int)


def test_batches_are_drawn_with_replacement_from_all_images_and_labels_stay_with_theirs() -> None:
    labels = (np.arange(50) * 7 % 5).astype(np.int32)
    data = Data(jnp.asarray(marked(50)), jnp.asarray(labels), jnp.asarray(marked(50)))
    batch = draw(data, RECIPE._replace(batch_size=2000, unlabelled=2000), jax.random.key(0))
    lab, unl = marks(batch.lab_images), marks(batch.unl_images)
    np.testing.assert_array_equal(batch.lab_labels, labels[lab])
    for drawn in (lab, unl):  # each of 50 comes 40 +- 6.3 times: within five deviations
        np.testing.assert_allclose(np.bincount(drawn, minlength=50), 40, atol=31)
    assert (lab == unl).mean() == pytest.approx(1 / 50, abs=5 * 0.0031)  # the two draws are independent
    np.testing.assert_array_equal(batch.unl_images, scale(data.unl_images[unl]))


def test_batch_is_larger_than_the_labelled_set_if_need_be() -> None:
    one = Data(DATA.lab_images[:1], DATA.lab_labels[:1], DATA.unl_images)
    batch = draw(one, RECIPE._replace(batch_size=50, unlabelled=50), jax.random.key(0))
    assert batch.lab_images.shape == (50, *SHAPE)
    assert set(np.asarray(batch.lab_labels).tolist()) == {0}


def test_a_batch_may_have_more_unlabelled_images_each_with_its_index_and_pseudo_labels() -> None:
    count = len(DATA.unl_images)
    pseudo_labels = jnp.arange(count, dtype=jnp.float32)[:, None] * jnp.ones((1, 3))
    recipe = RECIPE._replace(batch_size=5, unlabelled=40)
    batch = draw(DATA._replace(pseudo_labels=pseudo_labels), recipe, jax.random.key(0))
    assert len(batch.lab_images) == 5
    assert batch.pseudo_labels is not None and batch.pseudo_labels.shape == (40, 3)
    np.testing.assert_array_equal(batch.pseudo_labels[:, 0].astype(int), batch.unl_indices)
    np.testing.assert_array_equal(batch.unl_images, scale(DATA.unl_images[batch.unl_indices]))
    assert draw(DATA, recipe, jax.random.key(0)).pseudo_labels is None


def test_streamed_images_are_taken_as_they_are_beside_the_labelled_images_of_a_draw() -> None:
    drawn = draw(DATA, RECIPE, jax.random.key(0))
    taken = take(DATA._replace(unl_images=DATA.unl_images[3:5]), RECIPE, jax.random.key(0))
    np.testing.assert_array_equal(taken.lab_images, drawn.lab_images)
    np.testing.assert_array_equal(taken.lab_labels, drawn.lab_labels)
    np.testing.assert_array_equal(taken.unl_images, scale(DATA.unl_images[3:5]))
    np.testing.assert_array_equal(taken.unl_indices, [0, 1])


def test_the_first_unlabelled_images_of_a_batch_keep_what_belongs_to_them() -> None:
    pseudo_labels = jnp.arange(9, dtype=jnp.float32)[:, None] * jnp.ones((1, 3))
    for data in (DATA, DATA._replace(pseudo_labels=pseudo_labels)):
        batch = draw(data, RECIPE._replace(unlabelled=7), jax.random.key(0))
        first = batch.first_unlabelled(2)
        np.testing.assert_array_equal(first.unl_images, batch.unl_images[:2])
        np.testing.assert_array_equal(first.unl_indices, batch.unl_indices[:2])
        np.testing.assert_array_equal(first.lab_images, batch.lab_images)
        assert (first.pseudo_labels is None) == (data is DATA)
        if first.pseudo_labels is not None:
            np.testing.assert_array_equal(first.pseudo_labels[:, 0].astype(int), first.unl_indices)


def test_labels_of_unlabelled_images_cannot_matter() -> None:
    # A step gets its state, `Data` and a key, and `Data` has labels of the labelled images only; the pseudo-labels are
    # made of those, too (test_loop.py), and so are the weights of labelled images.
    assert Data._fields == ("lab_images", "lab_labels", "unl_images", "pseudo_labels", "lab_weights")
    assert list(inspect.signature(make_train_step(RECIPE)).parameters) == ["state", "data", "key"]


# --- classes with unequal numbers of labels ---

UNEQUAL = np.repeat([0, 1, 2], [40, 8, 2]).astype(np.int32)
IMBALANCED = Data(
    jnp.asarray(marked(50)),
    jnp.asarray(UNEQUAL),
    jnp.asarray(marked(9)),
    lab_weights=jnp.asarray(class_weights(UNEQUAL, 3)),
)


def test_class_weights_have_equal_sums_and_a_mean_of_one() -> None:
    weights = class_weights(UNEQUAL, 3)
    np.testing.assert_allclose(np.bincount(UNEQUAL, weights), 50 / 3, rtol=1e-6)
    np.testing.assert_allclose(class_weights(np.array([0, 1, 2, 1, 0, 2]), 3), 1)


@pytest.mark.parametrize("sample", [draw, take])
def test_balanced_draws_have_each_class_and_within_it_each_image_as_often(sample) -> None:
    recipe = RECIPE._replace(batch_size=6000, class_balance="draws")
    batch = sample(IMBALANCED, recipe, jax.random.key(0))
    assert batch.lab_weights is None
    drawn = marks(batch.lab_images)
    np.testing.assert_array_equal(batch.lab_labels, UNEQUAL[drawn])
    np.testing.assert_allclose(np.bincount(batch.lab_labels), 2000, atol=5 * 36.5)
    np.testing.assert_allclose(np.bincount(drawn)[:40], 50, atol=5 * 7.1)
    np.testing.assert_allclose(np.bincount(drawn)[48:], 1000, atol=5 * 28.9)


@pytest.mark.parametrize("sample", [draw, take])
def test_weights_belong_to_their_images_and_leave_the_draw_as_it_is(sample) -> None:
    recipe = RECIPE._replace(batch_size=200)
    plain = sample(IMBALANCED, recipe, jax.random.key(0))
    batch = sample(IMBALANCED, recipe._replace(class_balance="weights"), jax.random.key(0))
    assert plain.lab_weights is None
    np.testing.assert_array_equal(batch.lab_images, plain.lab_images)
    np.testing.assert_array_equal(batch.lab_weights, class_weights(UNEQUAL, 3)[marks(plain.lab_images)])


def test_the_weighted_loss_is_the_mean_over_classes_of_the_mean_loss_of_their_images() -> None:
    from sgan_jax.types import Batch, Bound, DiscOut

    logits = jax.random.normal(jax.random.key(1), (50, 3))
    nets = Bound({"d": lambda images, key: DiscOut(images, logits, logits[:, 0])}, {}, lambda key, count: key, {})
    batch = Batch(jnp.zeros((50, 1)), IMBALANCED.lab_labels, jnp.zeros(1), jnp.zeros(1), None, IMBALANCED.lab_weights)
    losses = np.asarray(cross_entropy(logits, batch.lab_labels))
    expected = np.mean([losses[k == UNEQUAL].mean() for k in range(3)])
    assert classify(nets, batch, jax.random.key(0)).loss["d/supervised"] == pytest.approx(expected, rel=1e-5)
    plain = classify(nets, batch._replace(lab_weights=None), jax.random.key(0)).loss["d/supervised"]
    assert plain == pytest.approx(losses.mean(), rel=1e-5)

"""Facts about running a classifier: batches that do not fill, images in any order, averaged probabilities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.engine.step import Recipe
from sgan_jax.engine.system import System
from sgan_jax.metrics import classify as module
from sgan_jax.metrics.classify import Classify, class_logits, ensemble, probabilities
from sgan_jax.types import DiscOut, Model, Net

CLASSES = 3
TRACED: list[tuple[int, ...]] = []  # shapes that the discriminator below was traced for


def apply(params: Any, images: jax.Array, key: jax.Array | None) -> DiscOut:
    """Predicts class v + params of an image whose pixels are v."""
    assert key is None, "evaluation must not drop features"
    TRACED.append(images.shape)
    value = jnp.round(images[:, 0, 0, 0] * 127.5 + 127.5).astype(jnp.int32) + params
    return DiscOut(images, jax.nn.one_hot(value, CLASSES), value.astype(jnp.float32))


DISC = Net(init=lambda key: jnp.int32(0), apply=apply, input_shape=(2, 2, 1), layers=list)
PARAMS = jnp.zeros((), jnp.int32)


def images_of(values: list[int]) -> np.ndarray:
    return np.broadcast_to(np.array(values, np.uint8).reshape(-1, 1, 1, 1), (len(values), 2, 2, 1)).copy()


def predict(images: np.ndarray | jax.Array, params: jax.Array = PARAMS) -> np.ndarray:
    return class_logits(classifier(), Model(params), images, CLASSES).argmax(axis=1)


def classifier() -> Classify:
    """A compiled classifier, not compiled before."""
    return System(Recipe({"d": DISC}, (), {}, 1, 1, 0.9), True, {}).classify


@pytest.fixture
def four_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE", 4)
    TRACED.clear()


@pytest.mark.usefixtures("four_a_batch")
@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 10])
def test_last_batch_need_not_fill_and_only_one_shape_is_compiled(count: int) -> None:
    values = [(7 * i + 1) % CLASSES for i in range(count)]
    np.testing.assert_array_equal(predict(images_of(values)), values)
    (shape,) = TRACED
    assert shape == (min(count, 4), 2, 2, 1)


@pytest.mark.usefixtures("four_a_batch")
def test_images_that_fill_up_the_last_batch_have_no_logits() -> None:
    # Filling images are zeros, which this discriminator puts into class 0.
    np.testing.assert_array_equal(predict(images_of([2] * 5)), [2] * 5)


@pytest.mark.usefixtures("four_a_batch")
@pytest.mark.parametrize("indices", [[], [1], [0, 2, 3, 5], [5, 0, 4, 4, 1, 2, 3]])
def test_images_are_classified_in_the_order_of_the_indices(indices: list[int]) -> None:
    values = np.array([2, 1, 0, 0, 1, 2])
    logits = class_logits(classifier(), Model(PARAMS), images_of(values.tolist()), CLASSES, np.array(indices, int))
    np.testing.assert_array_equal(logits.argmax(axis=1), values[indices])


@pytest.mark.usefixtures("four_a_batch")
def test_images_on_the_device_give_what_images_on_the_host_give() -> None:
    values = [0, 1, 2, 2, 1, 0]
    np.testing.assert_array_equal(predict(jnp.asarray(images_of(values))), values)


def test_classify_uses_the_parameters_it_is_given() -> None:
    np.testing.assert_array_equal(predict(images_of([0, 1])), [0, 1])
    np.testing.assert_array_equal(predict(images_of([0, 1]), PARAMS + jnp.int32(1)), [1, 2])


def test_probabilities_are_the_softmax_also_of_logits_that_float32_could_not_exponentiate() -> None:
    logits = np.array([[0, np.log(3), -np.inf], [1e4, 1e4, 0]], np.float32)
    np.testing.assert_allclose(probabilities(logits), [[0.25, 0.75, 0], [0.5, 0.5, 0]], atol=1e-7)


def test_an_ensemble_predicts_the_mean_of_the_probabilities() -> None:
    # Logits [p, 0] of p = log 3, log 3 and -log 7: class 0 has 3/4, 3/4 and 1/8, in the mean 13/24.
    def classify(params: Any, images: Any) -> jax.Array:
        return jnp.stack([params, jnp.zeros(())])[None]

    together = ensemble(classify, [jnp.log(jnp.float32(p)) for p in (3, 3, 1 / 7)])
    np.testing.assert_allclose(np.exp(together({}, np.zeros((1, 2, 2, 1), np.uint8))), [[13 / 24, 11 / 24]], rtol=1e-6)


def test_no_images_give_no_logits_and_no_error() -> None:
    logits = class_logits(lambda params, images: images, {}, np.zeros((0, 4, 4, 1), np.uint8), 3)
    assert logits.shape == (0, 3)

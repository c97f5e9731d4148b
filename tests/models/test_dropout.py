"""Facts about dropout: what is dropped, what is scaled up, and that it follows from its key."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import drawn

from sgan_jax.models.heads import HEADS, Head
from sgan_jax.models.networks.tutorial import discriminator
from sgan_jax.types import DiscOut, Params

RATE = 0.4
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (200, 8, 8, 1)), jnp.float32)
SHOW_ALL = Head(lambda classes: classes, lambda logits: (logits, logits[:, 0]), "the first")


@pytest.fixture(scope="module")
def shown() -> Callable[[jax.Array | None], DiscOut]:
    """A small discriminator whose logits are its features after dropout, as (images, key) -> DiscOut."""
    disc = discriminator((8, 8, 1), 64, SHOW_ALL, width=64, dropout=RATE)  # one pixel of 64 channels is left
    params = drawn(disc) | {"logits": {"kernel": jnp.eye(64), "bias": jnp.zeros(64)}}
    apply = jax.jit(disc.apply)
    return lambda key: apply(params, IMAGES, key)


def test_without_a_key_nothing_is_dropped(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    out = shown(None)
    np.testing.assert_array_equal(out.class_logits, out.features)
    assert np.count_nonzero(out.features) == out.features.size


def test_with_a_key_features_are_dropped_or_scaled_up(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    out = shown(jax.random.key(3))
    features, dropped = np.asarray(out.features), np.asarray(out.class_logits)
    np.testing.assert_array_equal(features, shown(None).features)  # those of the record are before dropout
    survives = dropped != 0
    np.testing.assert_allclose(dropped[survives], features[survives] / (1 - RATE), rtol=1e-6)
    assert survives.mean() == pytest.approx(1 - RATE, abs=5 * math.sqrt(RATE * (1 - RATE) / survives.size))
    # each image and each feature has its own draw
    for axis in (0, 1):
        assert not survives.all(axis=axis).any()
        assert survives.any(axis=axis).all()


def test_dropout_follows_from_its_key(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    one, same, other = (shown(jax.random.key(seed)).class_logits for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_gradient_flows_through_what_was_dropped() -> None:
    disc = discriminator((8, 8, 1), 3, HEADS["separate"], width=4, dropout=0.5)
    params = drawn(disc)

    @jax.jit
    def both(params: Params, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        grad = jax.grad(lambda p: disc.apply(p, IMAGES[:1], key).real_logit.sum())(params)
        return disc.apply(params, IMAGES[:1], key).features, grad["logits"]["kernel"]

    features, grad = both(params, jax.random.key(5))
    of_real = np.asarray(grad)[:, -1]
    dropped = of_real == 0
    assert 0 < dropped.sum() < 4
    np.testing.assert_allclose(of_real[~dropped], 2 * np.asarray(features)[0, ~dropped], rtol=1e-6)

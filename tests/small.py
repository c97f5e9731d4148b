"""Networks of one matrix each and images of random pixels, for tests of the step: they compile in no time."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sgan_jax.engine.optimizers import adam
from sgan_jax.engine.step import Recipe, init_state, make_train_step, owners
from sgan_jax.models.heads import HEADS
from sgan_jax.types import Data, DiscOut, Metrics, Net, Objective, Params, TrainState

SHAPE, CLASSES, LATENT = (8, 8, 1), 3, 5
SIZE = 4  # labelled images a step, and unlabelled ones
EMA = 0.9  # decay of the averaged parameters
ADAM = adam(2e-4, 0.5, 0.999, 1e-7)
KEY = jax.random.key(11)


def images_of(seed: int, count: int) -> np.ndarray:
    """Random pixels, uint8 `[count, H, W, C]`."""
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), np.uint8)


DATA = Data(jnp.asarray(images_of(0, 6)), jnp.array([0, 1, 2, 0, 1, 2], jnp.int32), jnp.asarray(images_of(1, 9)))


def dense_disc(head: str = "stacked") -> Net:
    """A discriminator of one dense layer with dropout."""

    def init(key: jax.Array) -> Params:
        return {"w": jax.random.normal(key, (64, HEADS[head].outputs(CLASSES)))}

    def apply(params: Params, images: jax.Array, key: jax.Array | None) -> DiscOut:
        features = images.reshape(len(images), -1)
        dropped = features if key is None else features * jax.random.bernoulli(key, 0.6, features.shape).astype(float)
        return DiscOut(features, *HEADS[head].split(dropped @ params["w"]))

    return Net(init, apply, SHAPE, list)


def dense_gen() -> Net:
    """A generator of one dense layer."""

    def init(key: jax.Array) -> Params:
        return {"w": jax.random.normal(key, (LATENT, 64))}

    return Net(init, lambda params, z: jnp.tanh(z @ params["w"]).reshape(-1, *SHAPE), (LATENT,), list)


def conditional_gen() -> Net:
    """A generator of one dense layer and an offset for each class."""
    gen = dense_gen()

    def init(key: jax.Array) -> Params:
        return gen.init(key) | {"offset": jax.random.normal(key, (CLASSES, 64))}

    def apply(params: Params, z: jax.Array, classes: jax.Array) -> jax.Array:
        return jnp.tanh(z @ params["w"] + params["offset"][classes]).reshape(-1, *SHAPE)

    return gen._replace(init=init, apply=apply, classes=CLASSES)


def constant(value: float, output: Callable[[Params, Any], Any], input_shape: tuple[int, ...]) -> Net:
    """A network with a single number as its parameter."""
    return Net(lambda key: jnp.float32(value), lambda params, x, *_: output(params, x), input_shape, list)


DISC, GEN = dense_disc(), dense_gen()
OF_PAIRS = {"g": conditional_gen(), "p": dense_disc("separate")}


def recipe_of(
    objective: Objective,
    nets: Mapping[str, Net] | None = None,
    optimizers: Mapping[str, optax.GradientTransformation] | None = None,
) -> Recipe:
    """An objective on the networks above, by default, with Adam in every slot, by default."""
    optimizers = optimizers or dict.fromkeys(owners(objective), ADAM)
    return Recipe(nets or {"d": DISC, "g": GEN}, objective, optimizers, SIZE, SIZE, EMA)


def take_steps(recipe: Recipe, steps: int, state: TrainState | None = None) -> tuple[TrainState, list[Metrics]]:
    """The state after so many steps on `DATA`, and the metrics of each step.

    Args:
      recipe: what the steps are made of.
      steps: how many.
      state: before the first of them; by default a fresh one.
    """
    state = init_state(KEY, recipe) if state is None else state
    step, metrics = jax.jit(make_train_step(recipe)), []
    for _ in range(steps):
        state, of_step = step(state, DATA, KEY)
        metrics.append(of_step)
    return state, metrics


def host(tree: Any) -> Any:
    """A copy that no later step can reuse."""
    return jax.tree.map(np.array, tree)


def equal(one: Any, other: Any) -> bool:
    """Bit for bit."""
    assert str(jax.tree.structure(one)) == str(jax.tree.structure(other))
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))

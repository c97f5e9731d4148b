"""Adam is Keras's own, epsilon included, and Improved GAN's where epsilon is under the root."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sgan_jax import optimizers

RATE = 2e-4
SETTINGS = (RATE, 0.5, 0.999, 1e-7)


def gradients(shapes: list[tuple[int, ...]], steps: int) -> list[list[jax.Array]]:
    """Of every size from 1e-9, below epsilon, to 1e-2."""
    rng = np.random.default_rng(0)
    size = {shape: 10.0 ** rng.integers(-9, -2, shape) for shape in shapes}
    return [[jnp.asarray(rng.normal(size=s) * size[s], jnp.float32) for s in shapes] for _ in range(steps)]


def trajectory(adam: optax.GradientTransformation, grads: list[list[jax.Array]]) -> list[list[jax.Array]]:
    """The weights after each step, from zero."""
    params = [jnp.zeros_like(grad) for grad in grads[0]]
    state, path = adam.init(params), []
    for grad in grads:
        updates, state = adam.update(grad, state, params)
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path


def worst(ours: list[jax.Array], theirs: list[jax.Array]) -> float:
    """Largest difference of two sets of weights, in units of the learning rate."""
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(ours, theirs, strict=True)) / RATE


def test_adam_takes_the_steps_of_keras():
    grads = gradients([(3, 4), (4,)], 30)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras = pytest.importorskip("keras")
        variables = [keras.Variable(np.zeros(grad.shape, np.float32)) for grad in grads[0]]
        theirs = keras.optimizers.Adam(SETTINGS[0], beta_1=SETTINGS[1], beta_2=SETTINGS[2], epsilon=SETTINGS[3])
        theirs.build(variables)
        path = []
        for grad in grads:
            theirs.apply_gradients(list(zip(grad, variables, strict=True)))
            path.append([np.array(variable.value) for variable in variables])
    ours = trajectory(optimizers.adam(*SETTINGS), grads)
    for ours_now, theirs_now in zip(ours, path, strict=True):
        assert worst(ours_now, theirs_now) < 1e-3


def test_epsilon_beside_the_uncorrected_root_is_what_sets_it_apart_from_optax():
    # With epsilon next to nothing both are the same Adam; with Keras's they part on gradients of epsilon's size.
    grads = gradients([(50,)], 3)
    tiny = (*SETTINGS[:3], 1e-30)
    with jax.numpy_dtype_promotion("standard"):
        optax_tiny, optax_keras = (trajectory(optax.adam(*s), grads)[-1] for s in (tiny, SETTINGS))
    assert worst(trajectory(optimizers.adam(*tiny), grads)[-1], optax_tiny) < 1e-3
    assert worst(trajectory(optimizers.adam(*SETTINGS), grads)[-1], optax_keras) > 0.5


def test_a_first_step_worked_by_hand():
    # m = 0.5 g, v = 0.001 g^2; rate sqrt(0.001) / 0.5; with g = epsilon / sqrt(0.001) the root equals epsilon.
    g = 1e-7 / np.sqrt(0.001)
    adam = optimizers.adam(*SETTINGS)
    updates, state = adam.update([jnp.float32(g)], adam.init([jnp.float32(0)]))
    assert float(updates[0]) == pytest.approx(-RATE / 2, rel=1e-4)
    assert int(state.count) == 1


def test_epsilon_under_the_root_is_that_of_optax():
    grads = gradients([(3, 4), (4,)], 30)
    with jax.numpy_dtype_promotion("standard"):
        theirs = trajectory(optax.adam(*SETTINGS[:3], eps=0.0, eps_root=1e-8), grads)
    for ours_now, theirs_now in zip(trajectory(optimizers.adam(*SETTINGS[:3], 0.0, 1e-8), grads), theirs, strict=True):
        assert worst(ours_now, theirs_now) < 1e-3


def test_a_first_step_with_epsilon_under_the_root_worked_by_hand():
    # The corrected moments are g and g^2; with g = 1e-4 the root is of 1e-8 + 1e-8.
    adam = optimizers.adam(*SETTINGS[:3], epsilon=0.0, epsilon_root=1e-8)
    updates, _ = adam.update([jnp.float32(1e-4)], adam.init([jnp.float32(0)]))
    assert float(updates[0]) == pytest.approx(-RATE / np.sqrt(2), rel=1e-4)


def test_a_rate_may_be_a_function_of_the_updates_made_before():
    grads = gradients([(3,)], 4)
    halving = optimizers.adam(lambda made: RATE * 0.5**made, 0.5, 0.999, 1e-7)
    fixed = [optimizers.adam(RATE * 0.5**made, 0.5, 0.999, 1e-7) for made in range(4)]
    state, params = fixed[0].init([jnp.zeros(3)]), [jnp.zeros(3)]
    for one, grad, ours in zip(fixed, grads, trajectory(halving, grads), strict=True):
        updates, state = one.update(grad, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(ours[0], params[0], rtol=1e-6)


def test_a_rate_that_falls_is_that_of_the_updates_made_before():
    # A gradient that stays is divided by its own size, so that a step is as long as the rate.
    adam = optimizers.adam(optax.cosine_decay_schedule(0.1, 3), 0.5, 0.999, 1e-30)
    path = np.ravel(trajectory(adam, [[jnp.ones((1,))]] * 4))
    np.testing.assert_allclose(-np.diff(path, prepend=0), [0.1, 0.075, 0.025, 0], atol=1e-6)

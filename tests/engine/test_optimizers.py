"""Adam is Keras's own, epsilon included, and Improved GAN's where epsilon is under the root; Muon orthogonalises."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sgan_jax.engine import optimizers

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


def test_a_rate_that_drops_is_that_of_the_updates_made_before():
    # A gradient that stays is divided by its own size, so that a step is as long as the rate.
    adam = optimizers.adam(optax.cosine_decay_schedule(0.1, 3), 0.5, 0.999, 1e-30)
    path = np.ravel(trajectory(adam, [[jnp.ones((1,))]] * 4))
    np.testing.assert_allclose(-np.diff(path, prepend=0), [0.1, 0.075, 0.025, 0], atol=1e-6)


# --- Muon

MATRIX = (6, 3)  # of a dense layer
KERNEL = (2, 2, 4, 8)  # of a convolution: a matrix of 16 by 8


def layers(seed: int) -> dict[str, dict[str, jax.Array]]:
    rng = np.random.default_rng(seed)
    shapes = {"conv_1": KERNEL, "dense": MATRIX, "logits": MATRIX}
    return {
        name: {
            "kernel": jnp.asarray(rng.normal(size=shape), jnp.float32),
            "bias": jnp.asarray(rng.normal(size=shape[-1]), jnp.float32),
        }
        for name, shape in shapes.items()
    }


def first_updates(grads: dict[str, dict[str, jax.Array]], rate: float) -> dict[str, dict[str, jax.Array]]:
    muon = optimizers.muon(rate, 0.95, optimizers.adam(*SETTINGS), "logits")
    params = layers(1)
    return muon.update(grads, muon.init(params), params)[0]


@pytest.mark.parametrize("output_layer", ["logits", "dense"])
def test_muon_leaves_biases_and_the_output_layer_to_adam_whatever_its_name(output_layer: str):
    grads, params = layers(0), layers(1)
    adam = optimizers.adam(*SETTINGS)
    muon = optimizers.muon(0.1, 0.95, adam, output_layer)
    theirs, _ = adam.update(grads, adam.init(params))
    ours, _ = muon.update(grads, muon.init(params), params)
    for layer in params:
        np.testing.assert_array_equal(ours[layer]["bias"], theirs[layer]["bias"])
        same = np.allclose(ours[layer]["kernel"], theirs[layer]["kernel"], rtol=0.5)
        assert same == (layer == output_layer)
    np.testing.assert_array_equal(ours[output_layer]["kernel"], theirs[output_layer]["kernel"])


def test_a_schedule_over_steps_counts_several_updates_a_step_as_one():
    schedule = optimizers.each(optax.cosine_decay_schedule(1.0, 4), 2)
    np.testing.assert_allclose(
        [schedule(count) for count in range(9)],
        np.repeat([(1 + np.cos(np.pi * step / 4)) / 2 for step in range(5)], 2)[:9],
        atol=1e-6,
    )


@pytest.mark.parametrize(("layer", "longest"), [("conv_1", 16), ("dense", 6)])
def test_an_update_of_muon_has_the_directions_of_the_gradient_and_one_length_in_all(layer: str, longest: int):
    grads = layers(0)
    gradient = np.asarray(grads[layer]["kernel"]).reshape(longest, -1)
    update = np.asarray(first_updates(grads, 0.1)[layer]["kernel"]).reshape(longest, -1)
    left, values, right = np.linalg.svd(gradient, full_matrices=False)
    turned = left.T @ -update @ right.T  # diagonal where the singular vectors are the same
    assert values.max() > 1.9 * values.min()  # which were of different lengths
    lengths = np.diag(turned) / (0.2 * 0.1 * np.sqrt(longest))
    np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=1e-4)
    assert lengths.min() > 0.3 and lengths.max() < 1.3
    # The root mean square, a fifth of the rate where all of the lengths are 1.
    assert np.sqrt(np.square(update).mean()) == pytest.approx(0.2 * 0.1, rel=0.35)


def test_updates_of_muon_do_not_depend_on_the_size_of_the_gradients():
    grads = layers(0)
    small, large = first_updates(grads, 0.1), first_updates(jax.tree.map(lambda g: 1e3 * g, grads), 0.1)
    for layer in ("conv_1", "dense"):
        np.testing.assert_allclose(small[layer]["kernel"], large[layer]["kernel"], rtol=1e-3, atol=1e-6)


def test_the_rate_of_muon_drops_with_the_updates_made_before():
    muon = optimizers.muon(optax.cosine_decay_schedule(0.1, 2), 0.95, optimizers.adam(*SETTINGS), "logits")
    params, grads = layers(1), layers(0)
    state, sizes = muon.init(params), []
    for _ in range(3):
        updates, state = muon.update(grads, state, params)
        sizes.append(float(jnp.linalg.norm(updates["dense"]["kernel"])))
    np.testing.assert_allclose(np.array(sizes) / sizes[0], [1, 0.5, 0], atol=1e-3)

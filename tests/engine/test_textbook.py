"""The tutorial's step is that of a textbook: convolutions of lax, probabilities instead of logits, Adam in NumPy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from small import CLASSES, DATA, GEN, KEY, LATENT, SHAPE, SIZE, images_of, recipe_of

from sgan_jax.engine.optimizers import adam
from sgan_jax.engine.step import init_state, make_train_step, owners
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import discriminator, generator
from sgan_jax.objectives.adversarial import tutorial
from sgan_jax.types import Net, Params

# This epsilon keeps the update of a slope that is nearly 0 well conditioned.
RATE, EPS, B1, B2 = 1e-2, 3e-5, 0.5, 0.999
WIDE = ("NHWC", "HWIO", "NHWC")


def leaky(x: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, 0.2 * x)


def textbook_disc(d: Params, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Class probabilities `[B, K]` and the probability of "real" `[B]`, half of the features dropped."""
    for name in ("conv_1", "conv_2", "conv_3"):
        x = lax.conv_general_dilated(x, d[name]["kernel"], (2, 2), "SAME", dimension_numbers=WIDE)
        x = leaky(x + d[name]["bias"][None, None, None])
    x = x.reshape(len(x), -1)
    x = x * jax.random.bernoulli(key, 0.5, x.shape).astype(jnp.float32) * 2
    e = jnp.exp(x @ d["logits"]["kernel"] + d["logits"]["bias"][None])
    z = e.sum(axis=1)
    return e / z[:, None], z / (z + 1)


def textbook_gen(g: Params, z: jax.Array) -> jax.Array:
    x = leaky(z @ g["dense"]["kernel"] + g["dense"]["bias"][None]).reshape(len(z), 2, 2, -1)
    for name in ("up_1", "up_2"):
        kernel = g[name]["kernel"][::-1, ::-1]  # lax slides the kernel; a transposed convolution stamps it
        x = leaky(
            lax.conv_transpose(x, kernel, (2, 2), "SAME", dimension_numbers=WIDE) + g[name]["bias"][None, None, None]
        )
    x = lax.conv_general_dilated(x, g["image"]["kernel"], (1, 1), "SAME", dimension_numbers=WIDE)
    return jnp.tanh(x + g["image"]["bias"][None, None, None])


class Adam:
    """Algorithm 1 of arXiv 1412.6980 in the order given at the end of its section 2, with epsilon hat."""

    def __init__(self) -> None:
        self.t = 0
        self.m: list[np.ndarray] = []
        self.v: list[np.ndarray] = []

    def update(self, params: Params, grad: Params) -> Params:
        leaves, structure = jax.tree.flatten(params)
        grads = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(grad)]
        zeros = [np.zeros_like(leaf) for leaf in grads]
        self.t += 1
        self.m = [B1 * m + (1 - B1) * g for m, g in zip(self.m or zeros, grads, strict=True)]
        self.v = [B2 * v + (1 - B2) * g**2 for v, g in zip(self.v or zeros, grads, strict=True)]
        new = [
            np.asarray(leaf) - RATE * np.sqrt(1 - B2**self.t) / (1 - B1**self.t) * m / (np.sqrt(v) + EPS)
            for leaf, m, v in zip(leaves, self.m, self.v, strict=True)
        ]
        return jax.tree.unflatten(structure, [jnp.asarray(leaf, jnp.float32) for leaf in new])


@jax.jit
@jax.value_and_grad
def classify(d: Params, x: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
    return -jnp.log(textbook_disc(d, x, key)[0][jnp.arange(SIZE), labels]).mean()


@jax.jit
@jax.value_and_grad
def real(d: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    return -jnp.log(textbook_disc(d, x, key)[1]).mean()


@jax.jit
@jax.value_and_grad
def fake(d: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    return -jnp.log(1 - textbook_disc(d, x, key)[1]).mean()


def textbook(d: Params, g: Params, generate: Callable[[Params, jax.Array], jax.Array], steps: int) -> Any:
    """Yields (d, g, losses) after each step."""

    @jax.jit
    @jax.value_and_grad
    def fool(g: Params, d: Params, z: jax.Array, key: jax.Array) -> jax.Array:
        return -jnp.log(textbook_disc(d, generate(g, z), key)[1]).mean()

    c, dd, gg = Adam(), Adam(), Adam()
    for step in range(steps):
        k_batch, k_classify, k_real, k_fake, k_fool = jax.random.split(jax.random.fold_in(KEY, step), 5)
        k_lab, k_unl = jax.random.split(k_batch)
        lab = np.asarray(jax.random.randint(k_lab, (SIZE,), 0, 6))
        unl = np.asarray(jax.random.randint(k_unl, (SIZE,), 0, 9))
        lab_images, unl_images = (
            jnp.asarray(x / 127.5 - 1, jnp.float32) for x in (images_of(0, 6)[lab], images_of(1, 9)[unl])
        )

        losses = {}
        losses["d/supervised"], grad = classify(d, lab_images, jnp.asarray(lab % 3), k_classify)
        d = c.update(d, grad)
        losses["d/real"], grad = real(d, unl_images, k_real)
        d = dd.update(d, grad)
        k_gen, k_disc = jax.random.split(k_fake)
        losses["d/fake"], grad = fake(d, generate(g, jax.random.normal(k_gen, (SIZE, LATENT))), k_disc)
        d = dd.update(d, grad)
        k_gen, k_disc = jax.random.split(k_fool)
        losses["g/fool"], grad = fool(g, d, jax.random.normal(k_gen, (2 * SIZE, LATENT)), k_disc)
        g = gg.update(g, grad)
        yield d, g, losses


def with_drawn(net: Net, seed: int) -> Net:
    """The network with first parameters from NumPy: quicker than to compile `init`."""
    draw = np.random.default_rng(seed)
    shapes = jax.eval_shape(net.init, KEY)
    params = jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(-0.5, 0.5, leaf.shape), leaf.dtype), shapes)
    return net._replace(init=lambda key: params)


@pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["dense generator", "both networks"]
)
def test_step_is_the_textbooks(whole: bool) -> None:
    disc = discriminator(SHAPE, CLASSES, HEADS["stacked"], width=4, dropout=0.5)
    gen = generator(SHAPE, LATENT, width=4) if whole else GEN
    optimizers = dict.fromkeys(owners(tutorial()), adam(RATE, B1, B2, EPS))
    recipe = recipe_of(tutorial(), {"d": with_drawn(disc, 0), "g": with_drawn(gen, 1)}, optimizers)
    state = init_state(KEY, recipe)
    step = jax.jit(make_train_step(recipe))
    params = state.params["d"], state.params["g"]
    for d, g, losses in textbook(*params, textbook_gen if whole else GEN.apply, steps=3):
        before = state.params
        state, metrics = step(state, DATA, KEY)
        for name, loss in losses.items():
            np.testing.assert_allclose(metrics.loss[name], loss, rtol=1e-5, err_msg=name)
        for ours, theirs in ((state.params["d"], d), (state.params["g"], g)):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-2 * RATE), ours, theirs)
        moved = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), state.params, before)
        assert min(jax.tree.leaves(moved)) > 0.1 * RATE  # so that the tolerance above means something

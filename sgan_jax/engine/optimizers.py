"""Adam, with epsilon where Keras has it, or where Improved GAN's code does; and Muon."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

_RMS = 0.2  # of an update of Muon's, by its rate
_ITERATIONS = 3  # of Newton and Schulz; with five, an update takes longer and a classifier learns no better


def each(learning_rate: optax.Schedule, updates: int) -> optax.Schedule:
    """A schedule over steps for an optimiser that is updated `updates` times a step, and counts its updates."""
    return lambda count: learning_rate(count // updates)


def adam(
    learning_rate: float | optax.Schedule, beta1: float, beta2: float, epsilon: float, epsilon_root: float = 0.0
) -> optax.GradientTransformation:
    """Adam with Keras's and TensorFlow's epsilon.

    They add epsilon to the root of the uncorrected second moment (the paper's "epsilon hat": end of section 2 of Kingma
    and Ba, arXiv 1412.6980), Optax to that of the corrected one. At step t theirs counts 1 / sqrt(1 - beta2 ** t) times
    as much: 32 times at the first step, 3.2 times at the hundredth. The generator's first gradients are about 1e-7, the
    size of epsilon itself: this makes its first updates six times smaller.

    Args:
      learning_rate: about the largest change of a weight in one update; or a function of the number of updates made
        before, a float32.
      beta1: decay of the first moment.
      beta2: decay of the second moment.
      epsilon: as Keras's, 1e-7.
      epsilon_root: added under the root, to the corrected second moment: 1e-8 in the code of Salimans et al.,
        arXiv 1606.03498 (nn.py, `adam_updates`), which has no other. It counts where gradients get as small as its
        root, 1e-4, and makes the steps there shorter.
    """

    def init(params: optax.Params) -> optax.ScaleByAdamState:
        mu, nu = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))  # buffers of their own: both are donated
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), mu, nu)

    def update(
        grads: optax.Updates, state: optax.ScaleByAdamState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByAdamState]:
        count = state.count + 1
        t = count.astype(jnp.float32)
        largest = learning_rate(state.count.astype(jnp.float32)) if callable(learning_rate) else learning_rate
        correction = 1 - beta2**t
        rate = largest * jnp.sqrt(correction) / (1 - beta1**t)
        mu = jax.tree.map(lambda m, g: m + (1 - beta1) * (g - m), state.mu, grads)
        nu = jax.tree.map(lambda v, g: v + (1 - beta2) * (jnp.square(g) - v), state.nu, grads)
        root = epsilon_root * correction
        updates = jax.tree.map(lambda m, v: -rate * m / (jnp.sqrt(v + root) + epsilon), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def muon(
    learning_rate: float | optax.Schedule, momentum: float, others: optax.GradientTransformation, output_layer: str
) -> optax.GradientTransformation:
    """Muon for the kernels of hidden layers, and another optimiser for everything else.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024): the gradients' moving average, as a
    matrix of what goes into a layer by what comes out, with all its singular values brought near 1. So kernels learn in
    all directions at one pace, where Adam's largest few lead. An update's root mean square is about a fifth of the
    rate whatever the shape, as Adam's is in practice (Liu et al., arXiv 2502.16982, eq. 4).

    Args:
      learning_rate: five times the typical change of a weight in one update; or a function of the number of updates
        made before.
      momentum: decay of the moving average, which is looked ahead (Nesterov).
      others: of biases, norms and the kernel of the output layer.
      output_layer: its name in the parameters, `Net.output_layer`.
    """

    def kinds(params: optax.Params) -> optax.Params:
        def kind(path: tuple[Any, ...], param: jax.Array) -> str:
            last = any(key.key == output_layer for key in path)
            return "other" if last or param.ndim < 2 else "kernel"

        return jax.tree_util.tree_map_with_path(kind, params)

    def shapes(params: optax.Params) -> optax.Params:
        return jax.tree.map(lambda p: contrib.MuonDimensionNumbers(tuple(range(p.ndim - 1)), p.ndim - 1), params)

    def sized(updates: optax.Updates, params: optax.Params | None = None) -> optax.Updates:
        return jax.tree.map(lambda u: _RMS * math.sqrt(max(u.size // u.shape[-1], u.shape[-1])) * u, updates)

    kernels = optax.chain(
        contrib.scale_by_muon(ns_steps=_ITERATIONS, beta=momentum, weight_dimension_numbers=shapes),
        optax.stateless(sized),
        optax.scale_by_learning_rate(learning_rate),
    )
    both = optax.partition({"kernel": kernels, "other": others}, kinds)

    def update(
        grads: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        with jax.numpy_dtype_promotion("standard"):  # Optax's takes floats to the power of its count, an integer
            return both.update(grads, state, params)

    return optax.GradientTransformation(both.init, update)

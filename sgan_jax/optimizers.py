"""Adam, with epsilon where Keras has it, or where Improved GAN's code does."""

import jax
import jax.numpy as jnp
import optax


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

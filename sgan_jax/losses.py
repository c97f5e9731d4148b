"""Loss arithmetic: logits in, one value an example out.

Written on logits, so that nothing overflows or loses its gradient.
"""

import jax
import jax.numpy as jnp
import optax


def cross_entropy(class_logits: jax.Array, labels: jax.Array) -> jax.Array:
    """`-log softmax(class_logits)[label]`, `[B]`. L_supervised of Salimans et al., arXiv 1606.03498, section 5."""
    return optax.losses.softmax_cross_entropy_with_integer_labels(class_logits, labels)


def score_as_real(real_logit: jax.Array) -> jax.Array:
    """`-log sigmoid(real_logit)`, `[B]`: the discriminator on real images, the generator on its own.

    Goodfellow et al., arXiv 1406.2661, section 3. With the stacked head, sigmoid(logsumexp(l)) = Z / (Z + 1).
    """
    return jax.nn.softplus(-real_logit)


def score_as_fake(real_logit: jax.Array) -> jax.Array:
    """`-log(1 - sigmoid(real_logit))`, `[B]`: the discriminator on generated images."""
    return jax.nn.softplus(real_logit)


def hits(class_logits: jax.Array, labels: jax.Array) -> jax.Array:
    """1.0 where the most probable class is the label, else 0.0, `[B]`."""
    return (jnp.argmax(class_logits, axis=-1) == labels).astype(jnp.float32)

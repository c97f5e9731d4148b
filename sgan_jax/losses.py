"""Loss arithmetic: logits in, one value an example out.

Written on logits, so that nothing overflows or loses its gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

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


def score_for_both_players(
    discriminate: Callable[[jax.Array], jax.Array], images: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """`score_as_fake` of generated images for the discriminator and, in its gradient, `score_as_real` for the other.

    The value and the gradient by what `discriminate` closes over are those of `score_as_fake`; the gradient by the
    images is that of `score_as_real`, which the generator descends on. The discriminator treats images one by one, so
    that the two gradients by an image differ by a factor alone, and one backward pass serves both (Shen et al., arXiv
    2103.00430, section 3.2): with s = sigmoid, d/dr log(1 + exp(-r)) = -s(-r) = -exp(-r) s(r).

    Args:
      discriminate: images to `real_logit`.
      images: `[B, H, W, C]`.

    Returns:
      The scores `[B]` and, for reports, `real_logit` `[B]` without a gradient.
    """
    function, closed_over = jax.closure_convert(discriminate, images)
    real_logit = _opposed(function, images, *closed_over)
    return score_as_fake(real_logit), jax.lax.stop_gradient(real_logit)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _opposed(function: Callable[..., jax.Array], images: jax.Array, *closed_over: jax.Array) -> jax.Array:
    return function(images, *closed_over)


def _opposed_forward(
    function: Callable[..., jax.Array], images: jax.Array, *closed_over: jax.Array
) -> tuple[jax.Array, Any]:
    real_logit, pull = jax.vjp(function, images, *closed_over)
    return real_logit, (real_logit, pull)


def _opposed_backward(function: Callable[..., jax.Array], residuals: Any, cotangent: jax.Array) -> tuple[Any, ...]:
    real_logit, pull = residuals
    images, *closed_over = pull(cotangent)
    # exp(80) is finite in float32, and s(-80) not yet zero; where the logit is lower still, the gradient fades.
    factor = -jnp.exp(-jnp.clip(real_logit, -80.0, 80.0))
    return images * factor.reshape(-1, *[1] * (images.ndim - 1)), *closed_over


_opposed.defvjp(_opposed_forward, _opposed_backward)


def hits(class_logits: jax.Array, labels: jax.Array) -> jax.Array:
    """1.0 where the most probable class is the label, else 0.0, `[B]`."""
    return (jnp.argmax(class_logits, axis=-1) == labels).astype(jnp.float32)

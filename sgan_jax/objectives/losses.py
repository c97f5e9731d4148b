"""Loss arithmetic: logits in, one value an example out; one value a batch where it is of the batch as a whole.

Written on logits, so that nothing overflows or loses its gradient.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.scipy.special import logsumexp


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


def entropy(class_logits: jax.Array) -> jax.Array:
    """`H(softmax(class_logits))` in nats, `[B]`: 0 for a certain class, log K for K equally probable ones.

    Conditional entropy of Springenberg, arXiv 1511.06390, and of Dai et al., arXiv 1705.09783.
    """
    log_p = jax.nn.log_softmax(class_logits)
    return -(jnp.exp(log_p) * log_p).sum(axis=-1)


def marginal_entropy(class_logits: jax.Array) -> jax.Array:
    """`H(mean over the batch of softmax(class_logits))` in nats, `[]`: log K where the classes are equally frequent.

    Springenberg, arXiv 1511.06390. At least the mean of `entropy`, which is concave in the probabilities.
    """
    # Of logarithms throughout: a class that is improbable in all images is then 0 * a large number, not 0 * -inf.
    log_p = logsumexp(jax.nn.log_softmax(class_logits), axis=0) - math.log(len(class_logits))
    return -(jnp.exp(log_p) * log_p).sum()


def feature_distance(features: jax.Array, others: jax.Array) -> jax.Array:
    """Mean square of the differences of the mean features of two batches, `[B, F]` and `[C, F]` to `[]`.

    Salimans et al., arXiv 1606.03498, section 3.1, as a mean over the features instead of a sum, which is how their
    published code has it (mnist_svhn_cifar10/train_mnist_feature_matching.py, `loss_gen`).
    """
    return jnp.square(features.mean(axis=0) - others.mean(axis=0)).mean()


def pull_away(features: jax.Array) -> jax.Array:
    """Mean squared cosine between the features of two different images of a batch, `[B, F]` to `[]`; in 0..1.

    Low where images differ: a stand-in for the negative entropy of what made them. Zhao et al., arXiv 1609.03126,
    section 2.4; Dai et al., arXiv 1705.09783.
    """
    count = len(features)
    # A floor, since features that are all zero have no direction; their cosines, and their gradient, are then 0.
    unit = features * jax.lax.rsqrt(jnp.maximum(jnp.square(features).sum(axis=-1, keepdims=True), 1e-12))
    cosines = (unit @ unit.T) * (1.0 - jnp.eye(count))
    return jnp.square(cosines).sum() / max(count * (count - 1), 1)

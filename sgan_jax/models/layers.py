"""What networks are made of: layers on `ops.Maps`, and how a Linen module becomes a `Net`.

Layers are Keras's unless stated otherwise: SAME padding, Glorot-uniform kernels, zero biases, leaky ReLU of slope 0.2.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from sgan_jax.models.heads import Head
from sgan_jax.types import DiscOut, Layer, Model, Net, Params, Statistics

_SLOPE = 0.2
LOGITS = "logits"  # name of the layer that makes them, in every discriminator of this package
_STATISTICS = "statistics"  # the collection of running moments
glorot = nn.initializers.glorot_uniform()


class Conv(nn.Module):
    """A convolution in one of the forms of `ops`, with a kernel and a bias."""

    features: int
    size: int
    kind: str
    convolve: Callable[[jax.Array, jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[N, H, W, I]` to `[N, H', W', features]`."""
        kernel = self.param("kernel", glorot, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.convolve(x, kernel) + bias.reshape(1, 1, 1, -1)


class Dense(nn.Module):
    """A dense layer with a kernel and a bias."""

    features: int
    multiply: Callable[[jax.Array, jax.Array], jax.Array]
    kind: str = "Dense"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[N, I]` to `[N, features]`."""
        kernel = self.param("kernel", glorot, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.multiply(x, kernel) + bias.reshape(1, -1)


class Function(nn.Module):
    """A layer without parameters; a module so that a description of the network shows it."""

    kind: str
    function: Callable[..., jax.Array]

    def __call__(self, *args: Any) -> jax.Array:
        """What the function makes of them."""
        return self.function(*args)


def leaky_relu(name: str) -> Function:
    """Leaky ReLU of slope 0.2."""
    return Function(f"Leaky ReLU {_SLOPE}", partial(nn.leaky_relu, negative_slope=_SLOPE), name=name)


def dropout(rate: float) -> Function:
    """Dropout of (x, key); with key None nothing is dropped."""
    return Function(f"Dropout {rate}", partial(_dropout, rate=rate), name="dropout")


def _dropout(x: jax.Array, key: jax.Array | None, *, rate: float) -> jax.Array:
    if key is None:
        return x
    remains = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(remains, x / (1.0 - rate), jnp.zeros_like(x))


def in_float32(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The function on arrays as float32; what it gives is of the first one's type again.

    For statistics, whose differences of large sums lose in bfloat16 what they are about, and for special functions,
    which JAX has in float32 alone. Where layers compute in float32 it changes nothing.
    """

    def exact(x: jax.Array, *others: Any, **settings: Any) -> jax.Array:
        widened = [array.astype(jnp.float32) for array in (x, *others)]
        return function(*widened, **settings).astype(x.dtype)

    return exact


def group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int) -> jax.Array:
    """Normalised over each image's positions and each group of channels; Wu and He, arXiv 1803.08494.

    Args:
      x: `[N, H, W, C]`.
      scale: `[C]`, of each channel after that.
      bias: `[C]`.
      groups: divides C.
    """
    count, height, width, channels = x.shape
    of_groups = count, groups, channels // groups

    def mean(a: jax.Array) -> jax.Array:  # `[N, H, W, C]` to `[N, C]`: each channel's group's
        # Positions first, whose rows are whole channels: over both at once a CPU adds four numbers at a time.
        sums = a.sum(axis=(1, 2)).reshape(of_groups).sum(axis=2, keepdims=True)
        return jnp.broadcast_to(sums / (height * width * of_groups[2]), of_groups).reshape(count, channels)

    middle = mean(x)
    variance = jnp.maximum(mean(jnp.square(x)) - jnp.square(middle), 0.0)
    slope = jax.lax.rsqrt(variance + 1e-5) * scale.reshape(1, -1)  # one product and one sum a number of x
    offset = bias.reshape(1, -1) - middle * slope
    return x * slope.reshape(count, 1, 1, channels) + offset.reshape(count, 1, 1, channels)


class GroupNorm(nn.Module):
    """`group_norm` with a trained scale and bias a channel, in the greatest common divisor of 8 and C groups."""

    kind: str = "Group norm"

    @nn.compact
    def __call__(self, x: jax.Array, training: bool = False) -> jax.Array:
        """`[N, H, W, C]` to the same, in training and after it."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return in_float32(group_norm)(x, scale, bias, groups=math.gcd(8, channels))


class ChannelBatchNorm(nn.Module):
    """Batch norm of images: each channel's mean 0 and deviation 1 over a batch; Ioffe and Szegedy, arXiv 1502.03167.

    In training the moments are the batch's. Otherwise they are running ones, so that an image's output does not depend
    on other images. They are in the collection "statistics", and the plain mean over the first steps.
    """

    decay: float = 0.99  # of running moments, a step
    kind: str = "Batch norm"

    @nn.compact
    def __call__(self, x: jax.Array, training: bool) -> jax.Array:
        """`[N, H, W, C]` to the same."""
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        mean = self.variable(_STATISTICS, "mean", jnp.zeros, channels)
        variance = self.variable(_STATISTICS, "variance", jnp.ones, channels)
        steps = self.variable(_STATISTICS, "steps", jnp.zeros, ())

        def normal(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
            if training:
                of_batch = _moments(x)
                rate = jnp.maximum(1.0 - self.decay, 1.0 / (steps.value + 1.0))
                steps.value = steps.value + 1.0
                for running, now in zip((mean, variance), of_batch, strict=True):
                    running.value = running.value + rate * (jax.lax.stop_gradient(now) - running.value)
            else:
                of_batch = mean.value, variance.value
            slope = jax.lax.rsqrt(of_batch[1] + 1e-5) * scale  # one product and one sum a number of x
            return x * slope.reshape(1, 1, 1, -1) + (bias - of_batch[0] * slope).reshape(1, 1, 1, -1)

        return in_float32(normal)(x, scale, bias)


def _moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of each channel of `[N, H, W, C]`, `[C]` each."""
    mean = x.mean(axis=(0, 1, 2))
    return mean, jnp.maximum(jnp.square(x).mean(axis=(0, 1, 2)) - jnp.square(mean), 0.0)


def halvings(image_shape: tuple[int, int, int], least: int, at_most: int) -> int:
    """How often H and W are to be halved, rounded up, until neither is above `at_most`; `least` times at least."""
    longest = max(image_shape[:2])
    times = least
    while -(-longest // 2**times) > at_most:
        times += 1
    return times


def as_discriminator(
    module: nn.Module,
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    dtype: DTypeLike,
    batch_norm: bool = False,
) -> Net:
    """A module `(images, key) -> (features, logits)` as a discriminator with a head.

    Args:
      module: takes key None for an answer without noise or dropout, and gives features `[B, F]`.
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits, which are `head.outputs(classes)`.
      dtype: of what the layers compute; parameters, logits and features are float32.
      batch_norm: whether it has layers of `ChannelBatchNorm`, whose running moments are the network's statistics.
    """

    def apply(params: Params, images: jax.Array, key: jax.Array | None = None) -> DiscOut:
        out: Any = module.apply(*_cast(dtype, {"params": params}, images), key)
        features, logits = _cast(jnp.float32, *out)
        return DiscOut(features, *head.split(logits))

    def apply_with(
        params: Params, images: jax.Array, key: jax.Array | None, statistics: Statistics, training: bool
    ) -> DiscOut:
        weights, images = _cast(dtype, {"params": params}, images)
        variables = weights | {_STATISTICS: statistics}
        out, changed = module.apply(variables, images, key, training=training, mutable=[_STATISTICS])
        features, logits = _cast(jnp.float32, *out)
        return DiscOut(features, *head.split(logits), changed[_STATISTICS])

    @jax.jit  # which leaves out the parameters
    def first() -> Statistics:
        return module.init(jax.random.key(0), jnp.zeros((1, *image_shape)), None)[_STATISTICS]

    net = _net(module, image_shape, apply, (None,))._replace(output_layer=LOGITS)
    if batch_norm:
        net = net._replace(apply=apply_with, statistics=first, by_example=False)

    def layers() -> list[Layer]:
        rows = net.layers()
        logits = (len(rows) - 1,)
        if head.classifies:
            rows.append(Layer("class", "Softmax", (None, classes), 0, logits))
        return [*rows, Layer("real", head.real, (None, 1), 0, logits)]

    return net._replace(layers=layers)


class BatchNorm(nn.Module):
    """Mean 0 and deviation 1 over the current batch, in training and after it; then a trained bias."""

    kind: str = "Batch norm"

    def moments(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and variance over the batch; a method, so that `with_moments_of` can put others in their place."""
        return x.mean(axis=0, keepdims=True), x.var(axis=0, keepdims=True)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, F]` to `[B, F]`."""
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))

        def normal(x: jax.Array) -> jax.Array:
            mean, variance = self.moments(x)
            return (x - mean) * jax.lax.rsqrt(variance + 1e-6)

        return in_float32(normal)(x) + bias.reshape(1, -1)


def with_moments_of(gen: Net, model: Model, *inputs: jax.Array) -> Callable[..., jax.Array]:
    """A generator, latents -> images, whose images do not depend on the others of their batch.

    Args:
      gen: the generator; a conditional one takes the classes after the latents.
      model: its parameters.
      inputs: what batch norms take mean and variance of, once and for all, as of `Net.inputs`.
    """
    moments: dict[tuple[str, ...], tuple[jax.Array, jax.Array]] = {}

    def is_moments(context: Any) -> bool:
        return isinstance(context.module, BatchNorm) and context.method_name == "moments"

    def note(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        out = next_call(*args, **kwargs)
        if is_moments(context):
            moments[context.module.path] = out
        return out

    def keep(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        return moments[context.module.path] if is_moments(context) else next_call(*args, **kwargs)

    with nn.intercept_methods(note):
        gen.bound(model)(*inputs)

    def apply(*inputs: jax.Array) -> jax.Array:
        with nn.intercept_methods(keep):
            images: jax.Array = gen.bound(model)(*inputs)
        return images

    return apply


def as_generator(module: nn.Module, latent: int, dtype: DTypeLike, classes: int = 0) -> Net:
    """A module `latents -> images` as a generator.

    Args:
      module: takes `[B, latent]`, gives `[B, H, W, C]` in [-1, 1].
      latent: length of a latent vector.
      dtype: of what the layers compute; parameters and images are float32.
      classes: K of a conditional generator: its module takes `[B, latent + K]`, the class's place in the last K being
        as large as a latent vector is long. Mirza and Osindero, arXiv 1411.1784, section 3.2.
    """

    def whole(latents: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.concatenate([latents, math.sqrt(latent) * jax.nn.one_hot(labels, classes)], axis=1)

    def apply(params: Params, latents: jax.Array, labels: jax.Array | None = None) -> jax.Array:
        inputs = latents if labels is None else whole(latents, labels)
        images: Any = module.apply(*_cast(dtype, {"params": params}, inputs))
        return _cast(jnp.float32, images)[0]

    net = _net(module, (latent + classes,), apply, ())
    if not classes:
        return net

    def init(key: jax.Array, latents: jax.Array | None = None, labels: jax.Array | None = None) -> Params:
        return net.init(key) if latents is None or labels is None else net.init(key, whole(latents, labels))

    return net._replace(init=init, input_shape=(latent,), classes=classes)


def _cast(dtype: DTypeLike, *trees: Any) -> list[Any]:
    return [jax.tree.map(lambda leaf: leaf.astype(dtype), tree) for tree in trees]


def _net(module: nn.Module, input_shape: tuple[int, ...], apply: Any, further: tuple[None, ...]) -> Net:
    example = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)

    def init(key: jax.Array, examples: jax.Array | None = None) -> Params:
        given = jnp.zeros(example.shape, example.dtype) if examples is None else examples
        params: Params = module.init(key, given, *further)["params"]
        return params

    def layers() -> list[Layer]:
        rows = [Layer("input", "Input", (None, *input_shape), 0)]

        def record(next_call: Any, args: Any, kwargs: Any, context: Any) -> Any:  # Flax calls it around each method
            out = next_call(*args, **kwargs)
            if context.module.path and context.method_name == "__call__":
                own = context.module.variables.get("params", {})
                size = sum(leaf.size for leaf in jax.tree.leaves(own))
                rows.append(Layer(context.module.name, context.module.kind, (None, *out.shape[1:]), size))
            return out

        params = jax.eval_shape(init, jax.random.key(0))
        with nn.intercept_methods(record):
            jax.eval_shape(lambda p, x: module.apply({"params": p}, x, *further, mutable=True), params, example)
        return rows

    return Net(init, apply, input_shape, layers)

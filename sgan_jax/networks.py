"""Generators and discriminators as pure `Net` records. The only file that imports Flax Linen.

Layers are Keras's: SAME padding, Glorot-uniform kernels, zero biases, leaky ReLU of slope 0.2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from sgan_jax.heads import Head
from sgan_jax.ops import MATRIX_PRODUCTS, Maps
from sgan_jax.types import DiscOut, Layer, Net, Params

_SLOPE = 0.2
_glorot = nn.initializers.glorot_uniform()


class _Conv(nn.Module):
    """A convolution in one of the forms of `ops`, with a kernel and a bias."""

    features: int
    size: int
    kind: str
    convolve: Callable[[jax.Array, jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _glorot, (self.size, self.size, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.convolve(x, kernel) + bias.reshape(1, 1, 1, -1)


class _Dense(nn.Module):
    features: int
    multiply: Callable[[jax.Array, jax.Array], jax.Array]
    kind: str = "Dense"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _glorot, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.multiply(x, kernel) + bias.reshape(1, -1)


class _Function(nn.Module):
    """A layer without parameters; a module so that a description of the network shows it."""

    kind: str
    function: Callable[..., jax.Array]

    def __call__(self, *args: Any) -> jax.Array:
        return self.function(*args)


def _leaky_relu(name: str) -> _Function:
    return _Function(f"Leaky ReLU {_SLOPE}", partial(nn.leaky_relu, negative_slope=_SLOPE), name=name)


def _dropout(x: jax.Array, key: jax.Array | None, *, rate: float) -> jax.Array:
    if key is None:
        return x
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    return jnp.where(kept, x / (1.0 - rate), jnp.zeros_like(x))


class _Discriminator(nn.Module):
    """Three stride-2 convolutions, flatten, dropout, one dense layer of logits."""

    width: int
    dropout: float
    outputs: int
    maps: Maps

    @nn.compact
    def __call__(self, x: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        for block in (1, 2, 3):
            x = _Conv(self.width, 3, "Conv 3x3, stride 2", self.maps.down, name=f"conv_{block}")(x)
            x = _leaky_relu(f"leaky_{block}")(x)
        features = _Function("Flatten", lambda x: x.reshape(len(x), -1), name="features")(x)
        dropout = _Function(f"Dropout {self.dropout}", partial(_dropout, rate=self.dropout), name="dropout")
        dropped = dropout(features, key)
        return features, _Dense(self.outputs, self.maps.dense, name="logits")(dropped)


class _Generator(nn.Module):
    """A dense layer to a quarter of the image's size, two transposed convolutions, a 7x7 convolution and tanh."""

    width: int
    image_shape: tuple[int, int, int]
    maps: Maps

    @nn.compact
    def __call__(self, latents: jax.Array) -> jax.Array:
        height, width, channels = self.image_shape
        x = _Dense(height // 4 * (width // 4) * self.width, self.maps.dense, name="dense")(latents)
        x = _leaky_relu("leaky_0")(x)
        small = (height // 4, width // 4, self.width)
        x = _Function("Reshape", lambda x: x.reshape(-1, *small), name="reshape")(x)
        for block in (1, 2):
            x = _Conv(self.width, 4, "Transposed conv 4x4, stride 2", self.maps.up, name=f"up_{block}")(x)
            x = _leaky_relu(f"leaky_{block}")(x)
        x = _Conv(channels, 7, "Conv 7x7", self.maps.to_image, name="image")(x)
        return _Function("tanh", jnp.tanh, name="tanh")(x)


def discriminator(
    image_shape: tuple[int, int, int],
    classes: int,
    head: Head,
    width: int = 128,
    dropout: float = 0.4,
    maps: Maps = MATRIX_PRODUCTS,
) -> Net:
    """The tutorial's discriminator: 316,938 parameters for 28 x 28 x 1 images and ten logits.

    Args:
      image_shape: (H, W, C).
      classes: K.
      head: splits the logits.
      width: channels of each convolution.
      dropout: rate before the dense layer, active where `apply` gets a key.
      maps: how the layers compute; parameters, logits and features are float32.
    """
    module = _Discriminator(width, dropout, head.outputs(classes), maps)

    def apply(params: Params, images: jax.Array, key: jax.Array | None = None) -> DiscOut:
        out: Any = module.apply(*_cast(maps.dtype, {"params": params}, images), key)
        features, logits = _cast(jnp.float32, *out)
        return DiscOut(features, *head.split(logits))

    def layers() -> list[Layer]:
        rows = net.layers()
        logits = (len(rows) - 1,)
        if head.classifies:
            rows.append(Layer("class", "Softmax", (None, classes), 0, logits))
        return [*rows, Layer("real", head.real, (None, 1), 0, logits)]

    net = _net(module, image_shape, apply, (None,))
    return net._replace(layers=layers)


def generator(
    image_shape: tuple[int, int, int], latent: int = 100, width: int = 128, maps: Maps = MATRIX_PRODUCTS
) -> Net:
    """The tutorial's generator: 1,164,289 parameters for 28 x 28 x 1 images.

    Args:
      image_shape: (H, W, C), H and W multiples of 4.
      latent: length of a latent vector.
      width: channels of each transposed convolution.
      maps: how the layers compute; parameters and images are float32.
    """
    module = _Generator(width, image_shape, maps)

    def apply(params: Params, latents: jax.Array) -> jax.Array:
        images: Any = module.apply(*_cast(maps.dtype, {"params": params}, latents))
        return _cast(jnp.float32, images)[0]

    return _net(module, (latent,), apply, ())


def _cast(dtype: DTypeLike, *trees: Any) -> list[Any]:
    return [jax.tree.map(lambda leaf: leaf.astype(dtype), tree) for tree in trees]


def _net(module: nn.Module, input_shape: tuple[int, ...], apply: Any, rest: tuple[None, ...]) -> Net:
    example = jax.ShapeDtypeStruct((1, *input_shape), jnp.float32)

    def init(key: jax.Array) -> Params:
        params: Params = module.init(key, jnp.zeros(example.shape, example.dtype), *rest)["params"]
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
            jax.eval_shape(lambda p, x: module.apply({"params": p}, x, *rest), params, example)
        return rows

    return Net(init, apply, input_shape, layers)

"""Facts about the networks: sizes, first weights, dropout, the tutorial's first losses, agreement with Keras."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.data.embedded import load_embedded
from sgan_jax.models.heads import HEADS, Head
from sgan_jax.models.layers import group_norm
from sgan_jax.models.networks.table import NETWORKS, discriminator, generator
from sgan_jax.models.ops.convolutions import Maps, maps_for
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.losses import cross_entropy, score_as_real
from sgan_jax.objectives.table import tutorial
from sgan_jax.types import Batch, Bound, DiscOut, Layer, Net, Params

MNIST = (28, 28, 1)
DISC = discriminator(MNIST, 10, HEADS["stacked"])
GEN = generator(MNIST)


def size(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def shapes(net: Net) -> Params:
    return jax.eval_shape(net.init, jax.random.key(0))


@pytest.fixture(scope="module")
def init() -> Callable[[int], tuple[Params, Params]]:
    """Fresh parameters of the full discriminator and generator, from a seed."""
    compiled = jax.jit(lambda key: (DISC.init(key), GEN.init(key)))
    return lambda seed: compiled(jax.random.key(seed))


@pytest.fixture(scope="module")
def fresh(init: Callable[[int], tuple[Params, Params]]) -> tuple[Params, Params]:
    return init(0)


def drawn(net: Net, seed: int = 0) -> Params:
    """Parameters from NumPy, where it does not matter which: quicker than to compile `init`."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(-0.3, 0.3, leaf.shape), leaf.dtype), shapes(net))


# --- Sizes, shapes and first weights


def test_parameter_counts_are_the_tutorials() -> None:
    assert size(shapes(GEN)) == 1_164_289
    assert size(shapes(DISC)) == 316_938


def test_rows_of_the_discriminator() -> None:
    assert DISC.layers() == [
        Layer("input", "Input", (None, 28, 28, 1), 0),
        Layer("conv_1", "Conv 3x3, stride 2", (None, 14, 14, 128), 1_280),
        Layer("leaky_1", "Leaky ReLU 0.2", (None, 14, 14, 128), 0),
        Layer("conv_2", "Conv 3x3, stride 2", (None, 7, 7, 128), 147_584),
        Layer("leaky_2", "Leaky ReLU 0.2", (None, 7, 7, 128), 0),
        Layer("conv_3", "Conv 3x3, stride 2", (None, 4, 4, 128), 147_584),
        Layer("leaky_3", "Leaky ReLU 0.2", (None, 4, 4, 128), 0),
        Layer("features", "Flatten", (None, 2048), 0),
        Layer("dropout", "Dropout 0.4", (None, 2048), 0),
        Layer("logits", "Dense", (None, 10), 20_490),
        Layer("class", "Softmax", (None, 10), 0, inputs=(9,)),
        Layer("real", "Z / (Z + 1)", (None, 1), 0, inputs=(9,)),
    ]


def test_rows_of_the_generator() -> None:
    assert GEN.layers() == [
        Layer("input", "Input", (None, 100), 0),
        Layer("dense", "Dense", (None, 6272), 633_472),
        Layer("leaky_0", "Leaky ReLU 0.2", (None, 6272), 0),
        Layer("reshape", "Reshape", (None, 7, 7, 128), 0),
        Layer("up_1", "Transposed conv 4x4, stride 2", (None, 14, 14, 128), 262_272),
        Layer("leaky_1", "Leaky ReLU 0.2", (None, 14, 14, 128), 0),
        Layer("up_2", "Transposed conv 4x4, stride 2", (None, 28, 28, 128), 262_272),
        Layer("leaky_2", "Leaky ReLU 0.2", (None, 28, 28, 128), 0),
        Layer("image", "Conv 7x7", (None, 28, 28, 1), 6_273),
        Layer("tanh", "tanh", (None, 28, 28, 1), 0),
    ]


@pytest.mark.parametrize("head", sorted(HEADS))
def test_discriminator_of_each_head_on_oblong_images_of_three_channels(head: str) -> None:
    disc = discriminator((12, 20, 3), 5, HEADS[head], width=4)
    params = shapes(disc)
    out = jax.eval_shape(disc.apply, params, jax.ShapeDtypeStruct((7, 12, 20, 3), jnp.float32), None)
    assert out.features.shape == (7, 2 * 3 * 4)  # 12 x 20, 6 x 10, 3 x 5, 2 x 3
    assert out.class_logits.shape == (7, 5 if HEADS[head].classifies else 0)
    assert out.real_logit.shape == (7,)
    assert {leaf.dtype for leaf in (*jax.tree.leaves(params), *out)} == {jnp.dtype("float32")}
    assert sum(row.parameters for row in disc.layers()) == size(params)
    rows = {row.name: row for row in disc.layers()}
    assert rows["logits"].output == (None, HEADS[head].outputs(5))
    assert ("class" in rows) == HEADS[head].classifies
    assert disc.layers()[rows["real"].inputs[0]] == rows["logits"]


def test_generator_makes_oblong_images_of_three_channels() -> None:
    gen = generator((12, 20, 3), latent=6, width=4)
    params = shapes(gen)
    images = jax.eval_shape(gen.apply, params, jax.ShapeDtypeStruct((7, *gen.input_shape), jnp.float32))
    assert (images.shape, images.dtype) == ((7, 12, 20, 3), jnp.float32)
    assert sum(row.parameters for row in gen.layers()) == size(params)


IN_BFLOAT16 = pytest.mark.parametrize(
    "maps", [maps_for(platform, "bfloat16") for platform in ("cpu", "gpu")], ids=["cpu", "gpu"]
)


def gradients_in_float32_and_bfloat16(
    networks: str, maps: Maps, first: Callable[[Net, jax.Array], Params]
) -> list[tuple[jax.Array, jax.Array]]:
    """Of a loss of the logits, one pair a parameter; loss and images are compared here.

    Args:
      networks: of `NETWORKS`.
      maps: those that compute in bfloat16.
      first: the discriminator's parameters, of the net and the images.
    """
    head, made = HEADS["stacked"], NETWORKS[networks]
    exact, rounded = (made.discriminator((12, 12, 1), 5, head, width=16, **c) for c in ({}, {"maps": maps}))
    images = jnp.asarray(np.random.default_rng(3).uniform(-1, 1, (4, 12, 12, 1)), jnp.float32)
    params = first(exact, images)

    def loss(params, net):
        return jnp.square(net.apply(params, images, None).class_logits).mean()

    (one, gradient), (other, coarse) = (
        jax.jit(jax.value_and_grad(partial(loss, net=net)))(params) for net in (exact, rounded)
    )
    assert float(other) == pytest.approx(float(one), rel=0.05)
    assert float(other) != float(one)
    exact, rounded = (made.generator((12, 12, 1), 6, 16, **c) for c in ({}, {"maps": maps}))
    params, latents = drawn(exact), jnp.asarray(np.random.default_rng(4).normal(size=(4, 6)), jnp.float32)
    images = jax.jit(rounded.apply)(params, latents)
    assert images.dtype == jnp.float32
    np.testing.assert_allclose(images, jax.jit(exact.apply)(params, latents), atol=0.03)
    pairs = list(zip(jax.tree.leaves(gradient), jax.tree.leaves(coarse), strict=True))
    for a, b in pairs:
        assert (a.dtype, b.dtype) == (jnp.float32, jnp.float32)
    return pairs


@IN_BFLOAT16
def test_computing_in_bfloat16_agrees_within_its_rounding_and_keeps_float32_outside(maps: Maps) -> None:
    for exact, coarse in gradients_in_float32_and_bfloat16("tutorial", maps, lambda net, images: drawn(net)):
        np.testing.assert_allclose(coarse, exact, atol=0.1 * float(jnp.abs(exact).max()))


@IN_BFLOAT16
@pytest.mark.parametrize("networks", sorted(NETWORKS.keys() - {"tutorial"}))
def test_norms_and_noise_in_bfloat16_leave_answers_gradients_and_images_within_its_rounding(
    networks: str, maps: Maps
) -> None:
    """As above; by length, since a rounded activation beside its kink gets another slope."""

    def by_examples(net: Net, images: jax.Array) -> Params:
        return jax.jit(net.init)(jax.random.key(0), images)

    for exact, coarse in gradients_in_float32_and_bfloat16(networks, maps, by_examples):
        assert float(jnp.linalg.norm(coarse - exact)) <= 0.2 * float(jnp.linalg.norm(exact))


@pytest.mark.parametrize("player", [0, 1], ids=["d", "g"])
def test_first_kernels_are_glorot_uniform_and_biases_zero(player: int, fresh: tuple[Params, Params]) -> None:
    for name, layer in fresh[player].items():
        assert sorted(layer) == ["bias", "kernel"], name
        np.testing.assert_array_equal(layer["bias"], 0, err_msg=name)
        kernel = np.asarray(layer["kernel"])
        *taps, fan_in, fan_out = kernel.shape
        limit = math.sqrt(6 / (math.prod(taps) * (fan_in + fan_out)))
        assert np.abs(kernel).max() <= limit * (1 + 1e-6), name
        assert np.abs(kernel).max() > 0.995 * limit, name
        # mean and deviation of a uniform distribution, within five standard errors
        assert abs(kernel.mean()) < 5 * limit / math.sqrt(3 * kernel.size), name
        assert kernel.std() == pytest.approx(limit / math.sqrt(3), abs=5 * limit / math.sqrt(11 * kernel.size)), name


def test_first_weights_follow_from_the_key_and_differ_between_layers(
    init: Callable[[int], tuple[Params, Params]], fresh: tuple[Params, Params]
) -> None:
    for ours, same, other in zip(fresh, init(0), init(1), strict=True):
        for name, layer in ours.items():
            np.testing.assert_array_equal(layer["kernel"], same[name]["kernel"])
            assert not np.array_equal(layer["kernel"], other[name]["kernel"]), name
    d, g = fresh
    assert not np.array_equal(d["conv_2"]["kernel"], d["conv_3"]["kernel"])
    assert not np.array_equal(g["up_1"]["kernel"], g["up_2"]["kernel"])


# --- Dropout


RATE = 0.4
IMAGES = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (200, 8, 8, 1)), jnp.float32)
SHOW_ALL = Head(lambda classes: classes, lambda logits: (logits, logits[:, 0]), "the first")


@pytest.fixture(scope="module")
def shown() -> Callable[[jax.Array | None], DiscOut]:
    """A small discriminator whose logits are its features after dropout, as (images, key) -> DiscOut."""
    disc = discriminator((8, 8, 1), 64, SHOW_ALL, width=64, dropout=RATE)  # one pixel of 64 channels is left
    params = drawn(disc) | {"logits": {"kernel": jnp.eye(64), "bias": jnp.zeros(64)}}
    apply = jax.jit(disc.apply)
    return lambda key: apply(params, IMAGES, key)


def test_without_a_key_nothing_is_dropped(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    out = shown(None)
    np.testing.assert_array_equal(out.class_logits, out.features)
    assert np.count_nonzero(out.features) == out.features.size


def test_with_a_key_features_are_dropped_or_scaled_up(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    out = shown(jax.random.key(3))
    features, dropped = np.asarray(out.features), np.asarray(out.class_logits)
    np.testing.assert_array_equal(features, shown(None).features)  # those of the record are before dropout
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], features[kept] / (1 - RATE), rtol=1e-6)
    assert kept.mean() == pytest.approx(1 - RATE, abs=5 * math.sqrt(RATE * (1 - RATE) / kept.size))
    # each image and each feature has its own draw
    for axis in (0, 1):
        assert not kept.all(axis=axis).any()
        assert kept.any(axis=axis).all()


def test_dropout_follows_from_its_key(shown: Callable[[jax.Array | None], DiscOut]) -> None:
    one, same, other = (shown(jax.random.key(seed)).class_logits for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_gradient_flows_through_what_was_dropped() -> None:
    disc = discriminator((8, 8, 1), 3, HEADS["separate"], width=4, dropout=0.5)
    params = drawn(disc)

    @jax.jit
    def both(params: Params, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        grad = jax.grad(lambda p: disc.apply(p, IMAGES[:1], key).real_logit.sum())(params)
        return disc.apply(params, IMAGES[:1], key).features, grad["logits"]["kernel"]

    features, grad = both(params, jax.random.key(5))
    of_real = np.asarray(grad)[:, -1]
    dropped = of_real == 0
    assert 0 < dropped.sum() < 4
    np.testing.assert_allclose(of_real[~dropped], 2 * np.asarray(features)[0, ~dropped], rtol=1e-6)


# --- The tutorial's first line: >1, c[2.305,6], d[0.096,2.399], g[0.095]


def test_first_losses_of_a_fresh_network_are_the_tutorials(fresh: tuple[Params, Params]) -> None:
    d, g = fresh
    digits = load_embedded()
    one_each = [int(np.flatnonzero(digits.train_labels == k)[0]) for k in range(10)]
    lab = scale(jnp.asarray(digits.train_images[one_each]))
    unl = scale(jnp.asarray(digits.train_images[::800]))
    assert len(unl) == 5
    batch = Batch(lab, jnp.arange(10, dtype=jnp.int32), unl)
    disc = jax.jit(lambda x, key: DISC.apply(d, x, key))
    gen = jax.jit(lambda latents: GEN.apply(g, latents))
    nets = Bound(disc, gen, disc, lambda key, count: jax.random.normal(key, (10, 100))[:count])
    losses: dict[str, float] = {}
    for move in tutorial():
        losses |= {k: float(v) for k, v in move.terms(nets, batch, jax.random.key(4)).loss.items()}
    assert losses["d/supervised"] == pytest.approx(2.30, abs=0.05)
    assert losses["d/real"] == pytest.approx(0.096, abs=0.01)
    assert losses["d/fake"] == pytest.approx(2.399, abs=0.05)
    assert losses["g/fool"] == pytest.approx(0.095, abs=0.01)


# --- Keras's own layers, with its kernels copied into our networks


@pytest.fixture(scope="module")
def keras() -> Iterator[Any]:
    """Keras on its JAX backend, which the strict promotion rules of these tests would stop."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        warnings.catch_warnings(action="ignore"),
    ):
        module = pytest.importorskip("keras")
        assert module.backend.backend() == "jax"
        yield module


def keras_discriminator(keras: Any) -> tuple[Any, Any]:
    """The tutorial's two models over shared layers, without dropout: softmax classifier and critic with Z / (Z + 1)."""
    layers, ops = keras.layers, keras.ops

    def real_probability(logits: Any) -> Any:
        z = ops.sum(ops.exp(logits), axis=-1, keepdims=True)
        return z / (z + 1.0)

    image = x = layers.Input(MNIST)
    for _ in range(3):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2D(128, 3, strides=2, padding="same")(x))
    logits = layers.Dense(10)(layers.Flatten()(x))
    classifier = keras.Model(image, layers.Activation("softmax")(logits))
    return classifier, keras.Model(image, layers.Lambda(real_probability, output_shape=(1,))(logits))


def keras_generator(keras: Any) -> Any:
    layers = keras.layers
    latent = layers.Input((100,))
    x = layers.LeakyReLU(negative_slope=0.2)(layers.Dense(7 * 7 * 128)(latent))
    x = layers.Reshape((7, 7, 128))(x)
    for _ in range(2):
        x = layers.LeakyReLU(negative_slope=0.2)(layers.Conv2DTranspose(128, 4, strides=2, padding="same")(x))
    return keras.Model(latent, layers.Conv2D(1, 7, activation="tanh", padding="same")(x))


def as_ours(net: Net, weights: list[Any], transposed: tuple[str, ...] = ()) -> Params:
    """Keras's weights, or gradients in their order, as our parameters."""
    names = [row.name for row in net.layers() if row.parameters]
    ours = {}
    for name, kernel, bias in zip(names, weights[::2], weights[1::2], strict=True):
        # Conv2DTranspose keeps [4, 4, out, in]
        ours[name] = {"kernel": kernel.swapaxes(2, 3) if name in transposed else kernel, "bias": bias}
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, shapes(net))
    return ours


def with_biases(weights: list[Any]) -> list[jax.Array]:
    """The weights with biases other than Keras's zeros, which would hide a bias in the wrong place."""
    generator = np.random.default_rng(0)
    return [
        jnp.asarray(generator.uniform(-0.1, 0.1, w.shape), jnp.float32) if w.ndim == 1 else jnp.asarray(w)
        for w in (np.asarray(variable.value) for variable in weights)
    ]


def assert_agree(ours: Any, theirs: Any) -> None:
    """Within 1e-5 of the largest value of each array."""
    pairs = jax.tree.leaves_with_path(ours), jax.tree.leaves(theirs)
    for (path, one), other in zip(*pairs, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape, path
        assert np.abs(other).max() > 0, path
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max(), err_msg=str(path))


def test_discriminator_agrees_with_keras_in_outputs_losses_and_gradients(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    classifier, critic = keras_discriminator(keras)
    x = scale(jnp.asarray(load_embedded().train_images[[0, 1500, 3000]]))
    labels = jnp.array([0, 3, 7], jnp.int32)
    weights = with_biases(classifier.trainable_variables)
    assert [v.path for v in critic.trainable_variables] == [v.path for v in classifier.trainable_variables]

    @jax.jit
    def theirs(weights: list[jax.Array], x: jax.Array) -> Any:
        def loss(weights: list[jax.Array], x: jax.Array) -> Any:
            shares, _ = classifier.stateless_call(weights, [], x)
            real, _ = critic.stateless_call(weights, [], x)
            c = keras.losses.sparse_categorical_crossentropy(labels, shares).mean()
            d = keras.losses.binary_crossentropy(jnp.ones((3, 1)), real).mean()
            return c + d, (shares, real[:, 0], c, d)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(weights, x)

    @jax.jit
    def ours(params: Params, x: jax.Array) -> Any:
        def loss(params: Params, x: jax.Array) -> Any:
            out = DISC.apply(params, x, None)
            c, d = cross_entropy(out.class_logits, labels).mean(), score_as_real(out.real_logit).mean()
            return c + d, (jax.nn.softmax(out.class_logits), jax.nn.sigmoid(out.real_logit), c, d)

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(params, x)

    (_, out), (by_weights, by_images) = theirs(weights, x)
    (_, our_out), our_grads = ours(as_ours(DISC, weights), x)
    assert_agree(our_out, out)
    assert_agree(our_grads, (as_ours(DISC, by_weights), by_images))


def test_generator_agrees_with_keras_in_images_and_gradients(keras: Any) -> None:
    keras.utils.set_random_seed(1)
    model = keras_generator(keras)
    draw = np.random.default_rng(2)
    z = jnp.asarray(draw.normal(size=(2, 100)), jnp.float32)
    cotangent = jnp.asarray(draw.normal(size=(2, *MNIST)), jnp.float32)
    weights = with_biases(model.trainable_variables)

    @jax.jit
    def theirs(weights: list[jax.Array], z: jax.Array) -> Any:
        images, pull = jax.vjp(lambda w, z: model.stateless_call(w, [], z)[0], weights, z)
        return images, pull(cotangent)

    @jax.jit
    def ours(params: Params, z: jax.Array) -> Any:
        images, pull = jax.vjp(GEN.apply, params, z)
        return images, pull(cotangent)

    images, (by_weights, by_latents) = theirs(weights, z)
    our_images, our_grads = ours(as_ours(GEN, weights, ("up_1", "up_2")), z)
    assert_agree(our_images, images)
    assert_agree(our_grads, (as_ours(GEN, by_weights, ("up_1", "up_2")), by_latents))
    assert np.abs(our_images).max() <= 1


# --- The other networks


def test_sizes_of_the_networks_of_improved_gan() -> None:
    disc = NETWORKS["mlp"].discriminator(MNIST, 10, HEADS["stacked"])
    sizes = (784, 1000, 500, 250, 250, 250, 10)
    # Of each layer: the kernel, and a scale and a bias a unit.
    assert size(shapes(disc)) == sum(i * o + 2 * o for i, o in itertools.pairwise(sizes))
    gen = NETWORKS["mlp"].generator(MNIST)
    # Two dense layers with a bias and one more of the batch norm; then one with scale and bias.
    assert size(shapes(gen)) == (100 * 500 + 2 * 500) + (500 * 500 + 2 * 500) + (500 * 784 + 2 * 784)


def test_size_of_the_compact_discriminator() -> None:
    disc = NETWORKS["compact"].discriminator(MNIST, 10, HEADS["stacked"])
    convolutions = (25 * 32 + 3 * 32) + (9 * 32 * 64 + 3 * 64) + (9 * 64 * 128 + 3 * 128)  # bias, and two of the norm
    assert size(shapes(disc)) == convolutions + (4 * 4 * 128 * 256 + 256) + (256 * 10 + 10) == 620_746


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_network_with_every_head_on_oblong_images_of_three_channels(name: str, head: str) -> None:
    disc = NETWORKS[name].discriminator((12, 20, 3), 5, HEADS[head], width=8)
    gen = NETWORKS[name].generator((12, 20, 3), latent=6, width=8)
    images = jax.eval_shape(gen.apply, shapes(gen), jax.ShapeDtypeStruct((7, 6), jnp.float32))
    out = jax.eval_shape(disc.apply, shapes(disc), images, jax.random.key(0))
    assert images.shape == (7, 12, 20, 3)
    assert (len(out.features), out.class_logits.shape) == (7, (7, 5 if HEADS[head].classifies else 0))
    assert out.real_logit.shape == (7,) and out.features.ndim == 2
    for net in (disc, gen):
        assert sum(row.parameters for row in net.layers()) == size(shapes(net))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_without_a_key_an_answer_is_certain_and_with_one_it_varies(name: str) -> None:
    disc = NETWORKS[name].discriminator((8, 8, 1), 3, HEADS["stacked"], width=8, dropout=0.5)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 1)), jnp.float32)
    params = disc.init(jax.random.key(0), images)
    plain, again = (disc.apply(params, images, None).class_logits for _ in range(2))
    np.testing.assert_array_equal(plain, again)
    first, second = (disc.apply(params, images, jax.random.key(k)).class_logits for k in (1, 2))
    assert not np.allclose(first, second) and not np.allclose(first, plain)


def test_weight_normalised_layers_begin_with_deviation_one_over_the_examples() -> None:
    disc = NETWORKS["mlp"].discriminator((8, 8, 1), 3, HEADS["stacked"], width=40)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (400, 8, 8, 1)), jnp.float32)
    params = disc.init(jax.random.key(0), images)
    logits = np.concatenate([disc.apply(params, images, jax.random.key(k)).class_logits for k in range(4)])
    np.testing.assert_allclose(logits.std(axis=0), 1, atol=0.2)
    np.testing.assert_allclose(logits.mean(axis=0), 0, atol=0.2)
    # Of the columns only the direction counts.
    layer = params["dense_2"]
    longer = params | {"dense_2": layer | {"direction": 3 * layer["direction"]}}
    np.testing.assert_allclose(
        disc.apply(longer, images, None).class_logits, disc.apply(params, images, None).class_logits, atol=1e-5
    )


def test_columns_of_improved_gan_begin_as_long_as_in_its_code() -> None:
    """Normal(0.1) in `nn.DenseLayer`; Lasagne's Glorot-uniform, scale 1 and bias 0 in `nn.l2normalize`."""
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (50, 28, 28, 1)), jnp.float32)
    disc = NETWORKS["mlp"].discriminator(MNIST, 10, HEADS["stacked"]).init(jax.random.key(0), images)
    for layer in (f"dense_{i}" for i in range(5)):
        assert np.std(disc[layer]["direction"]) == pytest.approx(0.1, rel=0.05)
    latents = jax.random.normal(jax.random.key(1), (50, 100))
    pixels = NETWORKS["mlp"].generator(MNIST).init(jax.random.key(0), latents)["pixels"]
    limit = np.sqrt(6 / (500 + 784))
    assert 0.99 * limit < np.abs(pixels["direction"]).max() <= limit
    np.testing.assert_array_equal(pixels["scale"], 1)
    np.testing.assert_array_equal(pixels["bias"], 0)


def test_scales_are_trained_in_the_last_layer_alone() -> None:
    disc = NETWORKS["mlp"].discriminator((8, 8, 1), 3, HEADS["stacked"], width=8)
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (9, 8, 8, 1)), jnp.float32)
    params = disc.init(jax.random.key(0), images)
    grads = jax.grad(lambda p: jnp.square(disc.apply(p, images, None).class_logits).sum())(params)
    moved = {name: bool(np.abs(layer["scale"]).max() > 0) for name, layer in grads.items()}
    assert moved == {f"dense_{i}": False for i in range(5)} | {"logits": True}


def test_examples_change_nothing_in_networks_that_do_not_ask_for_them() -> None:
    images = jnp.ones((3, 8, 8, 1))
    for name in ("tutorial", "compact"):
        disc = NETWORKS[name].discriminator((8, 8, 1), 3, HEADS["stacked"], width=8)
        for a, b in zip(
            jax.tree.leaves(disc.init(jax.random.key(0))),
            jax.tree.leaves(disc.init(jax.random.key(0), images)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def test_group_norm_by_hand() -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(3, 2, (2, 3, 4, 6)), jnp.float32)
    scale, bias = jnp.arange(1.0, 7.0), jnp.arange(6.0)
    by_hand = np.empty(x.shape)
    for image in range(2):
        for group in range(2):
            part = np.asarray(x[image, :, :, 3 * group : 3 * group + 3], np.float64)
            by_hand[image, :, :, 3 * group : 3 * group + 3] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    np.testing.assert_allclose(group_norm(x, scale, bias, 2), by_hand * np.asarray(scale) + np.asarray(bias), atol=1e-4)


SIZES = [
    (28, [14, 7, 4], [7, 14, 28]),
    (64, [32, 16, 8, 4], [8, 16, 32, 64]),
    (96, [48, 24, 12, 6], [12, 24, 48, 96]),
]


@pytest.mark.parametrize(("size", "down", "up"), SIZES)
@pytest.mark.parametrize("name", ["compact", "tutorial"])
def test_networks_have_as_many_convolutions_as_the_size_of_images_asks_for(
    name: str, size: int, down: list[int], up: list[int]
) -> None:
    disc = NETWORKS[name].discriminator((size, size, 3), 4, HEADS["stacked"], width=8)
    assert [row.output[1] for row in disc.layers() if row.name.startswith("conv")] == down
    gen = generator((size, size, 3), width=8)
    assert [row.output[1] for row in gen.layers() if row.name.startswith(("reshape", "up"))] == up


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_images_of_any_size_are_made(name: str) -> None:
    gen = NETWORKS[name].generator((30, 27, 1), width=8)
    images = jax.eval_shape(gen.apply, shapes(gen), jax.ShapeDtypeStruct((7, *gen.input_shape), jnp.float32))
    assert images.shape == (7, 30, 27, 1)

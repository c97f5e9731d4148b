"""Facts about the training step: what it draws, what a move may change, that it is the textbook's, compiled once."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from sgan_jax.config import PRESETS
from sgan_jax.engine.optimizers import adam
from sgan_jax.engine.step import TrainStep, draw, init_state, make_train_step, repeat
from sgan_jax.engine.system import build
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import discriminator, generator
from sgan_jax.models.ops.convolutions import maps_for
from sgan_jax.models.pixels import scale
from sgan_jax.objectives.table import OBJECTIVES, tutorial
from sgan_jax.types import Batch, Bound, Data, DiscOut, Move, Net, Params, Players, Terms, TrainState

SHAPE, CLASSES, LATENT, HALF = (8, 8, 1), 3, 5, 4
KEY = jax.random.key(11)
ADAM = dict.fromkeys(Players._fields, adam(2e-4, 0.5, 0.999, 1e-7))
EMA = 0.9  # decay of the averaged parameters


def dense_disc(head: str = "stacked") -> Net:
    """A discriminator of one dense layer with dropout: all that the step asks of one, and compiled in no time."""

    def init(key: jax.Array) -> Params:
        return {"w": jax.random.normal(key, (64, HEADS[head].outputs(CLASSES)))}

    def apply(params: Params, images: jax.Array, key: jax.Array | None) -> DiscOut:
        features = images.reshape(len(images), -1)
        dropped = features if key is None else features * jax.random.bernoulli(key, 0.6, features.shape).astype(float)
        return DiscOut(features, *HEADS[head].split(dropped @ params["w"]))

    return Net(init, apply, SHAPE, list)


def dense_gen() -> Net:
    def init(key: jax.Array) -> Params:
        return {"w": jax.random.normal(key, (LATENT, 64))}

    return Net(init, lambda params, z: jnp.tanh(z @ params["w"]).reshape(-1, *SHAPE), (LATENT,), list)


def with_drawn(net: Net, seed: int) -> Net:
    """The network with first parameters from NumPy: quicker than to compile `init`."""
    draw = np.random.default_rng(seed)
    shapes = jax.eval_shape(net.init, KEY)
    params = jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(-0.5, 0.5, leaf.shape), leaf.dtype), shapes)
    return net._replace(init=lambda key: params)


def images_of(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), np.uint8)


DATA = Data(jnp.asarray(images_of(0, 6)), jnp.array([0, 1, 2, 0, 1, 2], jnp.int32), jnp.asarray(images_of(1, 9)))
DISC, GEN = dense_disc(), dense_gen()


def fresh(seed: int = 0) -> TrainState:
    return init_state(jax.random.key(seed), DISC, GEN, tutorial(), ADAM)


def host(tree: Any) -> Any:
    """A copy that no later step can reuse."""
    return jax.tree.map(np.array, tree)


def equal(one: Any, other: Any) -> bool:
    """Bit for bit."""
    assert str(jax.tree.structure(one)) == str(jax.tree.structure(other))
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.fixture(scope="module")
def compiled() -> tuple[TrainStep, list[int]]:
    """The tutorial's step as the loop compiles it, and how often it was traced."""
    step = make_train_step(DISC, GEN, tutorial(), ADAM, HALF, EMA)
    traces: list[int] = []

    def counted(state: TrainState, data: Data, key: jax.Array) -> Any:
        traces.append(len(traces))
        return step(state, data, key)

    return jax.jit(counted, donate_argnums=0), traces


# --- What a step draws


def test_scale_maps_black_to_minus_one_white_to_one_and_is_odd_about_the_middle() -> None:
    values = np.asarray(scale(jnp.arange(256, dtype=jnp.uint8)))
    assert values.dtype == np.float32
    assert (values[0], values[255]) == (-1, 1)
    np.testing.assert_allclose(values, np.linspace(-1, 1, 256), atol=1e-7)
    np.testing.assert_array_equal(values, -values[::-1])  # 127.5, which no image has, would be 0


def marked(count: int) -> np.ndarray:
    """Images whose pixels are their index."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1), (count, 2, 2, 1)).copy()


def test_batches_are_drawn_with_replacement_from_all_images_and_labels_stay_with_theirs() -> None:
    labels = (np.arange(50) * 7 % 5).astype(np.int32)
    data = Data(jnp.asarray(marked(50)), jnp.asarray(labels), jnp.asarray(marked(50)))
    batch = draw(data, 2000, jax.random.key(0))
    lab, unl = (
        np.rint(np.asarray(images)[:, 0, 0, 0] * 127.5 + 127.5).astype(int)
        for images in (batch.lab_images, batch.unl_images)
    )
    np.testing.assert_array_equal(batch.lab_labels, labels[lab])
    for drawn in (lab, unl):  # each of 50 comes 40 +- 6.3 times: within five deviations
        np.testing.assert_allclose(np.bincount(drawn, minlength=50), 40, atol=31)
    assert (lab == unl).mean() == pytest.approx(1 / 50, abs=5 * 0.0031)  # the two draws are independent
    np.testing.assert_array_equal(batch.unl_images, scale(data.unl_images[unl]))


def test_batch_is_larger_than_the_labelled_set_if_need_be() -> None:
    one = Data(DATA.lab_images[:1], DATA.lab_labels[:1], DATA.unl_images)
    batch = draw(one, 50, jax.random.key(0))
    assert batch.lab_images.shape == (50, *SHAPE)
    assert set(np.asarray(batch.lab_labels).tolist()) == {0}


def test_a_batch_may_have_more_unlabelled_images_each_with_its_own_shares() -> None:
    count = len(DATA.unl_images)
    shares = jnp.arange(count, dtype=jnp.float32)[:, None] * jnp.ones((1, 3))
    batch = draw(DATA._replace(unl_shares=shares), 5, jax.random.key(0), 40)
    assert len(batch.lab_images) == 5
    assert batch.unl_shares is not None and batch.unl_shares.shape == (40, 3)
    np.testing.assert_array_equal(batch.unl_images, scale(DATA.unl_images[batch.unl_shares[:, 0].astype(int)]))
    assert draw(DATA, 5, jax.random.key(0)).unl_shares is None


def test_labels_of_unlabelled_images_cannot_matter() -> None:
    # All that a step sees is its state, `Data` and a key, and `Data` holds labels of the labelled images only; the
    # shares are made of those, too (test_loop.py).
    assert Data._fields == ("lab_images", "lab_labels", "unl_images", "unl_shares")
    assert list(inspect.signature(make_train_step(DISC, GEN, tutorial(), ADAM, HALF, EMA)).parameters) == [
        "state",
        "data",
        "key",
    ]


# --- Every head and objective

SCORES = {"d/real", "d/real_accuracy", "d/fake", "d/fake_accuracy"}
TERMS = {  # beside those of the labelled images
    "tutorial": SCORES | {"g/fool"},
    "joint": SCORES | {"g/fool"},
    "supervised": set(),
    "feature_matching": SCORES | {"g/features"},
    "catgan": {"d/entropy", "d/imbalance", "d/fake_certainty", "g/entropy", "g/imbalance"},
    "complement": SCORES | {"d/entropy", "g/features", "g/pull_away"},
    "invariance": SCORES | {"d/invariance", "g/features"},
    "manifold": SCORES | {"d/manifold", "g/features"},
}


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_fits_every_objective_or_is_refused(head: str, objective: str) -> None:
    if OBJECTIVES[objective].needs_classifier and not HEADS[head].classifies:
        with pytest.raises(ValueError, match="made of class logits"):
            OBJECTIVES[objective].objective(False)
        return
    disc, gen = discriminator(SHAPE, CLASSES, HEADS[head], width=4), generator(SHAPE, LATENT, width=4)
    moves = OBJECTIVES[objective].objective(HEADS[head].classifies)
    state = jax.eval_shape(lambda key: init_state(key, disc, gen, moves, ADAM), KEY)
    after, metrics = jax.eval_shape(make_train_step(disc, gen, moves, ADAM, HALF, EMA), state, DATA, KEY)

    def kinds(tree: Any) -> list[Any]:
        return [(path, x.shape, x.dtype, x.weak_type) for path, x in jax.tree.leaves_with_path(tree)]

    assert kinds(after) == kinds(state)  # anything else would compile the second step anew
    assert (state.step.shape, state.step.dtype) == ((), jnp.int32)
    assert set(state.opt) == {slot for move in moves for slot in move.slots.values()}
    assert set(metrics) == TERMS[objective] | ({"d/supervised", "d/accuracy"} if HEADS[head].classifies else set())
    assert {(value.shape, value.dtype) for value in metrics.values()} == {((), jnp.dtype("float32"))}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_presets_step_fits_an_accelerator_in_either_precision(preset: str, precision: str) -> None:
    system = build(PRESETS[preset], (28, 28, 1), 10, maps_for("gpu", precision))
    arguments = system.abstract_arguments(labelled=100, unlabelled=1000)
    state, metrics = jax.eval_shape(system.train_step(), *arguments)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), arguments[0]
    )
    assert {(value.shape, value.dtype) for value in metrics.values()} == {((), jnp.dtype("float32"))}


def test_step_fits_a_scan_over_steps_and_a_vmap_over_seeds() -> None:
    step = make_train_step(DISC, GEN, tutorial(), ADAM, HALF, EMA)
    keys = jax.random.split(KEY, 3)

    def epoch(seed: jax.Array) -> Any:
        state = init_state(seed, DISC, GEN, tutorial(), ADAM)
        return lax.scan(lambda state, _: step(state, DATA, seed), state, length=7)

    states, metrics = jax.eval_shape(jax.vmap(epoch), keys)
    assert states.params.d["w"].shape == (3, 64, CLASSES)
    assert metrics["d/real"].shape == (3, 7)


# --- What a move may change


def changed(move: Move) -> set[str]:
    """Names of the players and slots that a step of this one move leaves other than they were."""
    before = fresh()
    after, _ = jax.jit(make_train_step(DISC, GEN, (move,), ADAM, HALF, EMA))(before, DATA, KEY)
    players = {
        f"params.{name}" for name in ("d", "g") if not equal(getattr(before.params, name), getattr(after.params, name))
    }
    return players | {f"opt.{slot}" for slot in before.opt if not equal(before.opt[slot], after.opt[slot])}


MOVES = [
    pytest.param(move, id=f"{name} {index}")
    for name in sorted(OBJECTIVES)
    for index, move in enumerate(OBJECTIVES[name].objective(True))
]


@pytest.mark.parametrize("move", MOVES)
def test_move_changes_its_players_and_their_slots_only(move: Move) -> None:
    assert changed(move) == {f"params.{name}" for name in move.slots} | {f"opt.{slot}" for slot in move.slots.values()}


def test_slots_of_one_player_have_states_of_their_own(compiled: tuple[TrainStep, list[int]]) -> None:
    step, _ = compiled
    state, _ = step(fresh(), DATA, KEY)
    assert {slot: int(one.count) for slot, one in state.opt.items()} == {"c": 1, "d": 2, "g": 1}
    assert not equal(state.opt["c"].mu, state.opt["d"].mu)
    assert not equal(state.opt["c"].nu, state.opt["d"].nu)


def constant(value: float, output: Callable[[Params, Any], Any], input_shape: tuple[int, ...]) -> Net:
    """A network with a single number as its parameter."""
    return Net(lambda key: jnp.float32(value), lambda params, x, *rest: output(params, x), input_shape, list)


def test_moves_worked_by_hand() -> None:
    # w is the discriminator, v the generator. Descent of rate 1: each move goes by its slope where the last one ended.
    def first(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        w = nets.disc(batch.unl_images, None).real_logit.mean()
        return Terms({"d/a": w, "d/b": 2 * w}, {"d/unseen": 100 * w})  # slope 1 + 2; what is watched adds nothing

    def second(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        return Terms({"d/square": jnp.square(nets.disc(batch.unl_images, None).real_logit.mean())}, {})  # slope 2 w

    def third(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        image = nets.generate(key, 2)
        return Terms({"g/product": nets.disc(image, None).real_logit.mean() * image.mean()}, {})  # slope w for v

    disc = constant(0.5, lambda w, x: DiscOut(x, x[:, 0, 0], jnp.broadcast_to(w, len(x))), SHAPE)
    gen = constant(2.0, lambda v, z: jnp.broadcast_to(v, (len(z), *SHAPE)), (LATENT,))
    moves = (Move({"d": "one"}, first), Move({"d": "two"}, second), Move({"g": "three"}, third))
    sgd = dict.fromkeys(Players._fields, optax.sgd(1.0))
    state, metrics = jax.jit(make_train_step(disc, gen, moves, sgd, HALF, EMA))(
        init_state(KEY, disc, gen, moves, sgd), DATA, KEY
    )
    # w = 0.5: terms 0.5 and 1; w = 0.5 - 3 = -2.5: square 6.25; w = -2.5 + 5 = 2.5: product 2.5 * 2; v = 2 - 2.5
    assert {name: float(value) for name, value in metrics.items()} == {
        "d/a": 0.5,
        "d/b": 1.0,
        "d/unseen": 50.0,
        "d/square": 6.25,
        "g/product": 5.0,
    }
    assert (float(state.params.d), float(state.params.g), int(state.step)) == (2.5, -0.5, 1)


def test_both_players_of_one_move_descend_from_where_it_began_each_by_its_own_optimizer() -> None:
    def both(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        image = nets.generate(key, 2)
        return Terms({"d/product": nets.disc(image, None).real_logit.mean() * image.mean()}, {})

    disc = constant(0.5, lambda w, x: DiscOut(x, x[:, 0, 0], jnp.broadcast_to(w, len(x))), SHAPE)
    gen = constant(2.0, lambda v, z: jnp.broadcast_to(v, (len(z), *SHAPE)), (LATENT,))
    moves, own = (Move({"d": "one", "g": "two"}, both),), {"d": optax.sgd(1.0), "g": optax.sgd(4.0)}
    state, _ = jax.jit(make_train_step(disc, gen, moves, own, HALF, EMA))(
        init_state(KEY, disc, gen, moves, own), DATA, KEY
    )
    # The product w v has slope v = 2 for w and slope w = 0.5 for v.
    assert (float(state.params.d), float(state.params.g)) == (0.5 - 2, 2 - 4 * 0.5)
    assert set(state.opt) == {"one", "two"}


def test_averaged_parameters_are_the_mean_at_first_and_then_decay() -> None:
    taught: list[Any] = []

    def down(nets: Bound, batch: Batch, key: jax.Array) -> Terms:  # slope 1: w goes 0.5, -0.5, -1.5, -2.5
        teacher = nets.teacher(batch.unl_images, None).real_logit.mean()
        return Terms({"d/w": nets.disc(batch.unl_images, None).real_logit.mean() + 100 * teacher}, {"d/ema": teacher})

    disc = constant(0.5, lambda w, x: DiscOut(x, x[:, 0, 0], jnp.broadcast_to(w, len(x))), SHAPE)
    gen = constant(2.0, lambda v, z: jnp.broadcast_to(v, (len(z), *SHAPE)), (LATENT,))
    moves, sgd = (Move({"d": "d"}, down),), dict.fromkeys(Players._fields, optax.sgd(1.0))
    step = jax.jit(make_train_step(disc, gen, moves, sgd, HALF, 0.5))
    state, averages = init_state(KEY, disc, gen, moves, sgd), []
    assert float(state.ema.d) == 0.5
    for _ in range(3):
        state, metrics = step(state, DATA, KEY)
        averages.append(float(state.ema.d))
        taught.append(float(metrics["d/ema"]))
    # -0.5; the mean of -0.5 and -1.5; halfway from there to -2.5
    assert averages == [-0.5, -1.0, -1.75]
    assert taught == [0.5, -0.5, -1.0], "a move sees the averages that the step before left"
    assert float(state.params.d) == -2.5, "and descends on nothing by them"
    assert float(state.ema.g) == 2.0


# --- The tutorial's step as a textbook writes it: convolutions of lax, probabilities instead of logits, Adam in NumPy

RATE, EPS, B1, B2 = (
    1e-2,
    3e-5,
    0.5,
    0.999,
)  # an epsilon that keeps the update of a slope that is nearly 0 well conditioned
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


def textbook(d: Params, g: Params, generate: Callable[[Params, jax.Array], jax.Array], steps: int) -> Any:
    """Yields (d, g, losses) after each step."""

    @jax.jit
    @jax.value_and_grad
    def classify(d: Params, x: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
        return -jnp.log(textbook_disc(d, x, key)[0][jnp.arange(HALF), labels]).mean()

    @jax.jit
    @jax.value_and_grad
    def real(d: Params, x: jax.Array, key: jax.Array) -> jax.Array:
        return -jnp.log(textbook_disc(d, x, key)[1]).mean()

    @jax.jit
    @jax.value_and_grad
    def fake(d: Params, x: jax.Array, key: jax.Array) -> jax.Array:
        return -jnp.log(1 - textbook_disc(d, x, key)[1]).mean()

    @jax.jit
    @jax.value_and_grad
    def fool(g: Params, d: Params, z: jax.Array, key: jax.Array) -> jax.Array:
        return -jnp.log(textbook_disc(d, generate(g, z), key)[1]).mean()

    c, dd, gg = Adam(), Adam(), Adam()
    for step in range(steps):
        k_batch, k_classify, k_real, k_fake, k_fool = jax.random.split(jax.random.fold_in(KEY, step), 5)
        k_lab, k_unl = jax.random.split(k_batch)
        lab = np.asarray(jax.random.randint(k_lab, (HALF,), 0, 6))
        unl = np.asarray(jax.random.randint(k_unl, (HALF,), 0, 9))
        lab_images, unl_images = (
            jnp.asarray(x / 127.5 - 1, jnp.float32) for x in (images_of(0, 6)[lab], images_of(1, 9)[unl])
        )

        losses = {}
        losses["d/supervised"], grad = classify(d, lab_images, jnp.asarray(lab % 3), k_classify)
        d = c.update(d, grad)
        losses["d/real"], grad = real(d, unl_images, k_real)
        d = dd.update(d, grad)
        k_gen, k_disc = jax.random.split(k_fake)
        losses["d/fake"], grad = fake(d, generate(g, jax.random.normal(k_gen, (HALF, LATENT))), k_disc)
        d = dd.update(d, grad)
        k_gen, k_disc = jax.random.split(k_fool)
        losses["g/fool"], grad = fool(g, d, jax.random.normal(k_gen, (2 * HALF, LATENT)), k_disc)
        g = gg.update(g, grad)
        yield d, g, losses


@pytest.mark.parametrize(
    "whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["dense generator", "both networks"]
)
def test_step_is_the_textbooks(whole: bool) -> None:
    disc = discriminator(SHAPE, CLASSES, HEADS["stacked"], width=4, dropout=0.5)
    gen = generator(SHAPE, LATENT, width=4) if whole else GEN
    optimizers = dict.fromkeys(Players._fields, adam(RATE, B1, B2, EPS))
    state = init_state(KEY, with_drawn(disc, 0), with_drawn(gen, 1), tutorial(), optimizers)
    step = jax.jit(make_train_step(disc, gen, tutorial(), optimizers, HALF, EMA))
    for d, g, losses in textbook(*state.params, textbook_gen if whole else GEN.apply, steps=3):
        before = state.params
        state, metrics = step(state, DATA, KEY)
        for name, loss in losses.items():
            np.testing.assert_allclose(metrics[name], loss, rtol=1e-5, err_msg=name)
        for ours, theirs in ((state.params.d, d), (state.params.g, g)):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-2 * RATE), ours, theirs)
        moved = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), state.params, before)
        assert min(jax.tree.leaves(moved)) > 0.1 * RATE  # so that the tolerance above means something


# --- How it is run: compiled once, state donated, randomness derived from (seed, step)


def test_two_terms_of_one_name_are_refused() -> None:
    real = tutorial()[1]
    state = jax.eval_shape(lambda: init_state(KEY, DISC, GEN, (real,), ADAM))
    with pytest.raises(ValueError, match="two terms of an objective are named d/real"):
        jax.eval_shape(make_train_step(DISC, GEN, (real, real), ADAM, HALF, EMA), state, DATA, KEY)


def test_three_calls_are_traced_once(compiled: tuple[TrainStep, list[int]]) -> None:
    step, traces = compiled
    state = fresh()
    for expected in (1, 2, 3):
        state, _ = step(state, DATA, KEY)
        assert int(state.step) == expected
    assert len(traces) == 1


def test_epoch_in_one_dispatch_is_its_single_steps_is_traced_once_and_needs_nothing_of_the_host() -> None:
    step = make_train_step(DISC, GEN, tutorial(), ADAM, HALF, EMA)
    traces: list[int] = []

    def counted(state: TrainState, data: Data, key: jax.Array) -> Any:
        traces.append(len(traces))
        return step(state, data, key)

    advance = jax.jit(repeat(counted), static_argnums=3, donate_argnums=0)
    single, rows = fresh(), []
    for _ in range(10):
        single, metrics = advance(single, DATA, KEY, 1)
        rows.append({name: value[0] for name, value in metrics.items()})
    assert len(traces) == 1

    state, _ = advance(fresh(), DATA, KEY, 5)
    with jax.transfer_guard("disallow"):
        state, columns = advance(state, DATA, KEY, 5)  # a buffer that could not be donated would warn
    assert len(traces) <= 3, "a scan may trace its body twice, however many steps it takes and however often it runs"
    assert int(state.step) == int(single.step) == 10
    for name, column in columns.items():
        np.testing.assert_allclose(column, [row[name] for row in rows[5:]], rtol=1e-5, atol=1e-6)
    for one, other in zip(jax.tree.leaves(state), jax.tree.leaves(single), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_donated_state_is_given_up_and_nothing_else(compiled: tuple[TrainStep, list[int]]) -> None:
    step, _ = compiled
    state = fresh()
    step(state, DATA, KEY)  # a buffer that could not be donated would warn, and warnings fail
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((DATA, KEY)))


def test_step_from_a_saved_state_gives_the_bits_of_the_sequence(compiled: tuple[TrainStep, list[int]]) -> None:
    step, _ = compiled
    state, saved, metrics = fresh(), [], []
    for _ in range(4):
        saved.append(host(state))
        state, values = step(state, DATA, KEY)
        metrics.append(host(values))
    for k in (3, 1):  # in any order: nothing is carried outside the state
        again, values = step(jax.tree.map(jnp.asarray, saved[k]), DATA, KEY)
        assert equal(values, metrics[k])
        assert equal(again, state if k == 3 else saved[k + 1])


def test_another_seed_or_another_step_draws_otherwise(compiled: tuple[TrainStep, list[int]]) -> None:
    step, _ = compiled
    _, one = step(fresh(), DATA, KEY)
    _, same = step(fresh(), DATA, KEY)
    _, other_seed = step(fresh(), DATA, jax.random.key(12))
    _, other_step = step(fresh()._replace(step=jnp.int32(1)), DATA, KEY)
    assert equal(one, same)
    for other in (other_seed, other_step):
        assert float(one["d/real"]) != float(other["d/real"])
        assert float(one["g/fool"]) != float(other["g/fool"])


def test_fresh_state_has_a_slot_for_each_optimizer_and_no_randomness() -> None:
    state = fresh()
    assert TrainState._fields == ("step", "params", "opt", "ema")
    assert (int(state.step), sorted(state.opt)) == (0, ["c", "d", "g"])
    assert not any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(state))
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(state.opt))
    assert not equal(fresh(0).params.d, fresh(1).params.d)

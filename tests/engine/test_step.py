"""Facts about the step: every head fits every objective, it is compiled once, and the state carries everything."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from small import CLASSES, DATA, GEN, KEY, OF_PAIRS, dense_disc, equal, host, recipe_of

from sgan_jax.engine.step import TrainStep, init_state, make_train_step, repeat
from sgan_jax.engine.system import build
from sgan_jax.models.heads import HEADS
from sgan_jax.models.ops.convolutions import maps_for
from sgan_jax.objectives.adversarial import tutorial
from sgan_jax.objectives.table import OBJECTIVES
from sgan_jax.presets import PRESETS
from sgan_jax.types import Data, Metrics, TrainState

RECIPE = recipe_of(tutorial())


def fresh(seed: int = 0) -> TrainState:
    return init_state(jax.random.key(seed), RECIPE)


@pytest.fixture(scope="module")
def compiled() -> tuple[TrainStep, list[int]]:
    """The tutorial's step as the loop compiles it, and how often it was traced."""
    step = make_train_step(RECIPE)
    traces: list[int] = []

    def counted(state: TrainState, data: Data, key: jax.Array) -> Any:
        traces.append(len(traces))
        return step(state, data, key)

    return jax.jit(counted, donate_argnums=0), traces


# --- Every head and objective

SCORES = {"d/real", "d/fake"}
LOSSES = {  # beside that of the labelled images
    "tutorial": SCORES | {"g/fool"},
    "joint": SCORES,
    "supervised": set(),
    "feature_matching": SCORES | {"g/features"},
    "catgan": {"d/entropy", "d/imbalance", "d/fake_certainty", "g/entropy", "g/imbalance"},
    "complement": SCORES | {"d/entropy", "g/features", "g/pull_away"},
    "invariance": SCORES | {"d/invariance", "g/features"},
    "manifold": SCORES | {"d/manifold", "g/features"},
    "triple": {"d/pairs", "d/generated", "p/real", "p/gradient_penalty", "p/fake", "p/classifier"},
}
OF_SCORES = {"d/real_accuracy", "d/fake_accuracy"}  # what is watched where there are scores
FITTING = [
    pytest.param(head, objective, id=f"{head} {objective}")
    for objective, entry in sorted(OBJECTIVES.items())
    for head in sorted(HEADS)
    if HEADS[head].classifies or not entry.needs_classifier
]


def kinds(tree: Any) -> list[Any]:
    return [(path, x.shape, x.dtype, x.weak_type) for path, x in jax.tree.leaves_with_path(tree)]


@pytest.mark.parametrize(("head", "objective"), FITTING)
def test_every_head_fits_every_objective(head: str, objective: str) -> None:
    entry = OBJECTIVES[objective]
    nets = {"d": dense_disc(head), "g": GEN} | (OF_PAIRS if entry.of_pairs else {})
    recipe = recipe_of(entry.objective(HEADS[head].classifies), nets)
    state = jax.eval_shape(lambda key: init_state(key, recipe), KEY)
    after, metrics = jax.eval_shape(make_train_step(recipe), state, DATA, KEY)

    assert kinds(after) == kinds(state)  # anything else would compile the second step anew
    assert (state.step.shape, state.step.dtype) == ((), jnp.int32)
    assert set(state.opt) == {slot for move in recipe.objective for slot in move.slots.values()}
    classifies = HEADS[head].classifies
    assert set(metrics.loss) == LOSSES[objective] | ({"d/supervised"} if classifies else set())
    watched = {"d/accuracy"} if classifies else set()
    watched |= OF_SCORES if LOSSES[objective] >= SCORES else set()
    watched |= {"p/real_accuracy", "p/fake_accuracy"} if entry.of_pairs else set()
    assert set(metrics.watch) == watched | ({"g/fool"} if objective in ("joint", "triple") else set())
    assert {(value.shape, value.dtype) for value in jax.tree.leaves(metrics)} == {((), jnp.dtype("float32"))}


# Between them, these have every objective's kinds of state; test_lowered.py has what the others are made of as well.
QUICK = ("tutorial", "both", "freematch", "improved-gan-mnist")
ON_ACCELERATORS = [
    pytest.param(preset, "bfloat16", marks=[pytest.mark.slow] * (preset not in QUICK)) for preset in sorted(PRESETS)
]
ON_ACCELERATORS += [(preset, "float32") for preset in ("tutorial", "improved-gan-mnist", "best")]  # of each networks


@pytest.mark.parametrize(("preset", "precision"), ON_ACCELERATORS)
def test_every_presets_step_fits_an_accelerator_in_either_precision(preset: str, precision: str) -> None:
    system = build(PRESETS[preset], (28, 28, 1), 10, maps_for("gpu", precision))
    arguments = system.abstract_arguments(labelled=100, unlabelled=1000)
    state, metrics = jax.eval_shape(system.train_step(), *arguments)
    assert kinds(state) == kinds(arguments[0])
    assert {(value.shape, value.dtype) for value in jax.tree.leaves(metrics)} == {((), jnp.dtype("float32"))}


def test_step_fits_a_scan_over_steps_and_a_vmap_over_seeds() -> None:
    step = make_train_step(RECIPE)

    def epoch(seed: jax.Array) -> Any:
        return lax.scan(lambda state, _: step(state, DATA, seed), init_state(seed, RECIPE), length=7)

    states, metrics = jax.eval_shape(jax.vmap(epoch), jax.random.split(KEY, 3))
    assert states.params["d"]["w"].shape == (3, 64, CLASSES)
    assert metrics.loss["d/real"].shape == (3, 7)


# --- How it is run: compiled once, state donated, randomness derived from (seed, step)


def test_slots_of_one_player_have_states_of_their_own(compiled: tuple[TrainStep, list[int]]) -> None:
    step, _ = compiled
    state, _ = step(fresh(), DATA, KEY)
    assert {slot: int(one.count) for slot, one in state.opt.items()} == {"c": 1, "d": 2, "g": 1}
    assert not equal(state.opt["c"].mu, state.opt["d"].mu)
    assert not equal(state.opt["c"].nu, state.opt["d"].nu)


def test_three_calls_are_traced_once(compiled: tuple[TrainStep, list[int]]) -> None:
    step, traces = compiled
    state = fresh()
    for expected in (1, 2, 3):
        state, _ = step(state, DATA, KEY)
        assert int(state.step) == expected
    assert len(traces) == 1


def test_epoch_in_one_dispatch_is_its_single_steps_is_traced_once_and_needs_nothing_of_the_host() -> None:
    step = make_train_step(RECIPE)
    traces: list[int] = []

    def counted(state: TrainState, data: Data, key: jax.Array) -> Any:
        traces.append(len(traces))
        return step(state, data, key)

    advance = jax.jit(repeat(counted), static_argnums=3, donate_argnums=0)
    single, rows = fresh(), []
    for _ in range(10):
        single, metrics = advance(single, DATA, KEY, 1)
        rows.append(jax.tree.map(lambda value: value[0], metrics))
    assert len(traces) == 1

    state, _ = advance(fresh(), DATA, KEY, 5)
    with jax.transfer_guard("disallow"):
        state, columns = advance(state, DATA, KEY, 5)  # a buffer that could not be donated would warn
    assert len(traces) <= 3, "a scan may trace its body twice, however many steps it takes and however often it runs"
    assert int(state.step) == int(single.step) == 10
    by_row = jax.tree.map(lambda *values: np.stack(values), *rows[5:])
    assert isinstance(columns, Metrics)
    for one, other in zip(jax.tree.leaves(columns), jax.tree.leaves(by_row), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
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
        assert float(one.loss["d/real"]) != float(other.loss["d/real"])
        assert float(one.loss["g/fool"]) != float(other.loss["g/fool"])


def test_fresh_state_has_a_slot_for_each_optimizer_and_no_randomness() -> None:
    state = fresh()
    assert (int(state.step), sorted(state.opt)) == (0, ["c", "d", "g"])
    assert not any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(state))
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(state.opt))
    assert not equal(fresh(0).params["d"], fresh(1).params["d"])

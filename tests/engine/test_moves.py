"""Facts about moves: what one may change, and several of them worked by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from small import DATA, DISC, EMA, GEN, KEY, LATENT, OF_PAIRS, SHAPE, constant, equal, recipe_of, take_steps

from sgan_jax.engine.step import Recipe, init_state, make_train_step, owners, updates_a_step
from sgan_jax.objectives.adversarial import tutorial
from sgan_jax.objectives.table import OBJECTIVES
from sgan_jax.types import Batch, Bound, DiscOut, Move, Net, Objective, Terms

MOVES = [
    pytest.param(move, {"d": DISC, "g": GEN} | (OF_PAIRS if OBJECTIVES[name].of_pairs else {}), id=f"{name} {index}")
    for name in sorted(OBJECTIVES)
    for index, move in enumerate(OBJECTIVES[name].objective(True))
]


@pytest.mark.parametrize(("move", "nets"), MOVES)
def test_move_changes_its_players_and_their_slots_only(move: Move, nets: dict[str, Net]) -> None:
    # The state has the other player's slot as well, which belongs to a move that is not made here.
    whole = recipe_of((move, *tutorial()), nets)
    before = init_state(KEY, whole)
    step = jax.jit(make_train_step(whole._replace(objective=(move,))))
    after, _ = step(before, DATA, KEY)
    players = {name for name in before.params if not equal(before.params[name], after.params[name])}
    slots = {name for name in before.opt if not equal(before.opt[name], after.opt[name])}
    assert players == set(move.slots)
    assert slots == set(move.slots.values())
    assert len(before.params) == len(nets) and len(before.opt) > len(slots)


def test_a_slot_belongs_to_one_player() -> None:
    assert owners(tutorial()) == {"c": "d", "d": "d", "g": "g"}
    shared = (Move({"d": "one", "g": "two"}, nothing), Move({"g": "one"}, nothing))
    with pytest.raises(ValueError, match="two players have the optimiser slot one; give each its own"):
        init_state(KEY, Recipe({}, shared, {}, 1, 1, EMA))
    with pytest.raises(ValueError, match="two players have the optimiser slot one"):
        make_train_step(Recipe({}, shared, {}, 1, 1, EMA))


def test_updates_of_a_step_are_counted_by_slot() -> None:
    assert updates_a_step(tutorial()) == {"c": 1, "d": 2, "g": 1}


def nothing(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    return Terms({}, {})


# --- worked by hand, on two networks of one number each

SGD = optax.sgd(1.0)
DISC = constant(0.5, lambda w, x: DiscOut(x, x[:, 0, 0], jnp.broadcast_to(w, len(x))), SHAPE)
GEN = constant(2.0, lambda v, z: jnp.broadcast_to(v, (len(z), *SHAPE)), (LATENT,))
NETS = {"d": DISC, "g": GEN}


def by_descent(objective: Objective, rates: dict[str, float] | None = None) -> Recipe:
    """The objective with descent of rate 1 in every slot, by default."""
    rates = rates or dict.fromkeys(owners(objective), 1.0)
    return recipe_of(objective, NETS, {slot: optax.sgd(rate) for slot, rate in rates.items()})


def test_moves_worked_by_hand() -> None:
    # w is the discriminator, v the generator. Each move descends by its slope where the last one ended.
    def first(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        w = nets.disc(batch.unl_images, None).real_logit.mean()
        return Terms({"d/a": w, "d/b": 2 * w}, {"d/watched": 100 * w})  # slope 1 + 2; what is watched adds nothing

    def second(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        return Terms({"d/square": jnp.square(nets.disc(batch.unl_images, None).real_logit.mean())}, {})  # slope 2 w

    def third(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        image = nets.generate(key, 2)
        return Terms({"g/product": nets.disc(image, None).real_logit.mean() * image.mean()}, {})  # slope w for v

    moves = (Move({"d": "one"}, first), Move({"d": "two"}, second), Move({"g": "three"}, third))
    state, (metrics,) = take_steps(by_descent(moves), 1)
    # w = 0.5: terms 0.5 and 1; w = 0.5 - 3 = -2.5: square 6.25; w = -2.5 + 5 = 2.5: product 2.5 * 2; v = 2 - 2.5
    assert {name: float(value) for name, value in metrics.loss.items()} == {
        "d/a": 0.5,
        "d/b": 1.0,
        "d/square": 6.25,
        "g/product": 5.0,
    }
    assert {name: float(value) for name, value in metrics.watch.items()} == {"d/watched": 50.0}
    assert (float(state.params["d"]), float(state.params["g"]), int(state.step)) == (2.5, -0.5, 1)


def test_both_players_of_one_move_descend_from_where_it_began_each_by_its_own_optimizer() -> None:
    def both(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        image = nets.generate(key, 2)
        return Terms({"d/product": nets.disc(image, None).real_logit.mean() * image.mean()}, {})

    state, _ = take_steps(by_descent((Move({"d": "one", "g": "two"}, both),), {"one": 1.0, "two": 4.0}), 1)
    # The product w v has slope v = 2 for w and slope w = 0.5 for v.
    assert (float(state.params["d"]), float(state.params["g"])) == (0.5 - 2, 2 - 4 * 0.5)
    assert set(state.opt) == {"one", "two"}


def test_averaged_parameters_are_the_mean_at_first_and_then_decay() -> None:
    def down(nets: Bound, batch: Batch, key: jax.Array) -> Terms:  # slope 1: w is 0.5, -0.5, -1.5, -2.5
        teacher = nets.teacher(batch.unl_images, None).real_logit.mean()
        return Terms({"d/w": nets.disc(batch.unl_images, None).real_logit.mean() + 100 * teacher}, {"d/ema": teacher})

    recipe = by_descent((Move({"d": "d"}, down),))._replace(ema_decay=0.5)
    step = jax.jit(make_train_step(recipe))
    state, averages, of_teacher = init_state(KEY, recipe), [], []
    assert float(state.ema["d"]) == 0.5
    for _ in range(3):
        state, metrics = step(state, DATA, KEY)
        averages.append(float(state.ema["d"]))
        of_teacher.append(float(metrics.watch["d/ema"]))
    # -0.5; the mean of -0.5 and -1.5; halfway from there to -2.5
    assert averages == [-0.5, -1.0, -1.75]
    assert of_teacher == [0.5, -0.5, -1.0], "a move gets the averages that the step before left"
    assert float(state.params["d"]) == -2.5, "and descends on nothing by them"
    assert float(state.ema["g"]) == 2.0


@pytest.mark.parametrize("second", [Terms({"d/real": jnp.zeros(())}, {}), Terms({}, {"d/real": jnp.zeros(())})])
def test_two_terms_of_one_name_are_refused(second: Terms) -> None:
    real = tutorial()[1]
    recipe = recipe_of((real, Move({"d": "d"}, lambda *_: second)))
    state: Any = jax.eval_shape(lambda: init_state(KEY, recipe))
    with pytest.raises(ValueError, match="two terms of an objective are named d/real"):
        jax.eval_shape(make_train_step(recipe), state, DATA, KEY)

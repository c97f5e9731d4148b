"""The training step: pure, and not compiled here.

Whoever runs it decides how: a dispatch a step, a scan, a vmap over seeds.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sgan_jax.models.pixels import scale
from sgan_jax.types import STATISTICS, Batch, Bound, Data, Metrics, Move, Net, Objective, Params, TrainState, merge

TrainStep = Callable[[TrainState, Data, jax.Array], tuple[TrainState, Metrics]]


class Recipe(NamedTuple):
    """What a step is made of."""

    nets: Mapping[str, Net]  # by player
    objective: Objective  # moves, made in order; each sees the parameters that the one before left
    optimizers: Mapping[str, optax.GradientTransformation]  # by slot
    batch_size: int  # labelled images a step
    unlabelled: int  # unlabelled images a step
    ema_decay: float  # of the averaged parameters; over the first 1 / (1 - ema_decay) steps they are the plain mean
    class_balance: str = "none"  # what `Data.lab_weights` are for: "draws" of labelled images, "weights" of losses


def owners(objective: Objective) -> dict[str, str]:
    """The player of each slot.

    Raises:
      ValueError: two players have the same slot: one state cannot fit both.
    """
    pairs = {(slot, player) for move in objective for player, slot in move.slots.items()}
    if shared := [slot for slot, count in Counter(slot for slot, _ in pairs).items() if count > 1]:
        raise ValueError(f"two players have the optimiser slot {', '.join(shared)}; give each its own")
    return dict(sorted(pairs))


def updates_a_step(objective: Objective) -> Counter[str]:
    """How many times a step updates each slot."""
    return Counter(slot for move in objective for slot in move.slots.values())


def init_state(key: jax.Array, recipe: Recipe, examples: jax.Array | None = None) -> TrainState:
    """Fresh parameters, and one fresh optimiser state for each slot that the objective names.

    Args:
      key: of the parameters.
      recipe: networks, objective and optimisers.
      examples: uint8 images `[N, H, W, C]`, for networks that scale their layers by them; by default none.
    """
    k_d, k_g = jax.random.split(key)
    keys = {"d": k_d, "g": k_g}
    params: dict[str, Params] = {}
    for index, (name, net) in enumerate(recipe.nets.items()):
        k = keys.get(name, jax.random.fold_in(key, index))
        if examples is None:
            params[name] = net.init(k)
        elif name == "g":
            params[name] = net.init(k, *net.inputs(jax.random.fold_in(k, 1), len(examples)))
        else:
            params[name] = net.init(k, scale(examples))
    opt = {slot: recipe.optimizers[slot].init(params[player]) for slot, player in owners(recipe.objective).items()}
    # Buffers of its own: both are donated.
    return TrainState(jnp.zeros((), jnp.int32), params, opt, jax.tree.map(jnp.copy, params), _first_aux(recipe))


def _first_aux(recipe: Recipe) -> dict[str, Any]:
    aux = {f"{name}{STATISTICS}": net.statistics() for name, net in recipe.nets.items() if net.statistics is not None}
    for move in recipe.objective:
        aux = merge(aux, {name: jax.tree.map(_strongly_typed, value) for name, value in move.aux.items()})
    return aux


def _strongly_typed(value: Any) -> jax.Array:
    """A copy whose type is not weak, as it is after a step: otherwise the second step would compile anew."""
    return jnp.array(value, jnp.result_type(value))


def draw(data: Data, recipe: Recipe, key: jax.Array) -> Batch:
    """Labelled and unlabelled images, each drawn with replacement."""
    k_lab, k_unl = jax.random.split(key)
    lab = _draw_labelled(data, recipe, k_lab)
    unl = jax.random.randint(k_unl, (recipe.unlabelled,), 0, len(data.unl_images))
    pseudo_labels = None if data.pseudo_labels is None else data.pseudo_labels[unl]
    return Batch(lab.images, lab.labels, scale(data.unl_images[unl]), unl, pseudo_labels, lab.weights)


def take(data: Data, recipe: Recipe, key: jax.Array) -> Batch:
    """Labelled images as of `draw`, and the unlabelled images as they are: whoever streams them has drawn."""
    lab = _draw_labelled(data, recipe, jax.random.split(key)[0])
    indices = jnp.arange(len(data.unl_images), dtype=jnp.int32)
    return Batch(lab.images, lab.labels, scale(data.unl_images), indices, lab_weights=lab.weights)


class _Labelled(NamedTuple):
    images: jax.Array  # float32 [B, H, W, C]
    labels: jax.Array  # int32 [B]
    weights: jax.Array | None  # float32 [B], of their losses


def _draw_labelled(data: Data, recipe: Recipe, key: jax.Array) -> _Labelled:
    """Labelled images, drawn with replacement: each equally likely, or each class where draws are balanced."""
    weights, count = data.lab_weights, len(data.lab_images)
    if weights is not None and recipe.class_balance == "draws":
        indices = jax.random.choice(key, count, (recipe.batch_size,), p=weights / weights.sum())
    else:
        indices = jax.random.randint(key, (recipe.batch_size,), 0, count)
    of_losses = weights[indices] if weights is not None and recipe.class_balance == "weights" else None
    return _Labelled(scale(data.lab_images[indices]), data.lab_labels[indices], of_losses)


def make_train_step(recipe: Recipe, sample: Callable[[Data, Recipe, jax.Array], Batch] = draw) -> TrainStep:
    """Builds `train_step(state, data, key) -> (state, metrics)`.

    The key is the run's, the same at every step: the step's own randomness is derived from it and `state.step`, so that
    a resume is exact. Metrics are scalars named `player/term`.

    Args:
      recipe: what the step is made of.
      sample: `draw`, or `take` where the data's unlabelled images are those of this step.
    """
    nets, owner = recipe.nets, owners(recipe.objective)

    def make_move(state: TrainState, move: Move, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        def loss(descending: dict[str, Params]) -> tuple[jax.Array, tuple[Metrics, dict[str, Any]]]:
            params = state.params | descending
            now = state._replace(params=params)
            players = {name: net.bound(now.model(name), training=True) for name, net in nets.items()}
            teachers = {name: net.bound(now.model(name, True), training=True) for name, net in nets.items()}
            terms = move.terms(Bound(players, teachers, nets["g"].inputs, state.aux), batch, key)
            merge(terms.loss, terms.watch)  # or one would hide the other
            return sum(terms.loss.values(), jnp.zeros(())), (Metrics(terms.loss, terms.watch), terms.aux)

        params = {player: state.params[player] for player in move.slots}
        grads, (metrics, aux) = jax.grad(loss, has_aux=True)(params)
        grads = jax.lax.optimization_barrier(grads)  # or a CPU adds their parts up for either of Adam's moments anew
        opt = dict(state.opt)
        for slot in move.slots.values():
            player = owner[slot]
            updates, opt[slot] = recipe.optimizers[slot].update(grads[player], opt[slot], params[player])
            params[player] = optax.apply_updates(params[player], updates)
        return state._replace(params=state.params | params, opt=opt, aux=state.aux | aux), metrics

    def train_step(state: TrainState, data: Data, key: jax.Array) -> tuple[TrainState, Metrics]:
        k_batch, *k_moves = jax.random.split(jax.random.fold_in(key, state.step), 1 + len(recipe.objective))
        batch = sample(data, recipe, k_batch)
        metrics = Metrics({}, {})
        for move, k in zip(recipe.objective, k_moves, strict=True):
            state, named = make_move(state, move, batch, k)
            metrics = Metrics(merge(metrics.loss, named.loss), merge(metrics.watch, named.watch))
        merge(metrics.loss, metrics.watch)
        step = state.step + 1
        rate = jnp.maximum(1.0 - recipe.ema_decay, 1.0 / step.astype(jnp.float32))
        return state._replace(step=step, ema=optax.incremental_update(state.params, state.ema, rate)), metrics

    return train_step


def repeat(train_step: TrainStep) -> Callable[[TrainState, Data, jax.Array, int], tuple[TrainState, Metrics]]:
    """`advance(state, data, key, steps)`: so many steps at once, whose metrics have a leading axis `[steps]`.

    More than one is a scan: one dispatch, with nothing fetched in between. Accelerators want a whole epoch like that.
    XLA's CPU backend does not: convolutions inside its loops are several times slower than outside.
    """

    def advance(state: TrainState, data: Data, key: jax.Array, steps: int) -> tuple[TrainState, Metrics]:
        if steps == 1:
            state, metrics = train_step(state, data, key)
            return state, jax.tree.map(lambda value: value[None], metrics)
        return jax.lax.scan(lambda state, _: train_step(state, data, key), state, length=steps)

    return advance

"""The training step: pure, and not compiled here.

Whoever runs it decides how: a dispatch a step, a scan, a vmap over seeds.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import optax

from sgan_jax.models.pixels import scale
from sgan_jax.types import Batch, Bound, Data, Move, Net, Objective, Params, Players, TrainState, merge

Metrics = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Data, jax.Array], tuple[TrainState, Metrics]]


def init_state(
    key: jax.Array,
    disc: Net,
    gen: Net,
    objective: Objective,
    optimizers: Mapping[str, optax.GradientTransformation],
    examples: jax.Array | None = None,
) -> TrainState:
    """Fresh parameters and one fresh optimiser state for each slot that the objective names.

    Args:
      key: of the parameters.
      disc: discriminator.
      gen: generator.
      objective: moves.
      optimizers: of each player's slots, by the player.
      examples: uint8 images `[N, H, W, C]`, for networks that scale their layers by them; by default none.
    """
    k_d, k_g = jax.random.split(key)
    if examples is None:
        params = Players(d=disc.init(k_d), g=gen.init(k_g))
    else:
        latents = jax.random.normal(jax.random.fold_in(k_g, 1), (len(examples), *gen.input_shape))
        params = Players(d=disc.init(k_d, scale(examples)), g=gen.init(k_g, latents))
    slots = {slot: player for move in objective for player, slot in move.slots.items()}
    opt = {slot: optimizers[player].init(getattr(params, player)) for slot, player in slots.items()}
    # Buffers of its own: both are donated.
    return TrainState(jnp.zeros((), jnp.int32), params, opt, jax.tree.map(jnp.copy, params))


def draw(data: Data, size: int, key: jax.Array, unlabelled: int | None = None) -> Batch:
    """`size` labelled and `unlabelled` unlabelled images, by default as many, with replacement."""
    k_lab, k_unl = jax.random.split(key)
    lab = jax.random.randint(k_lab, (size,), 0, len(data.lab_images))
    unl = jax.random.randint(k_unl, (unlabelled or size,), 0, len(data.unl_images))
    shares = None if data.unl_shares is None else data.unl_shares[unl]
    return Batch(scale(data.lab_images[lab]), data.lab_labels[lab], scale(data.unl_images[unl]), shares)


def take(data: Data, size: int, key: jax.Array, unlabelled: int | None = None) -> Batch:
    """`size` labelled images, as of `draw`, and the unlabelled images as they are: whoever streams them has drawn."""
    lab = jax.random.randint(jax.random.split(key)[0], (size,), 0, len(data.lab_images))
    return Batch(scale(data.lab_images[lab]), data.lab_labels[lab], scale(data.unl_images))


def make_train_step(
    disc: Net,
    gen: Net,
    objective: Objective,
    optimizers: Mapping[str, optax.GradientTransformation],
    half_batch: int,
    ema_decay: float,
    unlabelled: int | None = None,
    sample: Callable[[Data, int, jax.Array, int | None], Batch] = draw,
) -> TrainStep:
    """Builds `train_step(state, data, key) -> (state, metrics)`.

    The key is the run's, the same at every step: the step's own randomness is derived from it and `state.step`, so that
    a resume is exact. Metrics are scalars named `player/term`.

    Args:
      disc: discriminator.
      gen: generator.
      objective: moves, made in order; each sees the parameters that the one before left.
      optimizers: each player's, applied with a state of its own for each slot.
      half_batch: labelled images a step.
      ema_decay: what is left of the averaged parameters after a step; of the first 1 / (1 - ema_decay) steps they are
        the plain mean.
      unlabelled: unlabelled images a step, by default as many.
      sample: `draw`, or `take` where the data's unlabelled images are those of this step.
    """

    def latents(key: jax.Array, count: int) -> jax.Array:
        return jax.random.normal(key, (count, *gen.input_shape))

    def make_move(state: TrainState, move: Move, batch: Batch, key: jax.Array) -> tuple[TrainState, Metrics]:
        def loss(descending: dict[str, Params]) -> tuple[jax.Array, Metrics]:
            players = state.params._replace(**descending)
            bound = partial(disc.apply, players.d), partial(gen.apply, players.g), partial(disc.apply, state.ema.d)
            nets = Bound(*bound, latents)
            terms = move.terms(nets, batch, key)
            return sum(terms.loss.values(), jnp.zeros(())), merge(terms.loss, terms.watch)

        params = {player: getattr(state.params, player) for player in move.slots}
        grads, metrics = jax.grad(loss, has_aux=True)(params)
        grads = jax.lax.optimization_barrier(grads)  # or a CPU adds their parts up for either of Adam's moments anew
        opt = dict(state.opt)
        for player, slot in move.slots.items():
            updates, opt[slot] = optimizers[player].update(grads[player], opt[slot], params[player])
            params[player] = optax.apply_updates(params[player], updates)
        return state._replace(params=state.params._replace(**params), opt=opt), metrics

    def train_step(state: TrainState, data: Data, key: jax.Array) -> tuple[TrainState, Metrics]:
        k_batch, *k_moves = jax.random.split(jax.random.fold_in(key, state.step), 1 + len(objective))
        batch = sample(data, half_batch, k_batch, unlabelled)
        metrics: Metrics = {}
        for move, k in zip(objective, k_moves, strict=True):
            state, named = make_move(state, move, batch, k)
            metrics = merge(metrics, named)
        step = state.step + 1
        rate = jnp.maximum(1.0 - ema_decay, 1.0 / step.astype(jnp.float32))
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

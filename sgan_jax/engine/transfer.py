"""Gives a fresh state the weights of another run's: the same networks, perhaps of other classes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from sgan_jax.models.heads import Head
from sgan_jax.types import AVERAGED_STATISTICS, STATISTICS, TrainState

NEW = -1  # an output that the other run does not have


class ClassChange(NamedTuple):
    """How the classes of a run differ from those of the run whose weights it begins with."""

    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]


def class_change(there: Sequence[str], here: Sequence[str]) -> ClassChange:
    """The change from the classes of the other run to those of this one; a class is the same if its name is."""
    return ClassChange(
        tuple(name for name in here if name in there),
        tuple(name for name in here if name not in there),
        tuple(name for name in there if name not in here),
    )


def output_sources(head: Head, there: Sequence[str], here: Sequence[str]) -> np.ndarray:
    """For each output of the discriminator the index of the other run's output whose weights it takes, or NEW.

    Args:
      head: of both runs.
      there: names of the other run's classes.
      here: names of this run's classes.
    """
    if not head.classifies:
        return np.arange(head.outputs(len(here)))
    of_classes = [there.index(name) if name in there else NEW for name in here]
    further = range(len(there), head.outputs(len(there)))  # such as that of generated images
    return np.asarray([*of_classes, *further])


def with_weights_of(other: TrainState, fresh: TrainState, sources: np.ndarray, output_layer: str) -> TrainState:
    """The fresh state with the other one's parameters, averaged parameters and statistics.

    New outputs, the optimisers, and state that is neither parameter nor statistics stay as they are in `fresh`.

    Args:
      other: a state of the same networks.
      fresh: the state of step 0.
      sources: of each output of the discriminator, from `output_sources`.
      output_layer: the discriminator's, by its name in the parameters.

    Raises:
      ValueError: a parameter has another shape; names it.
    """
    statistics = {f"{player}{kind}" for player in fresh.params for kind in (STATISTICS, AVERAGED_STATISTICS)}
    aux = {name: value for name, value in other.aux.items() if name in fresh.aux and name in statistics}
    return fresh._replace(
        params=_taken(other.params, fresh.params, sources, output_layer),
        ema=_taken(other.ema, fresh.ema, sources, output_layer),
        aux=fresh.aux | aux,
    )


def _taken(other: dict[str, Any], fresh: dict[str, Any], sources: np.ndarray, output_layer: str) -> dict[str, Any]:
    """The parameters of `other`, outputs last, in the places of `fresh`; players that `other` lacks as in `fresh`."""

    def take(path: tuple[Any, ...], new: Any, old: Any) -> Any:
        player, layer, *_ = (key.key for key in path)
        if player == "d" and layer == output_layer:
            old = np.where(sources == NEW, new, np.asarray(old)[..., sources])
        if np.shape(old) != np.shape(new):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(f"{name} is {np.shape(old)} there, {np.shape(new)} here")
        return jax.numpy.asarray(old)

    both = {player: fresh[player] for player in fresh if player in other}
    return fresh | jax.tree_util.tree_map_with_path(take, both, {player: other[player] for player in both})

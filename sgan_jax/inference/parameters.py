"""What those of the estimator's parameters may be that are not settings; `fit` checks them, by scikit-learn's rules."""

import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sgan_jax.config import SEED, SHORT, SOURCE_SETTINGS
from sgan_jax.data.classes import are_known
from sgan_jax.errors import UserError


def _is_shape(value: Any) -> bool:
    sides = value.tolist() if isinstance(value, np.ndarray) else value
    return (
        isinstance(sides, tuple | list)
        and len(sides) in (2, 3)
        and all(isinstance(side, numbers.Integral) and not isinstance(side, bool) and int(side) > 0 for side in sides)
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) and value != ""


_TAKES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "preset": (lambda value: isinstance(value, str), "text, the name of a preset"),
    "settings": (lambda value: value is None or isinstance(value, Mapping), "None or settings by their place"),
    "image_shape": (lambda value: value is None or _is_shape(value), "None, (H, W) or (H, W, C)"),
    "averaged": (lambda value: isinstance(value, bool | np.bool), "True or False"),
    "run_dir": (lambda value: value is None or _is_path(value), "None or the path of a folder"),
    "verbose": (lambda value: isinstance(value, bool | np.bool | numbers.Integral), "True or False"),
}


_EMBEDDINGS = "propagation.embeddings"


def check(parameters: Mapping[str, Any]) -> None:
    """Checks those of the estimator's parameters that are not settings, and which settings are among them.

    Raises:
      UserError: names the parameter, its value and what was expected.
    """
    for name, (takes, expected) in _TAKES.items():
        if not takes(parameters[name]):
            raise UserError(f"{name}: {parameters[name]!r:.60}; expected {expected}")
    own = {SHORT[name]: name for name, value in parameters.items() if name in SHORT and value is not None}
    own |= {"seed": "random_state"} if parameters["random_state"] is not None else {}
    for place in parameters["settings"] or {}:
        if place == _EMBEDDINGS:
            raise UserError(f"settings: {place}: fit takes no embeddings; train on a folder or an .npz file for them")
        if place in SOURCE_SETTINGS:
            raise UserError(f"settings: {place}: images and labels are the arguments of fit; leave it out")
        if place in own:
            raise UserError(f"settings: {place}: given as {own[place]} already; leave one of them out")


def check_path(path: Any, ckpt: Any = "latest") -> None:
    """Checks the arguments that name a run directory and a checkpoint in it.

    Raises:
      UserError: names the argument, its value and what was expected.
    """
    if not _is_path(path):
        raise UserError(f"path: {path!r:.60}; expected the path of a run directory")
    if not isinstance(ckpt, str):
        raise UserError(f"ckpt: {ckpt!r:.60}; expected latest, best or a step such as step_7200")


def check_count(count: Any) -> None:
    """Checks a number of images.

    Raises:
      UserError: it is not a whole number from 1 on.
    """
    if not isinstance(count, numbers.Integral) or isinstance(count, bool) or int(count) < 1:
        raise UserError(f"count: {count!r:.60}; expected a whole number of images, at least 1")


def check_scored(labels: np.ndarray, images: np.ndarray, classes: np.ndarray, sample_weight: Any) -> None:
    """Checks the arguments of `score`.

    Args:
      labels: integers or text `[N]`.
      images: `[N, ...]`.
      classes: labels that the classifier predicts.
      sample_weight: None, or a weight for each image.

    Raises:
      UserError: they have other lengths, or labels of another type, or no label.
    """
    count = len(images) if images.ndim else 0
    if len(labels) != count:
        raise UserError(f"y: {len(labels)} labels for {count} images; expected one each (-1: unknown)")
    if sample_weight is not None and np.shape(sample_weight) != (count,):
        raise UserError(f"sample_weight: shape {np.shape(sample_weight)}; expected ({count},), a weight for each image")
    known = are_known(labels)
    if not known.any():
        raise UserError("y: no label; expected one at least")
    if classes.dtype.kind != "U" and labels.dtype.kind == "U":
        raise UserError(f"y: label '{labels[known][0]}'; expected integers, as in fit")


def seed(random_state: Any) -> int:
    """The seed that scikit-learn's parameter stands for: a RandomState gives another one at each call.

    Args:
      random_state: an integer, a RandomState, or None for 0.

    Raises:
      UserError: it is something else, or out of range.
    """
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**32 - 1, dtype=np.int64))
    is_number = isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool)
    if not is_number or not SEED.holds(int(random_state)):
        shown = f"random_state: {random_state!r:.60}"
        raise UserError(f"{shown}; expected an integer from 0 to {SEED.high}, a numpy.random.RandomState, or None")
    return int(random_state)

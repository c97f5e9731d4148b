"""Chooses which training images keep their label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgan_jax.data.dataset import UNKNOWN, Dataset, check_labels
from sgan_jax.errors import UserError

DEFAULT_LABELS = 100  # of a published set, in which every label is known


def how_many(asked: int | None, dataset: Dataset) -> int:
    """The number of labels to use.

    Args:
      asked: this number, or None for the default: all known labels of custom images, DEFAULT_LABELS of other sets.
      dataset: the set.
    """
    if asked is not None:
        return asked
    return int(dataset.known.sum()) if dataset.custom else DEFAULT_LABELS


def choose_labelled(
    labels: np.ndarray, count: int, num_classes: int, seed: int, class_names: Sequence[str] = ()
) -> np.ndarray:
    """Draws labelled examples without replacement, balanced over the classes.

    The seed fixes one long order, and the result is its beginning: a draw of 10 is the beginning of a draw of 100. The
    classes take turns in an order that is itself drawn, so the counts of two classes differ by one at most. If `count`
    is the number of all known labels, all are drawn and the classes may have any sizes.

    Args:
      labels: integers [N] in 0..num_classes-1, or UNKNOWN, which is never drawn.
      count: how many examples to draw.
      num_classes: K.
      seed: of the order.
      class_names: K names for messages; by default 0, 1, ...

    Returns:
      Indices of the examples, int64 [count].

    Raises:
      UserError: `count` or `seed` is out of range, or a class has too few examples.
    """
    if count < 1:
        raise UserError(f"‹data.labels› {count}: expected at least 1")
    if seed < 0:
        raise UserError(f"‹data.label_seed› {seed}: expected 0 or more")
    labels = check_labels(labels, num_classes, "labels of the training set", unknown=True)
    # Raw words of PCG64 are the same in every version of NumPy, unlike the numbers that Generator makes of them.
    words = np.random.Generator(np.random.PCG64(seed)).bit_generator.random_raw(len(labels) + num_classes)
    class_order = np.argsort(words[:num_classes], kind="stable")
    order = np.argsort(words[num_classes:], kind="stable")
    members = [order[labels[order] == k] for k in class_order]  # the examples of each class in the order of drawing
    if count == sum(map(len, members)):
        return _interleave(members)
    _check_sizes(labels, count, class_order, class_names)
    return _take_turns(members, count)


def _interleave(members: list[np.ndarray]) -> np.ndarray:
    """All examples, each class spread evenly over the result.

    A class of twice the size has a turn twice as often. So any stretch of the result, such as the last examples, which
    are used for validation, has the classes in the proportions of the whole.
    """
    positions = [(np.arange(len(indices)) + 0.5) / max(len(indices), 1) for indices in members]
    return np.concatenate(members)[np.argsort(np.concatenate(positions), kind="stable")].astype(np.int64)


def _take_turns(members: list[np.ndarray], count: int) -> np.ndarray:
    """The first `count` examples if the classes take turns, one example at a time."""
    rounds = -(-count // len(members))
    turns = np.full((rounds, len(members)), -1, np.int64)
    for turn, indices in enumerate(members):
        turns[: len(indices), turn] = indices[:rounds]
    return turns.reshape(-1)[:count]


def _check_sizes(labels: np.ndarray, count: int, class_order: np.ndarray, names: Sequence[str]) -> None:
    """Checks that each class has enough examples for its turns."""
    num_classes = len(class_order)
    sizes = np.bincount(labels[labels != UNKNOWN], minlength=num_classes)
    per_class, extra = divmod(count, num_classes)
    for turn, k in enumerate(class_order):
        needed = per_class + (turn < extra)
        if sizes[k] < needed:
            with_label = " with a label" if UNKNOWN in labels else ""
            raise UserError(
                f"‹data.labels› {count}: class '{names[k] if names else k}' has {sizes[k]} training "
                f"example{'' if sizes[k] == 1 else 's'}{with_label}, {needed} are needed for a balanced draw; "
                f"expected {_possible(num_classes * int(sizes.min()), int(sizes.sum()))}"
            )


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights of labelled images whose sum is the same for each class, and 1 on average: L / (K n), n of the class.

    Args:
      labels: int32 `[L]`.
      classes: K, each of which has a label.

    Returns:
      float32 `[L]`.
    """
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * counts[labels])).astype(np.float32)


def _possible(balanced: int, known: int) -> str:
    """Which numbers of labels can be drawn: so many at most with equally many of each class, or all."""
    if balanced == known:
        return f"at most {known}, which are all"
    return f"at most {balanced}, or {known}, which are all" if balanced else f"{known}, which are all"

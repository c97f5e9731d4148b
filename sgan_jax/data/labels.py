"""Which training images keep their label."""

from __future__ import annotations

import numpy as np

from sgan_jax.data.dataset import check_labels
from sgan_jax.errors import UserError


def choose_labelled(labels: np.ndarray, count: int, num_classes: int, seed: int) -> np.ndarray:
    """Indices (int64 [count]) of `count` examples, drawn without replacement and balanced over the classes.

    labels: integers [N] in 0..num_classes-1. The result is a prefix of one long order fixed by `seed`: what is drawn
    for 10 is the beginning of what is drawn for 100. The classes take turns, in an order that is itself drawn, so any
    two of their counts differ by one at most. Raises UserError, naming --labels or --label-seed.
    """
    if count < 1:
        raise UserError(f"--labels {count}: expected at least 1")
    if seed < 0:
        raise UserError(f"--label-seed {seed}: expected 0 or more")
    labels = check_labels(labels, num_classes, "labels of the training set")
    # Raw PCG64 words, since NumPy keeps those the same from version to version, but not what Generator makes of them.
    words = np.random.Generator(np.random.PCG64(seed)).bit_generator.random_raw(len(labels) + num_classes)
    class_order = np.argsort(words[:num_classes], kind="stable")
    drawn = np.argsort(words[num_classes:], kind="stable")
    sizes = np.bincount(labels, minlength=num_classes)
    per_class, extra = divmod(count, num_classes)
    for turn, k in enumerate(class_order):
        need = per_class + (turn < extra)
        if sizes[k] < need:
            raise UserError(
                f"--labels {count}: class {k} has {sizes[k]} training examples, {need} are needed for a balanced draw; "
                f"expected at most {num_classes * sizes.min()}"
            )
    rounds = per_class + (extra > 0)
    turns = np.full((rounds, num_classes), -1, np.int64)
    for turn, k in enumerate(class_order):
        members = drawn[labels[drawn] == k][:rounds]
        turns[: len(members), turn] = members
    return turns.reshape(-1)[:count]

"""Which training images keep their label."""

from __future__ import annotations

import numpy as np

from sgan_jax.data.dataset import UNKNOWN, Dataset, check_labels
from sgan_jax.errors import UserError

DEFAULT_LABELS = 100  # labels, of a set in which all are known


def how_many(asked: int | None, dataset: Dataset) -> int:
    """How many labels to use: what is asked for, or all that are known of images of one's own, or DEFAULT_LABELS."""
    if asked is not None:
        return asked
    return int(dataset.known.sum()) if dataset.own else DEFAULT_LABELS


def choose_labelled(labels: np.ndarray, count: int, num_classes: int, seed: int) -> np.ndarray:
    """Indices (int64 [count]) of `count` examples, drawn without replacement and balanced over the classes.

    labels: integers [N] in 0..num_classes-1, or UNKNOWN, which is never drawn. The result is a prefix of one long order
    fixed by `seed`: what is drawn for 10 is the beginning of what is drawn for 100. The classes take turns, in an order
    that is itself drawn, so any two of their counts differ by one at most. Where all that are known are asked for, the
    classes may have any sizes. Raises UserError, naming --labels or --label-seed.
    """
    if count < 1:
        raise UserError(f"‹data.labels› {count}: expected at least 1")
    if seed < 0:
        raise UserError(f"‹data.label_seed› {seed}: expected 0 or more")
    labels = check_labels(labels, num_classes, "labels of the training set", unknown=True)
    # Raw PCG64 words, since NumPy keeps those the same from version to version, but not what Generator makes of them.
    words = np.random.Generator(np.random.PCG64(seed)).bit_generator.random_raw(len(labels) + num_classes)
    class_order = np.argsort(words[:num_classes], kind="stable")
    drawn = np.argsort(words[num_classes:], kind="stable")
    sizes = np.bincount(labels[labels != UNKNOWN], minlength=num_classes)
    members = [drawn[labels[drawn] == k] for k in class_order]  # of each class, in the order in which they are drawn
    if count == sizes.sum():
        # A class of twice the size has its turn twice as often: the last of them, for validation, are like the rest.
        moments = [(np.arange(len(own)) + 0.5) / max(len(own), 1) for own in members]
        return np.concatenate(members)[np.argsort(np.concatenate(moments), kind="stable")].astype(np.int64)
    per_class, extra = divmod(count, num_classes)
    for turn, k in enumerate(class_order):
        need = per_class + (turn < extra)
        if sizes[k] < need:
            partly = UNKNOWN in labels
            raise UserError(
                f"‹data.labels› {count}: class {k} has {sizes[k]} training examples"
                f"{' with a label' if partly else ''}, {need} are needed for a balanced draw; "
                f"expected at most {num_classes * sizes.min()}, or {sizes.sum()}, which are all"
            )
    rounds = per_class + (extra > 0)
    turns = np.full((rounds, num_classes), -1, np.int64)
    for turn, own in enumerate(members):
        turns[: len(own), turn] = own[:rounds]
    return turns.reshape(-1)[:count]

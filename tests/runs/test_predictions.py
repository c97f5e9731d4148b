"""Facts about stored predictions: which mistakes are kept, and that a file gives back what was saved."""

from pathlib import Path

import numpy as np
import pytest

from sgan_jax.errors import UserError
from sgan_jax.runs import predictions

PROBABILITIES = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.05, 0.95]])
LABELS = np.array([0, 1, 1, 0], np.int32)
IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)


def test_mistakes_are_the_most_confident_first() -> None:
    made = predictions.collect("test", IMAGES, LABELS, PROBABILITIES)
    assert made.mistakes.tolist() == [3, 1]
    np.testing.assert_array_equal(made.pictures, IMAGES[[3, 1]])
    assert made.confusion.tolist() == [[1, 1], [1, 1]]


def test_a_file_holds_what_was_saved(tmp_path: Path) -> None:
    made = predictions.collect("test", IMAGES, LABELS, PROBABILITIES)
    predictions.save(tmp_path / "p.npz", made)
    for one, other in zip(made, predictions.load(tmp_path / "p.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match=r"none\.npz: not found; `eval` writes it"):
        predictions.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": LABELS[:3]},
        {"labels": LABELS + 1},
        {"mistakes": np.array([3, 4])},
        {"probabilities": np.full((4, 2), np.nan)},
    ],
)
def test_arrays_that_do_not_agree_are_an_error(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    made = predictions.collect("test", IMAGES, LABELS, PROBABILITIES)
    predictions.save(tmp_path / "p.npz", made._replace(**changes))
    with pytest.raises(UserError, match=r"p\.npz: damaged \(of other shapes or types\); `eval` writes it anew"):
        predictions.load(tmp_path / "p.npz")

"""Facts about stored predictions: which mistakes are kept, and that a file gives back what was saved."""

from pathlib import Path

import numpy as np
import pytest

from sgan_jax.errors import UserError
from sgan_jax.metrics.subsets import Subset
from sgan_jax.runs import predictions

PROBABILITIES = np.array([[0.95, 0.05], [0.85, 0.15], [0.35, 0.65], [0.05, 0.95]])
LABELS = np.array([0, 1, 1, 0], np.int32)
IMAGES = np.arange(16, dtype=np.uint8).reshape(4, 2, 2, 1)


def test_mistakes_are_the_most_confident_first() -> None:
    made = predictions.collect("test", Subset(IMAGES, LABELS), PROBABILITIES)
    assert made.mistakes.tolist() == [3, 1]
    np.testing.assert_array_equal(made.pictures, IMAGES[[3, 1]])
    assert made.confusion.tolist() == [[1, 1], [1, 1]]


def test_a_file_holds_what_was_saved(tmp_path: Path) -> None:
    made = predictions.collect("test", Subset(IMAGES, LABELS), PROBABILITIES)
    predictions.save(tmp_path / "p.npz", made)
    for one, other in zip(made, predictions.load(tmp_path / "p.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match=r"none\.npz: not found; `eval` writes it"):
        predictions.load(tmp_path / "none.npz")


def test_mistakes_have_the_names_of_their_files(tmp_path: Path) -> None:
    files = ("a/0.png", "a/1.png", "b/2.png", "b/\udcff.png")
    made = predictions.collect("test", Subset(IMAGES, LABELS, files), PROBABILITIES)
    assert made.files.tolist() == ["b/\\udcff.png", "a/1.png"]
    predictions.save(tmp_path / "p.npz", made)
    assert predictions.load(tmp_path / "p.npz").files.tolist() == made.files.tolist()


def test_a_file_of_an_earlier_version_has_no_names(tmp_path: Path) -> None:
    made = predictions.collect("test", Subset(IMAGES, LABELS), PROBABILITIES)
    arrays = {name: np.asarray(value) for name, value in made._asdict().items() if name != "files"}
    np.savez(tmp_path / "p.npz", **arrays)
    assert predictions.load(tmp_path / "p.npz").files.tolist() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": LABELS[:3]},
        {"labels": LABELS + 1},
        {"mistakes": np.array([3, 4])},
        {"files": np.array(["one.png"])},
        {"files": np.array([1, 2])},
        {"probabilities": np.full((4, 2), np.nan)},
    ],
)
def test_arrays_that_do_not_agree_are_an_error(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    made = predictions.collect("test", Subset(IMAGES, LABELS), PROBABILITIES)
    predictions.save(tmp_path / "p.npz", made._replace(**changes))
    with pytest.raises(UserError, match=r"p\.npz: damaged \(of other shapes or types\); `eval` writes it anew"):
        predictions.load(tmp_path / "p.npz")

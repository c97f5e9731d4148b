"""Training on classes with unequal numbers of labels."""

from collections.abc import Callable

import pytest
from outer import metrics, sha256
from pets import make

Does = Callable[..., str]
QUICK = ("--preset", "supervised", "--width", 2, "--batch-size", 4, "--steps", 2, "--data-dir", "pets")


@pytest.mark.slow
def test_each_balance_trains_another_run_and_a_resume_with_another_one_is_refused(tmp_path, does: Does, fails: Does):
    make(tmp_path, {"pets/cat": 12, "pets/dog": 2, "pets/unlabelled": 4})
    does("train", *QUICK, "--run", "usual")
    does("train", *QUICK, "--run", "none", "--class-balance", "none")
    for name in ("draws", "weights"):
        does("train", *QUICK, "--run", name, "--class-balance", name)
    assert sha256(tmp_path / "usual", 2) == sha256(tmp_path / "none", 2)
    assert len({sha256(tmp_path / name, 2) for name in ("usual", "draws", "weights")}) == 3
    assert all("d/supervised" in metrics(tmp_path / name)[-1] for name in ("draws", "weights"))
    message = fails("train", *QUICK, "--run", "draws", "--class-balance", "weights")
    assert "class_balance was draws, now weights" in message


@pytest.mark.parametrize("name", ["draws", "weights"])
def test_a_head_without_classes_cannot_balance_them(fails: Does, name: str) -> None:
    message = fails("train", "--dataset", "mnist-5k", "--head", "real_fake", "--class-balance", name)
    assert message == f"--class-balance: {name}; head 'real_fake' has no classes; use none"

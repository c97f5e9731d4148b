"""Which steps are traced, and that the trace is where it was asked for."""

from pathlib import Path

import pytest
from outer import DIGITS, SMALL

from sgan_jax.errors import UserError
from sgan_jax.training.profiler import Profile, profile


def test_no_folder_is_no_profile() -> None:
    assert profile(None, None) is None


def test_steps_without_a_folder_are_an_error() -> None:
    with pytest.raises(UserError, match="^profile_steps: needs profile FOLDER"):
        profile(None, "5-6")


def test_a_trace_that_would_be_empty_is_an_error(tmp_path: Path, fails) -> None:
    traced = profile(tmp_path, None)
    assert traced == Profile(tmp_path, 11, 20)
    traced.check(11)
    line = fails("train", *DIGITS, *SMALL, "--steps", 4, "--profile", "trace", "--run", "run")
    assert line == "--profile-steps: begins with step 11, and this call takes 4"
    assert not Path("run").exists(), "nothing half-written"


def test_folder_is_made_and_both_ends_are_included(tmp_path: Path) -> None:
    assert profile(tmp_path / "a" / "b", "11-20") == Profile(tmp_path / "a" / "b", 11, 20)
    assert (tmp_path / "a" / "b").is_dir()
    assert profile(tmp_path, "3-3") == Profile(tmp_path, 3, 3)


@pytest.mark.parametrize("steps", ["", "5", "0-5", "5-4", "a-b", "1-2-3", "-1-4", "1:2", "1-99999999999"])
def test_text_that_is_not_a_range_of_steps_is_an_error(steps: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^profile_steps: {steps}; expected FIRST-LAST, such as 11-20"):
        profile(tmp_path, steps)


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^profile: .*file: cannot be made \(File exists\)$"):
        profile(tmp_path / "file", "1-2")


@pytest.mark.parametrize(("taken", "steps"), [(0, 10), (10, 10), (20, 580), (4, 6), (15, 5), (600, 600)])
def test_dispatches_of_an_epoch_end_where_the_trace_begins_and_ends(taken: int, steps: int) -> None:
    left = 600 - taken % 600
    assert Profile(Path(), 11, 20).cut(taken, left) == steps


@pytest.mark.slow
def test_trace_of_chosen_steps_is_written(tmp_path: Path, does) -> None:
    traced = ("--profile", "trace", "--profile-steps", "2-3")
    does("train", *DIGITS, *SMALL, "--epochs", 2, *traced, "--run", "run")
    (trace,) = (tmp_path / "trace").rglob("*.xplane.pb")
    assert b"train_step" in trace.read_bytes() or b"advance" in trace.read_bytes()

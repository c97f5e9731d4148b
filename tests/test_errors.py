"""Errors are one line, and each door spells the settings in them."""

import errno

import pytest

from sgan_jax.errors import UserError, mendable, reason, spelled


@pytest.mark.parametrize(
    ("error", "quoted"),
    [
        (ValueError("bad magic\nand where it was"), "bad magic"),
        (ValueError("\n  after an empty line"), "after an empty line"),
        (ValueError("x" * 500), "x" * 120),
        (EOFError(), "EOFError"),
        (EOFError(" \n"), "EOFError"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: Exception, quoted: str) -> None:
    assert reason(error) == quoted


def test_settings_in_a_message_are_bare_for_python_and_spelled_by_each_door() -> None:
    error = UserError("‹data.labels›: 0; must be at least 1, or give ‹run›")
    assert str(error) == "data.labels: 0; must be at least 1, or give run"
    assert spelled(error.marked, lambda name: f"--{name.rpartition('.')[2]}") == (
        "--labels: 0; must be at least 1, or give --run"
    )
    assert str(UserError(f"run: {error.marked}")) == f"run: {error}", "an error that quotes another keeps its marks"
    assert str(UserError()) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("‹seed›: -1"), "‹seed›: -1"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (MemoryError(), "out of memory; give a smaller ‹data.image_size› or ‹batch_size›, or ‹data.stream› True for"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nand more"), "out of memory; give a smaller ‹batch_size› or"),
    ],
)
def test_an_error_that_the_user_can_mend_is_one_line(error: Exception, line: str) -> None:
    shown = mendable(error)
    assert shown is not None and shown.startswith(line) and "\n" not in shown


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("a fault of the program"), RecursionError("deep")])
def test_a_fault_of_the_program_is_not_shown_as_the_users_mistake(error: Exception) -> None:
    assert mendable(error) is None

"""Which steps to trace for XProf or TensorBoard."""

import re
from pathlib import Path
from typing import NamedTuple

from sgan_jax.errors import UserError

STEPS = "11-20"  # after compilation, and what a first step takes longer


class Profile(NamedTuple):
    """Which steps of this process to trace, counted from 1, both ends included, and where the trace goes."""

    folder: Path
    first: int
    last: int

    @property
    def steps(self) -> tuple[int, int]:
        """First and last: what the processes of a run have to agree in."""
        return self.first, self.last

    def cut(self, taken: int, steps: int) -> int:
        """At most `steps`, so that a dispatch after `taken` ends where the trace begins or ends."""
        for end in (self.first - 1, self.last):
            if taken < end < taken + steps:
                return end - taken
        return steps

    def check(self, steps: int) -> None:
        """Refuses what would trace nothing.

        Args:
          steps: how many this call takes.

        Raises:
          UserError: they end before the first to trace.
        """
        if steps < self.first:
            raise UserError(f"‹profile_steps›: begins with step {self.first}, and this call takes {steps}")


def profile(folder: Path | None, steps: str | None) -> Profile | None:
    """`--profile` and `--profile-steps` as a `Profile`; makes the folder.

    Raises:
      UserError: the folder cannot be made, the steps are not a range, or they have no folder.
    """
    if folder is None:
        if steps is not None:
            raise UserError("‹profile_steps›: needs ‹profile› FOLDER, where the trace is to go")
        return None
    steps = STEPS if steps is None else steps
    match = re.fullmatch(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})", steps)
    if not match or int(match[1]) > int(match[2]):
        raise UserError(f"‹profile_steps›: {steps}; expected FIRST-LAST, such as 11-20, counted from 1")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"‹profile›: {folder}: cannot be made ({error.strerror or error})") from None
    return Profile(folder, int(match[1]), int(match[2]))

"""The one exception that reaches a user as a single line, and how that line names settings.

A message names a setting by its place in the configuration, or an argument of the call by its name, in angle quotes:
`‹data.labels›: -5; must be at least 1`. Whoever shows the message spells it as its user knows it: the command line as
`--labels`, the estimator as `labels`.
"""

import re
from collections.abc import Callable, Sequence
from types import TracebackType

_MARKED = re.compile("‹([^‹›]*)›")


def spelled(message: str, spell: Callable[[str], str] = lambda name: name) -> str:
    """The message with each marked setting replaced by `spell(name)`; by default by its bare name."""
    return _MARKED.sub(lambda marked: spell(marked[1]), message)


class UserError(Exception):
    """Something the user can mend: names the file or setting, what was expected and what to do, in one line."""

    @property
    def marked(self) -> str:
        """The message with its settings still marked, to be part of another message."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        """The message with bare names of settings."""
        return spelled(self.marked)


class Problems:
    """Around a check: raises its error, or with `keep` notes it, so that what follows is checked as well."""

    def __init__(self, keep: bool = False):
        """`keep`: note errors instead of raising them."""
        self.keep = keep
        self.errors: list[UserError] = []

    def __enter__(self) -> None:
        """Begins a check."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Notes the check's error."""
        if not self.keep or not isinstance(error, UserError):
            return False
        if error not in self.errors:
            self.errors.append(error)
        return True

    def check(self) -> None:
        """Ends what needs everything before it to be in order.

        Raises:
          UserError: the first error, if there is any.
        """
        if self.errors:
            raise self.errors[0]


class Several(UserError):
    """Several mistakes that were found together."""

    def __init__(self, errors: Sequence[UserError]):
        """`errors`: at least one; the message is that of the first."""
        super().__init__(errors[0].marked)
        self.errors = tuple(errors)


RAISED = Problems()  # for whoever wants the first error raised


def missing_extra(package: str, extra: str) -> UserError:
    """The error for a package that is not installed because its extra of pyproject.toml was not asked for."""
    return UserError(
        f"the package {package} is not installed; set SGAN_EXTRAS={extra} for the launchers in bin/, or "
        f"pip install 'sgan-jax[{extra}]'"
    )


def reason(error: Exception) -> str:
    """The first line of a library's error, cut to 120 characters, or its kind if it has no text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def mendable(error: Exception) -> str | None:
    """One line, settings marked, about what the user can mend; None for a fault of the program."""
    text = str(error)
    if isinstance(error, UserError):
        return error.marked
    if isinstance(error, OSError):  # a full disk, a name that is too long
        return f"{error.filename}: {error.strerror}" if error.filename else text
    if isinstance(error, MemoryError):
        smaller = "a smaller ‹data.image_size› or ‹batch_size›"
        return f"out of memory; give {smaller}, or ‹data.stream› True for a folder of images"
    if not isinstance(error, RuntimeError) or isinstance(error, RecursionError):
        return None
    if "RESOURCE_EXHAUSTED" in text:
        smaller = "a smaller ‹batch_size› or ‹model.width›"
        stream = "‹data.stream› True for a folder of images"
        return f"out of memory; give {smaller}, or {stream} ({text.splitlines()[0]:.120})"
    return None

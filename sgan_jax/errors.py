"""The one exception that reaches a user as a single line and exit status 2, and what it tells of others."""


class UserError(Exception):
    """Something the user can mend: names the file or flag, what was expected and what to do, in one line."""


def reason(error: Exception) -> str:
    """What a library's error says, to be quoted in a line of ours: its first line, cut, or its kind if it is silent."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]

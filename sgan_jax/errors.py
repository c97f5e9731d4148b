"""The one exception that reaches a user as a single line and exit status 2."""


class UserError(Exception):
    """Something the user can mend: names the file or flag, what was expected and what to do, in one line."""

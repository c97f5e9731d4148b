"""The one exception that reaches a user as a single line and exit status 2, and what it tells of others."""


class UserError(Exception):
    """Something the user can mend: names the file or flag, what was expected and what to do, in one line."""


def reason(error: Exception) -> str:
    """What a library's error says, to be quoted in a line of ours: its first line, cut, or its kind if it is silent."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def mendable(error: Exception) -> str | None:
    """One line about what the user can mend; None for what is a fault of the program."""
    text = str(error)
    if isinstance(error, UserError):
        return text
    if isinstance(error, OSError):  # a full disk, a name that is too long
        return f"{error.filename}: {error.strerror}" if error.filename else text
    if isinstance(error, MemoryError):
        return "out of memory; give a smaller --image-size or --batch-size, or --stream True for a folder of images"
    if not isinstance(error, RuntimeError) or isinstance(error, RecursionError):
        return None
    if text.startswith("Unable to initialize backend"):
        return f"{text.splitlines()[0].split(' (')[0]}; set JAX_PLATFORMS to cpu or to what this machine has"
    if "RESOURCE_EXHAUSTED" in text:
        smaller = "a smaller --batch-size or --width, or --stream True for a folder of images"
        return f"out of memory; give {smaller} ({text.splitlines()[0]:.120})"
    return None

"""Files that are whole or absent, and errors that name them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Has an error of the system name the file: where a write fails, as on a full disk, Python's own does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes all of the file or nothing, also where the power fails; parent folders are made.

    Text is UTF-8; what is none in it, as a file's name may be, is written as escapes.

    Raises:
      OSError: it cannot be written; `filename` says which.
    """
    if not path.name:  # "." and "/"
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with named(path), partial.open("wb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # or the name may reach the disk before the content
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)

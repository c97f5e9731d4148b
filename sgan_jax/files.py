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

    Text is UTF-8; what is none in it, as a file's name may be, is written as escapes. A link stays one: what it leads
    to is written. What is no file, such as a pipe or /dev/stdout, is written into.

    Raises:
      OSError: it cannot be written; `filename` says which.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    if not path.name:  # "." and "/"
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        with named(path), path.open("wb") as stream:
            stream.write(data)
        return
    real = Path(os.path.realpath(path))
    real.parent.mkdir(parents=True, exist_ok=True)
    partial = real.with_name(f".{real.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or the name may reach the disk before the content
        os.replace(partial, real)
    except OSError as error:  # of a name that the caller has not heard of
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)

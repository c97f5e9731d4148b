"""Files that are whole or absent, and errors that name them."""

import errno
import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sgan_jax.errors import UserError


class InUse(UserError):
    """Another process has locked the directory."""


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
    to is written. A path that is not a file, such as a pipe or /dev/stdout, is written into.

    Raises:
      OSError: it cannot be written; `filename` is the path.
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
    except OSError as error:  # it names the partial file, which the caller does not know
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def flush(folder: Path) -> None:
    """Has the disk hold all files of a folder, and the names of all below it, before this returns.

    Raises:
      OSError: it cannot.
    """
    for path in (*folder.rglob("*"), folder, folder.parent):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def write_json(path: Path, value: Any) -> None:
    """Writes all of the file or nothing, as readable JSON; NaN and infinities, which JSON lacks, as null."""
    write_atomically(path, json.dumps(finite(value), indent=2) + "\n")


def finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """The file's value.

    Raises:
      UserError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: not found; expected a run directory made by `train`") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: no JSON ({error}); start a new run with ‹run›") from None


@contextmanager
def locked(path: Path, flag: str) -> Iterator[None]:
    """Makes the directory that `flag` names and keeps out other processes that ask for the same.

    The system frees the lock of a process that is killed.

    Raises:
      InUse: another process has locked the directory.
      UserError: the directory cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        directory = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise unwritable(path, flag, error) from None
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{path}: another process trains in it; stop that one, or another {flag}") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(directory)


def unwritable(path: Path, flag: str, error: OSError) -> UserError:
    """The error that `path` cannot be written; `flag` names the setting that chooses another."""
    return UserError(f"{path}: cannot be written ({error.strerror or error}); choose another {flag}")

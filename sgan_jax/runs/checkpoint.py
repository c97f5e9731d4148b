"""Checkpoints through Orbax: all of it, and nothing else imports it.

`DIR/step_600` holds the state and, in its metadata, a SHA-256 of all leaves: Orbax does not notice a flipped byte in
an array.
"""

import errno
import hashlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from sgan_jax.errors import UserError, reason

# Faults of the moment or of permissions, which say nothing about what the files hold.
_NOT_THE_FILES = frozenset({errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPERM})
_NAME = re.compile(r"step_(0|[1-9][0-9]*)")


class Damaged(UserError):
    """The checkpoint's files are not what was saved."""


def steps(directory: Path) -> list[int]:
    """Steps of the whole checkpoints in `directory`, ascending.

    Orbax commits by a rename: one that is half written has another name.
    """
    if not directory.is_dir():
        return []
    found = [_NAME.fullmatch(entry.name) for entry in directory.iterdir() if entry.is_dir()]
    return sorted(int(match[1]) for match in found if match)


def digest(tree: Any) -> str:
    """SHA-256 over path, dtype, shape and bytes of every leaf."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{_name(path)} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


class Saver:
    """Saves in the background; one at a time. A failure is raised by the call after it."""

    def __init__(self, manager: ocp.CheckpointManager):
        self._manager = manager

    def save(self, step: int, state: Any) -> None:
        """Copies the state to the host and begins to write `step_<step>`; an existing one is kept as it is.

        Raises:
          UserError: this one or the one before cannot be written.
        """
        if step in self._manager.all_steps():
            return
        # A copy, because the next step is given these very buffers to write its result into.
        host = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        meta = {"step": step, "sha256": digest(host)}
        args = ocp.args.Composite(state=ocp.args.StandardSave(host), meta=ocp.args.JsonSave(meta))
        with _told(self._manager.directory):
            self._manager.save(step, args=args, force=True)

    def look_again(self) -> None:
        """Learns of checkpoints that others have set aside, so that their steps can be saved once more."""
        self._manager.reload()

    def wait(self) -> None:
        """Returns when the last checkpoint is whole on the disk.

        Raises:
          UserError: it cannot be written.
        """
        with _told(self._manager.directory):
            self._manager.wait_until_finished()


@contextmanager
def saver(directory: Path) -> Iterator[Saver]:
    """A `Saver` for `directory`; on leaving, the last checkpoint is whole.

    Leftovers of a save that was killed are removed.

    Raises:
      UserError: the directory cannot be written.
    """
    options = ocp.CheckpointManagerOptions(
        step_prefix="step", create=False, cleanup_tmp_directories=True, multiprocessing_options=_alone()
    )
    with _quiet():
        with _told(directory):
            directory.mkdir(parents=True, exist_ok=True)
            manager = ocp.CheckpointManager(directory.absolute(), options=options)
            # Orbax waits for its removal of leftovers when it saves, not when it is closed: where nothing is saved, the
            # program would end beneath it, with a traceback.
            getattr(manager, "_maybe_await_cleanup_tmp_directory", lambda: None)()
        try:
            yield Saver(manager)
        except BaseException:
            with suppress(Exception):  # it raises a failed save once more
                manager.close()
            raise
        with _told(directory):
            manager.close()


@contextmanager
def _told(directory: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a full disk is an OSError, a ValueError or a bare Exception, as the layer has it
        raise UserError(f"{directory}: cannot save a checkpoint ({reason(error)})") from error


def restore(path: Path, like: Any) -> Any:
    """The state saved in `path`, as NumPy arrays, in the structure of `like`.

    Args:
      path: a `step_<N>` directory.
      like: a state of the same networks (arrays or `jax.ShapeDtypeStruct`).

    Raises:
      Damaged: a file is missing or was changed since it was saved.
      UserError: there is no such checkpoint, or it is of other networks.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such checkpoint; {listing(path.parent)}")
    if not any((path / part).exists() for part in ("state", "meta")) and not _NAME.fullmatch(path.name):
        raise UserError(f"{path}: no checkpoint, but another directory; {listing(path.parent)}")
    args = ocp.args.PyTreeRestore(
        item=like, restore_args=jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    )
    try:
        meta = json.loads((path / "meta" / "metadata").read_text())
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_alone())
        with _quiet(), ocp.Checkpointer(handler, multiprocessing_options=_alone()) as reader:
            held = _describe(reader.metadata(path.absolute() / "state").item_metadata.tree)
            if held == _describe(like):  # Orbax would cast, or return other shapes, in silence
                state = reader.restore(path.absolute() / "state", args=args)
                intact = meta["sha256"] == digest(state)
    except MemoryError:
        raise
    except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file, a bare Exception among them
        fault = error if isinstance(error, OSError) else _fault(path)
        if fault is not None and fault.errno in _NOT_THE_FILES:
            raise UserError(f"{path}: cannot be read ({fault.strerror})") from None
        raise Damaged(f"{path}: the checkpoint is damaged ({reason(error)}); {listing(path.parent)}") from None
    if held != _describe(like):
        raise UserError(f"{path}: a checkpoint of other networks: {_difference(held, _describe(like))}")
    if not intact:
        raise Damaged(
            f"{path}: the checkpoint is damaged (its SHA-256 is not the one it was saved with); {listing(path.parent)}"
        )
    return state


def _fault(path: Path) -> OSError | None:
    """What keeps the files from being read, which TensorStore tells in words alone; None where all can be."""

    def give_up(error: OSError) -> None:
        raise error

    try:
        for folder, _, names in os.walk(path, onerror=give_up):
            for name in names:
                (Path(folder) / name).read_bytes()
    except OSError as error:
        return error
    return None


def _alone() -> ocp.options.MultiprocessingOptions:
    """Of several processes one saves and restores for all; Orbax would have it wait for the others."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"sgan_{index}"
    )


def set_aside(path: Path) -> None:
    """Renames a damaged checkpoint, so that its step can be saved again and nothing of it is lost."""
    path.rename(path.with_name(f"damaged_{path.name}_{time.time_ns()}"))


def listing(directory: Path) -> str:
    """What checkpoints there are to choose from, for messages."""
    names = [f"step_{step}" for step in steps(directory)]
    return f"there are {', '.join(names)}" if names else "there are no checkpoints"


def _describe(tree: Any) -> dict[str, str]:
    """`{"params/d/conv_1/kernel": "float32 (3, 3, 1, 128)", ...}`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): f"{np.dtype(leaf.dtype)} {tuple(leaf.shape)}" for path, leaf in leaves}


def _name(path: Any) -> str:
    """`params/d/conv_1/kernel`: the same for a tuple with names and the dictionary that Orbax makes of it."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _difference(held: dict[str, str], expected: dict[str, str]) -> str:
    """The first difference of two descriptions, in a few words."""
    for name in sorted(held.keys() | expected.keys()):
        if held.get(name) != expected.get(name):
            return f"{name} is {held.get(name, 'absent')}, expected {expected.get(name, 'none')}"
    raise AssertionError("no difference")


@contextmanager
def _quiet() -> Iterator[None]:
    """Orbax tells of every save, of metadata that this layout lacks, and with tracebacks of what it raises as well.

    Where one array cannot be read or written, TensorStore goes on with the others and finds Orbax's event loop closed.
    Python would print a traceback for each, from threads and also after the error was handled: that stays suppressed.
    """
    if getattr(sys.unraisablehook, "func", None) is not _report_unless_late:
        sys.unraisablehook = partial(_report_unless_late, sys.unraisablehook)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _report_unless_late(report: Callable[[Any], Any], failure: Any) -> None:
    if not (isinstance(failure.exc_value, RuntimeError) and str(failure.exc_value) == "Event loop is closed"):
        report(failure)

"""Checkpoints. Only this module imports Orbax.

`DIR/step_600` holds the state and, in its metadata, a SHA-256 of all leaves: Orbax does not notice a flipped byte in
an array.
"""

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from sgan_jax.errors import UserError, reason
from sgan_jax.files import flush
from sgan_jax.runs.quiet import quiet
from sgan_jax.runs.retention import CHECKPOINT
from sgan_jax.runs.retention import steps as steps

# Faults of the machine or of permissions, which do not mean that the files are damaged.
_NOT_DAMAGE = frozenset({errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPERM})
_UNFINISHED = ".orbax-checkpoint-tmp"  # ends the name of a checkpoint that a saver removes when it begins


class Damaged(UserError):
    """The checkpoint's files are not the files that were saved."""


def digest(tree: Any) -> str:
    """SHA-256 over path, dtype, shape and bytes of every leaf."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{_name(path)} {array.dtype} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


class _Turns:
    """Lets one save of the process run at a time: Orbax would mix up the signals of two, and wait for them in vain."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Saver | None = None  # whose save may still be running

    @contextmanager
    def of(self, saver: "Saver") -> Iterator[None]:
        """Around the beginning of a save; it begins when those of other savers have ended."""
        with self._lock:
            if self._last is not None and self._last is not saver:
                self._last.settle()
            self._last = saver
            yield

    def leave(self, saver: "Saver") -> None:
        """Forgets a saver whose saves have ended."""
        with self._lock:
            if self._last is saver:
                self._last = None


_turns = _Turns()


class Saver:
    """Saves in the background, one checkpoint at a time. The next call raises the error of a save that failed."""

    def __init__(self, manager: ocp.CheckpointManager):
        self._manager = manager
        self._error: Exception | None = None  # of a save that another saver has waited for

    def save(self, step: int, state: Any) -> None:
        """Copies the state to the host and begins to write `step_<step>`; an existing checkpoint is not replaced.

        Raises:
          UserError: this checkpoint or the one before cannot be written.
        """
        if step in self._manager.all_steps():
            return
        # A copy, because the next training step writes its result into the same buffers.
        host = jax.tree.map(lambda leaf: np.array(leaf, copy=True), state)
        meta = {"step": step, "sha256": digest(host)}
        args = ocp.args.Composite(state=ocp.args.StandardSave(host), meta=ocp.args.JsonSave(meta))
        with _as_user_error(self._manager.directory), _turns.of(self):
            self._raise_error()
            self._manager.save(step, args=args, force=True)

    def remove(self, surplus: Iterable[int]) -> None:
        """Removes checkpoints of other steps than the newest one, which is complete on the disk before that.

        A checkpoint loses its name first: what a kill leaves of it is not a checkpoint, and the next saver removes it.

        Raises:
          UserError: the newest checkpoint cannot be written, or an old one cannot be removed.
        """
        self.wait()
        directory = Path(self._manager.directory)
        *older, newest = steps(directory) or [0]
        if not (doomed := sorted(set(surplus) & set(older))):
            return
        try:
            flush(directory / f"step_{newest}")
            for step in doomed:
                unnamed = directory / f"step_{step}{_UNFINISHED}"
                (directory / f"step_{step}").rename(unnamed)
                shutil.rmtree(unnamed)
        except OSError as error:
            raise UserError(f"{directory}: cannot remove old checkpoints ({reason(error)})") from error
        self.reload()

    def reload(self) -> None:
        """Lists the directory again: the step of a checkpoint that was set aside can then be saved again."""
        self._manager.reload()

    def wait(self) -> None:
        """Returns when the last checkpoint is complete on the disk.

        Raises:
          UserError: the checkpoint cannot be written.
        """
        with _as_user_error(self._manager.directory):
            self._manager.wait_until_finished()
            self._raise_error()

    def settle(self) -> None:
        """Waits as `wait` does, and leaves an error to the saver's own next call."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            self._error = error

    def close(self) -> None:
        """Waits for the last checkpoint, and ends."""
        try:
            self._manager.close()
        finally:
            _turns.leave(self)
        self._raise_error()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


@contextmanager
def saver(directory: Path) -> Iterator[Saver]:
    """A `Saver` for `directory`; on leaving, the last checkpoint is complete.

    What a killed save left behind is removed.

    Raises:
      UserError: the directory cannot be written.
    """
    options = ocp.CheckpointManagerOptions(
        step_prefix="step", create=False, cleanup_tmp_directories=True, multiprocessing_options=_this_process()
    )
    with quiet():
        with _as_user_error(directory):
            directory.mkdir(parents=True, exist_ok=True)
            manager = ocp.CheckpointManager(directory.absolute(), options=options)
            # Orbax removes leftovers in a thread, and waits for it only in a save. A program that saves nothing would
            # end while the thread runs, with a traceback.
            getattr(manager, "_maybe_await_cleanup_tmp_directory", lambda: None)()
        made = Saver(manager)
        try:
            yield made
        except BaseException:
            with suppress(Exception):  # it raises the error of a failed save a second time
                made.close()
            raise
        with _as_user_error(directory):
            made.close()


@contextmanager
def _as_user_error(directory: object) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a full disk is an OSError, a ValueError or a bare Exception: layers differ
        raise UserError(f"{directory}: cannot save a checkpoint ({reason(error)})") from error


def restore(path: Path, like: Any) -> Any:
    """The state saved in `path`, as NumPy arrays, in the structure of `like`.

    Args:
      path: a `step_<N>` directory.
      like: a state of the same networks (arrays or `jax.ShapeDtypeStruct`).

    Raises:
      Damaged: a file is missing or was changed since it was saved.
      UserError: the checkpoint does not exist, or its networks are others.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such checkpoint; {listing(path.parent)}")
    if not any((path / part).exists() for part in ("state", "meta")) and not CHECKPOINT.fullmatch(path.name):
        raise UserError(f"{path}: no checkpoint, but another directory; {listing(path.parent)}")
    expected = _describe(like)
    try:
        sha256 = json.loads((path / "meta" / "metadata").read_text())["sha256"]
        saved, state = _read(path.absolute() / "state", like)
        intact = saved != expected or sha256 == digest(state)
    except MemoryError:
        raise
    except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file, a bare Exception among them
        fault = error if isinstance(error, OSError) else _read_error(path)
        if fault is not None and fault.errno in _NOT_DAMAGE:
            raise UserError(f"{path}: cannot be read ({fault.strerror})") from None
        raise Damaged(f"{path}: the checkpoint is damaged ({reason(error)}); {listing(path.parent)}") from None
    if saved != expected:
        raise UserError(f"{path}: a checkpoint of other networks: {_difference(saved, expected)}")
    if not intact:
        raise Damaged(
            f"{path}: the checkpoint is damaged (its SHA-256 is not the one it was saved with); {listing(path.parent)}"
        )
    return state


def _read(path: Path, like: Any) -> tuple[dict[str, str], Any]:
    """The description of the state in `path`, and the state, or None if its description is not that of `like`."""
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=_this_process())
    with quiet(), ocp.Checkpointer(handler, multiprocessing_options=_this_process()) as reader:
        tree = reader.metadata(path).item_metadata.tree
        saved = _describe(tree)
        if saved != _describe(like):  # Orbax would silently cast, or return other shapes
            return saved, None
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        state = reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    # By name: a state that has got a field since, without a leaf in it, has the same leaves in another structure.
    by_name = {_name(where): leaf for where, leaf in jax.tree_util.tree_leaves_with_path(state)}
    return saved, jax.tree_util.tree_map_with_path(lambda where, _: by_name[_name(where)], like)


def _read_error(path: Path) -> OSError | None:
    """The error of the first file that cannot be read, or None: TensorStore's own errors lack an errno."""

    def give_up(error: OSError) -> None:
        raise error

    try:
        for folder, _, names in os.walk(path, onerror=give_up):
            for name in names:
                (Path(folder) / name).read_bytes()
    except OSError as error:
        return error
    return None


def _this_process() -> ocp.options.MultiprocessingOptions:
    """Options by which this process saves and restores alone; Orbax would wait for the other processes of a run."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"sgan_{index}"
    )


def set_aside(path: Path) -> None:
    """Renames a damaged checkpoint: its step can then be saved again, and its files are not lost."""
    path.rename(path.with_name(f"damaged_{path.name}_{time.time_ns()}"))


def listing(directory: Path) -> str:
    """The checkpoints in a directory, for messages."""
    names = [f"step_{step}" for step in steps(directory)]
    return f"there are {', '.join(names)}" if names else "there are no checkpoints"


def _describe(tree: Any) -> dict[str, str]:
    """`{"params/d/conv_1/kernel": "float32 (3, 3, 1, 128)", ...}`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): f"{np.dtype(leaf.dtype)} {tuple(leaf.shape)}" for path, leaf in leaves}


def _name(path: Any) -> str:
    """`params/d/conv_1/kernel`: the same for a NamedTuple and for the dictionary that Orbax makes of it."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _difference(saved: dict[str, str], expected: dict[str, str]) -> str:
    """The first difference of two descriptions."""
    for name in sorted(saved.keys() | expected.keys()):
        if saved.get(name) != expected.get(name):
            return f"{name} is {saved.get(name, 'absent')}, expected {expected.get(name, 'none')}"
    raise AssertionError("no difference")

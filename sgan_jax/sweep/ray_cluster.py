"""Trials on a Ray cluster: each trains in a folder of its worker, which sends the run directory back.

The directory is what the same run leaves here, with its last checkpoint instead of all. A worker that is lost takes
its trial with it; Ray gives that trial to another worker.
"""

import io
import logging
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sgan_jax.config import Config
from sgan_jax.errors import UserError, missing_extra, reason
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.sweep import trial
from sgan_jax.sweep.trial import Ended, Shared, Trial
from sgan_jax.training.signals import Stop, stop_on_signal

_LOST = 10  # times that a trial may be lost with its worker before it counts as the cause
_PATIENCE = 10  # seconds for an answer
_POLL = 0.5  # seconds between two checks for a signal


def installed_ray(address: str) -> ModuleType:
    """The package Ray; `address` is for the message.

    Raises:
      UserError: it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UserError(f"‹ray› {address}: {missing_extra('ray', 'ray').marked}") from None
    return ray


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to a Ray cluster.

    Args:
      address: HOST:PORT, ray://HOST:PORT, "auto" (one that runs on this machine) or "local" (one started here).

    Raises:
      UserError: Ray is not installed, or no cluster answers at the address.
    """
    ray = installed_ray(address)
    with _no_usage_statistics():
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (RuntimeError, ValueError, OverflowError, OSError) as error:
            raise UserError(f"‹ray› {address}: no cluster answers there ({reason(error)})") from None
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _no_usage_statistics() -> Iterator[None]:
    """Has Ray send no usage statistics to its makers, unless the user has decided about that."""
    name = "RAY_USAGE_STATS_ENABLED"
    decided = name in os.environ
    os.environ.setdefault(name, "0")
    try:
        yield
    finally:
        if not decided:
            del os.environ[name]


def _knock(address: str) -> None:
    """Raises an OSError or ValueError where nobody listens: Ray itself would never give up."""
    if address in ("auto", "local"):
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        raise ValueError("expected HOST:PORT, ray://HOST:PORT, auto or local")
    socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def train(trials: Sequence[Trial], shared: Shared, stop: Stop) -> Iterator[Ended]:
    """Trains on the connected cluster; yields each trial when its run directory is here, or when it failed.

    A trial fails where a worker cannot train it, or where it was lost with its worker again and again.

    Args:
      trials: what an earlier, unfinished run left in a trial's run directory is replaced.
      shared: what all of them are trained with. Workers need no copy of the images, except where these are streamed:
        all workers then read their folder.
      stop: asked whether to stop; trials that are then unfinished are given up.
    """
    import ray

    on_workers = ray.put(shared)
    # A GPU each where the cluster has any; else a CPU each: `ray start --num-cpus` sets how many a machine takes.
    resources = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
    again: dict[str, Any] = {"max_retries": _LOST, "retry_exceptions": [_Stopped]}  # Ray's types have no list here
    on_worker: Any = ray.remote(_train).options(**resources, **again)
    waiting = {on_worker.remote(one.config, on_workers): one for one in trials}
    while waiting and not stop.by:
        for task in ray.wait(list(waiting), timeout=_POLL)[0]:
            one = waiting.pop(task)
            try:
                packed = ray.get(task)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause.marked if isinstance(error.cause, UserError) else _last_line(error)
                yield Ended(one, UserError(f"its worker cannot train it: {cause}"))
            except ray.exceptions.RayError as error:
                yield Ended(one, UserError(f"lost with its worker {1 + _LOST} times ({type(error).__name__})"))
            else:
                _unpack(packed, one.path)
                yield Ended(one)
    for unfinished in waiting:
        ray.cancel(unfinished, force=True)


class _Stopped(Exception):
    """A signal ended the run, as it does where a machine is reclaimed."""


def _train(config: Config, shared: Shared) -> bytes:
    """Trains on a worker; returns the run directory as a tar file, with its last checkpoint only."""
    # The worker's process is the run's own: a signal to it is for the run.
    with tempfile.TemporaryDirectory(prefix="sgan-") as folder, stop_on_signal() as stop:
        run = RunDir(Path(folder) / "run")
        if not trial.train(config, run.path, shared, stop):
            raise _Stopped
        for step in checkpoint.steps(run.checkpoints)[:-1]:
            shutil.rmtree(run.checkpoints / f"step_{step}")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(run.path, ".")
        return packed.getvalue()


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def _unpack(packed: bytes, path: Path) -> None:
    """Makes the run directory, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(Path(folder) / "run", filter="data")
        if path.exists():
            shutil.rmtree(path)
        (Path(folder) / "run").rename(path)

"""Runs on a Ray cluster: each trains in a folder of its worker, and its run directory comes back.

What comes back is what the same run leaves here, with its last checkpoint instead of all. A worker that is lost takes
its run with it; Ray gives that run to another one.
"""

import io
import logging
import os
import shutil
import socket
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError, reason
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import loop
from sgan_jax.training.signals import Stop

_LOST = 10  # times that a run may be lost with its worker before it is taken for the cause
_PATIENCE = 10  # seconds for an answer
_POLL = 0.5  # seconds between two looks at whether a signal has come

Ended = tuple[Config, UserError | None]  # a run that has ended, and what kept it from its last step


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to a Ray cluster.

    Args:
      address: HOST:PORT, ray://HOST:PORT, "auto" (one that runs on this machine) or "local" (one made here).

    Raises:
      UserError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError(
            f"‹ray› {address}: Ray is not installed; set SGAN_EXTRAS=ray for bin/sweep, or pip install 'sgan-jax[ray]'"
        ) from None
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (RuntimeError, ValueError, OverflowError, OSError) as error:
        raise UserError(f"‹ray› {address}: no cluster answers there ({reason(error)})") from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises an OSError or ValueError where nobody listens: Ray itself would try without end."""
    if address in ("auto", "local"):
        return
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        raise ValueError("expected HOST:PORT, ray://HOST:PORT, auto or local")
    socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def train(runs: Sequence[tuple[Config, Path]], dataset: Dataset, stop: Stop, on_nan: str = "stop") -> Iterator[Ended]:
    """Trains on the connected cluster; yields each configuration when its run directory is there, or when it failed.

    A run fails where a worker cannot train it, or where it was lost with its worker again and again.

    Args:
      runs: each with the run directory to make; what an earlier, unfinished run left there is replaced.
      dataset: what all of them are trained on; workers need no copy of their own, but for images that are streamed:
        their folder is read by all.
      stop: whom to ask whether to end; what is then unfinished is given up.
      on_nan: as of `loop.train`.
    """
    import ray

    images = ray.put(dataset)
    # A GPU each where the cluster has any; else a CPU each: `ray start --num-cpus` says how many a machine takes.
    resources = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {"num_cpus": 1}
    again: dict[str, Any] = {"max_retries": _LOST, "retry_exceptions": [_Stopped]}  # Ray's types know of no list here
    on_worker: Any = ray.remote(_train).options(**resources, **again)
    waiting = {on_worker.remote(config, images, sys.argv, on_nan): (config, path) for config, path in runs}
    while waiting and not stop.by:
        for done in ray.wait(list(waiting), timeout=_POLL)[0]:
            config, path = waiting.pop(done)
            try:
                packed = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause if isinstance(error.cause, UserError) else str(error).strip().splitlines()[-1]
                yield config, UserError(f"its worker cannot train it: {cause}")
            except ray.exceptions.RayError as error:
                yield config, UserError(f"lost with its worker {1 + _LOST} times ({type(error).__name__})")
            else:
                _unpack(packed, path)
                yield config, None
    for unfinished in waiting:
        ray.cancel(unfinished, force=True)


class _Stopped(Exception):
    """A signal ended the run, as it does where a machine is wanted back."""


def _train(config: Config, dataset: Dataset, command: list[str], on_nan: str) -> bytes:
    sys.argv = command  # what config.json is to tell
    with tempfile.TemporaryDirectory(prefix="sgan-") as folder:
        run = RunDir(Path(folder) / "run")
        if loop.train(config, run.path, dataset=dataset, on_nan=on_nan):
            raise _Stopped
        for step in checkpoint.steps(run.checkpoints)[:-1]:
            shutil.rmtree(run.checkpoints / f"step_{step}")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(run.path, ".")
        return packed.getvalue()


def _unpack(packed: bytes, path: Path) -> None:
    """Makes the run directory, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(Path(folder) / "run", filter="data")
        if path.exists():
            shutil.rmtree(path)
        (Path(folder) / "run").rename(path)

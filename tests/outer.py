"""What the tests of the outer half share: calls of the launchers as a user makes them, and small runs and data sets."""

import fcntl
import json
import os
import shlex
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ["SGAN_TEST_HOME"])  # by the processes of pytest
HOME = SHARED / os.environ.get("PYTEST_XDIST_WORKER", "alone")  # of this one

QUICK = {"XLA_FLAGS": os.environ["XLA_FLAGS"]}
SMALL = ("--width", "8", "--batch-size", "2", "--steps-per-epoch", "2")
EPOCHS = ("--epochs", "4")
DIGITS = ("--dataset", "mnist-5k")
NOTICE = "mnist-5k: not comparable with MNIST"


@cache
def _interpreter() -> Path:
    """An environment for the launchers that is the tests' own interpreter: they are not to install anything."""
    folder = HOME / "venv"
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    wanted = "{ printf '%s\\n' \"$PWD\"; sed '/^# === /,$d' pyproject.toml; cat constraints.txt; } | cksum"
    stamp = subprocess.run(wanted, shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[0]
    for extra in ("core", "export"):  # the latter for bin/export, and part of what the tests need
        (folder / f".sgan-{extra}").write_text(stamp + "\n")
    return folder


def environment(**settings: str) -> dict[str, str]:
    """The tests' environment for a launcher, with `settings` on top."""
    # KERAS_BACKEND is set for tests that compare layers; the benchmark's peer has another. The compilation cache is
    # where the commands put it.
    own = ("SGAN_EXTRAS", "KERAS_BACKEND", "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    outer = {name: value for name, value in os.environ.items() if name not in own}
    return outer | {"SGAN_VENV": str(_interpreter())} | settings


def connected() -> dict[str, str]:
    """The environment as it was before the tests took the network away, for what installs packages."""
    theirs = {name: value for name, value in os.environ.items() if name.lower() not in ("http_proxy", "https_proxy")}
    return theirs | json.loads(os.environ["SGAN_TEST_PROXIES"])


def command(launcher: str, *arguments: object) -> list[str]:
    """`bin/LAUNCHER ARGUMENTS`."""
    return [str(ROOT / "bin" / launcher), *map(str, arguments)]


def call(launcher: str, *arguments: object, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Calls a launcher to its end. Nothing that a user does may end in a traceback."""
    done = subprocess.run(
        command(launcher, *arguments),
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def succeed(launcher: str, *arguments: object, cwd: Path, **settings: str) -> str:
    """Calls a launcher that has to succeed; returns what it printed."""
    done = call(launcher, *arguments, cwd=cwd, **settings)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def sha256(run: Path, step: int) -> str:
    """The digest over every leaf of a checkpoint's state, as it was taken before the state was written."""
    return json.loads((run / "checkpoints" / f"step_{step}" / "meta" / "metadata").read_text())["sha256"]


def metrics(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl, without the seconds that they took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def write_images(folder: Path, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Path:
    """The four IDX files of images `[N, H, W]` and labels `[N]`."""
    folder.mkdir()
    for stem, arrays in (("train", train), ("t10k", test)):
        for array, kind in zip(arrays, ("images-idx3", "labels-idx1"), strict=True):
            header = struct.pack(f">4B{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{stem}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return folder


def shared(name: str, fill: Callable[[Path], str]) -> tuple[Path, str]:
    """A folder that one process of pytest fills for all, and what it printed. Tests that change it take a copy."""
    folder, printed = SHARED / name, SHARED / f"{name}.txt"
    with (SHARED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            printed.write_text(fill(folder))
    return folder, printed.read_text()


@cache
def finished_run() -> tuple[Path, str]:
    """A folder in which a user has trained for four epochs, and what that printed."""
    return shared("finished", lambda here: succeed("train", *DIGITS, *SMALL, *EPOCHS, "--log-every", 1, cwd=here))


RUN = Path("runs/mnist-5k-100-tutorial-s0")  # of `finished_run`, in its folder
STEPS = (2, 4, 6, 8)  # its checkpoints
THERE = "there are step_2, step_4, step_6, step_8"


def copy_of_finished_run(folder: Path) -> Path:
    """A copy of `finished_run` below `folder`; returns the run directory."""
    shutil.copytree(finished_run()[0] / "runs", folder / "runs", symlinks=True)
    return folder / RUN

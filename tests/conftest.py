"""What every test starts from: strict JAX on the CPU, no network, no files of the user's, slow tests only on demand.

All of it is set in the environment before JAX is imported, so that commands which a test starts obey the same rules.
"""

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# xdist's workers inherit the folder from the process that starts them.
_OWNS_HOME = "PYTEST_XDIST_WORKER" not in os.environ
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
if _OWNS_HOME:
    os.environ["SGAN_TEST_PROXIES"] = json.dumps({name: os.environ[name] for name in _PROXIES if name in os.environ})
    os.environ["SGAN_TEST_HOME"] = tempfile.mkdtemp(prefix="sgan-tests-")
_HOME = os.environ["SGAN_TEST_HOME"]

_NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once, so nothing is downloaded and nothing waits
os.environ |= {
    "JAX_PLATFORMS": os.environ.get("SGAN_TEST_PLATFORMS", "cpu"),
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "KERAS_BACKEND": "jax",
    "KERAS_HOME": f"{_HOME}/keras",
    "MPLBACKEND": "Agg",
    "SGAN_CACHE": f"{_HOME}/cache",  # data sets and compiled steps: not those of the user
    # As of the commands, so that a program which one process has compiled serves all.
    "JAX_COMPILATION_CACHE_DIR": f"{_HOME}/cache/xla",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.01",
    # Small networks compile as slowly as the full ones, most of it for XLA's optimizer, which they do not need. The
    # same in every process: bits depend on it.
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "HTTP_PROXY": _NOWHERE,
    "HTTPS_PROXY": _NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
}
os.environ |= {name.lower(): os.environ[name] for name in _PROXIES[:3]}

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --slow."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    """Leaves the slow tests out, unless --slow or an expression for -m is given."""
    # A shell makes what it starts in the background deaf to Ctrl-C, and that would be inherited by what tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.getoption("--slow") and not config.option.markexpr:
        config.option.markexpr = "not slow"


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, with -n
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Has a process that has nothing left take tests from another one."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_unconfigure() -> None:
    """Removes the folder that stood in for the user's."""
    if _OWNS_HOME:
        shutil.rmtree(_HOME, ignore_errors=True)


Sgan = Callable[..., tuple[object, str, str]]


@pytest.fixture
def sgan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Sgan:
    """`sgan ARGUMENTS` in this process and an empty directory: status, standard output, standard error."""
    from sgan_jax.cli import main, spelling

    monkeypatch.chdir(tmp_path)
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, os.environ[name])  # `main` sets them
    logger = logging.getLogger("sgan_jax")
    request.addfinalizer(partial(logger.setLevel, logger.level))  # `main` sets this one, too

    def run(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["sgan", *map(str, arguments)])
        capsys.readouterr()
        handler = logging.StreamHandler()  # as `main` makes one, which does so once in a process
        handler.setFormatter(spelling.FlagFormatter("%(message)s"))
        monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
        with pytest.raises(SystemExit) as exit:
            main.main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return exit.value.code, printed.out, printed.err

    return run


@pytest.fixture
def does(sgan: Sgan) -> Callable[..., str]:
    """`sgan ARGUMENTS` that has to succeed; returns what it prints."""

    def run(*arguments: object) -> str:
        status, printed, error = sgan(*arguments)
        assert status == 0, (arguments, printed, error)
        return printed

    return run


@pytest.fixture
def fails(sgan: Sgan) -> Callable[..., str]:
    """`sgan ARGUMENTS` that has to fail with status 2 and one line; returns the line without `sgan: error: `."""

    def run(*arguments: object) -> str:
        status, _, error = sgan(*arguments)
        assert status == 2
        assert error.startswith("sgan: error: ")
        assert error.count("\n") == 1, error
        return error.removeprefix("sgan: error: ").rstrip("\n")

    return run

"""The command line: one entry point, a subcommand each.

The launchers in bin/ and the console script `sgan` call `main`.

Only what parsing needs is imported here; a command imports everything else, so that --help answers at once.
"""

import contextlib
import functools
import io
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from sgan_jax import __version__
from sgan_jax.cli.data import DataCommand
from sgan_jax.cli.describe import Describe
from sgan_jax.cli.device import device_of
from sgan_jax.cli.eval import Eval
from sgan_jax.cli.export import Export
from sgan_jax.cli.flags import VALUES
from sgan_jax.cli.predict import Predict
from sgan_jax.cli.report import Report
from sgan_jax.cli.runs import Runs
from sgan_jax.cli.sample import Sample
from sgan_jax.cli.spelling import FlagFormatter, flag, one_line
from sgan_jax.cli.sweep import Sweep
from sgan_jax.cli.train import Train
from sgan_jax.engine.memory import keep_scratch
from sgan_jax.errors import UserError, mendable, spelled
from sgan_jax.runs.quiet import quiet_late_errors

__all__ = ["main"]

COMMANDS: dict[str, Any] = {
    "train": Train,
    "sweep": Sweep,
    "report": Report,
    "runs": Runs,
    "data": DataCommand,
    "eval": Eval,
    "predict": Predict,
    "export": Export,
    "sample": Sample,
    "describe": Describe,
}
DESCRIPTION = (
    "Semi-supervised GANs in JAX. `sgan COMMAND --help` explains a command, `sgan --version` prints the version."
)
WIDEST = 120  # columns of help


def main() -> None:
    """Parses, runs and exits: 0 done, 2 the user's mistake, 128 + N stopped by signal N."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text
    handler = logging.StreamHandler()
    handler.setFormatter(FlagFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("sgan_jax").setLevel(logging.INFO)  # a first start reports that it fetches data
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd metadata; files that cannot be used are named anyway
    try:
        status = _run()
        sys.stdout.flush()  # an error when Python itself flushes, at its end, would be Python's own message
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        _drop_output()
        status = 141
    except (UserError, OSError, RuntimeError, MemoryError) as error:
        message = _message(error)
        if message is None:
            raise
        print(f"sgan: error: {one_line(spelled(message, flag))}", file=sys.stderr)
        status = 2
    sys.exit(status)


def _run() -> int | str | None:
    arguments = sys.argv[1:] or ["--help"]
    if arguments == ["--version"]:
        print(f"sgan {__version__}")
        return 0
    try:
        with _bounded_width():
            command: Any = tyro.cli(
                _any_command(arguments), prog="sgan", description=DESCRIPTION, args=arguments, registry=VALUES
            )
    except SystemExit as done:  # --help, or a mistake that it has printed
        return done.code
    if not isinstance(command, Report | Runs | DataCommand):  # those that do without JAX
        _use_compilation_cache()  # first: JAX reads the environment when it is imported
        keep_scratch()
        quiet_late_errors()
    with device_of(command):
        return command()


@contextlib.contextmanager
def _bounded_width() -> Iterator[None]:
    """Around the printing of help, which tyro makes as wide as the terminal, with options side by side."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(min(shutil.get_terminal_size().columns, WIDEST))
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _any_command(arguments: Sequence[str]) -> Any:
    """The union of all commands; where `arguments` name none, each is described by its first line only."""
    listed = arguments[0] not in COMMANDS

    def subcommand(name: str, kind: Any) -> Any:
        description = kind.__doc__.partition("\n")[0] if listed else None
        return Annotated[kind, tyro.conf.subcommand(name, description=description)]

    return Union[tuple(subcommand(name, kind) for name, kind in COMMANDS.items())]  # noqa: UP007 - not known before


def _drop_output() -> None:
    """What standard output still holds is lost: nobody takes it, and Python would complain while it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _output_fails() -> bool:
    """Whether it is standard output that cannot be written; what it holds is then dropped."""
    try:
        sys.stdout.write("\n")  # also ends what was cut off; without a buffer there is nothing else to be tried again
        sys.stdout.flush()
    except OSError:
        _drop_output()
        return True
    return False


def _message(error: Exception) -> str | None:
    """One line for what the user can mend, None for what is a fault of the program."""
    if isinstance(error, OSError) and error.filename is None and _output_fails():
        return f"standard output: cannot be written ({error.strerror})"
    return mendable(error)


def _use_compilation_cache() -> None:
    """Compiled steps are kept per user and machine; whatever the user set in the environment wins."""
    from sgan_jax.data import cache

    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.01")  # small ones add up
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(UserError):  # no home directory: compile every time
            folder = cache.root() / "xla"
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
            warnings.showwarning = functools.partial(_mend_compilation_cache, folder, warnings.showwarning)


def _mend_compilation_cache(folder: Path, show: Callable[..., None], message: object, *more: Any) -> None:
    """Shows a warning, unless it is about a compiled step in our own folder that a kill cut off: that step is removed.

    JAX warns of such a step at every start, compiles anew and never replaces it; so it is removed before JAX writes.
    """
    entry = re.match(r"Error reading persistent compilation cache entry for '(\w+)'", str(message))
    if entry is None:
        show(message, *more)
        return
    with contextlib.suppress(OSError):
        for file in folder.glob(f"{entry[1]}-*"):
            file.unlink()

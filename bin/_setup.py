"""Makes or mends the project's virtual environment; bin/_python runs it when a stamp is missing or out of date.

    python bin/_setup.py ROOT VENV STAMP SET [SET ...]

SET is `core` or an extra of pyproject.toml. VENV/.sgan-SET holds the stamp, a checksum of the requirements that SET was
installed from. VENV/.sgan-unfinished is there from before an environment's first file until after its last, so that one
cut off on the way is made anew. VENV/.sgan-lock is locked meanwhile, and pip holds that lock too: whichever of them is
killed, the lock is free as soon as nobody writes into VENV any more. Only the standard library is used.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

UNFINISHED = ".sgan-unfinished"
LOCK = ".sgan-lock"


class SetupError(Exception):
    """An error that the user sees as one line."""


def main(root: Path, venv: Path, stamp: str, wanted: list[str]) -> None:
    """Brings `venv` to where every set in `wanted` is installed from the requirements of `root`, one process at a time.

    Raises SetupError if an extra does not exist, if `venv` is somebody else's folder, or if venv or pip fail.
    """
    known = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in wanted:
        if name not in ("core", *known):
            raise SetupError(f"SGAN_EXTRAS: unknown extra {name!r}; choose from {', '.join(sorted(known))}")
    if venv.exists() and not (is_empty(venv) or is_ours(venv) or works(venv)):
        raise SetupError(f"{venv} exists and is not a working virtual environment; remove it or set SGAN_VENV")

    venv.mkdir(parents=True, exist_ok=True)
    with open(venv / LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show(f"another call is setting up {venv}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if all(read(venv / f".sgan-{name}") == stamp for name in wanted) and works(venv):
            return  # the other call has done it
        install(root, venv, stamp, wanted, lock.fileno())


def install(root: Path, venv: Path, stamp: str, wanted: list[str], lock: int) -> None:
    """Makes the environment if it is missing, broken or unfinished, installs the packages, and writes the stamps."""
    start = time.monotonic()
    extras = [name for name in wanted if name != "core"]
    packages = "the packages" + (f" and those of {', '.join(extras)}" if extras else "")
    python = venv / "bin" / "python"
    if (venv / UNFINISHED).exists() or not works(venv):
        version = sys.version.split()[0]
        show(f"first use: making {venv} with Python {version} and installing {packages}, which takes a few minutes")
        (venv / UNFINISHED).touch()
        for path in venv.iterdir():
            if path.name not in (UNFINISHED, LOCK):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        run([sys.executable, "-m", "venv", str(venv)], lock, f"could not make {venv}")
    else:
        show(f"bringing {venv} up to date with pyproject.toml and constraints.txt: installing {packages}")

    target = str(root) + (f"[{','.join(extras)}]" if extras else "")
    options = ["-qq", "--no-input", "--disable-pip-version-check", "-c", str(root / "constraints.txt")]
    run([str(python), "-m", "pip", "install", *options, "-e", target], lock, f"could not install {packages}")
    for name in wanted:
        write(venv / f".sgan-{name}", stamp)
    (venv / UNFINISHED).unlink(missing_ok=True)
    show(f"ready after {time.monotonic() - start:.0f} s")


def run(command: list[str], lock: int, failure: str) -> None:
    """Runs `command` with the lock in its hands and its output on stderr; raises SetupError(failure) if it fails."""
    environment = os.environ | {"PIP_USER": "0"}  # a user's "install into my home" cannot work in an environment
    status = subprocess.run(command, stdout=sys.stderr, env=environment, pass_fds=(lock,)).returncode
    if status:
        raise SetupError(f"{failure}: see the message above (exit status {status}); the next call tries again")


def works(venv: Path) -> bool:
    """Whether it is an environment whose interpreter starts; it does not where its base interpreter was removed."""
    try:
        if not (venv / "pyvenv.cfg").exists():
            return False
        return subprocess.run([venv / "bin" / "python", "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def is_empty(venv: Path) -> bool:
    """Whether it is an empty folder."""
    return venv.is_dir() and not any(venv.iterdir())


def is_ours(venv: Path) -> bool:
    """Whether a set-up has made or begun this folder: only then may it be cleared."""
    return any(venv.glob(".sgan-*"))


def read(path: Path) -> str:
    """Returns the file's text without its line end, or "" where the file is missing."""
    return path.read_text().strip() if path.exists() else ""


def write(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(text + "\n")
    os.replace(new, path)


def show(line: str) -> None:
    """Prints a line on standard error, apart from what the command itself will print."""
    print(f"sgan: {line}", file=sys.stderr, flush=True)


def stop(*_: object) -> None:
    """Ends by an exception, so that pip is ended too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except KeyboardInterrupt:
        show("set-up interrupted; the next call resumes it")
        sys.exit(130)
    except (SetupError, OSError) as error:
        show(f"error: {error}")
        sys.exit(1)

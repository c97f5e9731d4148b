"""A copy of the project with interpreters and a pip that only pretend: nothing is downloaded, and set-up is instant."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "bash", "env", "cat", "cksum", "cp", "dirname", "getconf", "mkdir", "readlink", "sed", "sleep", "touch")

# An interpreter that claims to be VERSION and whose `-m venv` makes an environment around ENVIRONMENT below.
# The launchers' own Python code (the probe and _setup.py) is run for what it is.
INTERPRETER = """#!/bin/sh
case "$*" in
  -c*) exec REAL -ISc "import sys; sys.version_info = VERSION; sys.executable = '$0'
$2" ;;
  *_setup.py*) exec REAL -ISc "import runpy, sys; sys.executable = '$0'; del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')" "$@" ;;
  "-m venv "*) echo "venv VERSION" >>LOG; mkdir -p "$3/bin"; touch "$3/pyvenv.cfg"; cp ENVIRONMENT "$3/bin/python" ;;
  *) exit 99 ;;
esac
"""

# The interpreter of such an environment. Its pip notes what it is asked and does what $FAKE_PIP says; the program
# proper says where and how it was called, and fails if it is $FAKE_FAILURE; code is run for what it is.
ENVIRONMENT = """#!/bin/sh
case "$*" in
  "-m pip "*) echo "pip $*" >>LOG; eval "${FAKE_PIP:-}" ;;
  "-P -m "*) echo "in $PWD"; printf '[%s]' "$@"; echo
    [ "$3" != "${FAKE_FAILURE:-}" ] ;;
  "-P -c"*) exec REAL "$@" ;;
  -c*) exec REAL -IS "$@" ;;
  *) exit 99 ;;
esac
"""


class Project:
    """A copy of the launchers in `root`, a path with no interpreter on it yet, and a log of what the pretenders did."""

    def __init__(self, folder: Path):
        self.folder, self.root, self.path, self.home = folder, folder / "my project", folder / "path", folder / "home"
        for made in (self.root, self.path, self.home):
            made.mkdir()
        for name in ("bin", ".ci"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "constraints.txt", ".python-version"):
            shutil.copy(ROOT / name, self.root)
        for tool in TOOLS:
            if found := shutil.which(tool):
                (self.path / tool).symlink_to(found)
        self.venv = self.root / ".venv"
        self._script(folder / "environment", ENVIRONMENT)

    def _script(self, file: Path, text: str) -> None:
        names = {"REAL": sys.executable, "LOG": self.folder / "log", "ENVIRONMENT": self.folder / "environment"}
        for name, value in names.items():
            text = text.replace(name, shlex.quote(str(value)))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def add_interpreter(self, version: tuple[int, int], file: Path | str | None = None) -> Path:
        """Puts an interpreter on the path, or at `file`."""
        file = self.path / (file or "python{}.{}".format(*version))
        self._script(file, INTERPRETER.replace("VERSION", str(version)))
        return file

    def add_shim(self, name: str, then: str = "exit 127") -> None:
        """Puts what pyenv has on the path for a version that is not chosen."""
        self._script(self.path / name, f"#!/bin/sh\n{then}\n")

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        return {"PATH": str(self.path), "HOME": str(self.home), "FAKE_FOLDER": str(self.folder)} | settings

    def call(self, launcher: str, *arguments: str, cwd: Path | None = None, **settings: str):
        """Calls a launcher to its end, with `settings` in its environment."""
        command = [self.root / "bin" / launcher, *arguments]
        environment = self.environment(settings)
        return subprocess.run(
            command, cwd=cwd or self.folder, env=environment, text=True, capture_output=True, timeout=60
        )

    def start(self, launcher: str, errors: str, **settings: str) -> subprocess.Popen:
        """Starts a launcher as the head of a process group, its stderr in the file `errors`."""
        with open(self.folder / errors, "w") as stderr:
            command, environment = [self.root / "bin" / launcher], self.environment(settings)
            return subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
            )

    def log(self, kind: str = "") -> list[str]:
        """Lines of what was done so far: `venv (3, 12)`, `pip -m pip install ...`."""
        file = self.folder / "log"
        return [line for line in file.read_text().splitlines() if line.startswith(kind)] if file.exists() else []

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        (self.root / name).write_text(text.replace(old, new, 1))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def ready(project: Project) -> Project:
    """A project with its environment made."""
    project.add_interpreter((3, 12))
    assert project.call("train").returncode == 0
    return project

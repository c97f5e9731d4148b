"""Facts about who imports whom; the ranks of packages and who may import which library stand in pyproject.toml."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from outer import ROOT

PACKAGE = ROOT / "sgan_jax"
PURE = sorted(
    path.relative_to(PACKAGE)
    for part in ("models", "augment", "objectives", "types.py", "engine/step.py", "engine/optimizers.py")
    for path in ([PACKAGE / part] if part.endswith(".py") else (PACKAGE / part).rglob("*.py"))
)
EFFECTS = {"print", "open", "input", "breakpoint", "exec", "eval", "debug", "io_callback", "pure_callback"}
# Slow to import: inside the function that needs them, so that --help answers at once.
HEAVY = [
    "jax",
    "flax",
    "optax",
    "orbax",
    "tensorflow_datasets",
    "tensorflow",
    "matplotlib",
    "PIL",
    "rich.live",
    "jinja2",
    "tensorboardX",
    "sklearn",
    "scipy",
    "onnx",
    "grain",
    "ray",
]
WITHOUT_JAX = [
    "config",
    "presets",
    "errors",
    "metrics.measure",
    "report.pictures",
    "runs.predictions",
    "runs.directory",
    "runs.record",
    "runs.find",
    "runs.retention",
    "runs.catalog",
    "training.events",
    "sweep.directory",
    "sweep.table",
    "cli.main",
    "cli.progress",
    "cli.settings",
    "data.load",
]


def effects(source: str) -> set[str]:
    """What a module of the pure half may not name."""
    nodes = list(ast.walk(ast.parse(source)))
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    named |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return (named & EFFECTS) | {"global" for node in nodes if isinstance(node, ast.Global)}


def test_packages_import_lower_ranks_only_and_each_library_has_its_place() -> None:
    code = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run([sys.executable, "-c", code, "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", PURE, ids=str)
def test_pure_half_has_no_effects(path: Path) -> None:
    assert effects((PACKAGE / path).read_text()) == set()


def test_a_package_holds_no_code_in_its_init() -> None:
    for path in PACKAGE.rglob("*/__init__.py"):
        kinds = {type(node) for node in ast.parse(path.read_text()).body}
        assert kinds <= {ast.Expr, ast.ImportFrom, ast.Assign}, path


def test_what_runs_before_a_command_loads_nothing_heavy() -> None:
    # In a process of its own, for here all is loaded; it sees what the modules import by way of each other, too.
    modules = ", ".join(f"sgan_jax.{name}" for name in WITHOUT_JAX)
    code = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


@pytest.mark.parametrize("source", ["def f(x):\n    print(x)", "n = 0\ndef f():\n    global n", "jax.debug.print('')"])
def test_the_check_for_effects_finds_them(source: str) -> None:
    assert effects(source)

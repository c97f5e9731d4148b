"""Facts about who imports whom: lower ranks only, a pure half without effects, heavy packages only where used."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import sgan_jax

ROOT = Path(sgan_jax.__file__).parent

# A module or package imports lower ranks only; modules of one package may import each other. A new file needs a row.
RANKS = {
    "__init__": 0,
    "errors": 0,
    "files": 0,
    "limits": 1,
    "published": 0,
    "source": 0,
    "types": 0,
    "augment": 1,
    "config": 2,
    "data": 2,
    "devices": 1,
    "flops": 1,
    "heads": 1,
    "losses": 1,
    "memory": 1,
    "ops": 2,
    "optimizers": 1,
    "pictures": 1,
    "products": 1,
    "profiler": 1,
    "progress": 1,
    "board": 1,
    "run_report": 6,
    "objectives": 2,
    "networks": 3,
    "likeness": 1,
    "neighbours": 2,
    "propagation": 3,
    "graph": 3,
    "preconditions": 4,
    "step": 3,
    "checkpoint": 4,
    "evaluate": 4,
    "predictions": 1,
    "run_dir": 4,
    "system": 4,
    "dispatch": 5,
    "sweep_dir": 5,
    "session": 6,
    "stop": 2,
    "loop": 7,
    "sweep_report": 6,
    "cluster": 8,
    "inspect_run": 7,
    "export": 6,
    "opened": 5,
    "predict": 6,
    "sweep": 9,
    "cli": 10,
    "estimator": 11,
    "__main__": 11,
}

# What training computes, as functions of arrays: no configuration, files, printing, logging, NumPy randomness.
PURE = {"types", "flops", "losses", "heads", "augment", "products", "ops", "optimizers", "networks", "objectives"}
PURE |= {"step"}
PURE_MAY_IMPORT = {
    "collections",
    "dataclasses",
    "functools",
    "itertools",
    "math",
    "typing",
    "jax",
    "optax",
    "flax",
} | PURE
EFFECTS = {"print", "open", "input", "breakpoint", "exec", "eval", "debug", "io_callback", "pure_callback"}

ONLY_IN = {
    "flax": "networks",
    "orbax": "checkpoint",
    "tyro": "cli",
    "tensorflow_datasets": "data",
    "matplotlib": "pictures",
    "ray": "cluster",
    "grain": "data",
    "jinja2": "run_report",
    "tensorboardX": "board",
    "onnx": "export",
    "safetensors": "export",
    "sklearn": "estimator",
}
WITHOUT_JAX = [
    "config",
    "errors",
    "pictures",
    "progress",
    "predictions",
    "run_dir",
    "sweep_dir",
    "sweep_report",
    "cli",
    "data",
]
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
]
WAIT_EVERYWHERE = {"tensorflow_datasets", "tensorflow", "matplotlib", "onnx", "safetensors", "grain"}


class Import(NamedTuple):
    module: str  # dotted: "jax.numpy", "sgan_jax.ops"
    at_import: bool  # runs when the module is imported: outside functions and TYPE_CHECKING


def imports(source: str) -> Iterator[Import]:
    """All imports of a module, wherever they stand; `from sgan_jax import ops` is sgan_jax.ops."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "relative imports hide their rank"
            yield from (Import(f"{node.module}.{alias.name}", at_import) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from (one for child in node.body for one in visit(child, False))
            yield from (one for child in node.orelse for one in visit(child, at_import))
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from (one for child in ast.iter_child_nodes(node) for one in visit(child, at_import and not inside))

    return visit(ast.parse(source), True)


def part(module: str) -> str:
    """The row of RANKS that a dotted name belongs to: "data" of sgan_jax.data.idx.read_idx, "" if not ours."""
    head, *rest = module.split(".")
    if head != "sgan_jax":
        return ""
    return rest[0] if rest and rest[0] in RANKS else "__init__"


FILES = {path.relative_to(ROOT).with_suffix(""): path.read_text() for path in sorted(ROOT.rglob("*.py"))}
SOURCES = [pytest.param(name.parts[0], source, id=name.as_posix()) for name, source in FILES.items()]


def wrong_rank(name: str, source: str) -> list[str]:
    """Imports of `name` that are not of lower rank, nor of its own package."""
    found = [(one.module, part(one.module)) for one in imports(source) if part(one.module)]
    return [module for module, other in found if other != name and RANKS[other] >= RANKS[name]]


def impure(source: str) -> list[str]:
    """What a module of the pure half may neither import nor name."""
    foreign = {one.module for one in imports(source)}
    foreign = {m for m in foreign if (part(m) or m.split(".")[0]) not in PURE_MAY_IMPORT}
    nodes = list(ast.walk(ast.parse(source)))
    named = {node.id for node in nodes if isinstance(node, ast.Name)}
    named |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    changes_globals = {"global" for node in nodes if isinstance(node, ast.Global)}
    return sorted(foreign | (named & EFFECTS) | changes_globals)


def misplaced(name: str, source: str) -> list[str]:
    """Packages that another part of ours has to itself."""
    roots = {one.module.split(".")[0] for one in imports(source)}
    return sorted(package for package in roots & set(ONLY_IN) if ONLY_IN[package] != name)


def too_early(source: str) -> list[str]:
    """Packages that wait for the function that needs them, imported with the module."""
    return sorted({one.module.split(".")[0] for one in imports(source) if one.at_import} & WAIT_EVERYWHERE)


def test_every_module_has_a_rank_and_every_rank_a_module() -> None:
    assert {name.parts[0] for name in FILES} == set(RANKS)
    assert set(RANKS) >= PURE | set(WITHOUT_JAX) | set(ONLY_IN.values())


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_module_imports_lower_ranks_only(name: str, source: str) -> None:
    assert wrong_rank(name, source) == []


@pytest.mark.parametrize("package", sorted({name.parts[0] for name in FILES if len(name.parts) > 1}))
def test_modules_of_a_package_do_not_import_each_other_in_a_circle(package: str) -> None:
    inside = {".".join(("sgan_jax", *name.parts)): source for name, source in FILES.items() if name.parts[0] == package}
    graph = {}
    for module, source in inside.items():
        wanted = {one.module for one in imports(source)}
        graph[module] = {other for other in inside if any(w == other or w.startswith(f"{other}.") for w in wanted)}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(inside)


@pytest.mark.parametrize(("name", "source"), [row for row in SOURCES if row.values[0] in PURE])
def test_pure_half_is_pure(name: str, source: str) -> None:
    assert impure(source) == []


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_each_large_package_is_imported_by_one_part_only(name: str, source: str) -> None:
    assert misplaced(name, source) == []


@pytest.mark.parametrize(("name", "source"), SOURCES)
def test_data_sets_and_plots_are_imported_where_they_are_used(name: str, source: str) -> None:
    assert too_early(source) == []


def test_what_runs_before_a_command_loads_nothing_heavy() -> None:
    # In a process of its own, for here all is loaded; it sees what the modules import by way of each other, too.
    modules = ", ".join(f"sgan_jax.{name}" for name in WITHOUT_JAX)
    code = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


# --- The checks above find what they look for


def test_checks_find_an_import_of_higher_or_equal_rank() -> None:
    assert wrong_rank("losses", "from sgan_jax.heads import Head") == ["sgan_jax.heads.Head"]
    assert wrong_rank("step", "def f():\n    from sgan_jax import loop") == ["sgan_jax.loop"]
    assert wrong_rank("data", "import sgan_jax.step") == ["sgan_jax.step"]
    assert (
        wrong_rank("data", "from sgan_jax.data import cache\nfrom sgan_jax.errors import UserError\nimport numpy") == []
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from sgan_jax.config import Config", ["sgan_jax.config.Config"]),
        ("from pathlib import Path", ["pathlib.Path"]),
        ("import logging", ["logging"]),
        ("def f():\n    import numpy as np\n    return np.random.rand()", ["numpy"]),
        ("import orbax.checkpoint as ocp", ["orbax.checkpoint"]),
        ("import tensorflow_datasets", ["tensorflow_datasets"]),
        ("def f(x):\n    print(x)", ["print"]),
        ("import jax\ndef f(x):\n    jax.debug.print('{}', x)", ["debug", "print"]),
        ("n = 0\ndef f():\n    global n", ["global"]),
        ("import jax.numpy as jnp\nfrom collections.abc import Callable\nfrom sgan_jax import ops", []),
    ],
)
def test_checks_find_what_is_impure(source: str, expected: list[str]) -> None:
    assert impure(source) == expected


def test_checks_find_packages_out_of_place_or_too_early() -> None:
    assert misplaced("step", "import flax.linen as nn") == ["flax"]
    assert misplaced("networks", "import flax.linen as nn") == []
    assert too_early("import matplotlib.pyplot as plt") == ["matplotlib"]
    assert too_early("try:\n    import tensorflow_datasets as tfds\nexcept ImportError:\n    pass") == [
        "tensorflow_datasets"
    ]
    assert too_early("class A:\n    import matplotlib") == ["matplotlib"]
    assert too_early("def f():\n    import matplotlib") == []
    assert too_early("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from matplotlib.axes import Axes") == []

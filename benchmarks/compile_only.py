"""What the compilers of accelerators estimate of this project's programs, for `bin/bench --compile-only TARGET`.

    python benchmarks/compile_only.py FILE      the tables of a file that `bin/bench --compile-only TARGET --json` wrote

Each program is compiled in a process of its own (accelerators.py), because a compiler that fails may end its process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHILD = Path(__file__).resolve().parent / "accelerators.py"
VENV = ROOT / ".venv-compile"  # that bin/bench makes
RECORDS = Path(__file__).resolve().parent / "records" / "compiled"
TARGETS = {"tpu-v5e": "libtpu", "h200": "jax_plugins.xla_cuda12"}  # and the module of the compiler
PRESETS = ("tutorial", "fast", "best", "photos")
ON_ONE_CHIP = ("evaluation", "comparison")  # programs that training's chips do not share
# Compilers look for a device, a host's metadata service and a cache; there is none of them.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "XLA_FLAGS": "--xla_gpu_autotune_level=0",  # it would time kernels
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_LOG_DIR": "disabled",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class CompilerError(Exception):
    """A program that cannot be compiled; the message is one line."""


def interpreter(target: str) -> str | None:
    """A Python with the compiler for a target: this one, or that of bin/bench; None where neither has it."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({TARGETS[target]!r}) is None)"
    for python in (sys.executable, str(VENV / "bin" / "python")):
        if Path(python).exists() and subprocess.run([python, "-c", code], capture_output=True).returncode == 0:
            return python
    return None


def estimate(name: str, target: str, chips: int, python: str) -> dict[str, Any]:
    """Compiles one program; what `accelerators.figures` returns.

    Raises:
      CompilerError: it does not compile.
    """
    command = [python, "-P", str(CHILD), "--target", target, "--chips", str(chips), "--program", name]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise CompilerError(f"{name} does not compile for {chips} x {target}: {last}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def programs(presets: list[str], chips: list[int]) -> list[tuple[str, int]]:
    """What is compiled: each preset for each number of chips, and the other programs for one."""
    return [(name, count) for name in presets for count in chips] + [(name, 1) for name in ON_ONE_CHIP]


def tables(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows: list[dict[str, Any]] = result["rows"]
    lines = [
        f"Compiler estimates; nothing was run. {rows[0]['compiler']}, bfloat16 (comparison: float32); commit "
        f"{result['commit']}; `{result['command']}`. A row is a step of training, an evaluation of 1,000 images, or a "
        "comparison of 256 pairs of images. Batches are rounded up, so that each chip has as many images. Floor: "
        "counted operations at the chip's peak rate. Cycles: at 1.5 GHz; H200's compiler estimates none.",
        "",
        "| program | chips | GFLOP | floor, ms | sum of estimated cycles, ms | operations | fusions and library calls "
        "| collectives (arrays) | state, MB | arguments, MB | scratch, MB |",
        "|---|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        flop = f"{row['operations'] / 1e9:.1f} | {row['floor_ms']:.3f}" if row["operations"] else "- | -"
        estimated = "-" if row["estimated_ms"] is None else f"{row['estimated_ms']:.2f}"
        exchanged = ", ".join(f"{one['number']} {kind} ({one['operands']})" for kind, one in row["collectives"].items())
        sizes = " | ".join(f"{row[name] / 1e6:.1f}" for name in ("state_bytes", "argument_bytes", "scratch_bytes"))
        lines.append(
            f"| {_code(row['program'])} | {row['chips']} | {flop} | {estimated} | {row['instructions']} "
            f"| {row['kernels']} | {exchanged or '-'} | {sizes} |"
        )
    for row in rows:
        lines += ["", *_most_expensive(row)]
    return "\n".join(lines)


def _most_expensive(row: dict[str, Any]) -> list[str]:
    """The places in a program's source that take most of its estimated cycles, or are most of its operations."""
    chips = f", {row['chips']} chips" if row["chips"] > 1 else ""
    most = "most expensive places" if row["cycles"] else "places with most operations"
    lines = [f"| {_code(row['program'])}{chips}: the {most} | operations | cycles | of all |", "|---|---:|---:|---:|"]
    for cycles, number, place in row["costly"]:
        share = cycles / row["cycles"] if row["cycles"] else number / row["instructions"]
        lines.append(f"| {place} | {number} | {f'{cycles:,}' if cycles else '-'} | {share:.0%} |")
    return lines


def _code(program: str) -> str:
    return program if program in ON_ONE_CHIP else f"`{program}`"


if __name__ == "__main__":
    print(tables(json.loads(Path(sys.argv[1]).read_text())))

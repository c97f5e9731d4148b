"""Times this project's training step beside its peers', in turn within one run.

    bin/bench                       this project, and the peers whose environments are there
    bin/bench --make-peers          makes those: .venv-keras and .venv-torch
    bin/bench --json                the same figures for programs
    bin/bench --no-products --no-starts --torch python3 --keras python3
                                    on an accelerator: contenders start all at once, peers run in Pythons that have them
    bin/bench --presets improved-gan-mnist --rows 1 10
                                    runs that are trained together, under vmap, beside one alone
    bin/bench --presets photos --bfloat16 --side 64
                                    the step for photographs beside PyTorch's, on colour images of 64 x 64 pixels
    bin/bench --time-to 95.92 --data-dir DIR --presets fast
                                    seconds to a test accuracy instead (see time_to.py)
    bin/bench --compile-only tpu-v5e
                                    what the compiler for an accelerator estimates instead; nothing is run, no device is
                                    needed (see compile_only.py)

The contenders are processes that live through the whole run. They step in turns (A B C A B C ...) and sleep in
between, so that other load on the machine slows all of them equally. Compare their ratios, not the figures of different
runs. One contender multiplies matrices: it measures what the machine can do at that moment.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
sys.path.insert(0, str(Path(__file__).resolve().parent))  # bin/_python leaves it out
import compile_only  # noqa: E402

# Images of a step. `tutorial`: 50 labelled, 50 real, 50 + 100 generated. `joint`: both players share 50 generated
# images. Feature matching adds 50 real and 50 generated images, `manifold` and `invariance` another 50 generated ones.
STEP_IMAGES = {
    "tutorial": 250,
    "joint": 150,
    "fast": 150,
    "supervised": 50,
    "supervised-augmented": 50,
    "k_plus_one": 150,
    "feature_matching": 250,
    "improved-gan-mnist": 500,
    "consistency": 672,  # 256 unlabelled ones as they are and augmented; 32 of each other source, 64 for the generator
    "photos": 384,  # 160 unlabelled ones as the teacher and as the student sees them; 64 labelled ones
    "fixmatch": 384,
    "freematch": 384,
    "best": 592,  # as consistency, with batches half as large
    "best-objects": 832,
    "best-unaugmented": 592,
    "triple": 275,  # 125 of the classifier; of pairs 75 real ones, 50 generated ones and 25 of the classifier
    "both": 672,  # 512 of consistency and 16 labelled ones; of pairs 80 real and 64 generated ones
    "catgan": 200,
    "complement": 250,
    "manifold": 300,
    "invariance": 300,
}
# Presets for photographs: colour images of this side, and a peer with their step in the place of the tutorial's.
PHOTOGRAPHS = ("photos", "fixmatch", "freematch")
SIDE = 32
EVALUATED = 70_000
PRODUCT = 2 * 2048**3  # operations of products.py's step
PAUSE = 0.3  # seconds, in which the thread pools of the contender before go to sleep


@dataclass
class Contender:
    """A process of peers/ and its answers."""

    label: str
    command: list[str]
    kind: str  # "ours", "peer", "evaluation", "product" (the machine's rate) or "alone" (the products of a step)
    precision: str
    preset: str = "tutorial"
    together: int = 1  # runs under vmap; a step is one of each
    process: subprocess.Popen[str] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)  # after each step, also those that are not counted
    peak_mb: float = 0.0

    def launch(self) -> None:
        """Starts it."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        # On a GPU all of them have to find memory.
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        self.process = subprocess.Popen(self.command, cwd=ROOT, env=environment, **pipes)

    def await_first_step(self) -> None:
        """Waits for its first step."""
        self.ready = self._answer()

    def start(self) -> None:
        """Starts it and waits for its first step."""
        self.launch()
        self.await_first_step()

    def turn(self, steps: int, keep: bool = True) -> None:
        """Lets it take `steps` steps."""
        assert self.process and self.process.stdin
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.resident_mb += answer["resident_mb"]
        if keep:
            self.ms += answer["ms"]

    def stop(self) -> None:
        """Ends it and asks for its peak memory."""
        assert self.process and self.process.stdin
        self.process.stdin.close()
        self.peak_mb = self._answer()["peak_mb"]
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process and self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):  # frameworks print to standard output as well
                answer: dict[str, Any] = json.loads(line)
                return answer
        sys.exit(f"bench: {self.label} ended with status {self.process.wait()}: {' '.join(self.command)}")


def contenders(args: argparse.Namespace, cache: str) -> list[Contender]:
    """This project's programs, the matrix products, and the peers that are installed."""
    precisions = ["float32", "bfloat16"] if args.bfloat16 else ["float32"]
    chosen = []
    for precision in precisions:
        ours = [sys.executable, str(PEERS / "ours.py"), "--precision", precision, "--cache", cache]
        for preset, together in itertools.product(args.presets, args.rows):
            command = [*ours, "--preset", preset, "--rows", str(together), "--shape", *map(str, shape_of(preset, args))]
            label = f"sgan_jax {preset} {precision}" + (f", {together} together" if together > 1 else "")
            chosen.append(Contender(label, command, "ours", precision, preset, together))
        if args.evaluate:
            command = [*ours, "--evaluate"]
            chosen.append(Contender(f"evaluation {precision}", command, "evaluation", precision))
        product = [sys.executable, str(PEERS / "products.py"), "--precision", precision]
        if args.products:
            chosen.append(Contender(f"product {precision}", product, "product", precision))
            for preset in args.presets:
                label = f"products of {preset} {precision}"
                command = [*product, "--preset", preset, "--shape", *map(str, shape_of(preset, args))]
                chosen.append(Contender(label, command, "alone", precision, preset))
        chosen += peers_of(args, precision)
    return chosen


def peers_of(args: argparse.Namespace, precision: str) -> list[Contender]:
    """The peers that are installed, with the steps that the presets are compared with."""
    chosen = []
    if set(args.presets) - set(PHOTOGRAPHS):
        if shutil.which(args.keras) and precision == "float32":
            chosen.append(Contender("Keras float32", [args.keras, str(PEERS / "keras_peer.py")], "peer", precision))
        if shutil.which(args.torch):
            command = [args.torch, str(PEERS / "torch_peer.py"), "--precision", precision]
            chosen.append(Contender(f"PyTorch {precision}", command, "peer", precision))
    if set(args.presets) & set(PHOTOGRAPHS) and shutil.which(args.torch):
        shape = map(str, shape_of("photos", args))
        command = [args.torch, str(PEERS / "torch_photos_peer.py"), "--precision", precision, "--shape", *shape]
        chosen.append(Contender(f"PyTorch, step of photos, {precision}", command, "peer", precision, "photos"))
    return chosen


def shape_of(preset: str, args: argparse.Namespace) -> tuple[int, int, int]:
    """(H, W, C) of the images on which a preset is timed."""
    return (args.side, args.side, 3) if preset in PHOTOGRAPHS else (28, 28, 1)


def make_peers() -> None:
    """Makes the peers' environments, PyTorch's with an older interpreter where there is one."""
    requirements = {".venv-keras": ["tensorflow-cpu", "keras"], ".venv-torch": ["torch==2.13.0", "numpy"]}
    for name, packages in requirements.items():
        pythons = [sys.executable, *filter(None, map(shutil.which, ("python3.12", "python3.11", "python3")))]
        if name == ".venv-torch":
            pythons = [*pythons[1:], pythons[0]]
        for python in pythons:
            if subprocess.run([python, "-c", ""], capture_output=True).returncode:
                continue  # a shim of a version that is not installed
            subprocess.run([python, "-m", "venv", "--clear", str(ROOT / name)], check=True)
            pip = [str(ROOT / name / "bin" / "python"), "-m", "pip", "install", "-q", *packages]
            if subprocess.run(pip).returncode == 0:
                break
        else:
            sys.exit(f"bench: no interpreter could install {', '.join(packages)} into {name}")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Runs all contenders in turn; returns the figures as plain values."""
    with tempfile.TemporaryDirectory() as cache:
        rows = contenders(args, cache)
        for row in rows if not args.starts else ():
            row.launch()
        for row in rows:
            row.start() if args.starts else row.await_first_step()
            row.turn(args.warmup, keep=False)
        for _ in range(args.rounds):
            for row in rows:
                time.sleep(PAUSE)
                row.turn(1 if row.kind == "evaluation" else args.steps)
        for row in rows:
            row.stop()
        # Once more from the start, with every compiled program in the cache.
        warm = {row.label: row for row in contenders(args, cache) if row.kind == "ours" and args.starts}
        for again in warm.values():
            again.start()
            again.stop()
    return about() | {
        "rounds": args.rounds,
        "steps_a_round": args.steps,
        "rows": [figures(row, warm.get(row.label)) for row in rows],
    }


def measure_time_to(args: argparse.Namespace) -> dict[str, Any]:
    """Runs the presets to an accuracy, draw by draw; the Keras peer takes steps before each run."""
    import time_to

    flags = ["--data-dir", str(args.data_dir.absolute())] if args.data_dir else []
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        keras = next((row for row in contenders(args, cache) if row.label.startswith("Keras")), None)
        if keras:
            keras.start()
            keras.turn(args.warmup, keep=False)
        for draw in range(args.draws):
            for preset in args.presets:
                if keras:
                    time.sleep(PAUSE)
                    keras.turn(args.steps)
                rows.append(time_to.run(args.time_to, preset, draw, args.limit, args.every, flags))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        if keras:
            keras.turn(args.steps)
            keras.stop()
    peer = {"label": keras.label, "median_ms": statistics.median(keras.ms)} if keras else None
    return about() | {
        "target": args.time_to,
        "rows": rows,
        "peer": peer,
        "table": time_to.table(args.time_to, rows, peer),
    }


def measure_compiled(args: argparse.Namespace) -> dict[str, Any]:
    """Compiles the presets, the evaluation and the comparison of images; returns the estimates as plain values."""
    python = compile_only.interpreter(args.compile_only)
    if python is None:
        sys.exit(f"bench: no compiler for {args.compile_only} is installed; bin/bench does it, or the extra compile")
    rows, begun = [], about()
    for name, chips in compile_only.programs(args.presets or [*compile_only.PRESETS], args.chips):
        print(f"bench: compiling {name} for {chips} x {args.compile_only}", file=sys.stderr, flush=True)
        try:
            rows.append(compile_only.estimate(name, args.compile_only, chips, python))
        except compile_only.CompilerError as error:
            sys.exit(f"bench: {error}")
    return begun | {"rows": rows}


def figures(row: Contender, warm: Contender | None) -> dict[str, Any]:
    """A contender's times and memory."""
    return {
        "label": row.label,
        "kind": row.kind,
        "precision": row.precision,
        "preset": row.preset,
        "together": row.together,
        "version": row.ready["version"],
        "min_ms": min(row.ms),
        "median_ms": statistics.median(row.ms),
        "max_ms": max(row.ms),
        "first_step_s": row.ready["first_step_s"],
        "start_to_first_step_s": row.ready["start_to_first_step_s"],
        "warm_start_to_first_step_s": warm.ready["start_to_first_step_s"] if warm else None,
        "peak_mb": row.peak_mb,
        "resident_mb": row.resident_mb,
    }


def about() -> dict[str, Any]:
    """The machine, the commit that is measured and the command."""
    from sgan_jax.runs import source

    command = " ".join(["bin/bench", *sys.argv[1:]])
    return {"machine": machine(), "commit": source.commit(short=True) or "unknown", "command": command}


def machine() -> dict[str, Any]:
    """The processor's name, those of its instruction sets that matter here, and the number of cores."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    parts = [line.partition(":") for line in info.splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in parts}
    sets = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in fields.get("flags", "").split()]
    return {
        "processor": fields.get("model name", platform.processor()),
        "instruction_sets": sets,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def step_operations(preset: str, shape: tuple[int, int, int]) -> int:
    """Counted operations of a preset's training step."""
    import flops

    from sgan_jax.engine.system import build
    from sgan_jax.models.ops import convolutions
    from sgan_jax.presets import PRESETS

    # Native convolutions count the work; the fast form of a convolution takes other operations.
    system = build(PRESETS[preset], shape, 10, convolutions.NATIVE)
    return flops.count(system.train_step(), *system.abstract_arguments(100, 4000))


def evaluation_operations() -> int:
    """Counted operations of the evaluation of 70,000 images."""
    import flops
    import jax
    import jax.numpy as jnp

    from sgan_jax.engine.system import build
    from sgan_jax.models.ops import convolutions
    from sgan_jax.presets import PRESETS

    system = build(PRESETS["tutorial"], (28, 28, 1), 10, convolutions.NATIVE)
    images = jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32)
    return EVALUATED * flops.count(system.disc.apply, system.abstract_state().params["d"], images, None)


def heading(result: dict[str, Any]) -> str:
    """Machine, interpreter, commit and command."""
    machine = result["machine"]
    return (
        f"{machine['processor']} ({', '.join(machine['instruction_sets'])}), {machine['cores']} cores; Python "
        f"{machine['python']}; commit {result['commit']}; `{result['command']}`"
    )


def tables(result: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows: list[dict[str, Any]] = result["rows"]
    product = result["operations"]["product"]
    rates = {row["precision"]: product / row["median_ms"] / 1e6 for row in rows if row["kind"] == "product"}
    lines = [
        f"{heading(result)}; {result['rounds']} rounds of {result['steps_a_round']} steps in turn.",
        "",
        "| contender | version | ms/step, median (min - max) | steps/s | images/s | GFLOP/s | of product | peak MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        operations = result["operations"].get(
            row["preset"] if row["kind"] in ("ours", "peer", "alone") else row["kind"]
        )
        together = row.get("together", 1)
        rate = together * operations / row["median_ms"] / 1e6
        images = {"product": 0, "alone": 0, "evaluation": EVALUATED}.get(row["kind"], STEP_IMAGES[row["preset"]])
        median, least, most = (_plain(row[name]) for name in ("median_ms", "min_ms", "max_ms"))
        of_product = f"{rate / rates[row['precision']]:.0%}" if row["precision"] in rates else "-"
        lines.append(
            f"| {row['label']} | {row['version']} | {median} ({least} - {most}) | {1e3 / row['median_ms']:.2f} "
            f"| {1e3 * together * images / row['median_ms'] if images else 0:.0f} | {rate:.0f} | {of_product} "
            f"| {row['peak_mb']:.0f} |"
        )
    for row in rows:
        if row["kind"] == "evaluation":
            resident = ", ".join(f"{mb:.0f}" for mb in row["resident_mb"])
            lines += ["", f"Resident memory of {row['label']} after each call, MB: {resident}."]
    ours, peers = ([row for row in rows if row["kind"] == kind] for kind in ("ours", "peer"))
    if peers:
        lines += ["", "Ratio of median step times, ours to the peer's (below 1: ours is faster):", ""]
        lines += ["| | " + " | ".join(row["label"] for row in peers) + " |", "|---|" + "---|" * len(peers)]
        for row in ours:
            ratios = " | ".join(f"{row['median_ms'] / peer['median_ms']:.2f}" for peer in peers)
            lines.append(f"| {row['label']} | {ratios} |")
    if not any(row["warm_start_to_first_step_s"] for row in ours):
        return "\n".join(lines)
    lines += ["", "| from process start to the first step, s | nothing compiled | compilation cache warm |"]
    lines += ["|---|---|---|"]
    for row in ours:
        start, warm = row["start_to_first_step_s"], row["warm_start_to_first_step_s"]
        lines.append(f"| {row['label']} | {start:.1f} | {warm:.1f} |")
    return "\n".join(lines)


def _plain(ms: float) -> str:
    """Milliseconds, rounded for a reader."""
    return f"{ms:.0f}" if ms >= 10 else f"{ms:.2f}"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; must be a whole number, at least 1")
    return int(text)


def main() -> None:
    """Parses, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--presets", nargs="+", choices=STEP_IMAGES, help="rows of this project (by default tutorial and joint)"
    )
    parser.add_argument("--bfloat16", action="store_true", help="measure computing in bfloat16 as well")
    parser.add_argument("--evaluate", action="store_true", help="measure the evaluation of 70,000 images as well")
    parser.add_argument("--rounds", type=_count, default=10, help="turns of each contender")
    parser.add_argument("--steps", type=_count, default=3, help="steps of a turn")
    parser.add_argument("--warmup", type=int, default=3, help="steps that are not counted")
    parser.add_argument(
        "--rows", type=_count, nargs="+", default=[1], help="runs that are trained together, under vmap"
    )
    parser.add_argument("--no-products", dest="products", action="store_false", help="leave the products out")
    parser.add_argument(
        "--no-starts", dest="starts", action="store_false", help="start all at once; no times of starts"
    )
    for peer in ("keras", "torch"):
        python = str(ROOT / f".venv-{peer}" / "bin" / "python")
        parser.add_argument(f"--{peer}", metavar="PYTHON", default=python, help=f"interpreter that has {peer}")
    parser.add_argument("--side", type=_count, default=SIDE, help="of the images on which photos is timed, in pixels")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--make-peers", action="store_true", help="make the peers' environments and leave")
    parser.add_argument("--time-to", type=float, metavar="PERCENT", help="time runs to this test accuracy instead")
    parser.add_argument("--data-dir", type=Path, help="of --time-to: bin/train's; by default it downloads MNIST")
    parser.add_argument("--draws", type=_count, default=3, help="of --time-to: draws of 100 labels")
    parser.add_argument("--every", type=_count, default=100, help="of --time-to: steps between two evaluations")
    parser.add_argument("--limit", type=_count, default=7200, help="of --time-to: steps after which a run is given up")
    targets = " or ".join(compile_only.TARGETS)
    parser.add_argument(
        "--compile-only", metavar="TARGET", choices=compile_only.TARGETS, help=f"have a compiler estimate: {targets}"
    )
    parser.add_argument(
        "--chips", type=int, nargs="+", default=[1, 8], choices=[1, 4, 8], help="of --compile-only: numbers of chips"
    )
    args = parser.parse_args()
    if args.make_peers:
        make_peers()
        return
    if args.compile_only:
        estimates = measure_compiled(args)
        print(json.dumps(estimates, indent=2) if args.json else compile_only.tables(estimates))
        return
    args.presets = args.presets or ["tutorial", "joint"]
    if args.time_to is not None:
        timed = measure_time_to(args)
        print(json.dumps(timed, indent=2) if args.json else f"{heading(timed)}.\n\n{timed['table']}")
        return
    operations = {
        preset: step_operations(preset, shape_of(preset, args)) for preset in {"tutorial", "photos", *args.presets}
    }
    operations |= {"product": PRODUCT, "evaluation": evaluation_operations()}
    result = measure(args) | {"operations": operations}
    print(json.dumps(result, indent=2) if args.json else tables(result))


if __name__ == "__main__":
    main()

"""Seconds from the start of `bin/train` until its classifier has an accuracy on the test images: `bin/bench --time-to`.

The time includes the run's start, compilation and evaluations. Test images stop the clock and choose nothing. The peer
is the tutorial's 7,200 steps at the rate of Keras, measured between our runs; its start and evaluations do not count.
"""

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEER_STEPS = 7200  # after which the tutorial has its 95.92 %
POLL = 0.1  # seconds


def run(target: float, preset: str, draw: int, steps: int, every: int, flags: list[str]) -> dict[str, Any]:
    """One run of a preset, ended when it has the accuracy.

    Args:
      target: test accuracy in percent.
      preset: of `bin/train`.
      draw: seed of the labelled images and of everything else.
      steps: given up after so many.
      every: steps between two evaluations.
      flags: more of `bin/train`'s.

    Returns:
      The seconds, None where it was given up; the step, and the best accuracy of all evaluations.
    """
    with tempfile.TemporaryDirectory() as folder:
        seeds = ["--seed", str(draw), "--label-seed", str(draw)]
        length = ["--steps", str(steps), "--steps-per-epoch", str(every)]
        command = [str(ROOT / "bin" / "train"), "--preset", preset, *seeds, *length, "--run", "run", *flags]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(Path(folder, "compiled"))}
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        best, step = 0.0, 0
        try:
            while True:
                ended = process.poll() is not None  # before the file is read: its last lines count
                seconds = time.monotonic() - start
                for line in evaluations(Path(folder, "run", "metrics.jsonl")):
                    best, step = max(best, 100 * line["test_accuracy"]), line["step"]
                    if best >= target:
                        break
                if best >= target or ended:
                    break
                time.sleep(POLL)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    reached = best >= target
    if not reached and process.returncode:
        raise SystemExit(f"bench: {' '.join(command)} ended with status {process.returncode}")
    return {"preset": preset, "draw": draw, "seconds": seconds if reached else None, "step": step, "accuracy": best}


def evaluations(metrics: Path) -> Iterator[dict[str, Any]]:
    """The complete lines of a run's metrics that have a test accuracy, in order."""
    text = metrics.read_text() if metrics.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n") and "test_accuracy" in line:
            yield json.loads(line)


def table(target: float, rows: list[dict[str, Any]], peer: dict[str, Any] | None) -> str:
    """The runs as Markdown, with the median of each preset's draws beside the peer's time."""
    lines = [
        f"| preset | draw of labels | seconds to {target:g} % | step | test accuracy % there, or the best |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = "not reached" if row["seconds"] is None else f"{row['seconds']:.0f}"
        lines.append(f"| `{row['preset']}` | {row['draw']} | {seconds} | {row['step']} | {row['accuracy']:.2f} |")
    if peer is None:
        return "\n".join(lines)
    peer_seconds = PEER_STEPS * peer["median_ms"] / 1e3
    lines += [
        "",
        f"{peer['label']}: {PEER_STEPS:,} steps of {peer['median_ms']:.0f} ms (median) take {peer_seconds:.0f} s.",
    ]
    for preset in dict.fromkeys(row["preset"] for row in rows):
        times = [row["seconds"] for row in rows if row["preset"] == preset]
        if None not in times:
            median = statistics.median(times)
            lines.append(f"`{preset}` takes {median:.0f} s (median), 1/{peer_seconds / median:.1f} of that.")
    return "\n".join(lines)

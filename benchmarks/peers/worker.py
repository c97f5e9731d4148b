"""The protocol by which `bench.py` lets contenders step in turn.

Standard library only, since each runs in its own environment.

A contender takes its first step and reports it in one line of JSON. Then it reads a number of steps from each line,
takes them, and answers with the milliseconds of each and the resident memory after it. At the end of its input it
reports its peak memory. While it waits it uses no processor.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(version: str, step: Callable[[], object], began: float, at_once: int = 1) -> None:
    """Runs `step`, which returns once its results are computed, as often as standard input asks.

    Args:
      version: of the framework.
      step: one training step, or several.
      began: `time.time()` at the start of the process, or before its imports.
      at_once: how many `step` takes; a turn of fewer is one of so many.
    """
    before = time.perf_counter()
    step()
    first = time.perf_counter() - before
    _send({"version": version, "first_step_s": first, "start_to_first_step_s": time.time() - began})
    for line in sys.stdin:
        milliseconds, resident = [], []
        for _ in range(-(-int(line) // at_once)):
            before = time.perf_counter()
            step()
            milliseconds.append(1e3 * (time.perf_counter() - before) / at_once)
            resident.append(_resident_mb())
        _send({"ms": milliseconds, "resident_mb": resident})
    _send({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def _resident_mb() -> float:
    """Resident memory of this process, 0 where the system does not list it (Linux does)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20 if statm.exists() else 0.0


def _send(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)

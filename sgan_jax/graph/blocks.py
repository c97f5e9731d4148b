"""Work on many images, a block of them at a time."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import jax
import numpy as np

Check = Callable[[], None]  # called often while images are compared; an exception that it raises ends the work

_IMAGES = 2000  # of a block that is described at once
_THREADS = min(os.cpu_count() or 1, 4)  # each holds a block of its own in memory


Report = Callable[[str, int, int], None]  # (what is done, blocks that are done, blocks in all)


def no_report(stage: str, done: int, total: int) -> None:
    """The report that nobody reads."""


def reported(check: Check, report: Report, stage: str, total: int) -> Check:
    """The check, after each block of a stage, with a report of how many of its blocks are done.

    Args:
      check: called first.
      report: called after each block.
      stage: what is done.
      total: how many blocks the stage has.
    """
    done = count(1)

    def both() -> None:
        check()
        report(stage, next(done), total)

    return both


def never_stop() -> None:
    """The check that lets all work run to its end."""


def describe(function: Callable[[jax.Array], jax.Array], images: np.ndarray) -> np.ndarray:
    """Applies a compiled function to images, block by block.

    Args:
      function: maps `[B, H, W, C]` to `[B, ...]`, each image by itself; a function of a module is compiled once.
      images: `[N, H, W, C]`.

    Returns:
      `[N, ...]`.
    """
    compiled = jax.jit(function)
    blocks = []
    size = min(_IMAGES, len(images))
    for start in range(0, len(images), size):
        block = np.arange(start, start + size) % len(images)  # all blocks have one shape, so one compilation
        blocks.append(np.asarray(compiled(images[block]))[: len(images) - start])
    return np.concatenate(blocks)


def in_parallel(work: Callable[[int], None], starts: Sequence[int], check: Check) -> None:
    """Calls `work(start)` for each start of a block, in threads.

    Raises:
      Exception: what `work` or `check` raises. Blocks that have not begun are then dropped.
    """
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for block in [pool.submit(work, start) for start in starts]:
            block.result()
            check()
    finally:
        pool.shutdown(cancel_futures=True)

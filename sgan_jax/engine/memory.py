"""Scratch memory of a training step on a CPU: taken from the system once, not anew at every step.

XLA takes hundreds of MB for a step and gives them back after it. glibc maps and unmaps such a block each time, and the
system clears it page by page as it is used: 69,000 page faults, a quarter of the tutorial's step.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's <malloc.h>
_LARGEST = 2**31 - 1
GROWTH = 256 * 2**20  # bytes by which the heap may grow before its free parts go back to the system


class _Heap:
    """The C library's heap, once what is freed stays in it."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        library.sbrk.restype = ctypes.c_size_t
        self._end = self._now()

    def trim_growth(self) -> None:
        """Gives free parts back if the end is by `GROWTH` beyond where it was the last time, before it did so.

        Trimming moves the end down, below a step's scratch. Measured from there, each step would grow and trim anew.
        """
        now = self._now()
        if now - self._end > GROWTH:
            self._library.malloc_trim(0)
            self._end = now

    def _now(self) -> int:
        return self._library.sbrk(ctypes.c_ssize_t(0))


_heap: _Heap | None = None


def keep_scratch() -> None:
    """Has the C library keep what is freed, and JAX run a step in the thread that asks for it.

    To be called before JAX is asked for a device. Only the main thread's blocks may grow to any size and are kept:
    those of other threads lie in arenas of 64 MB, or are mapped. The loop waits for each step anyway. Where the C
    library is not glibc, or the user tunes it by GLIBC_TUNABLES, the allocator stays as it is.
    """
    import jax

    global _heap
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None and "GLIBC_TUNABLES" not in os.environ:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
        _heap = _Heap(library)


def trim_growth() -> None:
    """Bounds what is kept but cannot be used again; to be called after each program.

    XLA asks for aligned memory. Before version 2.39 glibc takes a hole that is larger by up to 96 bytes, and cuts off
    what is too much. If a small object takes a cutting, the hole is too small for the next block of the same size: the
    heap then grows by the whole block, perhaps at every call, and each hole keeps its pages for nothing (glibc's bug
    30723). Once the heap has grown by `GROWTH`, its free pages go back to the system. Without `keep_scratch` nothing is
    done.
    """
    if _heap is not None:
        _heap.trim_growth()

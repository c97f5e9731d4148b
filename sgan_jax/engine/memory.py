"""Scratch memory of a training step on a CPU: taken from the system once, not anew at every step.

XLA takes hundreds of MB for a step and gives them back after it. glibc maps and unmaps such a block each time, and the
system clears it page by page as it is used: 69,000 page faults, a quarter of the tutorial's step.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's <malloc.h>
_LARGEST = 2**31 - 1


def keep_scratch() -> None:
    """Has the C library keep what is freed, and JAX run a step in the thread that asks for it.

    To be called before JAX is asked for a device. Only the main thread's blocks may grow to any size and are kept:
    those of other threads lie in arenas of 64 MB, or are mapped. The loop waits for each step anyway. Where the C
    library is not glibc, or the user tunes it by GLIBC_TUNABLES, the allocator stays as it is.
    """
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and "GLIBC_TUNABLES" not in os.environ:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)

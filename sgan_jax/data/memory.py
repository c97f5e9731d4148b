"""How much memory images may take."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FRACTION = 0.5  # of the machine's memory that images may take
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def total() -> int:
    """Bytes of memory of the machine, or of the container if its limit is lower."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such file, or its text is "max"
            memory = min(memory, int(limit.read_text()))
    return memory


def largest() -> int:
    """Bytes that images may take. The whole memory counts, not what is free now, so that a resume decides the same."""
    return int(FRACTION * total())


def excess(needed: int) -> str:
    """Why so many bytes of images are too many, in a few words; empty if they fit in memory."""
    if needed <= largest():
        return ""
    return f"{needed / 1e9:.1f} GB of images, more than half of {total() / 1e9:.1f} GB of memory"


def size_text(count: int) -> str:
    """Bytes in the largest decimal unit of which there is at least one: `184.3 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"

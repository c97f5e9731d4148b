"""The scratch memory of a step is taken from the system once: facts about page faults, in a process of its own."""

import subprocess
import sys

import pytest
from outer import environment

from sgan_jax.engine import memory

# Steps that need 400 MB of scratch, more than the heap may grow before it is trimmed: 98,304 pages of 4 kB, if each
# step takes them anew. The median, because another object in the heap may lie in the way now and then; a step then
# takes another block.
COUNT = """
import resource, statistics, sys
import jax, jax.numpy as jnp
from sgan_jax.engine.memory import keep_scratch, trim_growth
if sys.argv[1] == "kept":
    keep_scratch()
# A Fourier transform cannot be fused: what it takes and what it gives are whole in memory.
step = jax.jit(lambda x: jnp.sum(jnp.fft.fft2(x.reshape(192, 256, 512)).real ** 2))
x = jnp.ones(3 * 2**23, jnp.float32)
taken = []
for _ in range(12):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    trim_growth()
    taken.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(statistics.median_low(taken))
"""


def faults(how: str, **settings: str) -> int:
    """Page faults of a step."""
    python = [sys.executable, "-P", "-c", COUNT, how]
    done = subprocess.run(python, env=environment(**settings), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator only")
def test_scratch_is_kept_from_step_to_step() -> None:
    # In one process of many a small object takes the end of the block at every step, and glibc's bug 30723 (see
    # `trim_growth`) makes the next step take another one. A heap that is trimmed at every step fails in all processes.
    assert any(faults("kept") < 500 for _ in range(3))


# Small objects that stay, of the sizes that glibc cuts off at both ends of an aligned block. Before version 2.39 each
# call may then leave a hole that the next block does not fit into. That depends on the address at which the heap ends:
# it is moved by 16 bytes after every 20 calls.
FRAGMENTS = """
import ctypes, sys
from sgan_jax.engine import memory
memory.keep_scratch()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.memset.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

def grown(call):
    before = resident()
    for shift in range(4):
        for _ in range(20):
            call()
            for size in (24, 40, 56, 72) * 3:
                libc.malloc(ctypes.c_size_t(size))
        libc.malloc(ctypes.c_size_t(130_000_000 + 16 * shift))  # larger than any hole, and its pages are never touched
    return resident() - before
"""
BLOCKS = f"""{FRAGMENTS}
def call():
    block = ctypes.c_void_p()
    libc.posix_memalign(ctypes.byref(block), ctypes.c_size_t(64), ctypes.c_size_t(40_000_000))
    libc.memset(block, 1, 40_000_000)
    libc.free(block)
    memory.trim_growth()

print(grown(call))
"""
CLASSIFIER = f"""{FRAGMENTS}
import dataclasses, jax, numpy as np
from sgan_jax.engine.system import build
from sgan_jax.presets import PRESETS
config = PRESETS["tutorial"]
system = build(dataclasses.replace(config, model=dataclasses.replace(config.model, width=32)), (28, 28, 1), 10)
model, images = jax.jit(system.init)(jax.random.key(0)).model("d"), np.zeros((1000, 28, 28, 1), np.uint8)
system.classify(model, images)
print(grown(lambda: system.classify(model, images)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator only")
@pytest.mark.parametrize(
    ("program", "most"),
    [(BLOCKS, 400), pytest.param(CLASSIFIER, 400, marks=pytest.mark.slow)],
    ids=["blocks", "classifier"],
)
def test_holes_that_no_block_fits_into_any_more_are_given_back(program: str, most: int) -> None:
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < most


def test_without_keep_scratch_the_heap_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_heap", None)
    monkeypatch.setattr("ctypes.CDLL", None)
    memory.trim_growth()

"""The scratch memory of a step is taken from the system once: facts about page faults, in a process of its own."""

import subprocess
import sys

import pytest
from outer import environment

# Steps that need 130 MB of scratch: 32,768 pages of 4 kB, if each step takes them anew. The median, because another
# object in the heap may lie in the way now and then; a step then takes another block.
COUNT = """
import resource, statistics, sys
import jax, jax.numpy as jnp
from sgan_jax.engine.memory import keep_scratch
if sys.argv[1] == "kept":
    keep_scratch()
# A Fourier transform cannot be fused: what it takes and what it gives are whole in memory.
step = jax.jit(lambda x: jnp.sum(jnp.fft.fft2(x.reshape(64, 256, 512)).real ** 2))
x = jnp.ones(2**23, jnp.float32)
taken = []
for _ in range(24):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
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
    assert faults("kept") < 500

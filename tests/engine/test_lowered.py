"""The programs as they are lowered for GPUs and TPUs, which needs neither a device nor its compiler."""

import re

import accelerators
import jax
import pytest

from sgan_jax.presets import PRESETS

PLATFORMS = ("cuda", "tpu")
# What XLA has no operations for, and why a program needs it.
CUSTOM_CALLS = {
    "cusolver_geqrf_ffi": "the QR decomposition of tangents in `invariance`, on NVIDIA's GPUs",
    "cusolver_orgqr_ffi": "the same: its orthogonal factor",
    "Qr": "the same on TPUs",
    "ProductOfElementaryHouseholderReflectors": "the same on TPUs: its orthogonal factor",
}
QUICK = ("fast", "supervised-augmented", "invariance", "best-unaugmented")  # between them, what the others are made of
EPOCHS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS]


def lowered(program: accelerators.Program) -> str:
    """The program for both platforms, checked for what no program may hold."""
    text = program.trace().lower(lowering_platforms=PLATFORMS).as_text()
    assert not re.findall(r"stablehlo\.(?:send|recv|infeed|outfeed)\b", text), "data of the host"
    called = set(re.findall(r"stablehlo\.custom_call @([\w.$]+)", text))
    assert called <= set(CUSTOM_CALLS), "a custom call needs a name and a reason; a callback runs on the host"
    return text


def loops(text: str) -> int:
    return len(re.findall(r"stablehlo\.while\b", text))


@pytest.mark.parametrize("preset", EPOCHS)
def test_an_epoch_is_one_loop_on_the_device_and_takes_the_memory_of_the_state(preset: str) -> None:
    program = accelerators.program(preset)
    text = lowered(program)
    assert loops(text) == 1
    assert text.count("tf.aliasing_output") == len(jax.tree.leaves(program.state)), "each array of the state is donated"


def test_evaluation_runs_on_the_device_without_a_loop() -> None:
    assert loops(lowered(accelerators.program(accelerators.EVALUATION))) == 0


def test_the_comparison_of_images_is_one_loop_over_displacements() -> None:
    assert loops(lowered(accelerators.program(accelerators.COMPARISON))) == 1

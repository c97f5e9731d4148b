"""How many steps a dispatch takes, and that it matters to none of them."""

import pytest

from sgan_jax.config import Config
from sgan_jax.dispatch import steps_at_once


@pytest.mark.parametrize(
    ("platform", "step", "steps"),
    [("cpu", 0, 1), ("gpu", 0, 600), ("tpu", 600, 600), ("gpu", 601, 599), ("gpu", 1200, 100), ("gpu", 1299, 1)],
)
def test_an_accelerator_gets_the_rest_of_the_epoch_at_once_and_a_cpu_one_step(platform, step, steps):
    assert steps_at_once(platform, Config(steps=1300), step) == steps

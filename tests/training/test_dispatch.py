"""How many steps a dispatch takes, that it matters to none of them, and which of them use propagated labels."""

import jax
import numpy as np
import pytest

from sgan_jax.config import Config, ConsistencyConfig, ModelConfig, ObjectiveConfig, PropagationConfig
from sgan_jax.engine.devices import team
from sgan_jax.engine.system import build
from sgan_jax.training.dispatch import Dispatcher, Feed, steps_at_once
from sgan_jax.types import Data


@pytest.mark.parametrize(
    ("platform", "step", "steps"),
    [("cpu", 0, 1), ("gpu", 0, 600), ("tpu", 600, 600), ("gpu", 601, 599), ("gpu", 1200, 100), ("gpu", 1299, 1)],
)
def test_an_accelerator_gets_what_is_left_of_the_epoch_at_once_and_a_cpu_one_step(platform, step, steps):
    assert steps_at_once(platform, Config(steps=1300), step) == steps


@pytest.mark.parametrize(
    ("pause", "steps", "without"),
    # Whole epochs of two steps; 7 / 11 of 11 epochs are seven, though not in binary fractions.
    [
        ((0.0, 0.0), 8, ()),
        ((0.0, 0.5), 8, range(4)),
        ((0.25, 0.75), 8, range(2, 6)),
        ((0.25, 0.25), 8, ()),
        ((0.0, 0.49), 8, range(2)),
        ((0.0, 0.2), 8, ()),
        ((0.0, 7 / 11), 22, range(14)),
        ((2 / 11, 7 / 11), 22, range(4, 14)),
        ((0.0, 0.5), 5, range(2)),
        ((0.0, 0.9), 1, ()),
        ((2 / 11, 7 / 11), 8, range(2, 4)),
        ((2 / 11, 7 / 11), 2, ()),
    ],
)
def test_propagated_labels_are_used_in_whole_epochs_before_and_after_the_pause(pause, steps, without):
    config = Config(steps_per_epoch=2, steps=steps, propagation=PropagationConfig(3, 30, *pause))
    uses = [config.uses_propagated_labels(step) for step in range(steps)]
    assert uses == [step not in without for step in range(steps)]
    for step in range(steps):  # no dispatch of an accelerator uses them in a part of its steps only
        assert len(set(uses[step : step + steps_at_once("gpu", config, step)])) == 1


@pytest.mark.slow
def test_in_the_pause_a_classifier_learns_as_one_without_a_graph_and_then_from_propagated_labels() -> None:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 8, 8, 1), np.uint8)
    plain = Data(images[:9], np.arange(9, dtype=np.int32) % 3, images)
    propagated = plain._replace(pseudo_labels=draw.dirichlet((0.05,) * 3, 40).astype(np.float32))

    def train(pause_until: float, data: Data) -> list[dict[str, float]]:
        config = Config(
            steps=4,
            steps_per_epoch=2,
            batch_size=4,
            model=ModelConfig(width=4),
            objective=ObjectiveConfig("supervised"),
            consistency=ConsistencyConfig(weight=1.0),
            propagation=PropagationConfig(neighbours=3, pause_until=pause_until),
        )
        system = build(config, (8, 8, 1), 3)
        state = system.begin(jax.random.key(0), images)
        steps = Dispatcher(config, system, team(None, 4), lambda: False).run(Feed(data), state, jax.random.key(1))
        metrics = [done.of_step(done.step) for done in steps]
        return [one.loss | one.watch for one in metrics]

    half, never, always = train(0.5, propagated), train(0.0, plain), train(0.0, propagated)
    assert half[:2] == never[:2]
    # No probability of untrained networks passes the threshold, while each pseudo-label counts by its certainty.
    assert [step["d/confident"] for step in never] == [0.0] * 4
    assert [step["d/confident"] > 0.5 for step in half] == [False, False, True, True]
    assert always[0]["d/confident"] > 0.5

"""What the terminal prints after an epoch."""

from pathlib import Path

import pytest

from sgan_jax.cli.terminal import Terminal
from sgan_jax.metrics.measure import Measure
from sgan_jax.training.events import Epoch, Span


@pytest.mark.parametrize(
    ("measures", "counts", "notice", "line"),
    [
        (
            {"train_accuracy": Measure(0.98765, "%"), "ema_test_accuracy": Measure(0.5, "%")},
            {"train_accuracy": 10_000},
            "mnist-5k",
            "step_600: train accuracy 98.765% of 10,000, averaged weights test accuracy 50.000% (mnist-5k)",
        ),
        (
            {"distance": Measure(12.3456789), "entropy": Measure(0.25, "bits")},
            {},
            "",
            "distance 12.35, entropy 0.25 bits",
        ),
        ({}, {}, "", "step_600: no classifier"),
    ],
)
def test_figures_are_printed_in_words_with_their_units(measures, counts, notice, line, capsys) -> None:
    with Terminal().steps(Span(1200, 0, 600, notice)) as steps:
        steps.epoch(Epoch(600, measures, counts, notice))
        steps.finished(Path("runs/a"), notice)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith(line)
    assert printed[1] == "finished: runs/a" + (f" ({notice})" if notice else "")

"""Which checkpoints a run keeps, which is the best, and when a run ends early. No JAX here.

The accuracy on the validation images decides both the best checkpoint and the early end. Test images decide nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sgan_jax.config import Config
from sgan_jax.metrics.measure import is_number

CHECKPOINT = re.compile(r"step_(0|[1-9][0-9]*)")
FIGURE = "validation_accuracy"  # in a line of metrics.jsonl

Line = Mapping[str, Any]  # of metrics.jsonl


def steps(directory: Path) -> list[int]:
    """Steps of the complete checkpoints in `directory`, ascending.

    Orbax commits a checkpoint by a rename: while it is being written, its name is another.
    """
    if not directory.is_dir():
        return []
    matches = [CHECKPOINT.fullmatch(entry.name) for entry in directory.iterdir() if entry.is_dir()]
    return sorted(int(match[1]) for match in matches if match)


def validated(lines: Iterable[Line]) -> dict[int, float]:
    """The validation accuracy by step, ascending; of those steps that have one."""
    return dict(sorted((line["step"], float(line[FIGURE])) for line in lines if is_number(line.get(FIGURE))))


def best(lines: Iterable[Line], saved: Iterable[int]) -> int | None:
    """The step of the highest validation accuracy among `saved`; the later one of two equal ones, None without any.

    Validation sets are small, so that accuracies are often equal. Then the step with more training is chosen.
    """
    accuracies, among = validated(lines), set(saved)
    return max((step for step in accuracies if step in among), key=lambda step: (accuracies[step], step), default=None)


def surplus(saved: Sequence[int], config: Config, chosen: int | None) -> list[int]:
    """The checkpoints that a run does not keep: all but the last, `chosen`, and `config.keep` - 1 spread over the run.

    Only ends of epochs are spread: where a signal stopped a run decides nothing. Of too many, the checkpoint goes
    whose neighbours are nearest to each other. So a run that ends early or is made longer is covered evenly, too.

    Args:
      saved: steps of the complete checkpoints, ascending.
      config: of the run; its `keep` is 0 where all are kept.
      chosen: the step of the best one, if there is one.
    """
    if not config.keep or not saved:
        return []
    *older, last = saved
    spread = [step for step in older if step % config.steps_per_epoch == 0]
    while len(spread) >= config.keep:
        ends = [0, *spread, last]
        distances = [after - before for before, after in zip(ends, ends[2:], strict=False)]
        del spread[distances.index(min(distances))]
    remaining = {*spread, last, chosen}
    return [step for step in saved if step not in remaining]


def early_end(lines: Iterable[Line], config: Config) -> str:
    """Why the run ends before its last step: `config.patience` epochs without a higher accuracy; or nothing.

    Args:
      lines: all of metrics.jsonl up to now.
      config: of the run.
    """
    accuracies = {step: value for step, value in validated(lines).items() if step % config.steps_per_epoch == 0}
    if not config.patience or not accuracies or max(accuracies) >= config.total_steps:
        return ""
    highest = max(accuracies.values())
    first = next(step for step, value in accuracies.items() if value == highest)
    if sum(step > first for step in accuracies) < config.patience:
        return ""
    epochs = f"{config.patience} epoch{'s' if config.patience > 1 else ''}"
    return (
        f"ended early at step {max(accuracies)} of {config.total_steps}: validation accuracy has not risen above "
        f"{100 * highest:.2f}%, of step {first}, for {epochs}"
    )

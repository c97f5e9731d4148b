"""Which checkpoints a run keeps, which is the best, and when it ends early: facts about steps and figures."""

from collections.abc import Iterable, Sequence

import pytest

from sgan_jax.config import Config, changed
from sgan_jax.runs.retention import best, early_end, surplus


def keeping(keep: int, epoch: int = 1) -> Config:
    return changed(Config(), {"keep": keep, "steps_per_epoch": epoch})


def kept_of(steps: Iterable[int], config: Config, chosen: int | None = None) -> list[int]:
    """What is left of checkpoints that are saved one after the other."""
    saved: list[int] = []
    for step in steps:
        saved.append(step)
        gone = surplus(saved, config, chosen)
        saved = [one for one in saved if one not in gone]
    return saved


def lines(*accuracies: float, epoch: int = 1) -> list[dict[str, float]]:
    return [{"step": epoch * number, "validation_accuracy": one} for number, one in enumerate(accuracies, 1)]


def patient(patience: int, epoch: int = 1, epochs: int = 20) -> Config:
    return changed(Config(), {"patience": patience, "steps_per_epoch": epoch, "epochs": epochs})


# --- what is kept ---


def test_by_default_everything_is_kept():
    assert surplus(range(1, 100), keeping(0), None) == []
    assert surplus([], keeping(1), None) == []


@pytest.mark.parametrize("keep", [1, 2, 3, 5, 8])
def test_so_many_are_kept_whenever_a_run_ends_the_last_among_them_and_the_others_spread(keep: int):
    for epochs in range(1, 200):
        kept = kept_of(range(1, epochs + 1), keeping(keep))
        assert len(kept) == min(keep, epochs) and kept[-1] == epochs
        gaps = [after - before for before, after in zip([0, *kept], kept, strict=False)]
        assert max(gaps) <= max(1, 2.5 * epochs / keep), (epochs, kept)


def test_the_best_is_kept_besides_unless_it_is_kept_anyway():
    spread = kept_of(range(1, 21), keeping(3))
    assert len(spread) == 3
    for chosen in range(1, 21):
        kept = kept_of(range(1, 21), keeping(3), chosen)
        assert chosen in kept and 20 in kept and 3 <= len(kept) <= 4
    assert kept_of(range(1, 21), keeping(1), 7) == [7, 20]


def test_where_a_signal_stopped_a_run_changes_nothing_of_what_it_keeps_in_the_end():
    config = keeping(4, epoch=10)
    whole = kept_of(range(10, 210, 10), config)
    assert kept_of(sorted([*range(10, 210, 10), 5, 37, 38, 123]), config) == whole
    assert kept_of([*range(10, 60, 10), 53], config)[-1] == 53, "it is resumed from there"


def test_a_kill_before_a_removal_changes_nothing_if_the_resume_makes_up_for_it():
    config = keeping(3)
    for killed in range(1, 20):
        saved = [*kept_of(range(1, killed), config), killed]  # nothing was removed after this one was saved
        gone = surplus(saved, config, None)  # but is at the beginning of the resume
        after = [step for step in saved if step not in gone]
        for step in range(killed + 1, 21):
            after.append(step)
            gone = surplus(after, config, None)
            after = [one for one in after if one not in gone]
        assert after == kept_of(range(1, 21), config)


# --- the best ---


def test_the_best_has_the_highest_validation_accuracy_and_of_equal_ones_is_the_last():
    assert best(lines(0.5, 0.9, 0.7, 0.9, 0.8), range(1, 6)) == 4
    assert best(lines(0.5, 0.9, 0.7), [1, 3]) == 3
    assert best(lines(0.5), [2]) is None
    without: Sequence[dict[str, float]] = [{"step": 1, "test_accuracy": 1.0}, {"step": 2, "validation_accuracy": None}]
    assert best(without, [1, 2]) is None


# --- the early end ---


@pytest.mark.parametrize(
    ("accuracies", "patience", "ends"),
    [
        ((0.5, 0.6, 0.7), 1, False),
        ((0.5, 0.6, 0.6), 1, True),
        ((0.5, 0.6, 0.6), 2, False),
        ((0.5, 0.6, 0.6, 0.5), 2, True),
        ((0.6, 0.5, 0.7), 2, False),
        ((0.6,), 1, False),
        ((), 1, False),
        ((0.6,) * 20, 0, False),
    ],
)
def test_a_run_ends_early_after_so_many_epochs_without_a_higher_accuracy(
    accuracies: tuple[float, ...], patience: int, ends: bool
):
    assert bool(early_end(lines(*accuracies), patient(patience))) == ends


def test_the_early_end_says_why():
    assert early_end(lines(0.5, 0.625, 0.6, 0.625, epoch=600), patient(2, 600)) == (
        "ended early at step 2400 of 12000: validation accuracy has not risen above 62.50%, of step 1200, for 2 epochs"
    )


def test_at_its_last_step_a_run_does_not_end_early():
    assert early_end(lines(0.6, 0.5, 0.5), patient(2, epochs=3)) == ""
    assert early_end(lines(0.6, 0.5, 0.5), patient(2, epochs=4))


def test_only_ends_of_epochs_count():
    between = [{"step": 15, "validation_accuracy": 0.1}]
    assert early_end(lines(0.6, 0.5, epoch=10) + between, patient(2, 10)) == ""

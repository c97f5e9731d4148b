"""Facts about every objective of the table, and how the table makes them."""

import jax
import numpy as np
import pytest
from known import numbers, play

from sgan_jax.objectives.table import OBJECTIVES


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_objective_of_class_logits_is_not_made_for_a_head_without_them(name: str) -> None:
    entry = OBJECTIVES[name]
    if not entry.needs_classifier:
        terms = [term for move in entry.objective(False) for term in play(move, OBJECTIVES[name].of_pairs)[0].loss]
        assert terms and "d/supervised" not in terms
        return
    with pytest.raises(ValueError, match="made of class logits"):
        entry.objective(False)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_dropout_is_active_in_every_move_and_no_key_is_used_twice(name: str) -> None:
    for move in OBJECTIVES[name].objective(True):
        _, players = play(move, OBJECTIVES[name].of_pairs)
        assert all(key is not None for key in players.keys.values())
        keys = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in players.keys.values()}
        assert len(keys) == len(players.keys)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_an_objective_uses_unlabelled_images_where_the_table_has_it(name: str) -> None:
    inputs = [
        source
        for move in OBJECTIVES[name].objective(True)
        for source, _ in play(move, OBJECTIVES[name].of_pairs)[1].inputs
    ]
    assert any("unl" in source for source in inputs) is OBJECTIVES[name].uses_unlabelled, inputs


@pytest.mark.parametrize("name", sorted(name for name, entry in OBJECTIVES.items() if entry.weights))
def test_each_weight_of_an_objective_changes_its_loss_and_others_are_ignored(name: str) -> None:
    def loss(**weights: float) -> dict[str, float]:
        terms = [play(move, OBJECTIVES[name].of_pairs)[0].loss for move in OBJECTIVES[name].objective(True, weights)]
        return numbers({term: value for one in terms for term, value in one.items()})

    entry = OBJECTIVES[name]
    assert loss(no_such_weight=3.0) == loss()
    for weight in set(entry.weights) & {
        "unsupervised_weight",
        "entropy_weight",
        "pull_away_weight",
        "classifier_pairs",
        "generated_weight",
    }:
        assert loss(**{weight: 0.75}) != loss()

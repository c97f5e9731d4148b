"""Facts about how terms become one: names stay unique, weights apply to losses, statistics are averaged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known import BATCH, Players, numbers

from sgan_jax.objectives.terms import Term, together, weighted
from sgan_jax.types import Aux, Batch, Bound, Terms


def term(name: str, value: float = 1.0, aux: Aux | None = None) -> Term:
    """A term of one number, which hands on `aux`."""

    def terms(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        return Terms({f"d/{name}": jnp.float32(value)}, {f"d/{name}_watched": jnp.float32(value)}, aux or {})

    return terms


def play(terms: Term) -> Terms:
    return terms(Players().bound(), BATCH, jax.random.key(0))


def test_a_weight_multiplies_the_loss_and_not_what_is_watched() -> None:
    terms = play(weighted(3.0, term("a", 2.0, {"threshold": 5.0})))
    assert numbers(terms.loss) == {"d/a": 6.0}
    assert numbers(terms.watch) == {"d/a_watched": 2.0}
    assert terms.aux == {"threshold": 5.0}


def test_two_terms_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two terms of an objective are named d/a"):
        play(together(term("a"), term("a")))


def test_statistics_of_several_passes_are_averaged_leaf_by_leaf() -> None:
    passes = [{"d/statistics": {"mean": jnp.array([float(n), 1.0])}} for n in (1, 2, 6)]
    terms = play(together(*(term(str(n), aux=aux) for n, aux in enumerate(passes))))
    np.testing.assert_allclose(terms.aux["d/statistics"]["mean"], [3.0, 1.0])


def test_other_state_can_be_handed_on_by_one_term_only() -> None:
    aux = {"threshold": jnp.zeros(3)}
    assert play(together(term("a", aux=aux), term("b"))).aux == aux
    with pytest.raises(ValueError, match="two terms hand on threshold"):
        play(together(term("a", aux=aux), term("b", aux=aux)))

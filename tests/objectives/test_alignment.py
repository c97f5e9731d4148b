"""Facts about alignment: against a plain transcription of the papers, and by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from sgan_jax.objectives.alignment import ALIGNMENTS

STEPS = np.random.default_rng(1).dirichlet((3.0, 1.0, 0.5), (3, 6))
LABELS = np.array([[0, 0, 1, 2], [0, 0, 0, 1], [2, 0, 0, 0]])


@pytest.mark.parametrize(("name", "by_class"), [("uniform", False), ("labelled", True)])
def test_probabilities_are_multiplied_by_expected_over_predicted_frequencies(name: str, by_class: bool) -> None:
    alignment = ALIGNMENTS[name](3, 0.9)
    state = alignment.first
    marginal = labels = None
    for p, lab_labels in zip(STEPS, LABELS, strict=True):
        frequencies = np.bincount(lab_labels, minlength=3) / 4
        marginal = p.mean(0) if marginal is None else 0.9 * marginal + 0.1 * p.mean(0)
        labels = frequencies if labels is None else 0.9 * labels + 0.1 * frequencies
        expected = p * ((labels if by_class else np.full(3, 1 / 3)) + 1e-6) / (marginal + 1e-6)
        aligned, state = alignment.align(state, jnp.log(jnp.asarray(p, jnp.float32)), jnp.asarray(lab_labels))
        np.testing.assert_allclose(np.exp(aligned), expected / expected.sum(1, keepdims=True), rtol=1e-4)
    assert alignment.classes == by_class


def test_aligned_classes_are_equally_frequent_where_all_images_are_predicted_alike() -> None:
    alignment = ALIGNMENTS["uniform"](2, 0.999)
    p = jnp.log(jnp.full((5, 2), jnp.array([0.9, 0.1])))
    aligned, state = alignment.align(alignment.first, p, jnp.zeros(3, jnp.int32))
    np.testing.assert_allclose(np.exp(aligned), 0.5, atol=1e-4)
    np.testing.assert_allclose(state["marginal"], [0.9, 0.1], rtol=1e-6)


def test_without_alignment_predictions_are_as_they_are_and_there_is_no_state() -> None:
    alignment = ALIGNMENTS["none"](3, 0.9)
    log_p = jnp.log(jnp.asarray(STEPS[0], jnp.float32))
    aligned, state = alignment.align(alignment.first, log_p, jnp.zeros(3, jnp.int32))
    assert aligned is log_p and state == {} == alignment.first and not alignment.classes


@pytest.mark.parametrize("name", sorted(ALIGNMENTS))
def test_a_class_that_is_never_predicted_or_labelled_gets_finite_numbers(name: str) -> None:
    alignment = ALIGNMENTS[name](3, 0.9)
    log_p = jnp.log(jnp.array([[1.0, 1e-30, 1e-30], [0.5, 0.5, 1e-30]]))
    aligned, state = alignment.align(alignment.first, log_p, jnp.array([0, 1]))
    assert np.isfinite(aligned).all() and all(np.isfinite(value).all() for value in state.values())

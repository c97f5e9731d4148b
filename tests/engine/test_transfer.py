"""A state that takes the weights of another run: outputs by the names of their classes, everything else as it was."""

from typing import Any

import jax
import numpy as np
import pytest

from sgan_jax.config import Config, ModelConfig, changed
from sgan_jax.engine.system import System, build
from sgan_jax.engine.transfer import NEW, class_change, output_sources, with_weights_of
from sgan_jax.models.heads import HEADS
from sgan_jax.types import TrainState

SHAPE = (8, 8, 1)


def system(classes: int, **model: Any) -> System:
    return build(Config(model=ModelConfig(**{"networks": "mlp", "width": 8, "latent": 4} | model)), SHAPE, classes)


def state(of: System, seed: int) -> TrainState:
    """Numbers that differ everywhere, the averaged parameters from the others as well."""
    draw = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: draw.normal(size=leaf.shape).astype(leaf.dtype), of.abstract_state())


def same(one: Any, other: Any) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def test_a_class_is_the_same_if_its_name_is() -> None:
    change = class_change(("cat", "cow", "dog"), ("bird", "cat", "dog"))
    assert change == (("cat", "dog"), ("bird",), ("cow",))


@pytest.mark.parametrize(
    ("head", "expected"),
    [("stacked", [NEW, 0, 2]), ("separate", [NEW, 0, 2, 3]), ("k_plus_one", [NEW, 0, 2, 3]), ("real_fake", [0])],
)
def test_outputs_are_matched_by_class_and_that_of_fake_images_stays(head: str, expected: list[int]) -> None:
    sources = output_sources(HEADS[head], ("cat", "cow", "dog"), ("bird", "cat", "dog"))
    assert sources.tolist() == expected


@pytest.mark.parametrize("networks", ["mlp", "tutorial", "compact"])
def test_weights_are_taken_and_new_outputs_optimisers_and_the_step_begin_anew(networks: str) -> None:
    of = system(3, networks=networks, head="k_plus_one")
    other, fresh = state(of, 0), state(of, 1)
    taken = with_weights_of(other, fresh, np.array([NEW, 0, 2, 3]), of.disc.output_layer)
    assert same(taken.opt, fresh.opt) and same(taken.step, fresh.step)
    for new, old, begun in ((taken.params, other.params, fresh.params), (taken.ema, other.ema, fresh.ema)):
        assert same(new["g"], old["g"])
        for layer, leaves in new["d"].items():
            if layer != of.disc.output_layer:
                assert same(leaves, old["d"][layer])
                continue
            for name, leaf in leaves.items():
                np.testing.assert_array_equal(leaf[..., 0], begun["d"][layer][name][..., 0])
                np.testing.assert_array_equal(leaf[..., 1:], old["d"][layer][name][..., [0, 2, 3]])


def test_classes_may_become_more_or_fewer() -> None:
    few, many = system(2), system(4)
    more = with_weights_of(state(few, 0), state(many, 1), np.array([0, NEW, NEW, 1]), "logits")
    assert jax.tree.map(np.shape, more.params) == jax.tree.map(np.shape, many.abstract_state().params)
    back = with_weights_of(more, state(few, 2), np.array([0, 3]), "logits")
    assert same(back.params, state(few, 0).params)


def test_the_same_classes_in_another_order_give_the_same_logits_in_that_order() -> None:
    of = system(3)
    other = state(of, 0)
    sources = output_sources(HEADS["stacked"], ("a", "b", "c"), ("c", "a", "b"))
    turned = with_weights_of(other, state(of, 1), sources, of.disc.output_layer)
    images = np.random.default_rng(5).integers(0, 256, (4, *SHAPE), np.uint8)
    logits = [np.asarray(of.classify(one.model("d"), images)) for one in (other, turned)]
    np.testing.assert_allclose(logits[1], logits[0][:, [2, 0, 1]], rtol=1e-5)


def test_statistics_are_taken_and_other_state_begins_anew() -> None:
    of = system(2)
    other, fresh = state(of, 0), state(of, 1)
    aux = {"d/statistics": {"mean": np.ones(3)}, "thresholds": np.ones(2)}
    begun = {"d/statistics": {"mean": np.zeros(3)}, "thresholds": np.zeros(2)}
    taken = with_weights_of(other._replace(aux=aux), fresh._replace(aux=begun), np.arange(2), "logits").aux
    assert taken["d/statistics"]["mean"].tolist() == [1, 1, 1] and taken["thresholds"].tolist() == [0, 0]


def test_a_player_that_the_other_run_lacks_begins_anew() -> None:
    of = system(2)
    other, fresh = state(of, 0), state(of, 1)
    third = {"c": {"w": {"kernel": np.full(2, 7.0)}}}
    taken = with_weights_of(other, fresh._replace(params=fresh.params | third), np.arange(2), "logits")
    assert same(taken.params["c"], third["c"]) and same(taken.params["d"], other.params["d"])


def test_another_shape_is_an_error_that_names_the_parameter() -> None:
    narrow, wide = system(2), system(2, width=12)
    with pytest.raises(ValueError, match=r"^d/dense_0/\w+ is \([\d, ]*8,?\) there, \([\d, ]*12,?\) here$"):
        with_weights_of(state(narrow, 0), state(wide, 1), np.arange(2), "logits")


def test_where_weights_come_from_changes_no_program() -> None:
    config = Config(model=ModelConfig(networks="mlp", width=8))
    assert build(config, SHAPE, 2) is build(changed(config, {"init_from": "runs/a"}), SHAPE, 2)

"""Facts about what a configuration becomes: rates over the run, views, weights, and what does not fit."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from known import batch_of, bound, numbers
from small import CLASSES, GEN, KEY, SHAPE

from sgan_jax.augment.views import AUGMENTATIONS
from sgan_jax.config import (
    SETTINGS,
    AdamConfig,
    AugmentConfig,
    Config,
    ConsistencyConfig,
    ModelConfig,
    MuonConfig,
    ObjectiveConfig,
    ViewsConfig,
    changed,
)
from sgan_jax.engine.system import build, check_names
from sgan_jax.errors import UserError
from sgan_jax.models.networks.table import NETWORKS, Networks
from sgan_jax.presets import PRESETS
from sgan_jax.types import DiscOut, Net

TINY = Config(model=ModelConfig(width=1, latent=2))


def test_the_same_settings_give_the_same_system_so_that_its_programs_compile_once() -> None:
    one = build(TINY, SHAPE, CLASSES)
    assert build(replace(TINY, seed=5, preset="joint"), SHAPE, CLASSES) is one
    assert build(replace(TINY, batch_size=7), SHAPE, CLASSES) is not one
    assert build(TINY, SHAPE, CLASSES + 1) is not one


def test_unlabelled_images_are_as_many_as_labelled_ones_unless_their_number_is_set() -> None:
    recipes = [
        build(replace(TINY, batch_size=6, unlabelled=unlabelled), SHAPE, CLASSES).recipe for unlabelled in (None, 9)
    ]
    assert [(recipe.batch_size, recipe.unlabelled) for recipe in recipes] == [(6, 6), (6, 9)]


# --- optimisers


def rates(optimizer: optax.GradientTransformation, updates: int) -> np.ndarray:
    """The rate of each update: Adam's steps for a gradient that stays are as long as its rate."""
    params = {"w": jnp.zeros(())}
    state, sizes = optimizer.init(params), []
    for _ in range(updates):
        changes, state = optimizer.update({"w": jnp.ones(())}, state, params)
        sizes.append(-float(changes["w"]))
    return np.array(sizes)


def test_a_cosine_schedule_ends_with_the_run_in_every_slot_however_often_a_step_updates_it() -> None:
    cosine = AdamConfig(learning_rate=0.1, schedule="cosine")
    slots = build(replace(TINY, steps=4, adam=cosine), SHAPE, CLASSES).recipe.optimizers
    by_step = 0.1 * (1 + np.cos(np.pi * np.arange(5) / 4)) / 2  # 0 after the last of four steps
    for slot in ("c", "g"):
        np.testing.assert_allclose(rates(slots[slot], 5), by_step, atol=1e-5)
    np.testing.assert_allclose(rates(slots["d"], 10), np.repeat(by_step, 2), atol=1e-5)  # real images, then fake ones


def two_layers(image_shape: tuple[int, int, int], classes: int, *_: Any) -> Net:
    """A discriminator whose output layer is named "last"."""

    def init(key: jax.Array) -> Any:
        k_first, k_last = jax.random.split(key)
        return {"first": jax.random.normal(k_first, (64, 8)), "last": jax.random.normal(k_last, (8, classes))}

    def apply(params: Any, images: jax.Array, key: jax.Array | None) -> DiscOut:
        features = jnp.tanh(images.reshape(len(images), -1) @ params["first"])
        logits = features @ params["last"]
        return DiscOut(features, logits, logits[:, 0])

    return Net(init, apply, image_shape, list, output_layer="last")


def test_muon_leaves_the_output_layer_of_any_name_to_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "two_layers", Networks(two_layers, lambda *_: GEN))
    config = replace(TINY, model=ModelConfig(networks="two_layers"), adam=AdamConfig(learning_rate=0.1))
    adam, muon = (
        build(replace(config, muon=MuonConfig(rate)), SHAPE, CLASSES).recipe.optimizers for rate in (0.0, 0.1)
    )
    params = two_layers(SHAPE, CLASSES).init(KEY)
    by_adam, by_muon = (one["d"].update(params, one["d"].init(params), params)[0] for one in (adam, muon))
    np.testing.assert_array_equal(by_muon["last"], by_adam["last"])
    assert not np.allclose(by_muon["first"], by_adam["first"], rtol=0.5)


# --- objectives and views


def test_weights_of_the_configuration_are_those_of_the_terms() -> None:
    def losses(**weights: float) -> dict[str, float]:
        objective = ObjectiveConfig(name="feature_matching", **weights)
        move, _ = build(replace(TINY, objective=objective), SHAPE, CLASSES).recipe.objective
        nets, images = bound(undecided, lambda z: jnp.zeros((len(z), *SHAPE))), jnp.zeros((2, *SHAPE))
        return numbers(move.terms(nets, batch_of(images, images), KEY).loss)

    usual, tripled = losses(), losses(unsupervised_weight=1.5)
    assert tripled == pytest.approx(
        {name: value * (1 if name == "d/supervised" else 3) for name, value in usual.items()}
    )


def undecided(images: jax.Array, key: jax.Array | None) -> DiscOut:
    return DiscOut(images.reshape(len(images), -1), jnp.zeros((len(images), CLASSES)), jnp.zeros(len(images)))


def test_joint_needs_a_discriminator_that_treats_images_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def batchwise(*arguments: Any) -> Net:
        return two_layers(*arguments)._replace(by_example=False)

    monkeypatch.setitem(NETWORKS, "batchwise", Networks(batchwise, lambda *_: GEN))
    config = replace(TINY, model=ModelConfig(networks="batchwise"), objective=ObjectiveConfig(name="joint"))
    with pytest.raises(UserError) as error:
        build(config, SHAPE, CLASSES)
    assert str(error.value) == (
        "objective 'joint' needs a discriminator that treats images one by one, which networks 'batchwise' do not; "
        "choose another objective"
    )
    build(replace(config, objective=ObjectiveConfig(name="feature_matching")), SHAPE, CLASSES)
    normed = replace(config, model=ModelConfig(networks="residual", norm="batch", width=4))
    with pytest.raises(UserError, match=r"'residual' do not; set model\.norm group, or choose another objective$"):
        build(normed, SHAPE, CLASSES)


@pytest.mark.parametrize(("name", "value"), [("norm", "batch"), ("blocks", 2)])
def test_a_setting_that_the_networks_do_not_have_is_refused(name: str, value: Any) -> None:
    for networks in ("residual", "wide_residual"):
        check_names(changed(Config(), {"model.networks": networks, f"model.{name}": value}))
    for networks in NETWORKS.keys() - {"residual", "wide_residual"}:
        with pytest.raises(UserError) as error:
            check_names(changed(Config(), {"model.networks": networks, f"model.{name}": value}))
        assert str(error.value) == (f"model.{name}: {value}; only model.networks residual and wide_residual have it")


def test_a_setting_of_a_preset_is_no_mistake_where_the_user_takes_other_networks() -> None:
    check_names(changed(PRESETS["photos"], {"model.networks": "compact"}))
    with pytest.raises(UserError, match="blocks: 2; only"):
        check_names(changed(PRESETS["photos"], {"model.networks": "compact", "model.blocks": 2}))


BRIGHTER = AugmentConfig(extra=("brightness",))
CONSISTENT = replace(TINY, objective=ObjectiveConfig(name="supervised"), consistency=ConsistencyConfig(weight=1.0))


@pytest.mark.parametrize(
    ("config", "brighter"),
    [
        (CONSISTENT, set()),
        (replace(CONSISTENT, augment=BRIGHTER), {"labelled", "student"}),
        (replace(CONSISTENT, weak=BRIGHTER), {"teacher"}),
        (replace(CONSISTENT, augment=BRIGHTER, views=ViewsConfig("none", "weak", "strong")), {"student"}),
        (replace(CONSISTENT, weak=BRIGHTER, views=ViewsConfig("weak", "none", "none")), {"labelled"}),
    ],
)
def test_an_augmentation_by_name_changes_the_views_that_name_it(
    monkeypatch: pytest.MonkeyPatch, config: Config, brighter: set[str]
) -> None:
    monkeypatch.setitem(AUGMENTATIONS, "brightness", lambda images, key: images + 10.0)
    brightness: dict[str, float] = {}

    def record(images: jax.Array, key: jax.Array | None) -> DiscOut:
        name = "teacher" if key is None else {2: "labelled", 4: "student"}[len(images)]
        brightness[name] = float(images.mean())
        return undecided(images, key)

    check_names(config)
    (move,) = build(config, SHAPE, CLASSES).recipe.objective
    batch = batch_of(jnp.zeros((2, *SHAPE)), jnp.zeros((4, *SHAPE)))
    move.terms(bound(record, teacher=record), batch, KEY)
    assert brightness.keys() == {"labelled", "teacher", "student"}
    assert {name for name, value in brightness.items() if value} == brighter


def test_weak_and_strong_views_have_the_strengths_of_their_settings() -> None:
    seen: dict[str, jax.Array] = {}

    def record(images: jax.Array, key: jax.Array | None) -> DiscOut:
        seen["teacher" if key is None else {2: "labelled", 4: "student"}[len(images)]] = images
        return undecided(images, key)

    config = replace(CONSISTENT, augment=AugmentConfig(invert=1.0, crop=1), weak=AugmentConfig(invert=1.0))
    (move,) = build(config, SHAPE, CLASSES).recipe.objective
    labelled, unlabelled = jnp.full((2, *SHAPE), 0.25), jax.random.uniform(KEY, (4, *SHAPE))
    move.terms(bound(record, teacher=record), batch_of(labelled, unlabelled), KEY)
    np.testing.assert_array_equal(seen["labelled"], -labelled)
    np.testing.assert_array_equal(seen["teacher"], -unlabelled)
    assert (seen["student"] != -unlabelled).any() and (seen["student"] < 0).all()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (place, value)
        for place in ("consistency.rule", "consistency.alignment", "consistency.teacher")
        for value in SETTINGS[place].choices
    ],
)
def test_every_rule_alignment_and_teacher_of_consistency_is_built_and_hands_its_state_on(
    place: str, value: str
) -> None:
    system = build(changed(CONSISTENT, {place: value}), SHAPE, CLASSES)
    (move,) = system.recipe.objective

    def record(images: jax.Array, key: jax.Array | None) -> DiscOut:
        who.add("averaged" if key is None else "student")
        return undecided(images, key)

    def themselves(images: jax.Array, key: jax.Array | None) -> DiscOut:
        return undecided(images, key)

    who: set[str] = set()
    batch = batch_of(jnp.zeros((2, *SHAPE)), jnp.zeros((4, *SHAPE)))
    terms = move.terms(bound(themselves, teacher=record, aux=move.aux), batch, KEY)
    assert who == (set() if value == "student" else {"averaged"})
    assert jax.tree.structure(terms.aux) == jax.tree.structure(move.aux)
    stateless = ("fixed", "none", "averaged", "student")
    assert (move.aux == {}) == (value in stateless)


@pytest.mark.parametrize("branch", ["augment", "weak"])
def test_an_unknown_augmentation_is_an_error_that_lists_them(branch: str) -> None:
    with pytest.raises(UserError) as error:
        check_names(replace(Config(), **{branch: AugmentConfig(extra=("mirror", "tilt"))}))
    assert str(error.value) == f"unknown augmentation 'tilt'; choose one of {', '.join(sorted(AUGMENTATIONS))}"
    with pytest.raises(UserError, match=rf"^{branch}.extra: hue is a setting of its own; give {branch}.hue a value"):
        check_names(replace(Config(), **{branch: AugmentConfig(extra=("hue",))}))

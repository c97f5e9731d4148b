"""The smallest users of the step's seams: a third player, state that is not a parameter, statistics, oblong images."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets import shallow
from small import CLASSES, DATA, DISC, GEN, KEY, LATENT, SHAPE, constant, equal, host, recipe_of, take_steps

from sgan_jax.config import Config, ModelConfig, ObjectiveConfig
from sgan_jax.engine.devices import team
from sgan_jax.engine.step import Recipe, draw, init_state
from sgan_jax.engine.system import System, build
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.models.ops.convolutions import NATIVE
from sgan_jax.objectives.adversarial import joint
from sgan_jax.objectives.alignment import ALIGNMENTS
from sgan_jax.objectives.losses import cross_entropy
from sgan_jax.objectives.matching import feature_matching
from sgan_jax.objectives.modifiers import PseudoLabels, with_consistency
from sgan_jax.objectives.supervised import supervised
from sgan_jax.objectives.table import OBJECTIVES
from sgan_jax.objectives.terms import classify, together
from sgan_jax.objectives.thresholds import RULES, Settings
from sgan_jax.runs.checkpoint import restore, saver
from sgan_jax.types import Batch, Bound, Data, DiscOut, Move, Net, Params, Statistics, Terms, TrainState


def saved_and_restored(folder: Path, state: Any, like: TrainState) -> Any:
    """A state, out of the checkpoint that it was saved in."""
    with saver(folder) as checkpoints:
        checkpoints.save(1, state)
    return restore(folder / "step_1", like)


def assert_resumes(recipe: Recipe, folder: Path) -> None:
    """Two steps, a checkpoint and two more steps give the bits of four steps."""
    state, _ = take_steps(recipe, 2)
    restored = saved_and_restored(folder, state, System(recipe, True, {}).abstract_state())
    resumed, metrics = take_steps(recipe, 2, jax.tree.map(jnp.asarray, restored))
    whole, of_all = take_steps(recipe, 4)
    assert equal(resumed, whole)
    assert equal(metrics, of_all[2:])


# --- a third player


def small_classifier() -> Net:
    """One dense layer from images to class logits: not a discriminator, and no `DiscOut`."""

    def init(key: jax.Array) -> Params:
        return {"w": 0.1 * jax.random.normal(key, (64, CLASSES))}

    return Net(init, lambda params, images: images.reshape(len(images), -1) @ params["w"], SHAPE, list)


def learn(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    loss = cross_entropy(nets.players["c"](batch.lab_images), batch.lab_labels).mean()
    of_teacher = cross_entropy(nets.teachers["c"](batch.lab_images), batch.lab_labels).mean()
    return Terms({"c/supervised": loss}, {"c/of_teacher": of_teacher})


WITH_THIRD = recipe_of(
    (*feature_matching(), Move({"c": "third"}, learn)), {"d": DISC, "g": GEN, "c": small_classifier()}
)


def test_a_third_player_trains_with_its_own_slot_and_changes_no_bit_of_the_others() -> None:
    first = host(init_state(KEY, WITH_THIRD))
    state, metrics = take_steps(WITH_THIRD, 3)
    without, _ = take_steps(recipe_of(feature_matching()), 3)
    assert set(state.params) == set(state.ema) == {"d", "g", "c"}
    assert set(state.opt) == {"d", "g", "third"}
    assert int(state.opt["third"].count) == 3
    assert not np.array_equal(state.params["c"]["w"], first.params["c"]["w"])
    losses = [float(of_step.loss["c/supervised"]) for of_step in metrics]
    assert len(set(losses)) == 3
    for player in ("d", "g"):
        assert equal(state.params[player], without.params[player])
        assert equal(state.ema[player], without.ema[player])
        assert equal(state.opt[player], without.opt[player])


def test_a_third_player_has_a_teacher() -> None:
    _, metrics = take_steps(WITH_THIRD, 2)
    # Both are the first parameters at the first step; the average after one step is the parameters themselves.
    for of_step in metrics:
        assert float(of_step.watch["c/of_teacher"]) == pytest.approx(float(of_step.loss["c/supervised"]), rel=1e-6)


def test_a_third_player_resumes(tmp_path: Path) -> None:
    assert_resumes(WITH_THIRD, tmp_path)


# --- state that is not a parameter: a threshold for each class


def confident(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
    """Cross-entropy with the predicted class above its threshold, which follows the mean confidence in this class."""
    thresholds = nets.aux["thresholds"]
    logits = nets.disc(batch.unl_images, key).class_logits
    confidence, predicted = jax.nn.softmax(logits).max(axis=-1), logits.argmax(axis=-1)
    chosen = jax.nn.one_hot(predicted, CLASSES)  # [U, K]
    count = chosen.sum(axis=0)
    mean = (chosen * confidence[:, None]).sum(axis=0) / jnp.maximum(count, 1.0)
    updated = jnp.where(count > 0, 0.9 * thresholds + 0.1 * mean, thresholds)
    passes = jax.lax.stop_gradient(confidence > thresholds[predicted]).astype(jnp.float32)
    loss = {"d/confident": (passes * cross_entropy(logits, predicted)).mean()}
    return Terms(loss, {}, {"thresholds": jax.lax.stop_gradient(updated)})


FIRST = {"thresholds": jnp.full(CLASSES, 0.5)}
BY_THRESHOLD = (Move({"d": "d"}, together(classify, confident), FIRST),)


def test_thresholds_are_those_that_the_step_before_handed_on() -> None:
    def output(bias: jax.Array, images: jax.Array) -> DiscOut:  # probabilities 1/8, 2/8, 5/8 for every image
        logits = jnp.log(jnp.tile(jnp.array([[1.0, 2.0, 5.0]]), (len(images), 1))) + bias
        return DiscOut(images, logits, logits[:, 0])

    recipe = recipe_of(BY_THRESHOLD, {"d": constant(0.0, output, SHAPE), "g": GEN})
    state = init_state(KEY, recipe)
    np.testing.assert_array_equal(state.aux["thresholds"], [0.5, 0.5, 0.5])
    state, (first, _) = take_steps(recipe, 2)
    by_hand = 0.9 * (0.9 * 0.5 + 0.1 * 5 / 8) + 0.1 * 5 / 8
    np.testing.assert_allclose(state.aux["thresholds"], [0.5, 0.5, by_hand], rtol=1e-6)
    assert float(first.loss["d/confident"]) == pytest.approx(np.log(8 / 5), rel=1e-5)  # 5/8 is above 0.5


def test_a_move_gets_the_state_that_the_move_before_handed_on() -> None:
    def count(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        return Terms({}, {}, {"moves": nets.aux["moves"] + 1})

    objective = Move({"d": "d"}, count, {"moves": 0}), Move({"g": "g"}, count)
    assert int(take_steps(recipe_of(objective), 3)[0].aux["moves"]) == 6


@pytest.mark.parametrize("first", [1.0, 2, jnp.full(3, 0.5)], ids=["float", "integer", "weakly typed array"])
def test_first_values_of_state_are_not_weakly_typed_or_the_second_step_would_compile_anew(first: Any) -> None:
    recipe = recipe_of((Move({"d": "d"}, lambda nets, batch, key: Terms({}, {}), {"state": first}),))
    made = jax.eval_shape(lambda key: init_state(key, recipe), KEY).aux["state"]
    assert made.shape == jnp.shape(first) and not made.weak_type


def test_thresholds_resume(tmp_path: Path) -> None:
    recipe = recipe_of(BY_THRESHOLD)
    assert not equal(take_steps(recipe, 2)[0].aux, FIRST)
    assert_resumes(recipe, tmp_path)


@pytest.mark.parametrize(("rule", "alignment"), [("freematch", "labelled"), ("softmatch", "uniform")])
def test_a_rule_and_an_alignment_resume(rule: str, alignment: str, tmp_path: Path) -> None:
    made = RULES[rule](Settings(CLASSES, decay=0.9))
    pseudo = PseudoLabels(made, ALIGNMENTS[alignment](CLASSES, 0.9), averaged=rule == "freematch", fairness=0.1)
    recipe = recipe_of(with_consistency(supervised(), lambda images, key: images, pseudo=pseudo))
    state, (first, _) = take_steps(recipe, 2)
    for before, after in zip(
        jax.tree.leaves(init_state(KEY, recipe).aux), jax.tree.leaves(host(state.aux)), strict=True
    ):
        assert not np.array_equal(before, after)
    assert float(first.watch["d/threshold"]) > 0
    assert_resumes(recipe, tmp_path)


def test_an_objective_without_such_state_adds_no_leaf() -> None:
    state = init_state(KEY, recipe_of(feature_matching()))
    assert state.aux == {}
    assert len(jax.tree.leaves(state)) == len(jax.tree.leaves(state[:-1]))


class Pair(NamedTuple):
    d: Params
    g: Params


class StateOfVersion01(NamedTuple):
    """As checkpoints of version 0.1 have it: two players by position, and no other state."""

    step: jax.Array
    params: Pair
    opt: dict[str, Any]
    ema: Pair


def test_a_checkpoint_of_version_0_1_is_restored(tmp_path: Path) -> None:
    recipe = recipe_of(joint())
    state, _ = take_steps(recipe, 1)
    old = StateOfVersion01(state.step, Pair(**state.params), state.opt, Pair(**state.ema))
    restored = saved_and_restored(tmp_path, old, System(recipe, True, {}).abstract_state())
    assert isinstance(restored, TrainState)
    assert equal(restored, host(state))


# --- a discriminator with a running mean


def centring_disc() -> Net:
    """One dense layer on images minus their mean: that of the batch in training, a running one after it."""

    def init(key: jax.Array) -> Params:
        return {"w": jax.random.normal(key, (64, CLASSES))}

    def apply(
        params: Params, images: jax.Array, key: jax.Array | None, statistics: Statistics, training: bool
    ) -> DiscOut:
        flat = images.reshape(len(images), -1)
        running, of_batch = statistics["mean"], flat.mean(axis=0)
        features = flat - (of_batch if training else running)[None]
        updated = {"mean": 0.5 * running + 0.5 * of_batch if training else running}
        return DiscOut(features, *HEADS["stacked"].split(features @ params["w"]), updated)

    return Net(init, apply, SHAPE, list, lambda: {"mean": jnp.zeros(64)}, by_example=False)


WHITE = constant(1.0, lambda _, z: jnp.ones((len(z), *SHAPE)), (LATENT,))  # a generator whose mean is known
CENTRING = {"d": centring_disc(), "g": WHITE}


def first_batch(recipe: Recipe) -> Batch:
    key = jax.random.fold_in(KEY, 0)
    return draw(DATA, recipe, jax.random.split(key, 1 + len(recipe.objective))[0])


def test_training_updates_the_running_mean_and_averages_several_passes_of_a_move() -> None:
    recipe = recipe_of(supervised(), CENTRING)
    of_lab = first_batch(recipe).lab_images.reshape(-1, 64).mean(axis=0)
    state, _ = take_steps(recipe, 1)
    np.testing.assert_allclose(state.aux["d/statistics"]["mean"], 0.5 * of_lab, atol=1e-6)

    recipe = recipe_of(feature_matching(), CENTRING)  # labelled, unlabelled and generated images; then the generator's
    batch = first_batch(recipe)
    of_lab, of_unl = (images.reshape(-1, 64).mean(axis=0) for images in (batch.lab_images, batch.unl_images))
    state, _ = take_steps(recipe, 1)
    np.testing.assert_allclose(state.aux["d/statistics"]["mean"], 0.5 * (of_lab + of_unl + 1.0) / 3, atol=1e-6)


def shifted(images: jax.Array, key: jax.Array) -> jax.Array:
    return images + 3.0


def darkened(images: jax.Array, key: jax.Array) -> jax.Array:
    return images - 5.0


@pytest.mark.parametrize(
    ("name", "passes", "consistency"),
    [(name, 3, False) for name in sorted(OBJECTIVES) if name not in ("joint", "tutorial", "supervised", "triple")]
    + [("supervised", 2, True)],
)
def test_every_pass_of_the_discriminators_move_counts(name: str, passes: int, consistency: bool) -> None:
    objective = OBJECTIVES[name].objective(True)
    objective = with_consistency(objective, shifted) if consistency else objective
    recipe = recipe_of(objective, CENTRING)
    batch = first_batch(recipe)
    of_lab, of_unl = (images.reshape(-1, 64).mean(axis=0) for images in (batch.lab_images, batch.unl_images))
    others = of_unl + (3.0 if consistency else 1.0)  # the student's view; or generated images as well
    state, _ = take_steps(recipe, 1)
    np.testing.assert_allclose(state.aux["d/statistics"]["mean"], 0.5 * (of_lab + others) / passes, atol=1e-5)


def test_evaluation_uses_the_running_mean_and_treats_images_one_by_one() -> None:
    recipe = recipe_of(supervised(), CENTRING)
    system, state = System(recipe, True, {}), take_steps(recipe, 2)[0]
    images, model = DATA.unl_images, state.model("d")
    logits = system.classify(model, images)
    np.testing.assert_allclose(system.classify(model, images[:2]), logits[:2], rtol=1e-5)
    flat = images.reshape(-1, 64).astype(jnp.float32) / 127.5 - 1.0
    mean = state.aux["d/statistics"]["mean"]
    np.testing.assert_allclose(logits, (flat - mean[None]) @ state.params["d"]["w"], rtol=1e-4, atol=1e-4)
    averaged = system.classify(state.model("d", averaged=True), images)
    np.testing.assert_allclose(averaged, (flat - mean[None]) @ state.ema["d"]["w"], rtol=1e-4, atol=1e-4)


def test_in_training_a_teacher_has_averaged_parameters_and_the_mean_of_its_own_images() -> None:
    def teach(nets: Bound, batch: Batch, key: jax.Array) -> Terms:
        taught = nets.teacher(batch.unl_images, None)
        return classify(nets, batch, key)._replace(watch={"d/of_first": taught.real_logit[0]})

    recipe = recipe_of((Move({"d": "d"}, teach),), CENTRING)
    before, _ = take_steps(recipe, 1)
    images = draw(DATA, recipe, jax.random.split(jax.random.fold_in(KEY, 1), 2)[0]).unl_images
    expected = centring_disc().bound(before.model("d", averaged=True), training=True)(images, None).real_logit[0]
    _, (_, metrics) = take_steps(recipe, 2)
    assert float(metrics.watch["d/of_first"]) == pytest.approx(float(expected), rel=1e-5)


def test_averaged_parameters_have_a_running_mean_of_the_teachers_images(tmp_path: Path) -> None:
    first = {"mean": jnp.zeros(64)}
    pseudo = PseudoLabels(statistics=first)
    recipe = recipe_of(with_consistency(supervised(), shifted, pseudo=pseudo, teacher=darkened), CENTRING)
    of_unl = first_batch(recipe).unl_images.reshape(-1, 64).mean(axis=0)
    state, _ = take_steps(recipe, 1)
    averaged = state.model("d", averaged=True).statistics["mean"]
    np.testing.assert_allclose(averaged, 0.5 * (of_unl - 5.0), atol=1e-5)
    assert abs(averaged - state.model("d").statistics["mean"]).min() > 1.0
    assert_resumes(recipe, tmp_path)


def test_statistics_resume(tmp_path: Path) -> None:
    assert_resumes(recipe_of(feature_matching(), CENTRING), tmp_path)


# --- images that are not square


def small_system(objective: str, networks: str) -> System:
    """Of the smallest width, on images of 20 x 36 pixels and three channels."""
    model = ModelConfig(width=1, latent=5, networks=networks, **shallow(networks))
    config = Config(batch_size=2, objective=ObjectiveConfig(name=objective), model=model)
    return build(config, (20, 36, 3), CLASSES, NATIVE)


def drawn_state(system: System) -> TrainState:
    """A state from NumPy: quicker than to compile `init`."""
    draw = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(draw.uniform(0, 0.1, leaf.shape), leaf.dtype), system.abstract_state())


OBLONG = np.random.default_rng(0).integers(0, 256, (4, 20, 36, 3), np.uint8)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_every_objective_fits_images_of_20_by_36_pixels(objective: str) -> None:
    system = small_system(objective, "tutorial")
    arguments = system.abstract_arguments(labelled=2, unlabelled=4)
    state, _ = jax.eval_shape(system.train_step(), *arguments)
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, arguments[0])


@pytest.mark.parametrize(
    "networks", [pytest.param(name, marks=[pytest.mark.slow] * (name != "tutorial")) for name in sorted(NETWORKS)]
)
def test_every_pair_of_networks_trains_on_images_of_20_by_36_pixels_classifies_and_makes_them(networks: str) -> None:
    system = small_system("joint", networks)
    data = Data(jnp.asarray(OBLONG[:2]), jnp.array([0, 2], jnp.int32), jnp.asarray(OBLONG))
    state, metrics = system.advance(team(None, 2), False)(drawn_state(system), data, KEY, 1)
    assert int(state.step) == 1
    assert all(np.isfinite(value).all() for value in jax.tree.leaves(metrics))
    assert system.classify(state.model("d"), OBLONG).shape == (4, CLASSES)
    assert system.generate(state.model("g"), KEY, 2).shape == (2, 20, 36, 3)

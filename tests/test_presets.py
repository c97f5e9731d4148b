"""The presets: each can be trained, and those that are compared differ in what they are compared for."""

import dataclasses

import jax
import pytest

from sgan_jax.config import LARGEST_GRAPH, Config, changed, flatten, validate
from sgan_jax.engine.step import make_train_step
from sgan_jax.engine.system import build, check_names
from sgan_jax.metrics.names import MEANINGS
from sgan_jax.objectives.table import OBJECTIVES
from sgan_jax.presets import PRESETS, TABLE, ImageFacts, drawing_note, recommended, usual_head

PAUSE = {"propagation.pause_from", "propagation.pause_until"}
OF_BEST = (
    PAUSE
    | {"batch_size", "muon.learning_rate"}
    | {f"propagation.{name}" for name in ("candidates", "parts", "deslant", "reverse_weight")}
)
AUGMENTATIONS = {f"augment.{name}" for name in ("rotation", "shear", "scale", "shift", "elastic")}
OF_PAIRS = {"objective.name", "objective.classifier_pairs", "objective.generated_weight"}
OF_PAIRS |= {f"generator.{name}" for name in ("networks", "discriminator", "width", "images", "beta1", "averaged")}
OF_OBJECTS = {"epochs", "batch_size", *(f"augment.{name}" for name in ("rotation", "shear", "elastic", "extra"))}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_valid_named_after_itself_and_explained(name: str) -> None:
    validate(PRESETS[name])
    check_names(PRESETS[name])
    assert PRESETS[name].preset == name
    assert usual_head(name) == PRESETS[name].model.head
    row = TABLE[name]
    assert row.config is PRESETS[name] and row.purpose and row.source and float(row.minutes) > 0


def test_the_tutorial_is_the_default() -> None:
    assert PRESETS["tutorial"] == Config()
    assert usual_head("of a later version") == Config().model.head


@pytest.mark.parametrize(
    ("name", "beside", "differs"),
    [
        ("joint", "tutorial", {"objective.name"}),
        ("supervised", "feature_matching", {"objective.name"}),
        ("catgan", "feature_matching", {"objective.name"}),
        ("complement", "feature_matching", {"objective.name"}),
        ("manifold", "feature_matching", {"objective.name"}),
        ("invariance", "feature_matching", {"objective.name"}),
        ("supervised-augmented", "fast", {"objective.name", "adam.schedule"}),
        ("best", "consistency", {"propagation.neighbours", "epochs"} | OF_BEST),
        ("best-objects", "best", OF_OBJECTS | OF_BEST),
        ("best-unaugmented", "best", {"epochs"} | PAUSE | AUGMENTATIONS),
        ("both", "best", OF_PAIRS),
        ("triple", "feature_matching", {"objective.name", "generator.averaged"}),
        ("fixmatch", "photos", {"consistency.rule", "consistency.teacher"}),
        ("freematch", "photos", {"consistency.teacher", "consistency.fairness"}),
    ],
)
def test_presets_that_are_compared_differ_in_what_they_are_named_after(
    name: str, beside: str, differs: set[str]
) -> None:
    theirs, ours = flatten(PRESETS[beside]), flatten(PRESETS[name])
    assert {place for place in theirs if theirs[place] != ours[place]} == {"preset"} | differs


def test_k_plus_one_preset_is_fast_with_that_head_a_decaying_rate_and_no_augmentation() -> None:
    fast, ours = PRESETS["fast"], PRESETS["k_plus_one"]
    assert ours.model == dataclasses.replace(fast.model, head="k_plus_one")
    assert ours.adam == dataclasses.replace(fast.adam, schedule="cosine")
    assert dataclasses.replace(ours, preset="fast", model=fast.model, adam=fast.adam, augment=fast.augment) == fast


def test_the_note_on_drawing_is_about_the_objective() -> None:
    assert drawing_note(PRESETS["tutorial"]) == drawing_note(PRESETS["fast"]) == ""
    for name in ("best", "consistency", "complement"):
        assert "only serves the classifier" in drawing_note(PRESETS[name])
    assert "noise" in drawing_note(PRESETS["supervised"])
    noted = {row.config.objective.name for row in TABLE.values() if drawing_note(row.config)}
    assert noted < set(OBJECTIVES)


@pytest.mark.parametrize("name", ["tutorial", "catgan", "complement", "manifold", "invariance", "triple", "best"])
def test_every_term_of_a_loss_has_a_sentence_on_what_it_means(name: str) -> None:
    small = {"batch_size": 2, "unlabelled": 2, "model.width": 8, "propagation.neighbours": 0}
    fair = {"consistency.rule": "freematch", "consistency.fairness": 0.05}
    system = build(changed(PRESETS[name], small | fair), (28, 28, 1), 3)
    _, metrics = jax.eval_shape(make_train_step(system.recipe), *system.abstract_arguments(4, 4))
    assert metrics.loss and metrics.loss.keys() <= MEANINGS.keys()


FACTS = ImageFacts(height=28, width=28, channels=1, train=4000, unlabelled=3900, streamed=False)


@pytest.mark.parametrize(
    ("changes", "preset", "reason"),
    [
        ({}, "best", "handwriting"),
        ({"channels": 3}, "photos", "colour"),
        ({"channels": 3, "streamed": True}, "consistency", "memory"),
        ({"streamed": True}, "consistency", "memory"),
        ({"train": LARGEST_GRAPH + 1}, "consistency", "too many"),
        ({"train": LARGEST_GRAPH}, "best", "handwriting"),
        ({"width": 65}, "consistency", "large images"),
        ({"train": 6}, "consistency", "few images"),
        ({"unlabelled": 0}, "consistency", "every image has a label"),
    ],
)
def test_the_preset_that_fits_images_is_recommended(changes: dict[str, int], preset: str, reason: str) -> None:
    recommendation = recommended(FACTS._replace(**changes))
    assert recommendation[0] == preset in PRESETS and reason in recommendation[1]

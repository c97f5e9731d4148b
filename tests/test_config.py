"""The configuration: its tree and its JSON, of this version and of 0.1, and the values that no run can be made of."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outer import ROOT

from sgan_jax.config import (
    LENGTH_SETTINGS,
    REPORT_SETTINGS,
    SETTINGS,
    SHORT,
    SOURCE_SETTINGS,
    AdamConfig,
    AugmentConfig,
    Config,
    ConsistencyConfig,
    DataConfig,
    GeneratorConfig,
    ModelConfig,
    MuonConfig,
    ObjectiveConfig,
    PropagationConfig,
    Range,
    ViewsConfig,
    changed,
    choose,
    differences,
    flatten,
    from_json,
    located,
    most_telling,
    settings_of_file,
    to_json,
    validate,
    without_folders,
)
from sgan_jax.engine.system import check_names
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.objectives.table import OBJECTIVES

_COLOURS: dict[str, Any] = {"crop": 4, "posterize": 3, "solarize": 0.2, "invert": 0.1, "autocontrast": 0.2}
_COLOURS |= {name: 0.25 for name in ("brightness", "contrast", "saturation", "hue", "sharpness", "blur", "equalize")}
# Every field has a value that is not its default.
CHANGED = Config(
    preset="joint",
    seed=7,
    epochs=2,
    steps_per_epoch=3,
    steps=5,
    precision="auto",
    batch_size=10,
    unlabelled=12,
    ema_decay=0.9,
    evaluators=("accuracy", "brightness"),
    features="runs/b",
    init_from="runs/a",
    keep=3,
    patience=2,
    class_balance="draws",
    data=DataConfig("mnist", "digits", (32, 40), True, 20, 9, 3, "digits.csv"),
    model=ModelConfig("separate", 8, 16, 0.25, "mlp", norm="batch", blocks=2),
    objective=ObjectiveConfig("joint", 0.25, 0.2, 0.4, 0.01, 0.02, 3, 0.5, 0.25, 0.75),
    generator=GeneratorConfig("mlp", "compact", 12, 0.1, 10, 5e-4, 0.25, True),
    adam=AdamConfig(1e-3, 0.9, 0.99, 1e-8, 1e-9, "cosine"),
    muon=MuonConfig(2e-3, 0.9),
    augment=AugmentConfig(20.0, 0.3, 0.2, 2.0, 1.0, 5, ("mirror",), **_COLOURS, random=2, border="grey", fill="grey"),
    weak=AugmentConfig(
        10.0, 0.1, 0.1, 1.0, 0.5, 3, ("mirror", "mirror"), **_COLOURS, random=1, border="reflect", fill="grey"
    ),
    views=ViewsConfig("weak", "none", "weak"),
    consistency=ConsistencyConfig(2.0, 0.8, "freematch", 0.9, "uniform", 0.05, "student"),
    propagation=PropagationConfig(
        neighbours=4,
        candidates=20,
        pause_from=0.25,
        pause_until=0.5,
        parts=True,
        deslant=True,
        reverse_weight=0.5,
        reach=1,
        sharpness=4.0,
        alpha=0.9,
        alpha_wide=0.95,
        alpha_narrow=0.96,
        alpha_many=0.97,
        alpha_local=0.98,
        iterations=10,
        settled=1e-3,
        trial_iterations=2,
        stable=1e-2,
        many_labels=40,
        few_labels=6,
        certainty=5.0,
        trusted=0.7,
        useful=0.1,
        embeddings="vectors.npz",
    ),
)

# `to_json` of version 0.1, every field with a value that was not its default there, and what it means here.
OF_0_1: dict[str, Any] = {
    "preset": "joint",
    "objective": "joint",
    "seed": 7,
    "epochs": 2,
    "steps_per_epoch": 3,
    "steps": 5,
    "precision": "auto",
    "batch_size": 10,
    "unlabelled": 12,
    "ema_decay": 0.9,
    "data": {
        "dataset": "mnist",
        "data_dir": "digits",
        "image_size": 32,
        "stream": True,
        "labels": 20,
        "label_seed": 9,
        "validation": 3,
    },
    "model": {"head": "separate", "width": 8, "latent": 16, "dropout": 0.25, "networks": "mlp"},
    "adam": {
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "beta2": 0.99,
        "epsilon": 1e-8,
        "epsilon_root": 1e-9,
        "schedule": "cosine",
    },
    "muon": {"learning_rate": 2e-3, "momentum": 0.9},
    "augment": {
        "rotation": 20.0,
        "shear": 0.3,
        "scale": 0.2,
        "shift": 2.0,
        "elastic": 1.0,
        "cutout": 5,
        "mirror": True,
    },
    "consistency": {"weight": 2.0, "threshold": 0.8},
    "propagation": {
        "neighbours": 4,
        "candidates": 20,
        "alone_from": 0.25,
        "alone_until": 0.5,
        "parts": True,
        "slanted": False,
        "back": 0.5,
    },
}
READ_FROM_0_1 = Config(
    preset="joint",
    seed=7,
    epochs=2,
    steps_per_epoch=3,
    steps=5,
    precision="auto",
    batch_size=5,
    unlabelled=12,
    ema_decay=0.9,
    data=DataConfig("mnist", "digits", (32, 32), True, 20, 9, 3),
    model=ModelConfig("separate", 8, 16, 0.25, "mlp"),
    objective=ObjectiveConfig("joint"),
    adam=CHANGED.adam,
    muon=CHANGED.muon,
    augment=AugmentConfig(20.0, 0.3, 0.2, 2.0, 1.0, 5, ("mirror",)),
    consistency=ConsistencyConfig(2.0, 0.8),
    propagation=PropagationConfig(
        4, 20, pause_from=0.25, pause_until=0.5, parts=True, deslant=True, reverse_weight=0.5
    ),
)


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    """The error's message, which has to be a single line."""
    assert "\n" not in str(error.value)
    return str(error.value)


# --- the tree ---


def test_files_and_folders_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(Config()) == Config()
    assert located(Config(features="b", init_from="a")) == Config(features=f"{tmp_path}/b", init_from=f"{tmp_path}/a")
    there = located(Config(data=DataConfig(data_dir="digits", labels_file="a.csv")))
    digits, table = str(tmp_path / "digits"), str(tmp_path / "a.csv")
    assert there == located(there) == Config(data=DataConfig(data_dir=digits, labels_file=table))
    assert changed(Config(), {"data.data_dir": tmp_path / "digits"}).data.data_dir == digits, "a path is text"


def test_default_is_the_tutorial() -> None:
    config = Config()
    assert (config.batch_size, config.total_steps, config.steps_per_epoch) == (50, 12_000, 600)
    assert config.adam == AdamConfig(learning_rate=2e-4, beta1=0.5, beta2=0.999, epsilon=1e-7)
    assert config.model == ModelConfig(head="stacked", width=128, latent=100, dropout=0.4)
    assert config.data.labels is None, "100, or all of custom images"


def test_steps_take_the_place_of_epochs() -> None:
    assert Config(epochs=3, steps_per_epoch=10).total_steps == 30
    assert Config(epochs=3, steps_per_epoch=10, steps=7).total_steps == 7


def test_flatten_names_fields_by_their_path() -> None:
    flat = flatten(CHANGED)
    assert (flat["model.head"], flat["adam.beta1"], flat["data.labels"], flat["seed"]) == ("separate", 0.9, 20, 7)
    assert not any(isinstance(value, dict) for value in flat.values())


def test_changed_is_the_inverse_of_flatten() -> None:
    assert changed(Config(), flatten(CHANGED)) == CHANGED
    assert changed(CHANGED, {}) == CHANGED


def test_sets_and_short_names_of_settings_name_settings() -> None:
    assert SETTINGS.keys() >= LENGTH_SETTINGS | SOURCE_SETTINGS | REPORT_SETTINGS | set(SHORT.values())
    assert len(set(SHORT.values())) == len(SHORT)


def test_every_setting_is_explained() -> None:
    for place, setting in SETTINGS.items():
        assert setting.help.endswith(".") and len(setting.help.split()) >= 2, place


def test_configuration_cannot_be_changed_in_place() -> None:
    for part in (Config(), DataConfig(), ModelConfig(), AdamConfig()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, dataclasses.fields(part)[0].name, "other")


def test_differences_name_what_decides_the_result_and_leave_length_source_and_reports_out() -> None:
    free = {"epochs": 30, "steps": 9, "data.dataset": "mnist", "data.data_dir": "here", "evaluators": ("accuracy",) * 2}
    free |= {"features": "runs/b"}
    assert differences(Config(), changed(Config(), free)) == []
    other = changed(Config(), {"propagation.alpha": 0.5, "objective.entropy_weight": 0.2, "seed": 1})
    assert differences(Config(), other, frozenset({"seed"})) == [
        "objective.entropy_weight was 0.1, now 0.2",
        "propagation.alpha was 0.998, now 0.5",
    ]


# --- JSON ---


def test_json_round_trip_keeps_every_field() -> None:
    default, other = flatten(Config()), flatten(CHANGED)
    assert [name for name in default if default[name] == other[name]] == [], "CHANGED must differ everywhere"
    assert from_json(json.loads(json.dumps(to_json(CHANGED)))) == CHANGED
    assert from_json(json.loads(json.dumps(to_json(Config())))) == Config()


@pytest.mark.parametrize("part", [(), ("model",), ("data",), ("adam",), ("augment",), ("objective",)])
def test_unknown_field_is_an_error_that_names_it(part: tuple[str, ...]) -> None:
    values = to_json(Config())
    inner = values[part[0]] if part else values
    inner["friction"] = 0.9
    with pytest.raises(UserError, match=r"config\.json: .*friction'") as error:
        from_json(values)
    one_line(error)
    inner["friction"] = {"of": "branches"}
    with pytest.raises(UserError, match=r"config\.json: .*friction'") as error:
        from_json(values)
    one_line(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", "20"),
        ("epochs", 2.5),
        ("epochs", True),
        ("epochs", None),
        ("steps", "all"),
        ("evaluators", [1]),
        ("objective", 1),
        ("model", 3),
        ("model", None),
        ("data", ["mnist"]),
    ],
)
def test_value_of_another_type_is_an_error_that_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"config\.json: {field}\b") as error:
        from_json(to_json(Config()) | {field: value})
    one_line(error)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("data.labels", "many", "a whole number or none"),
        ("data.image_size", (28, 28, 1), "two whole numbers or none"),
        ("augment.extra", "mirror", "a list of text"),
        ("adam.learning_rate", "fast", "a number"),
        ("propagation.parts", 1, "True or False"),
    ],
)
def test_a_value_of_another_type_is_answered_with_the_type_in_words(place: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        changed(Config(), {place: value})
    assert one_line(error) == f"{place}: {value!r}; expected {expected}"


def test_optional_values_and_whole_numbers_in_the_place_of_fractions_are_read() -> None:
    values = to_json(Config()) | {"steps": None, "adam": {"learning_rate": 1}}
    assert from_json(values) == changed(Config(), {"adam.learning_rate": 1.0})


def test_missing_field_takes_its_default() -> None:
    values = to_json(CHANGED)
    del values["steps"], values["adam"]
    assert from_json(values) == dataclasses.replace(CHANGED, steps=None, adam=AdamConfig())


def test_a_file_of_settings_is_a_runs_config_json_whole_or_any_part_of_the_tree() -> None:
    assert settings_of_file({"config": to_json(CHANGED), "dataset": {}}) == flatten(CHANGED)
    assert settings_of_file({"seed": 3, "model": {"width": 8}}) == {"seed": 3, "model.width": 8}
    assert settings_of_file({}) == {}
    with pytest.raises(UserError, match=r"^model is 3, expected settings by name$"):
        settings_of_file({"model": 3})


# --- JSON of version 0.1 ---


def test_a_configuration_of_version_0_1_is_read_with_every_field_by_its_new_name() -> None:
    assert from_json(OF_0_1) == READ_FROM_0_1
    assert changed(Config(), settings_of_file({"config": OF_0_1})) == READ_FROM_0_1
    assert from_json(to_json(READ_FROM_0_1)) == READ_FROM_0_1, "what is read is not halved again"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("benchmarks/records/*/results.jsonl")), ids=lambda path: path.parent.name
)
def test_configurations_of_the_records_are_read(path: Path) -> None:
    for line in path.read_text().splitlines():
        values = json.loads(line)["config"]
        config = from_json(values)
        validate(config)
        assert (config.objective.name, 2 * config.batch_size) == (values["objective"], values["batch_size"])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch_size", True, "batch_size: True; expected a whole number"),
        ("batch_size", "10", "batch_size: '10'; expected a whole number"),
        ("augment", {"mirror": 1}, "no setting is named 'augment.mirror'"),
        ("propagation", {"slanted": "no"}, "no setting is named 'propagation.slanted'"),
        ("propagation", {"back": "far"}, "propagation.reverse_weight: 'far'; expected a number"),
    ],
)
def test_a_value_of_another_type_in_a_configuration_of_version_0_1_is_an_error(
    field: str, value: Any, message: str
) -> None:
    with pytest.raises(UserError) as error:
        from_json(OF_0_1 | {field: value})
    assert one_line(error).startswith(f"config.json: {message}")


# --- values that no run can be made of ---


@pytest.mark.parametrize("limit", [-0.1, float("inf"), float("nan")])
def test_augmentations_are_limited_by_numbers_of_at_least_zero(limit: float) -> None:
    with pytest.raises(UserError, match=r"^augment\.shear: \S+; must be at least 0$"):
        validate(changed(Config(), {"augment.shear": limit}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"adam.schedule": "linear"}, "adam.schedule: linear; choose one of constant, cosine"),
        ({"views.teacher": "dull"}, "views.teacher: dull; choose one of none, weak, strong"),
        ({"unlabelled": 49}, "unlabelled: 49; must be at least batch_size, 50"),
        ({"consistency.weight": -1.0}, "consistency.weight: -1.0; must be at least 0"),
        (
            {"consistency.rule": "dash"},
            "consistency.rule: dash; choose one of fixed, flexmatch, freematch, softmatch",
        ),
        ({"consistency.alignment": "even"}, "consistency.alignment: even; choose one of none, uniform, labelled"),
        ({"consistency.teacher": "peer"}, "consistency.teacher: peer; choose one of averaged, student"),
        ({"consistency.rule_decay": 1.0}, "consistency.rule_decay: 1.0; must be at least 0 and below 1"),
        ({"consistency.fairness": 0.05}, "consistency.fairness: 0.05; needs consistency.rule freematch"),
        (
            {"propagation.neighbours": 4, "propagation.candidates": 3},
            "propagation.candidates: 3; must be at least propagation.neighbours, 4",
        ),
        ({"propagation.pause_from": 1.0}, "propagation.pause_from: 1.0; must be at least 0 and below 1"),
        (
            {"propagation.pause_from": 0.5, "propagation.pause_until": 0.25},
            "propagation.pause_until: 0.25; must be at least propagation.pause_from, 0.5",
        ),
        (
            {"propagation.embeddings": "vectors.npy"},
            "propagation.embeddings: vectors.npy; needs a graph: preset best-objects, or propagation.neighbours 6 with "
            "consistency.weight 1",
        ),
        ({"propagation.useful": 0.7}, "propagation.useful: 0.7; must be at most propagation.trusted, 0.5"),
        (
            {"adam.epsilon": 0.0},
            "adam.epsilon: 0.0; must be a positive number, or adam.epsilon_root one",
        ),
        ({"data.validation": 100, "data.labels": 100}, "data.validation: 100; must be between 0 and 99"),
        (
            {"data.validation": 1, "data.labels": 1},
            "data.validation: 1; must be 0; expected at least 2 labels, one to train on",
        ),
        ({"data.image_size": (20, 600)}, "data.image_size: 20 x 600; must be between 8 and 512"),
    ],
)
def test_settings_that_do_not_fit_one_another_or_their_choices_are_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        validate(changed(Config(), values))
    assert one_line(error) == message


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("data.labels", 0),
        ("epochs", 0),
        ("epochs", -1),
        ("steps_per_epoch", 0),
        ("steps", 0),
        ("model.width", 0),
        ("model.latent", 0),
        ("model.dropout", 1.0),
        ("adam.beta1", 1.0),
        ("adam.beta2", -0.1),
        ("muon.momentum", 1.0),
        ("muon.learning_rate", -1.0),
        ("ema_decay", 1.0),
        ("adam.epsilon", 0.0),
        ("adam.epsilon", -1e-8),
        ("adam.epsilon_root", -1e-8),
        ("batch_size", 0),
        ("batch_size", -2),
        ("batch_size", 65537),
        ("objective.tangents", 0),
        ("propagation.alpha", 1.0),
        ("adam.learning_rate", 0.0),
        ("adam.learning_rate", -1e-3),
        ("adam.learning_rate", float("nan")),
        ("adam.learning_rate", float("inf")),
        ("seed", -1),
        ("seed", 2**32),
        ("data.label_seed", -1),
        ("data.label_seed", 2**32),
    ],
)
def test_impossible_value_is_an_error_that_names_its_setting(place: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        validate(changed(Config(), {place: value}))
    assert one_line(error).startswith(f"{place}: {value}; must be ")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("steps", 1),
        ("steps", None),
        ("batch_size", 1),
        ("batch_size", 101),
        ("seed", 2**32 - 1),
        ("data.label_seed", 0),
        ("data.labels", 1),
        ("model.width", 1),
        ("data.image_size", (8, 512)),
    ],
)
def test_smallest_and_largest_values_are_accepted(place: str, value: Any) -> None:
    validate(changed(Config(), {place: value}))


def test_a_range_holds_its_ends_where_it_says_so_and_never_nan() -> None:
    assert Range(low=0, below=1).holds(0) and not Range(low=0, below=1).holds(1)
    assert str(Range(low=3, high=3)) == "must be 3" and str(Range(low=3, high=4)) == "must be between 3 and 4"
    assert Range(above=0).holds(1e-30) and not Range(above=0).holds(0)
    for number in (float("nan"), float("inf"), 10**400):
        assert not Range().holds(number)


# --- names ---


def test_consistency_needs_a_head_with_classes() -> None:
    config = changed(Config(), {"model.head": "real_fake", "consistency.weight": 1.0})
    with pytest.raises(UserError, match="^head 'real_fake' has no classes, which consistency is made of; choose"):
        check_names(config)


def test_an_unknown_head_objective_network_or_augmentation_is_an_error_before_any_data_is_loaded() -> None:
    with pytest.raises(UserError, match=r"unknown head 'stackd'; choose one of k_plus_one, real_fake, separate, stac"):
        check_names(changed(Config(), {"model.head": "stackd"}))
    with pytest.raises(UserError, match=r"unknown objective 'jont'; choose one of catgan, complement, feature_"):
        check_names(changed(Config(), {"objective.name": "jont"}))
    with pytest.raises(UserError, match=r"unknown networks 'big'; choose one of compact, mlp, .*tutorial"):
        check_names(changed(Config(), {"model.networks": "big"}))
    with pytest.raises(UserError, match=r"unknown augmentation 'blurr'; choose one of "):
        check_names(changed(Config(), {"weak.extra": ("blurr",)}))


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_a_head_without_classes_does_not_fit_what_is_made_of_them(objective: str, head: str) -> None:
    config = changed(Config(), {"objective.name": objective, "model.head": head})
    if HEADS[head].classifies or objective in ("tutorial", "joint", "feature_matching"):
        check_names(config)
        return
    with pytest.raises(UserError) as error:
        check_names(config)
    assert str(error.value) == (
        f"head '{head}' has no classes, which objective '{objective}' is made of; "
        "choose one of k_plus_one, separate, stacked"
    )


def test_unknown_name_is_answered_with_the_choices() -> None:
    with pytest.raises(UserError) as error:
        choose(HEADS, "stackd", "head")
    assert str(error.value) == "unknown head 'stackd'; choose one of k_plus_one, real_fake, separate, stacked"
    with pytest.raises(UserError) as error:
        choose(OBJECTIVES, "", "objective")
    assert str(error.value) == f"unknown objective ''; choose one of {', '.join(sorted(OBJECTIVES))}"
    assert choose(HEADS, "separate", "head") is HEADS["separate"]


def test_a_configuration_that_is_passed_on_names_no_folders_of_the_machine() -> None:
    own = changed(Config(), {"data.data_dir": "/home/somebody/pets/", "data.dataset": "corrupted/blur"})
    assert without_folders(own) == changed(own, {"data.data_dir": "pets"})
    assert without_folders(changed(own, {"data.data_dir": "../secret/pets.npz"})).data.data_dir == "pets.npz"
    others = changed(own, {"data.labels_file": "../secret/a.csv", "init_from": "secret/run"})
    named = changed(own, {"data.data_dir": "pets", "data.labels_file": "a.csv", "init_from": "run"})
    assert without_folders(others) == named
    assert without_folders(Config()) == Config()


def test_numpys_numbers_are_taken_for_pythons() -> None:
    values = {"model.width": np.int64(8), "model.dropout": np.float32(0.5)}
    config = changed(Config(), values | {"data.image_size": [np.uint8(9), np.int16(9)]})
    assert (config.model.width, config.model.dropout, config.data.image_size) == (8, 0.5, (9, 9))
    assert {type(value) for value in (config.model.width, *config.data.image_size)} == {int}
    assert type(config.model.dropout) is float
    json.dumps(to_json(config))
    for wrong in (np.float64(8), np.bool_(True), np.array([8])):
        with pytest.raises(UserError, match="model.width: .*; expected a whole number"):
            changed(Config(), {"model.width": wrong})


def test_differences_name_the_preset_first_and_then_settings_with_a_short_name() -> None:
    changes = {"preset": "fast", "ema_decay": 0.5, "model.width": 8, "unlabelled": 60, "augment.extra": ("mirror",)}
    found = differences(Config(), changed(Config(), changes))
    assert found[:2] == ["preset was tutorial, now fast", "model.width was 128, now 8"]
    assert sorted(found[2:]) == [
        "augment.extra was none, now mirror",
        "ema_decay was 0.999, now 0.5",
        "unlabelled was none, now 60",
    ]
    assert most_telling(found) == f"{'; '.join(found[:3])}; and 2 more"
    assert most_telling(found[:3]) == "; ".join(found[:3]) and most_telling(found[:1]) == found[0]

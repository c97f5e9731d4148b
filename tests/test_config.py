"""The configuration: it survives JSON, refuses what no run can be made of, and says which flag is wrong."""

import dataclasses
import inspect
import json
import re
from typing import Any

import pytest

from sgan_jax.cli.describe import Describe
from sgan_jax.cli.sweep import Sweep
from sgan_jax.cli.train import Train
from sgan_jax.config import (
    LENGTH_FIELDS,
    PRESETS,
    SCHEDULES,
    AdamConfig,
    AugmentConfig,
    Config,
    ConsistencyConfig,
    DataConfig,
    ModelConfig,
    MuonConfig,
    PropagationConfig,
    choose,
    flatten,
    from_json,
    located,
    to_json,
    validate,
)
from sgan_jax.engine.system import check_names
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.objectives.table import OBJECTIVES

# Every field has a value that is not its default.
CHANGED = Config(
    preset="joint",
    objective="joint",
    seed=7,
    epochs=2,
    steps_per_epoch=3,
    steps=5,
    precision="auto",
    batch_size=10,
    unlabelled=12,
    ema_decay=0.9,
    data=DataConfig("mnist", "digits", 32, True, 20, 9, 3),
    model=ModelConfig("separate", 8, 16, 0.25, "mlp"),
    adam=AdamConfig(1e-3, 0.9, 0.99, 1e-8, 1e-9, "cosine"),
    muon=MuonConfig(2e-3, 0.9),
    augment=AugmentConfig(20.0, 0.3, 0.2, 2.0, 1.0, 5, True),
    consistency=ConsistencyConfig(2.0, 0.8),
    propagation=PropagationConfig(4, 20, 0.25, 0.5, parts=True, slanted=False, back=0.5),
)


def changed(**values: Any) -> Config:
    """The default with fields replaced wherever they live."""
    config = Config()
    for name, value in values.items():
        part = next((p for p in ("data", "model", "adam", "muon") if hasattr(getattr(config, p), name)), None)
        if part:
            config = dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **{name: value})})
        else:
            config = dataclasses.replace(config, **{name: value})
    return config


def test_a_sweep_takes_the_flags_of_train_but_for_what_it_decides_and_what_is_of_one_run() -> None:
    train, sweep = ({field.name for field in dataclasses.fields(kind)} for kind in (Train, Sweep))
    decided, several = {"seed", "label_seed", "run"}, {"devices", "cluster", "coordinator", "processes", "process"}
    assert train - sweep == decided | several | {"profile", "profile_steps", "log_every"}
    assert sweep - train == {"draws", "ensemble", "out", "ray"}


def test_a_folder_of_images_is_found_from_anywhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(Config()) == Config()
    there = located(Config(data=DataConfig(data_dir="digits")))
    assert there == located(there) == Config(data=DataConfig(data_dir=str(tmp_path / "digits")))


def test_rate_of_muon_is_the_presets_or_the_flags() -> None:
    assert Train(preset="best").config().muon == MuonConfig(3e-3, 0.95)
    config = Train(preset="best", muon_rate=0.0).config()
    assert config == dataclasses.replace(Train(preset="best").config(), muon=MuonConfig(0.0, 0.95))
    assert {config.muon.learning_rate for config in Sweep(preset="best,fast", muon_rate=0.0).configs()} == {0.0}
    with pytest.raises(UserError, match=r"^muon.learning_rate: -1\.0; must be a number of at least 0$"):
        validate(Train(muon_rate=-1.0).config())


def test_default_is_the_tutorial() -> None:
    config = Config()
    assert (config.batch_size, config.total_steps, config.steps_per_epoch) == (100, 12_000, 600)
    assert config.adam == AdamConfig(learning_rate=2e-4, beta1=0.5, beta2=0.999, epsilon=1e-7)
    assert config.model == ModelConfig(head="stacked", width=128, latent=100, dropout=0.4)
    assert config.data.labels == 100
    assert PRESETS["tutorial"] == config


def test_steps_take_the_place_of_epochs() -> None:
    assert Config(epochs=3, steps_per_epoch=10).total_steps == 30
    assert Config(epochs=3, steps_per_epoch=10, steps=7).total_steps == 7


def test_json_round_trip_keeps_every_field() -> None:
    default, other = flatten(Config()), flatten(CHANGED)
    assert [name for name in default if default[name] == other[name]] == [], "CHANGED must differ everywhere"
    assert from_json(json.loads(json.dumps(to_json(CHANGED)))) == CHANGED
    assert from_json(json.loads(json.dumps(to_json(Config())))) == Config()


@pytest.mark.parametrize("part", [(), ("model",), ("data",), ("adam",), ("augment",)])
def test_unknown_field_is_an_error_that_names_it(part: tuple[str, ...]) -> None:
    values = to_json(Config())
    inner = values[part[0]] if part else values
    inner["momentum"] = 0.9
    with pytest.raises(UserError, match=r"config\.json: .*'momentum'") as error:
        from_json(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", "20"),
        ("epochs", 2.5),
        ("epochs", True),
        ("epochs", None),
        ("steps", "all"),
        ("objective", 1),
        ("model", 3),
        ("model", None),
        ("data", ["mnist"]),
    ],
)
def test_value_of_another_type_is_an_error_that_names_the_field(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"config\.json: {field}\b") as error:
        from_json(to_json(Config()) | {field: value})
    assert "\n" not in str(error.value)


def test_optional_values_and_whole_numbers_in_the_place_of_fractions_are_read() -> None:
    values = to_json(Config()) | {"steps": None, "adam": {"learning_rate": 1}}
    assert from_json(values) == changed(learning_rate=1.0)


def test_missing_field_takes_its_default() -> None:
    values = to_json(CHANGED)
    del values["steps"], values["adam"]
    assert from_json(values) == dataclasses.replace(CHANGED, steps=None, adam=AdamConfig())


def test_flatten_names_fields_by_their_path() -> None:
    flat = flatten(CHANGED)
    assert (flat["model.head"], flat["adam.beta1"], flat["data.labels"], flat["seed"]) == ("separate", 0.9, 20, 7)
    assert not any(isinstance(value, dict) for value in flat.values())


def test_length_fields_are_fields() -> None:
    assert set(flatten(Config())) >= LENGTH_FIELDS


def test_configuration_cannot_be_changed_in_place() -> None:
    for part in (Config(), DataConfig(), ModelConfig(), AdamConfig()):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, dataclasses.fields(part)[0].name, "other")


def test_every_preset_is_valid_named_after_itself_and_found_in_the_tables() -> None:
    for name, preset in PRESETS.items():
        validate(preset)
        assert preset.preset == name
        assert preset.objective in OBJECTIVES
        assert preset.model.head in HEADS
        assert preset.model.networks in NETWORKS
        assert preset.adam.schedule in SCHEDULES


def test_joint_preset_differs_from_the_tutorial_in_its_objective_only() -> None:
    tutorial, joint = flatten(PRESETS["tutorial"]), flatten(PRESETS["joint"])
    assert {name for name in tutorial if tutorial[name] != joint[name]} == {"preset", "objective"}


@pytest.mark.parametrize("limit", [-0.1, float("inf"), float("nan")])
def test_distortions_are_limited_by_numbers_of_at_least_zero(limit: float) -> None:
    with pytest.raises(UserError, match=r"^augment\.shear: \S+; must be a number of at least 0$"):
        validate(dataclasses.replace(Config(), augment=AugmentConfig(shear=limit)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(schedule="linear"), "adam.schedule: linear; choose one of constant, cosine"),
        (changed(unlabelled=49), "unlabelled: 49; must be between half a batch and 65536"),
        (
            dataclasses.replace(Config(), consistency=ConsistencyConfig(weight=-1.0)),
            "consistency.weight: -1.0",
        ),
        (
            dataclasses.replace(Config(), propagation=PropagationConfig(4, 3)),
            "propagation.candidates: 3; must be at least its neighbours",
        ),
        (
            dataclasses.replace(Config(), propagation=PropagationConfig(4, 20, 1.0)),
            "propagation.alone_from: 1.0; must be at least 0 and below 1",
        ),
        (
            dataclasses.replace(Config(), propagation=PropagationConfig(4, 20, 0.5, 0.25)),
            "propagation.alone_until: 0.25; must be at least its alone_from",
        ),
    ],
)
def test_fields_of_long_recipes_are_refused_where_they_make_no_sense(config: Config, message: str) -> None:
    with pytest.raises(UserError) as error:
        validate(config)
    assert str(error.value).startswith(message)


def test_consistency_needs_a_head_with_classes() -> None:
    config = dataclasses.replace(changed(head="real_fake"), consistency=ConsistencyConfig(weight=1.0))
    with pytest.raises(UserError, match="^head 'real_fake' has no classes, which consistency is made of; choose"):
        check_names(config)


ALONE = {"propagation.alone_from", "propagation.alone_until"}
OF_BEST = (
    ALONE
    | {"batch_size", "muon.learning_rate"}
    | {f"propagation.{name}" for name in ("candidates", "parts", "slanted", "back")}
)
DISTORTIONS = {f"augment.{name}" for name in ("rotation", "shear", "scale", "shift", "elastic")}
OBJECTS = {"epochs", "batch_size", *(f"augment.{name}" for name in ("rotation", "shear", "elastic", "mirror"))}


@pytest.mark.parametrize(
    ("name", "beside", "differs"),
    [
        ("supervised", "feature_matching", {"objective"}),
        ("catgan", "feature_matching", {"objective"}),
        ("complement", "feature_matching", {"objective"}),
        ("manifold", "feature_matching", {"objective"}),
        ("invariance", "feature_matching", {"objective"}),
        ("supervised-augmented", "fast", {"objective", "adam.schedule"}),
        ("best", "consistency", {"propagation.neighbours", "epochs"} | OF_BEST),
        ("best-objects", "best", OBJECTS | OF_BEST),
        ("best-unaugmented", "best", {"epochs"} | ALONE | DISTORTIONS),
    ],
)
def test_presets_that_are_to_be_compared_differ_in_what_they_are_named_after(
    name: str, beside: str, differs: set[str]
) -> None:
    theirs, ours = flatten(PRESETS[beside]), flatten(PRESETS[name])
    assert {field for field in theirs if theirs[field] != ours[field]} == {"preset"} | differs


def test_k_plus_one_preset_is_fast_with_that_head_a_decaying_rate_and_no_distortions() -> None:
    fast, ours = PRESETS["fast"], PRESETS["k_plus_one"]
    assert ours.model == dataclasses.replace(fast.model, head="k_plus_one")
    assert ours.adam == dataclasses.replace(fast.adam, schedule="cosine")
    assert dataclasses.replace(ours, preset="fast", model=fast.model, adam=fast.adam, augment=fast.augment) == fast


def test_command_line_names_the_heads_that_there_are() -> None:
    for command in (Train, Describe):
        text = inspect.getsource(command).split("head: Text = None")[1].splitlines()[1]
        assert re.findall(r"\w+", text.split(":")[0].replace(" or ", " ")) == list(HEADS)


def test_an_unknown_head_or_objective_is_refused_before_any_data_is_fetched() -> None:
    with pytest.raises(UserError, match=r"unknown head 'stackd'; choose one of k_plus_one, real_fake, separate, stac"):
        check_names(Config(model=ModelConfig(head="stackd")))
    with pytest.raises(UserError, match=r"unknown objective 'jont'; choose one of catgan, complement, feature_"):
        check_names(Config(objective="jont"))


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_a_head_without_classes_is_refused_by_what_is_made_of_them(objective: str, head: str) -> None:
    config = Config(objective=objective, model=ModelConfig(head=head))
    if HEADS[head].classifies or objective in ("tutorial", "joint", "feature_matching"):
        check_names(config)
        return
    with pytest.raises(UserError) as error:
        check_names(config)
    assert str(error.value) == (
        f"head '{head}' has no classes, which objective '{objective}' is made of; "
        "choose one of k_plus_one, separate, stacked"
    )


@pytest.mark.parametrize(
    ("flag", "values"),
    [
        ("--labels", {"labels": 0}),
        ("--epochs", {"epochs": 0}),
        ("--epochs", {"epochs": -1}),
        ("--steps-per-epoch", {"steps_per_epoch": 0}),
        ("--steps", {"steps": 0}),
        ("--width", {"width": 0}),
        ("model.latent", {"latent": 0}),
        ("model.dropout", {"dropout": 1.0}),
        ("adam.beta1", {"beta1": 1.0}),
        ("adam.beta2", {"beta2": -0.1}),
        ("muon.momentum", {"momentum": 1.0}),
        ("ema_decay", {"ema_decay": 1.0}),
        ("adam.epsilon", {"epsilon": 0.0}),
        ("adam.epsilon", {"epsilon": -1e-8}),
        ("adam.epsilon_root", {"epsilon_root": -1e-8}),
        ("--batch-size", {"batch_size": 0}),
        ("--batch-size", {"batch_size": -2}),
        ("--batch-size", {"batch_size": 1}),
        ("--batch-size", {"batch_size": 101}),
        ("--learning-rate", {"learning_rate": 0.0}),
        ("--learning-rate", {"learning_rate": -1e-3}),
        ("--learning-rate", {"learning_rate": float("nan")}),
        ("--learning-rate", {"learning_rate": float("inf")}),
        ("--seed", {"seed": -1}),
        ("--seed", {"seed": 2**32}),
        ("--label-seed", {"label_seed": -1}),
        ("--label-seed", {"label_seed": 2**32}),
    ],
)
def test_impossible_value_is_refused_by_its_flag(flag: str, values: dict[str, Any]) -> None:
    (value,) = values.values()
    with pytest.raises(UserError) as error:
        validate(changed(**values))
    assert str(error.value).startswith(f"{flag}: {value}; must be "), error.value
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 1},
        {"steps": None},
        {"batch_size": 2},
        {"seed": 2**32 - 1},
        {"label_seed": 0},
        {"labels": 1},
        {"width": 1},
    ],
)
def test_smallest_and_largest_values_are_accepted(values: dict[str, Any]) -> None:
    validate(changed(**values))


def test_unknown_name_is_answered_with_the_choices() -> None:
    with pytest.raises(UserError) as error:
        choose(HEADS, "stackd", "head")
    assert str(error.value) == "unknown head 'stackd'; choose one of k_plus_one, real_fake, separate, stacked"
    with pytest.raises(UserError) as error:
        choose(OBJECTIVES, "", "objective")
    assert str(error.value) == f"unknown objective ''; choose one of {', '.join(sorted(OBJECTIVES))}"
    assert choose(PRESETS, "joint", "preset") is PRESETS["joint"]

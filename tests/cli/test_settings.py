"""The settings on the command line: each by its place, common ones by a short name; files to start from; resumes."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tyro

from sgan_jax.cli.describe import Describe
from sgan_jax.cli.settings import COMMON, flags_of, given
from sgan_jax.cli.spelling import flag
from sgan_jax.cli.sweep import OWN, Sweep
from sgan_jax.cli.train import Train, resolved
from sgan_jax.config import SETTINGS, SHORT, Config, MuonConfig, Setting, changed, flatten, to_json, validate
from sgan_jax.errors import UserError
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.presets import PRESETS
from sgan_jax.runs.directory import RunDir


def parsed(kind: Any, *arguments: object) -> Any:
    """The command that the arguments after its name give."""
    return tyro.cli(kind, args=list(map(str, arguments)))


def config(*arguments: object) -> Config:
    """The configuration of `train ARGUMENTS`."""
    command = parsed(Train, *arguments)
    return resolved(given(command), command.call.config, command.call.run)


def other_value(setting: Setting) -> tuple[str, Any]:
    """A value that is not the setting's default, as one types it and as the configuration has it."""
    if setting.place == "data.image_size":
        return "20x36", (20, 36)
    if isinstance(setting.default, tuple):
        return "one, two", ("one", "two")
    for kind, other in ((bool, True), (int, 17), (float, 0.625), (str, "other")):
        if setting.takes(other) and (kind is bool or not setting.takes(True)):
            assert other != setting.default
            return str(other), other
    raise AssertionError(setting)


VALUES = {place: other_value(setting) for place, setting in SETTINGS.items() if place != "preset"}


def typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


# --- flags ---


def test_every_setting_can_be_given_by_its_place() -> None:
    arguments = [text for place, (value, _) in VALUES.items() for text in (typed(place), value)]
    assert given(parsed(Train, *arguments)) == {place: value for place, (_, value) in VALUES.items()}


def test_a_short_name_is_that_of_its_place_and_errors_spell_a_setting_as_a_flag_that_exists() -> None:
    short = [text for name, place in SHORT.items() if place in VALUES for text in (typed(name), VALUES[place][0])]
    assert given(parsed(Train, *short)) == {place: VALUES[place][1] for place in SHORT.values() if place in VALUES}
    spelled = [text for place, (value, _) in VALUES.items() for text in (flag(place), value)]
    assert given(parsed(Train, *spelled)) == {place: value for place, (_, value) in VALUES.items()}
    assert (flag("data.labels"), flag("adam.beta1"), flag("profile_steps")) == (
        "--labels",
        "--adam.beta1",
        "--profile-steps",
    )


def test_a_setting_that_is_not_given_is_the_presets() -> None:
    assert given(parsed(Train)) == {}
    assert config() == Config()
    assert config("--preset", "best") == PRESETS["best"]
    assert config("--preset", "best", "--seed", 3) == changed(PRESETS["best"], {"seed": 3})


def test_the_common_settings_have_short_names_or_need_none() -> None:
    assert all(SETTINGS[place].short for place in COMMON)


def test_a_sweep_takes_the_settings_of_train_but_for_those_that_it_varies() -> None:
    arguments = [text for place, (value, _) in VALUES.items() if place not in OWN for text in (flag(place), value)]
    command = parsed(Sweep, *arguments, "--preset", "fast,joint", "--labels", 10, "--draws", 1)
    for one in command.configs():
        assert {place: value for place, value in flatten(one).items() if place not in OWN} == {
            place: value for place, (_, value) in VALUES.items() if place not in OWN
        }
    assert {(one.preset, one.data.labels, one.seed, one.data.label_seed) for one in command.configs()} == {
        ("fast", 10, 0, 0),
        ("joint", 10, 0, 0),
    }


def test_rate_of_muon_is_the_presets_or_the_flags() -> None:
    assert config("--preset", "best").muon == MuonConfig(3e-3, 0.95)
    assert config("--preset", "best", "--muon-rate", 0.0) == changed(PRESETS["best"], {"muon.learning_rate": 0.0})
    swept = parsed(Sweep, "--preset", "best,fast", "--muon-rate", 0.0).configs()
    assert {one.muon.learning_rate for one in swept} == {0.0}
    with pytest.raises(UserError, match=r"^muon.learning_rate: -1\.0; must be at least 0$"):
        validate(config("--muon-rate", -1.0))


def test_help_names_the_heads_and_networks_that_there_are() -> None:
    helps = [(SETTINGS["model.head"].help, HEADS), (SETTINGS["model.networks"].help, NETWORKS)]
    helps += [(inspect.getsource(Describe).split("head: Text = None")[1].splitlines()[1], HEADS)]
    for text, table in helps:
        assert re.findall(r"\w+", text.split(":")[0].replace(" or ", " ")) == list(table)


@pytest.mark.parametrize("size", ["", "20x", "x20", "20 x 36", "20x36x3", "wide"])
def test_a_size_that_is_none_is_one_line(size: str) -> None:
    with pytest.raises(UserError, match=rf"^data.image_size: {size}; expected N or HEIGHTxWIDTH$"):
        config(f"--image-size={size}")


# --- files to start from ---


def test_a_json_or_toml_file_is_what_the_flags_change(tmp_path: Path) -> None:
    (tmp_path / "part.toml").write_text('seed = 3\n[model]\nwidth = 8\n[augment]\nextra = ["mirror"]\n')
    expected = changed(Config(), {"seed": 3, "model.width": 8, "augment.extra": ("mirror",)})
    assert config("--config", tmp_path / "part.toml") == expected
    assert config("--config", tmp_path / "part.toml", "--width", 16).model.width == 16
    with_preset = config("--config", tmp_path / "part.toml", "--preset", "fast")
    assert with_preset == changed(PRESETS["fast"], {"seed": 3, "model.width": 8, "augment.extra": ("mirror",)})
    (tmp_path / "part.json").write_text(json.dumps({"preset": "fast", "model": {"width": 8}}))
    assert config("--config", tmp_path / "part.json") == changed(PRESETS["fast"], {"model.width": 8})


def test_the_config_json_of_a_run_gives_its_configuration(tmp_path: Path) -> None:
    whole = changed(PRESETS["best"], {"data.image_size": (20, 36), "data.labels": 30, "steps": 7})
    (tmp_path / "config.json").write_text(json.dumps({"config": to_json(whole), "dataset": {"name": "mnist"}}))
    assert config("--config", tmp_path / "config.json") == whole
    longer = config("--config", tmp_path / "config.json", "--epochs", 30)
    assert (longer.epochs, longer.steps) == (30, None), "steps of the file would win over the epochs that are asked for"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"model": {"depth": 3}}', "no setting is named 'model.depth'"),
        ("a.json", '{"depth": {"model": 3}}', "no settings are named 'depth'"),
        ("a.json", '{"model": 3}', "model is 3, expected settings by name"),
        ("a.json", "[]", "config is [], expected settings by name"),
        ("a.json", '{"seed": "one"}', "seed: 'one'; expected a whole number"),
        ("a.toml", "seed = 1.5", "seed: 1.5; expected a whole number"),
        ("a.toml", "seed = 1979-05-27", "seed: datetime.date(1979, 5, 27); expected a whole number"),
        ("a.json", '{"seed": 1', "cannot be read as json ("),
        ("a.toml", "seed: 1", "cannot be read as toml ("),
        ("a", "seed = 1", "cannot be read as JSON ("),
        ("a.json", "[" * 100_000, "cannot be read as json ("),
        ("a.json", '{"preset": ["best"]}', "preset: ('best',); expected text"),
        ("a.json", '{"preset": "bset"}', "unknown preset 'bset'; choose one of best, "),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line_that_names_it(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as error:
        config("--config", tmp_path / name)
    assert str(error.value).startswith(f"config {tmp_path / name}: {message}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_binary_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^config \S+none.json: cannot be read as json \(.*No such file"):
        config("--config", tmp_path / "none.json")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"^config \S+a.json: cannot be read as json \("):
        config("--config", tmp_path / "a.json")
    with pytest.raises(UserError, match=r"cannot be read as JSON \(.*Is a directory"):
        config("--config", tmp_path)


def test_a_file_and_the_command_line_may_not_both_name_a_preset(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"preset": "best"}')
    with pytest.raises(UserError, match=r"^preset: \S+ has its own, best; leave preset or config out$"):
        config("--config", tmp_path / "a.json", "--preset", "fast")


# --- a run that is there ---


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a configuration."""
    path = tmp_path / "run"
    dataset = {"name": "mnist-5k", "digest": "d", "notice": "", "train": 4000, "class_names": list("0123456789")}
    record = {
        "dataset": dataset | {"image_shape": [28, 28, 1]},
        "versions": {},
        "device": {},
        "commit": "",
        "command": [],
    }
    path.mkdir()
    held = changed(PRESETS["fast"], {"model.width": 8, "data.dataset": "mnist-5k", "data.stream": False, "steps": 6})
    RunDir(path).config_file.write_text(json.dumps({"config": to_json(held), **record}))
    return path


def test_flags_of_a_configuration_give_it_back() -> None:
    unlike = {place: value for place, (_, value) in VALUES.items() if place not in ("data.dataset", "augment.extra")}
    for preset in PRESETS.values():
        assert flags_of(preset, ()) == ["--preset", preset.preset]
        made = changed(preset, {"seed": 5, "augment.rotation": 2.5, "augment.extra": ("mirror", "mirror")})
        assert config(*flags_of(made, ())) == made
    made = changed(PRESETS["fast"], unlike)
    assert config(*flags_of(made, ())) == made
    assert config(*flags_of(made, {"seed", "data.data_dir"})) == changed(made, {"seed": 0, "data.data_dir": None})


def test_a_run_directory_alone_is_resumed_with_its_own_configuration(run: Path, tmp_path: Path) -> None:
    own = RunDir(run).record().config
    assert own.model.width == 8
    assert config("--run", run) == own
    assert config("--run", run, "--steps", 9) == changed(own, {"steps": 9})
    assert config("--run", run, "--epochs", 30) == changed(own, {"epochs": 30, "steps": None})
    assert config("--run", tmp_path / "other") == Config()


def test_the_images_of_a_run_or_a_file_are_replaced_as_a_whole(run: Path, tmp_path: Path) -> None:
    own = RunDir(run).record().config
    moved = config("--run", run, "--data-dir", "there")
    assert moved == changed(own, {"data.dataset": "auto", "data.data_dir": "there"})
    (tmp_path / "a.json").write_text('{"data": {"data_dir": "here", "image_size": [20, 36], "stream": true}}')
    assert config("--config", tmp_path / "a.json", "--dataset", "kmnist") == changed(
        Config(), {"data.dataset": "kmnist"}
    )
    moved = config("--config", tmp_path / "a.json", "--data-dir", "there")
    assert (moved.data.data_dir, moved.data.image_size, moved.data.stream) == ("there", (20, 36), True)


def test_a_preset_or_a_file_says_what_is_asked_for_whatever_run_is_there(run: Path, tmp_path: Path) -> None:
    assert config("--run", run, "--preset", "best") == PRESETS["best"]
    (tmp_path / "a.json").write_text('{"seed": 3}')
    assert config("--run", run, "--config", tmp_path / "a.json") == changed(Config(), {"seed": 3})


def test_a_run_directory_with_a_damaged_configuration_is_one_line(run: Path) -> None:
    (run / "config.json").write_text('{"config": {"epo')
    with pytest.raises(UserError, match=r"config.json: damaged: no JSON \("):
        config("--run", run)

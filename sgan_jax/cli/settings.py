"""The settings of the configuration as flags: common ones with short names first, then a group for each branch."""

import dataclasses
from collections.abc import Collection, Iterable
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import tyro

from sgan_jax.cli.flags import parse_size
from sgan_jax.cli.spelling import flag
from sgan_jax.config import SETTINGS, Config, Setting, changed, choose, flatten
from sgan_jax.presets import PRESETS

# The order in which the common settings are listed; the other settings follow in that of the tree.
COMMON = (
    "data.labels",
    "preset",
    "data.data_dir",
    "data.labels_file",
    "data.dataset",
    "epochs",
    "precision",
    "batch_size",
    "adam.learning_rate",
    "model.width",
    "seed",
    "data.label_seed",
    "data.validation",
    "class_balance",
    "keep",
    "patience",
    "data.image_size",
    "data.stream",
    "init_from",
    "features",
    "propagation.embeddings",
    "model.head",
    "steps_per_epoch",
    "steps",
    "muon.learning_rate",
)
# Places of the settings in which a preset differs from the defaults.
_VARYING = {
    place for preset in PRESETS.values() for place, value in flatten(preset).items() if value != SETTINGS[place].default
}
_METAVAR = {int: "INT", float: "FLOAT", str: "STR", bool: "True|False"}


def _attribute(place: str) -> str:
    return place.replace(".", "__")


def _parsed(setting: Setting) -> Any:
    """The type that the command line reads the setting as; lists are text."""
    kinds = get_args(setting.kind) if get_origin(setting.kind) is UnionType else (setting.kind,)
    kind = next(kind for kind in kinds if kind is not type(None))
    return str if get_origin(kind) is tuple else kind


def _help(setting: Setting) -> str:
    """The setting's help and what holds without it."""
    if setting.default in (None, (), "") or "by default" in setting.help or setting.place in ("preset",):
        return setting.help
    default = ",".join(setting.default) if isinstance(setting.default, tuple) else setting.default
    start = setting.help.rstrip(".")
    return (
        f"{start}; by default the preset's (tutorial: {default})."
        if setting.place in _VARYING
        else f"{start} (default: {default})."
    )


def _field(setting: Setting) -> tuple[str, Any, Any]:
    kind = _parsed(setting)
    long, short = setting.place.replace("_", "-"), setting.short.replace("_", "-")
    argument = tyro.conf.arg(
        name=long,
        aliases=() if short in ("", long) else (f"--{short}",),
        help=_help(setting),
        metavar="HEIGHTxWIDTH" if setting.place == "data.image_size" else _METAVAR[kind],
        help_behavior_hint="",
    )
    return _attribute(setting.place), Annotated[kind | None, argument], None


def _group(name: str, settings: Iterable[Setting]) -> tuple[str, Any, Any]:
    fields = [_field(setting) for setting in settings]
    kind = dataclasses.make_dataclass(name.title(), fields, frozen=True)
    return name, Annotated[kind, tyro.conf.OmitArgPrefixes], dataclasses.field(default_factory=kind)


def groups(without: frozenset[str] = frozenset()) -> tuple[tuple[str, Any, Any], ...]:
    """Fields for `dataclasses.make_dataclass`: a group of the common settings, and one for each branch of the tree.

    Args:
      without: places of settings that the command has flags of its own for.
    """
    branches: dict[str, list[Setting]] = {}
    for place, setting in SETTINGS.items():
        if place not in COMMON and place not in without:
            branches.setdefault(place.rpartition(".")[0] or "training", []).append(setting)
    common = [SETTINGS[place] for place in COMMON if place not in without]
    return _group("common", common), *(_group(name, settings) for name, settings in branches.items())


def given(command: Any) -> dict[str, Any]:
    """The settings that were given on the command line, by place.

    Raises:
      UserError: a size is none.
    """
    values = {}
    for group in dataclasses.fields(command):
        holder = getattr(command, group.name)
        if not dataclasses.is_dataclass(holder):
            continue
        for place in SETTINGS:
            value = getattr(holder, _attribute(place), None)
            if value is not None:
                values[place] = _converted(SETTINGS[place], value)
    return values


def _converted(setting: Setting, value: Any) -> Any:
    if setting.place == "data.image_size":
        return parse_size(value)
    if setting.place == "features" and value == "none":  # so that a run can be resumed without them
        return None
    if get_origin(setting.kind) is tuple:
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def flags_of(config: Config, without: Collection[str]) -> list[str]:
    """The flags that ask for a configuration, which need name only what differs from its preset.

    Args:
      config: the configuration.
      without: places of settings to leave out.
    """
    usual = flatten(PRESETS[config.preset])
    words = ["--preset", config.preset]
    for place, value in flatten(config).items():
        if value != usual[place] and value is not None and place not in {"preset", *without}:
            separator = "x" if place == "data.image_size" else ","
            words += [flag(place), separator.join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return words


def preset_with(settings: dict[str, Any], base: Config | None = None) -> Config:
    """A preset with settings changed: the one that they name, or `base`, or tutorial's."""
    if base is None or "preset" in settings:
        base = choose(PRESETS, settings.get("preset", "tutorial"), "preset")
    return changed(base, settings)

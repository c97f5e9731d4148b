"""Types of flags for dataclass fields, and how their values are read."""

import re
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from sgan_jax.errors import UserError
from sgan_jax.presets import PRESETS

# A flag that may be left out, and whose help states what then holds.
_NOT_GIVEN = {"help_behavior_hint": ""}
Text = Annotated[str | None, tyro.conf.arg(metavar="STR", **_NOT_GIVEN)]
Int = Annotated[int | None, tyro.conf.arg(metavar="INT", **_NOT_GIVEN)]
Bool = Annotated[bool | None, tyro.conf.arg(metavar="True|False", **_NOT_GIVEN)]
Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", **_NOT_GIVEN)]
Preset = Annotated[str, tyro.conf.arg(help=f"Named configuration: {', '.join(PRESETS)}.")]
Device = Annotated[str | None, tyro.conf.arg(metavar="cpu|gpu|tpu|gpu:1", **_NOT_GIVEN)]
File = Annotated[Path | None, tyro.conf.arg(metavar="PATH", **_NOT_GIVEN)]
ClassName = Annotated[
    str | None,
    tyro.conf.arg(
        name="class",
        metavar="NAME",
        help="Class to draw, of a generator that draws classes (both); by default each in a row.",
        **_NOT_GIVEN,
    ),
]
ImageSize = Annotated[str | None, tyro.conf.arg(metavar="N|HEIGHTxWIDTH", **_NOT_GIVEN)]  # read by `parse_size`


_EXPECTED: dict[Any, str] = {int: "a whole number", float: "a number", bool: "True or False"}
_METAVAR = {int: "INT", float: "FLOAT", str: "STR", bool: "True|False", Path: "PATH"}
VALUES = tyro.constructors.ConstructorRegistry()


@VALUES.primitive_rule
def _value(about: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """How a value is read. By tyro's own rules `None` is a value of a flag, and errors name Python's types."""
    given = [kind for kind in (get_args(about.type) or (about.type,)) if kind is not type(None)]
    if len(given) != 1 or given[0] not in _METAVAR or about.type is bool:  # the last is a flag without a value
        return None
    (kind,) = given

    def read(texts: list[str]) -> Any:
        if kind is Path and not texts[0]:  # Path("") is the current folder, which nobody has named
            raise ValueError("'' is no path; a variable of the shell may be empty")
        try:
            return {"True": True, "False": False}[texts[0]] if kind is bool else kind(texts[0])
        except (ValueError, KeyError):
            raise ValueError(f"{texts[0]}; expected {_EXPECTED[kind]}") from None

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=_METAVAR[kind],
        instance_from_str=read,
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def parse_size(text: str) -> tuple[int, int]:
    """The height and width in `28` (a square) or `20x36`; whether they are in range is not checked.

    Raises:
      UserError: the text is something else.
    """
    match = re.fullmatch(r"(-?[0-9]{1,9})(?:x(-?[0-9]{1,9}))?", text)
    if match is None:
        raise UserError(f"‹data.image_size›: {text}; expected N or HEIGHTxWIDTH")
    height, width = match[1], match[2] or match[1]
    return int(height), int(width)

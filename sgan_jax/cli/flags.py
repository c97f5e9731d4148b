"""Types of flags for dataclass fields, and how their values are read."""

import re
from pathlib import Path
from typing import Annotated

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
File = Annotated[Path | None, tyro.conf.arg(metavar="PATH", **_NOT_GIVEN)]
ImageSize = Annotated[str | None, tyro.conf.arg(metavar="N|HEIGHTxWIDTH", **_NOT_GIVEN)]  # read by `parse_size`


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

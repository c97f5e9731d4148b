"""Kinds of flags, as dataclass fields have them."""

from pathlib import Path
from typing import Annotated

import tyro

from sgan_jax.config import PRESETS

# A flag that may be left out, and whose help says what then holds.
_NOT_GIVEN = {"help_behavior_hint": ""}
Text = Annotated[str | None, tyro.conf.arg(metavar="STR", **_NOT_GIVEN)]
Int = Annotated[int | None, tyro.conf.arg(metavar="INT", **_NOT_GIVEN)]
Bool = Annotated[bool | None, tyro.conf.arg(metavar="True|False", **_NOT_GIVEN)]
Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", **_NOT_GIVEN)]
Preset = Annotated[str, tyro.conf.arg(help=f"Named configuration: {', '.join(PRESETS)}.")]
File = Annotated[Path | None, tyro.conf.arg(metavar="PATH", **_NOT_GIVEN)]

"""What all pictures share: colours, fonts, and a file that is written whole or not at all.

Matplotlib's object-oriented Agg interface is used: no display, no global state.
"""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
FONT = "DejaVu Sans"  # comes with Matplotlib
INK, MUTED, EMPTY, EMPTY_INK = "#1f2328", "#656d76", "#f3f4f6", "#6e7580"


def readable_ink(color: Sequence[float] | np.ndarray) -> str:
    """Black or white, whichever has the greater contrast (WCAG 2) on a colour of red, green and blue from 0 to 1."""
    return "black" if luminance(color) > 0.179 else "white"


def luminance(color: Sequence[float] | np.ndarray) -> float:
    """Relative luminance (WCAG 2), 0 to 1, of a colour of red, green and blue from 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def legible(strings: Sequence[str]) -> tuple[list[str], list[str]]:
    """Strings that can be drawn on one line, and the font families for it.

    Installed fonts are searched for what Matplotlib's own lacks, such as Japanese; a character that no font has becomes
    its number, `U+3042`.
    """
    from matplotlib.font_manager import fontManager
    from matplotlib.ft2font import FT2Font

    strings = ["".join(c for c in " ".join(string.split()) if c.isprintable()) for string in strings]
    missing, families = set("".join(strings)), [FONT]
    # Some of the other fonts that come with Matplotlib have wrong shapes for characters.
    others = (font for font in fontManager.ttflist if font.name != FONT and "mpl-data" not in font.fname)
    for font in [*(font for font in fontManager.ttflist if font.name == FONT), *others]:
        if not missing:
            break
        with suppress(OSError, RuntimeError):  # removed since the list was made
            have = missing & set(map(chr, FT2Font(font.fname).get_charmap()))
            families += [font.name] if have and font.name not in families else []
            missing -= have
    return ["".join(f"U+{ord(c):04X}" if c in missing else c for c in string) for string in strings], families


def ruler(families: Sequence[str]) -> Callable[[str, dict[str, Any]], float]:
    """A function that gives the width in inches of a string in a font (keywords as of Axes.text)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    def inches(string: str, font: dict[str, Any]) -> float:
        weight = font.get("fontweight", "normal")
        properties = FontProperties(family=list(families), size=font["fontsize"], weight=weight)
        return text_to_path.get_text_width_height_descent(string, properties, False)[0] / 72

    return inches


def png(figure: "Figure", dpi: float = DPI, **options: Any) -> bytes:
    """The figure as a PNG file's bytes; options as of `Figure.savefig`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", **options)
    return buffer.getvalue()


def write(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all; parent folders are made."""
    path = Path(path)
    if not path.name:
        raise UserError(f"{path}: a picture needs the name of a file; give one ending in .png")
    try:
        write_atomically(path, data)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot write the picture ({reason}); choose another place") from error

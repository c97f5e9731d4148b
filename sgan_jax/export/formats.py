"""The table of file formats, and `export`, which writes a file. A new format is a module and a row of FORMATS."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sgan_jax.config import choose
from sgan_jax.export.onnx import to_onnx
from sgan_jax.export.prepare import Exported, prepare
from sgan_jax.export.safetensors import to_safetensors
from sgan_jax.export.stablehlo import to_stablehlo
from sgan_jax.files import write_atomically
from sgan_jax.runs.opened import Opened


class Format(NamedTuple):
    """A row of FORMATS."""

    suffix: str
    to_bytes: Callable[[Exported], bytes]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", to_onnx),
    "stablehlo": Format(".stablehlo.zip", to_stablehlo),
    "safetensors": Format(".safetensors", to_safetensors),
}


def export(
    opened: Opened, format: str = "onnx", kind: str = "classifier", averaged: bool = False, out: Path | None = None
) -> Path:
    """Writes a run's classifier or generator to a file that other programs read.

    Args:
      opened: the run, opened at a checkpoint.
      format: a row of FORMATS.
      kind: one of `prepare.KINDS`.
      averaged: use the averaged weights.
      out: the file; by default in the run directory, under `export/`.

    Returns:
      The file.

    Raises:
      UserError: the format or kind is unknown, the run has no classifier, a package is not installed, or the file
        cannot be written.
    """
    chosen: Format = choose(FORMATS, format, "format")
    exported = prepare(opened, kind, averaged)
    path = out or opened.run.path / "export" / f"{kind}{chosen.suffix}"
    write_atomically(path, chosen.to_bytes(exported))
    return path

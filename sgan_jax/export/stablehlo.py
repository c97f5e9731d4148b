"""StableHLO files: the network as a program that `jax.export.deserialize` reads, without this package."""

import io
import json
import zipfile
from contextlib import AbstractContextManager

import jax

from sgan_jax.errors import UserError, missing_extra
from sgan_jax.export.prepare import Exported

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(exported: Exported) -> bytes:
    """A zip of `program`, for `jax.export.deserialize` on CPU, GPU and TPU, and `about.json`, the metadata.

    Raises:
      UserError: the package flatbuffers is not installed, with which JAX writes and reads programs.
    """
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        raise UserError(f"‹format› stablehlo: {missing_extra('flatbuffers', 'export').marked}") from None
    with _without_folders():
        export = jax.export.export(jax.jit(exported.function), platforms=PLATFORMS)
        program = export(exported.argument.symbolic()).serialize()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("program", bytes(program))
        archive.writestr("about.json", json.dumps(exported.metadata, indent=1))
    return content.getvalue()


def _without_folders() -> AbstractContextManager[None]:
    """Has JAX, in this thread, write source files into programs without the folders that they lie in on this machine.

    `jax.config` would change the setting for all threads.
    """
    from jax._src import config

    without: AbstractContextManager[None] = config.hlo_source_file_canonicalization_regex(r".*[/\\]")
    return without

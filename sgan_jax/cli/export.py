"""`export`: classifier or generator in a file for other programs."""

from dataclasses import dataclass

from sgan_jax.cli.flags import File


@dataclass(frozen=True)
class Export:
    """Write classifier or generator to a file that does without this package."""

    format: str = "onnx"
    """onnx, stablehlo (for jax.export, on CPU, GPU and TPU) or safetensors (the parameters alone)."""
    kind: str = "classifier"
    """classifier (uint8 images to probabilities) or generator (latents to images)."""
    run: File = None
    """Run directory; by default runs/latest."""
    ckpt: str = "latest"
    """step_7200, latest, best (by validation accuracy), or the path of a checkpoint."""
    averaged: bool = False
    """Use the averaged weights."""
    out: File = None
    """File to write; by default under export/ in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.export.formats import export
        from sgan_jax.runs.opened import open_run

        print(export(open_run(self.run, self.ckpt), self.format, self.kind, self.averaged, self.out))
        return 0

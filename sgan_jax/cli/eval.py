"""`eval`: figures of a checkpoint's classifier."""

from dataclasses import dataclass

from sgan_jax.cli.flags import File, Text


@dataclass(frozen=True)
class Eval:
    """Print the accuracy of a checkpoint's classifier on the training and test images."""

    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    run: File = None
    """Run directory; by default runs/latest."""
    data_dir: Text = None
    """Where the run's images lie now, if they were moved."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import inspect_run

        return inspect_run.evaluate_checkpoint(self.run, self.ckpt, self.data_dir, self.json)

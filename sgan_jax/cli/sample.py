"""`sample`: a grid of generated images."""

from dataclasses import dataclass

from sgan_jax.cli.flags import Device, File, Int


@dataclass(frozen=True)
class Sample:
    """Draw generated images of a checkpoint; no data set is needed."""

    ckpt: str = "latest"
    """step_7200, latest, best (by validation accuracy), or the path of a checkpoint."""
    run: File = None
    """Run directory; by default runs/latest."""
    count: int = 100
    """How many images."""
    seed: Int = None
    """Seed of the latents; by default the run's own fixed ones."""
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    out: File = None
    """PNG to write; by default samples/step_N-sample.png in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference.sample import sample
        from sgan_jax.runs.opened import open_run

        print(sample(open_run(self.run, self.ckpt), self.count, self.seed, self.out))
        return 0

"""`sample`: generated images as a grid, or as an animation."""

from dataclasses import dataclass

from sgan_jax.cli.flags import ClassName, Device, File, Int
from sgan_jax.errors import UserError


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
    class_name: ClassName = None
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    walk: bool = False
    """Interpolate between two images in each row."""
    gif: bool = False
    """Make an animation of the grids that training drew, instead of drawing one."""
    out: File = None
    """File to write; by default samples/step_N-sample.png, step_N-walk.png or training.gif in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference.sample import animate, generate, sample, walk
        from sgan_jax.runs.find import existing
        from sgan_jax.runs.opened import open_run

        if self.gif:
            for name in ("ckpt", "count", "seed", "class_name", "walk"):
                if getattr(self, name) != getattr(Sample, name):
                    shown = name.removesuffix("_name")
                    raise UserError(f"‹{shown}›: of a new grid; leave out ‹gif› or ‹{shown}›")
            print(animate(existing(self.run), self.out))
            return 0
        opened = open_run(self.run, self.ckpt)
        images = (walk if self.walk else generate)(opened, self.count, self.seed, self.class_name)
        print(sample(opened, images, "walk" if self.walk else "sample", self.out))
        return 0

"""`sample`: generated images as a grid, or as an animation."""

from collections.abc import Iterable
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
    """File to write: a picture, or with .npz arrays x_train and y_train to train on; by default
    samples/step_N-sample.png, step_N-walk.png or training.gif in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference.sample import animate, generate, sample, save_arrays, walk
        from sgan_jax.runs.find import existing
        from sgan_jax.runs.opened import open_run

        arrays = self._out_is(".npz")
        if self.gif:
            self._leaves_out(("ckpt", "count", "seed", "class_name", "walk"), "of a new grid; leave out ‹gif› or")
            self._takes(".gif")
            print(animate(existing(self.run), self.out))
            return 0
        if arrays:
            self._leaves_out(("class_name", "walk"), "of a picture; expected ‹out› with .png, or no")
        else:
            self._takes(".png")
        opened = open_run(self.run, self.ckpt)
        if arrays and self.out is not None:
            print(save_arrays(opened, self.count, self.out, self.seed))
            return 0
        images = (walk if self.walk else generate)(opened, self.count, self.seed, self.class_name)
        print(sample(opened, images, "walk" if self.walk else "sample", self.out))
        return 0

    def _out_is(self, suffix: str) -> bool:
        return self.out is not None and self.out.suffix.lower() == suffix

    def _takes(self, suffix: str) -> None:
        """Refuses a file whose name promises another format; a name may promise nothing, as a pipe's."""
        if self.out is not None and self.out.suffix and not self._out_is(suffix):
            raise UserError(f"‹out›: {self.out}; expected a name with {suffix}")

    def _leaves_out(self, names: Iterable[str], reason: str) -> None:
        for name in names:
            if getattr(self, name) != getattr(Sample, name):
                shown = name.removesuffix("_name")
                raise UserError(f"‹{shown}›: {reason} ‹{shown}›")

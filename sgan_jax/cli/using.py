"""What looks at images before training, and what is done with runs that are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from sgan_jax.cli.flags import File, Int, Preset, Text
from sgan_jax.cli.training import Train
from sgan_jax.errors import UserError

PORT = 8000


@dataclass(frozen=True)
class Report:
    """Make a page of a run, or table and plot of sweeps, from what they left; without JAX, and nothing is trained."""

    run: File = None
    """Run directory; by default runs/latest."""
    sweep: tuple[Path, ...] = ()
    """Sweep directories instead, taken together; what is made is written into the first."""
    out: File = None
    """HTML file of a run; by default report.html in the run directory."""
    serve: bool = False
    """Show the page of a run that goes on to a browser on this machine, until Ctrl-C."""
    port: Int = None
    """Where --serve listens, on 127.0.0.1; by default 8000, 0 takes a free one."""

    def __call__(self) -> int:
        """Runs the command."""
        if self.sweep:
            if self.run or self.out or self.serve or self.port is not None:
                raise UserError("--sweep: has table and plot alone; leave --run, --out, --serve and --port out")
            from sgan_jax.sweep import table

            return table.report(*self.sweep)
        if self.serve:
            if self.out:
                raise UserError("--serve: shows the page and writes no file; leave --out out")
            from sgan_jax.report import serve

            return serve.serve(self.run, PORT if self.port is None else self.port)
        if self.port is not None:
            raise UserError("--port: is where --serve listens; give that, too, or leave --port out")
        from sgan_jax.report import page

        return page.report(self.run, self.out)


@dataclass(frozen=True)
class DataCommand:
    """Look at your own images before training: counts, sizes, files that cannot be used, copies."""

    action: Annotated[Literal["check"], tyro.conf.Positional]
    """check."""
    data_dir: Annotated[Path, tyro.conf.Positional]
    """A folder with a folder for each class, an .npz file, or the four IDX files."""
    image_size: Int = None
    """Height and width to which the images will be resized."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.data import check
        from sgan_jax.limits import check_image_size

        if self.image_size is not None:
            check_image_size(self.image_size)
        return check.check(self.data_dir, self.image_size)


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


@dataclass(frozen=True)
class Predict:
    """Print class and probability of image files; the data that the run was trained on is not needed."""

    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Image files, or folders of them."""
    run: File = None
    """Run directory; by default runs/latest."""
    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    format: str = "text"
    """text, csv or json: the latter two with the probability of every class."""
    out: File = None
    """File to write instead of printing."""
    averaged: bool = False
    """Use the averaged weights."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import predict

        return predict.predict(self.images, self.run, self.ckpt, self.format, self.out, self.averaged)


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
    """step_7200, latest, or the path of a checkpoint."""
    averaged: bool = False
    """Use the averaged weights."""
    out: File = None
    """File to write; by default under export/ in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.export import formats

        return formats.export(self.format, self.kind, self.run, self.ckpt, self.averaged, self.out)


@dataclass(frozen=True)
class Sample:
    """Draw generated images of a checkpoint; no data set is needed."""

    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    run: File = None
    """Run directory; by default runs/latest."""
    count: int = 100
    """How many images."""
    seed: Int = None
    """Seed of the latents; by default the run's own fixed ones."""
    out: File = None
    """PNG to write; by default samples/step_N-sample.png in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import inspect_run

        return inspect_run.sample_checkpoint(self.run, self.ckpt, self.count, self.seed, self.out)


@dataclass(frozen=True)
class Describe:
    """Show both networks layer by layer and draw their diagram."""

    preset: Preset = "tutorial"
    head: Text = None
    """stacked, separate, k_plus_one or real_fake: how logits become scores; by default the preset's."""
    image_size: int = 28
    """Height and width of the images."""
    channels: int = 1
    """Channels of the images."""
    classes: int = 10
    """Number of classes."""
    out: Path = Path("networks.png")
    """PNG to write."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference import inspect_run

        config = Train(preset=self.preset, head=self.head).config()
        return inspect_run.describe(config, (self.image_size, self.image_size, self.channels), self.classes, self.out)

"""The command line: one entry point, a subcommand each.

The launchers in bin/ and the console script `sgan` call `main`.

Only what parsing needs is imported here; a command imports the rest, so that --help answers at once.
"""

import contextlib
import dataclasses
import functools
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from sgan_jax.config import MAX_DRAWS, PRESETS, Config, choose
from sgan_jax.errors import UserError
from sgan_jax.memory import keep_scratch

# A flag that may be left out, and whose help says what then holds.
_NOT_GIVEN = {"help_behavior_hint": ""}
_Text = Annotated[str | None, tyro.conf.arg(metavar="STR", **_NOT_GIVEN)]
_Int = Annotated[int | None, tyro.conf.arg(metavar="INT", **_NOT_GIVEN)]
_Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", **_NOT_GIVEN)]
_Preset = Annotated[str, tyro.conf.arg(help=f"Named configuration: {', '.join(PRESETS)}.")]
_Path = Annotated[Path | None, tyro.conf.arg(metavar="PATH", **_NOT_GIVEN)]

MAX_ENSEMBLE = 1000  # what is above is a slip


@dataclass(frozen=True)
class Train:
    """Train a semi-supervised GAN; the same command goes on with a run that was interrupted."""

    labels: int = 100
    """How many training images keep their label, balanced over the classes."""
    validation: int = 0
    """How many of these labels to keep from training: the accuracy on their images is shown, and chooses nothing."""
    dataset: str = "auto"
    """mnist, fashion_mnist, kmnist, mnist-5k (inside the package) or a TFDS name; auto: mnist, or else mnist-5k."""
    data_dir: _Text = None
    """Folder with the four IDX files (train-images-idx3-ubyte[.gz], ...) instead of a download."""
    preset: _Preset = "tutorial"
    head: _Text = None
    """stacked, separate, k_plus_one or real_fake: how logits become scores; by default the preset's."""
    epochs: _Int = None
    """Epochs to train, a checkpoint after each; by default the preset's (of tutorial, 20)."""
    steps_per_epoch: _Int = None
    """Steps of an epoch; by default the preset's (of tutorial, 600)."""
    steps: _Int = None
    """Steps to train in all, instead of --epochs."""
    batch_size: _Int = None
    """Latents of a generator update; each discriminator loss takes half as many images. By default the preset's."""
    precision: _Text = None
    """float32, bfloat16 or auto (bfloat16 where this machine is fast in it); by default the preset's float32."""
    width: _Int = None
    """Channels of every convolution, or what the networks have for it; by default the preset's (of tutorial, 128)."""
    learning_rate: _Float = None
    """Adam's learning rate; by default the preset's (of tutorial, 0.0002)."""
    seed: int = 0
    """Seed of the weights, the batches and the noise."""
    label_seed: int = 0
    """Seed of the choice of labelled images."""
    run: _Path = None
    """Run directory; by default runs/DATASET-LABELS-PRESET-sSEED."""
    devices: _Int = None
    """How many devices share each step's images; by default one, or all those of several processes."""
    cluster: bool = False
    """Join the other processes of this Slurm, MPI, Kubernetes or TPU job; each runs the same command."""
    coordinator: _Text = None
    """HOST:PORT of process 0, where no cluster tells; with --processes and --process."""
    processes: _Int = None
    """How many processes train together."""
    process: _Int = None
    """Which of them this is, from 0."""
    profile: _Path = None
    """Folder for a trace of some steps, to be looked at in XProf or TensorBoard."""
    profile_steps: str = "11-20"
    """Which steps --profile traces, counted from this call's first."""
    log_every: int = 0
    """Print the tutorial's line (>1, c[2.305,6], d[0.096,2.399], g[0.095]) every so many steps."""

    def config(self) -> Config:
        """The preset with the flags that were given."""
        preset: Config = choose(PRESETS, self.preset, "preset")
        given = {name: getattr(self, name) for name in ("epochs", "steps_per_epoch", "steps", "batch_size")}
        return dataclasses.replace(
            preset,
            seed=self.seed,
            precision=self.precision or preset.precision,
            data=dataclasses.replace(
                preset.data,
                dataset=self.dataset,
                data_dir=self.data_dir,
                labels=self.labels,
                label_seed=self.label_seed,
                validation=self.validation,
            ),
            model=dataclasses.replace(
                preset.model,
                head=self.head or preset.model.head,
                width=preset.model.width if self.width is None else self.width,
            ),
            adam=dataclasses.replace(
                preset.adam,
                learning_rate=preset.adam.learning_rate if self.learning_rate is None else self.learning_rate,
            ),
            **{name: value for name, value in given.items() if value is not None},
        )

    def __call__(self) -> int:
        """Runs the command."""
        config = self.config()
        if self.log_every < 0:
            raise UserError(f"--log-every: {self.log_every}; must be 0 (off) or more")
        from sgan_jax import devices, loop, profiler

        traced = profiler.profile(self.profile, self.profile_steps)

        if self.cluster or (self.coordinator, self.processes, self.process) != (None, None, None):
            devices.connect(self.coordinator, self.processes, self.process)
        return loop.train(config, self.run, self.log_every, self.devices, traced)


@dataclass(frozen=True)
class Sweep:
    """Train presets with several numbers of labels, over several draws; the same command goes on where it ended."""

    labels: str = "10,20,50,100"
    """Numbers of labelled images, separated by commas."""
    draws: int = 10
    """Draws of the labelled images for each of them; draw I trains with --seed I and --label-seed I."""
    ensemble: int = 1
    """Runs on each draw, whose classifiers are averaged, too; run M of draw I trains with --seed I + 10000 M."""
    preset: str = "fast"
    """Named configurations, as of train, separated by commas; all get the same draws."""
    validation: int = 0
    """As of train: how many of the labels to keep from training."""
    dataset: str = "auto"
    """As of train: auto, mnist, fashion_mnist, kmnist, mnist-5k or a TFDS name."""
    data_dir: _Text = None
    """Folder with the four IDX files instead of a download."""
    head: _Text = None
    """stacked, separate or k_plus_one; by default each preset's."""
    epochs: _Int = None
    """Epochs of a run; by default each preset's."""
    steps_per_epoch: _Int = None
    """Steps of an epoch; by default each preset's."""
    steps: _Int = None
    """Steps of a run in all, instead of --epochs."""
    batch_size: _Int = None
    """Latents of a generator update; by default each preset's."""
    precision: _Text = None
    """float32, bfloat16 or auto; by default each preset's."""
    width: _Int = None
    """Channels of every convolution; by default each preset's."""
    learning_rate: _Float = None
    """Adam's learning rate; by default each preset's."""
    out: _Path = None
    """Sweep directory; by default sweeps/DATASET."""
    ray: _Text = None
    """Address of a Ray cluster that trains the runs: HOST:PORT, auto, or local; by default they are trained here."""

    def configs(self) -> list[Config]:
        """A configuration a row. The draws are the outermost, so that a sweep that is cut short is even."""
        presets, labels = ([part.strip() for part in text.split(",")] for text in (self.preset, self.labels))
        if not all(part.isdecimal() for part in labels):
            raise UserError(f"--labels: '{self.labels}'; must be whole numbers separated by commas")
        if not 1 <= self.draws <= MAX_DRAWS:
            raise UserError(f"--draws: {self.draws}; must be between 1 and {MAX_DRAWS}")
        if not 1 <= self.ensemble <= MAX_ENSEMBLE:
            raise UserError(f"--ensemble: {self.ensemble}; must be between 1 and {MAX_ENSEMBLE}")
        shared = {field.name for field in dataclasses.fields(Train)} - {"preset", "labels", "seed", "label_seed"}
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name in shared}
        counts = dict.fromkeys(map(int, labels))  # each once, in this order
        return [
            Train(preset=preset, labels=count, seed=draw + MAX_DRAWS * member, label_seed=draw, **given).config()
            for draw in range(self.draws)
            for count in counts
            for preset in dict.fromkeys(presets)
            for member in range(self.ensemble)
        ]

    def __call__(self) -> int:
        """Runs the command."""
        configs = self.configs()
        from sgan_jax import sweep

        return sweep.sweep(configs, self.out, self.ray)


@dataclass(frozen=True)
class Report:
    """Make table and plot of sweeps again from their results, without JAX; nothing is trained."""

    sweep: tuple[Path, ...]
    """Sweep directories, taken together; what is made is written into the first."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax import sweep_report

        return sweep_report.report(*self.sweep)


@dataclass(frozen=True)
class Eval:
    """Print the accuracy of a checkpoint's classifier on the training and test images."""

    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    run: _Path = None
    """Run directory; by default runs/latest."""
    data_dir: _Text = None
    """Where the run's IDX files lie now, if they were moved."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax import inspect_run

        return inspect_run.evaluate_checkpoint(self.run, self.ckpt, self.data_dir, self.json)


@dataclass(frozen=True)
class Sample:
    """Draw generated images of a checkpoint; no data set is needed."""

    ckpt: str = "latest"
    """step_7200, latest, or the path of a checkpoint."""
    run: _Path = None
    """Run directory; by default runs/latest."""
    count: int = 100
    """How many images."""
    seed: _Int = None
    """Seed of the latents; by default the run's own fixed ones."""
    out: _Path = None
    """PNG to write; by default samples/step_N-sample.png in the run directory."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax import inspect_run

        return inspect_run.sample_checkpoint(self.run, self.ckpt, self.count, self.seed, self.out)


@dataclass(frozen=True)
class Describe:
    """Show both networks layer by layer and draw their diagram."""

    preset: _Preset = "tutorial"
    head: _Text = None
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
        from sgan_jax import inspect_run

        config = Train(preset=self.preset, head=self.head).config()
        return inspect_run.describe(config, (self.image_size, self.image_size, self.channels), self.classes, self.out)


Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Eval, tyro.conf.subcommand("eval")]
    | Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Describe, tyro.conf.subcommand("describe")]
)


def main() -> None:
    """Parses, runs and exits: 0 done, 2 the user's mistake, 128 + N stopped by signal N."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text
    logging.basicConfig(level=logging.WARNING, format="sgan: %(message)s")
    logging.getLogger("sgan_jax").setLevel(logging.INFO)  # a first start tells that it fetches data
    command = tyro.cli(Command, prog="sgan", description="Semi-supervised GANs in JAX.")
    try:
        if not isinstance(command, Report):  # the one that does without JAX
            _use_compilation_cache()  # first: JAX reads the environment when it is imported
            keep_scratch()
        status = command()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains while it flushes
        status = 141
    except (UserError, OSError, RuntimeError) as error:
        message = _message(error)
        if message is None:
            raise
        print(f"sgan: error: {message}", file=sys.stderr)
        status = 2
    sys.exit(status)


def _message(error: UserError | OSError | RuntimeError) -> str | None:
    """One line for what the user can mend, None for what is a fault of the program."""
    if isinstance(error, OSError):  # a full disk, a name that is too long
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    text = str(error)
    if isinstance(error, UserError):
        return text
    if text.startswith("Unable to initialize backend"):
        return f"{text.splitlines()[0].split(' (')[0]}; set JAX_PLATFORMS to cpu or to what this machine has"
    if "RESOURCE_EXHAUSTED" in text:
        return f"out of memory; give a smaller --batch-size or --width ({text.splitlines()[0]:.120})"
    return None


def _use_compilation_cache() -> None:
    """Compiled steps are kept per user and machine; whatever the user set in the environment wins."""
    from sgan_jax.data import cache

    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(UserError):  # no home directory: compile every time
            folder = cache.root() / "xla"
            os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
            warnings.showwarning = functools.partial(_mend_compilation_cache, folder, warnings.showwarning)


def _mend_compilation_cache(folder: Path, show: Callable[..., None], message: object, *rest: Any) -> None:
    """Shows a warning; one about a compiled step in our own folder that a kill cut off is heeded instead.

    JAX warns of such a step at every start, compiles anew and never replaces it; so it is removed before JAX writes.
    """
    found = re.match(r"Error reading persistent compilation cache entry for '(\w+)'", str(message))
    if found is None:
        show(message, *rest)
        return
    with contextlib.suppress(OSError):
        for entry in folder.glob(f"{found[1]}-*"):
            entry.unlink()

"""`sweep`: trains presets with several numbers of labels, over several draws."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgan_jax.cli.flags import Bool, File, Float, Int, Text
from sgan_jax.cli.report import show
from sgan_jax.cli.train import Train
from sgan_jax.config import MAX_DRAWS, Config
from sgan_jax.errors import UserError

if TYPE_CHECKING:
    from sgan_jax.sweep.sweep import Result
    from sgan_jax.sweep.trial import Trial

MAX_ENSEMBLE = 1000  # what is above is a slip


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
    data_dir: Text = None
    """As of train: your own images; they need a test part."""
    image_size: Int = None
    """As of train: height and width to which they are resized."""
    stream: Bool = None
    """As of train: whether unlabelled ones are read from disk at every step."""
    head: Text = None
    """stacked, separate or k_plus_one; by default each preset's."""
    epochs: Int = None
    """Epochs of a run; by default each preset's."""
    steps_per_epoch: Int = None
    """Steps of an epoch; by default each preset's."""
    steps: Int = None
    """Steps of a run in all, instead of --epochs."""
    batch_size: Int = None
    """Twice the images of each source that a loss takes; by default each preset's."""
    precision: Text = None
    """float32, bfloat16 or auto; by default each preset's."""
    width: Int = None
    """Channels of every convolution; by default each preset's."""
    learning_rate: Float = None
    """Adam's learning rate; by default each preset's."""
    muon_rate: Float = None
    """Rate of Muon for the discriminator's hidden layers, 0: none; by default each preset's."""
    on_nan: str = "stop"
    """As of train: stop a run whose loss is no number any more, and train the others; or rollback."""
    out: File = None
    """Sweep directory; by default sweeps/DATASET."""
    ray: Text = None
    """Address of a Ray cluster that trains the runs: HOST:PORT, auto, or local; by default they are trained here."""

    def configs(self) -> list[Config]:
        """A configuration a trial. The draws are the outermost, so that a sweep that is cut short is even."""
        presets, labels = ([part.strip() for part in text.split(",")] for text in (self.preset, self.labels))
        if not all(part.isdecimal() for part in labels):
            raise UserError(f"‹labels›: '{self.labels}'; must be whole numbers separated by commas")
        if not 1 <= self.draws <= MAX_DRAWS:
            raise UserError(f"‹draws›: {self.draws}; must be between 1 and {MAX_DRAWS}")
        if not 1 <= self.ensemble <= MAX_ENSEMBLE:
            raise UserError(f"‹ensemble›: {self.ensemble}; must be between 1 and {MAX_ENSEMBLE}")
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
        from sgan_jax.sweep import sweep

        return shown(sweep.sweep(configs, self.out, self.ray, self.on_nan, Lines(on_cluster=bool(self.ray))))


class Lines:
    """Prints the progress of a sweep."""

    def __init__(self, on_cluster: bool):
        """`on_cluster`: print the end of each trial, for its training prints nothing here."""
        self.on_cluster = on_cluster

    def started(self, trial: "Trial") -> None:
        """Prints which trial begins."""
        print(trial, flush=True)

    def finished(self, trial: "Trial") -> None:
        """Prints that a trial on the cluster has ended."""
        if self.on_cluster:
            print(f"{trial} is done", flush=True)

    def note(self, text: str) -> None:
        """Prints the line."""
        print(text, flush=True)


def shown(result: "Result") -> int:
    """Prints how a sweep ended; returns the exit status.

    Raises:
      UserError: trials could not be trained; names them.
    """
    if result.stopped_by:
        print(f"stopped by {result.stopped_by.name}; the same command resumes from there", flush=True)
        return 128 + result.stopped_by
    if result.report:
        show(result.report)
    if result.failed:
        raise UserError(
            f"{result.path}: {len(result.failed)} of {result.total} trials could not be trained "
            f"({', '.join(map(str, result.failed))}): the warnings say why; the same command tries them again"
        )
    return 0

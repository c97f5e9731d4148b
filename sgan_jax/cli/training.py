"""`train` and `sweep`: what trains."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from sgan_jax.cli.flags import Bool, File, Float, Int, Preset, Text
from sgan_jax.config import MAX_DRAWS, PRESETS, AdamConfig, Config, ModelConfig, MuonConfig, choose
from sgan_jax.errors import UserError

MAX_ENSEMBLE = 1000  # what is above is a slip

_Part = TypeVar("_Part", Config, ModelConfig, AdamConfig, MuonConfig)


def _with(part: _Part, **flags: Any) -> _Part:
    """A preset, or a part of one, with the flags that were given: those that are not None."""
    return dataclasses.replace(part, **{name: value for name, value in flags.items() if value is not None})


@dataclass(frozen=True)
class Train:
    """Train a semi-supervised GAN; the same command goes on with a run that was interrupted."""

    labels: Int = None
    """How many training images keep their label, balanced over the classes; by default 100, or all of your own."""
    validation: int = 0
    """How many of these labels to keep from training: the accuracy on their images is shown, and chooses nothing."""
    dataset: str = "auto"
    """mnist, fashion_mnist, kmnist, mnist-5k (inside the package) or a TFDS name; auto: mnist, or else mnist-5k."""
    data_dir: Text = None
    """Your own images: a folder with a folder for each class, an .npz file, or the four IDX files."""
    image_size: Int = None
    """Height and width to which your own images are resized; by default they must agree."""
    stream: Bool = None
    """Read the unlabelled images of a folder from disk at every step; by default where they do not fit in memory."""
    preset: Preset = "tutorial"
    head: Text = None
    """stacked, separate, k_plus_one or real_fake: how logits become scores; by default the preset's."""
    epochs: Int = None
    """Epochs to train, a checkpoint after each; by default the preset's (of tutorial, 20)."""
    steps_per_epoch: Int = None
    """Steps of an epoch; by default the preset's (of tutorial, 600)."""
    steps: Int = None
    """Steps to train in all, instead of --epochs."""
    batch_size: Int = None
    """Twice the images of each source that a loss takes (tutorial: as many latents for G). By default the preset's."""
    precision: Text = None
    """float32, bfloat16 or auto (bfloat16 where this machine is fast in it); by default the preset's float32."""
    width: Int = None
    """Channels of every convolution, or what the networks have for it; by default the preset's (of tutorial, 128)."""
    learning_rate: Float = None
    """Adam's learning rate; by default the preset's (of tutorial, 0.0002)."""
    muon_rate: Float = None
    """Rate of Muon for the discriminator's hidden layers, 0: Adam for these, too; by default the preset's."""
    seed: int = 0
    """Seed of the weights, the batches and the noise."""
    label_seed: int = 0
    """Seed of the choice of labelled images."""
    run: File = None
    """Run directory; by default runs/DATASET-LABELS-PRESET-sSEED."""
    devices: Int = None
    """How many devices share each step's images; by default one, or all those of several processes."""
    cluster: bool = False
    """Join the other processes of this Slurm, MPI, Kubernetes or TPU job; each runs the same command."""
    coordinator: Text = None
    """HOST:PORT of process 0, where no cluster tells; with --processes and --process."""
    processes: Int = None
    """How many processes train together."""
    process: Int = None
    """Which of them this is, from 0."""
    profile: File = None
    """Folder for a trace of some steps, to be looked at in XProf or TensorBoard."""
    profile_steps: Text = None
    """Which steps --profile traces, counted from this call's first; by default 11-20."""
    on_nan: str = "stop"
    """What to do when a loss is no number any more: stop, or rollback to the last checkpoint with other randomness."""
    log_every: int = 0
    """Print the tutorial's line (>1, c[2.305,6], d[0.096,2.399], g[0.095]) every so many steps."""

    def config(self) -> Config:
        """The preset with the flags that were given."""
        preset: Config = choose(PRESETS, self.preset, "preset")
        return _with(
            preset,
            seed=self.seed,
            precision=self.precision,
            data=dataclasses.replace(
                preset.data,
                dataset=self.dataset,
                data_dir=self.data_dir,
                image_size=self.image_size,
                stream=self.stream,
                labels=self.labels,
                label_seed=self.label_seed,
                validation=self.validation,
            ),
            model=_with(preset.model, head=self.head, width=self.width),
            adam=_with(preset.adam, learning_rate=self.learning_rate),
            muon=_with(preset.muon, learning_rate=self.muon_rate),
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            steps=self.steps,
            batch_size=self.batch_size,
        )

    def __call__(self) -> int:
        """Runs the command."""
        config = self.config()
        if self.log_every < 0:
            raise UserError(f"--log-every: {self.log_every}; must be 0 (off) or more")
        from sgan_jax.engine import devices
        from sgan_jax.training import loop, profiler

        traced = profiler.profile(self.profile, self.profile_steps)

        if self.cluster or (self.coordinator, self.processes, self.process) != (None, None, None):
            devices.connect(self.coordinator, self.processes, self.process)
        return loop.train(config, self.run, self.log_every, self.devices, traced, on_nan=self.on_nan)


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
        from sgan_jax.sweep import sweep

        return sweep.sweep(configs, self.out, self.ray, self.on_nan)

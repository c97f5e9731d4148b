"""`train`: trains a run, or resumes it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from sgan_jax.cli.flags import Bool, File, Float, Int, Preset, Text
from sgan_jax.config import PRESETS, AdamConfig, Config, ModelConfig, MuonConfig, choose
from sgan_jax.errors import UserError

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

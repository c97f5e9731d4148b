"""The features by which a run's generator is measured after each epoch, opened before the first step."""

from pathlib import Path

from sgan_jax.config import Config
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError
from sgan_jax.metrics.features import Features
from sgan_jax.metrics.generated import NEIGHBOURS
from sgan_jax.presets import generator_learns
from sgan_jax.runs.features import open_features


def features_for(config: Config, dataset: Dataset, measured: Path) -> Features | None:
    """What `config.features` names; None without it, and where the objective does not train the generator.

    Args:
      config: of the run, or of a trial of a sweep.
      dataset: what is trained on.
      measured: the directory of the run, or of the sweep.

    Raises:
      UserError: as of `open_features`; or the images do not fit in memory, or are too few to be compared.
    """
    if config.features is None or not generator_learns(config):
        return None
    path, least = Path(config.features), NEIGHBOURS + 1
    features = open_features(path, dataset.train_images.shape[1:], measured)
    if dataset.streamed is not None:
        raise UserError(
            f"‹features› {path}: the images are streamed, and a generator is measured where they fit in memory; give "
            "‹features› none"
        )
    if len(dataset.train_images) < least:
        raise UserError(
            f"‹features› {path}: {len(dataset.train_images)} training images; expected at least {least} to measure a "
            "generator"
        )
    return features


def note_about(config: Config, features: Features | None) -> str:
    """A line about how the generator is measured, or nothing where `config` has no features."""
    if config.features is None:
        return ""
    if features is None:
        return f"the generator is not measured: the objective {config.objective.name} does not train it"
    return f"the generator is measured by features of {features.about}"

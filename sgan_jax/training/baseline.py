"""The baseline of a run: the same classifier on the labelled images alone."""

from dataclasses import replace

import jax

from sgan_jax.config import Config, validate
from sgan_jax.engine.system import check_names
from sgan_jax.errors import UserError
from sgan_jax.runs.compared import with_baseline
from sgan_jax.runs.directory import RunDir
from sgan_jax.training import loop
from sgan_jax.training.events import Listener
from sgan_jax.training.start import Options, load_data

OBJECTIVE = "supervised"


def labels_alone(config: Config) -> Config:
    """The configuration with the same networks, augmentation of labelled images and optimiser, on the labels alone.

    Raises:
      UserError: the configuration is that already, or has no classifier.
    """
    baseline = replace(
        config,
        objective=replace(config.objective, name=OBJECTIVE),
        consistency=replace(config.consistency, weight=0.0),
        propagation=replace(config.propagation, neighbours=0, embeddings=None),
    )
    if baseline == config:
        raise UserError(f"‹baseline›: ‹preset› {config.preset} uses the labels alone already; leave ‹baseline› out")
    validate(baseline)
    check_names(baseline)
    return baseline


def train_both(config: Config, options: Options, listener: Listener | None = None) -> loop.Result:
    """Trains a run, then its baseline in the directory beside it; notes how they compare.

    Args:
      config: of the run.
      options: of the run; those of the baseline are the same.
      listener: learns what happens in both.

    Returns:
      The result of the run; of the baseline, where a signal stopped that one.

    Raises:
      UserError: as of `labels_alone` and `loop.train`.
    """
    validate(config)
    check_names(config)
    alone, listener = labels_alone(config), listener or Listener()
    dataset = load_data(config, options.run)
    result = loop.train(config, options, dataset, listener)
    if result.stopped:
        return result
    run = RunDir(result.run)
    if jax.process_index() == 0:
        listener.note("baseline: the same classifier on the labels alone")
    baseline = loop.train(alone, options._replace(run=run.baseline.path, newest=False, profile=None), dataset, listener)
    if baseline.stopped:
        return baseline
    if jax.process_index() == 0 and (comparison := with_baseline(run)):
        listener.note(str(comparison))
    return result

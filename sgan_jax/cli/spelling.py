"""How the command line spells settings in messages."""

import logging

from sgan_jax.errors import spelled

# Settings with a short flag of their own; every other one is spelled by its place, `--adam.beta1`.
SHORT = {
    "data.labels": "labels",
    "data.label_seed": "label-seed",
    "data.validation": "validation",
    "data.dataset": "dataset",
    "data.data_dir": "data-dir",
    "data.image_size": "image-size",
    "data.stream": "stream",
    "model.head": "head",
    "model.width": "width",
    "adam.learning_rate": "learning-rate",
    "muon.learning_rate": "muon-rate",
}


def flag(name: str) -> str:
    """A setting as a flag: `data.labels` is `--labels`."""
    return f"--{SHORT.get(name, name.replace('_', '-'))}"


class FlagFormatter(logging.Formatter):
    """Log records with settings spelled as flags."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        return spelled(super().format(record), flag)

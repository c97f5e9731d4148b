"""How the command line spells settings in messages."""

import logging

from sgan_jax.config import SETTINGS
from sgan_jax.errors import spelled


def flag(name: str) -> str:
    """A setting as a flag: `data.labels` is `--labels`."""
    short = SETTINGS[name].short if name in SETTINGS else ""
    return f"--{(short or name).replace('_', '-')}"


class FlagFormatter(logging.Formatter):
    """Log records as the command line prints them: "sgan: warning: ...", with settings spelled as flags."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        level = "warning: " if record.levelno >= logging.WARNING else ""
        return f"sgan: {level}{spelled(super().format(record), flag)}"

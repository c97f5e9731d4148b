"""How the command line spells settings in messages."""

import logging
import sys
from pathlib import Path

from sgan_jax.config import SETTINGS
from sgan_jax.errors import spelled


def flag(name: str) -> str:
    """A setting as a flag: `data.labels` is `--labels`."""
    short = SETTINGS[name].short if name in SETTINGS else ""
    return f"--{(short or name).replace('_', '-')}"


def command(name: str) -> str:
    """A command as whoever called this one calls it: `bin/report`, or `sgan report` where the package is installed."""
    return f"sgan {name}" if Path(sys.argv[0]).name == "sgan" else f"bin/{name}"


class FlagFormatter(logging.Formatter):
    """Log records as the command line prints them: "sgan: warning: ...", with settings spelled as flags."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        level = "warning: " if record.levelno >= logging.WARNING else ""
        return f"sgan: {level}{spelled(super().format(record), flag)}"

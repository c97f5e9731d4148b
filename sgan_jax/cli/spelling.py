"""How the command line spells settings in messages."""

import logging
import sys
import unicodedata
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


def one_line(text: str) -> str:
    """The text with control characters as Python writes them: a file's name may have ends of lines and escapes."""
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) == "Cc" else c for c in text)


class FlagFormatter(logging.Formatter):
    """Log records as the command line prints them: "sgan: warning: ...", with settings spelled as flags."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        level = "warning: " if record.levelno >= logging.WARNING else ""
        record.message = record.getMessage()
        traceback = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"sgan: {level}{one_line(spelled(record.message, flag))}{traceback}"

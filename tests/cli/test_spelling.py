"""How the command line spells settings, and names of files that a line cannot hold."""

import logging
from pathlib import Path

import numpy as np

from sgan_jax.cli.prediction_formats import as_text
from sgan_jax.cli.spelling import FlagFormatter
from sgan_jax.inference.predict import ImagePrediction


def test_control_characters_in_names_of_files_neither_break_lines_nor_reach_the_terminal() -> None:
    name = "a\n\x1b[1m é\u3000.png"
    record = logging.LogRecord("sgan_jax", logging.WARNING, "", 0, "%s: bad; see ‹data.labels›", (name,), None)
    shown = "a\\n\\x1b[1m é\u3000.png"
    assert FlagFormatter("%(message)s").format(record) == f"sgan: warning: {shown}: bad; see --labels"
    assert as_text([ImagePrediction(Path(name), "cat", np.ones(1))], ["cat"]).endswith(f"  {shown}\n")

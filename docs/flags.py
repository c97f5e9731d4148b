"""Writes what every command's `--help` prints into reference.md.

    bin/_python docs/flags.py            # writes
    bin/_python docs/flags.py --check    # fails where the page is out of date

A command is a launcher in bin/ that calls the program.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
BEGIN, END = "<!-- flags: written by docs/flags.py -->", "<!-- flags: end -->"
FIRST = ("train", "sweep", "report", "data", "eval", "predict", "export", "sample", "describe")


def commands() -> list[str]:
    """Names of the launchers that call the program, the common ones first."""
    names = [file.name for file in (ROOT / "bin").iterdir() if f" sgan_jax {file.name} " in file.read_text()]
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def help_of(command: str) -> str:
    """What `--help` prints, without the frames around its groups."""
    arguments = [command, "check"] if command == "data" else [command]
    done = subprocess.run(
        [sys.executable, "-m", "sgan_jax", *arguments, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [re.sub(r"^[╭╰]─*\s?|\s?─*[╮╯]$|^│ ?|\s*│$", "", line).rstrip() for line in done.stdout.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def with_flags(page: str) -> str:
    """The page with the help of today between its markers."""
    sections = [f"### bin/{command}\n\n```text\n{help_of(command)}\n```\n" for command in commands()]
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}\n\n" + "\n".join(sections) + f"\n{END}{after}"


if __name__ == "__main__":
    written = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(with_flags(written))
    elif with_flags(written) != written:
        sys.exit("docs/reference.md is out of date; bin/_python docs/flags.py writes it")

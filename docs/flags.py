"""Writes what every command's `--help` prints into reference.md.

    bin/_python docs/flags.py            # writes
    bin/_python docs/flags.py --check    # fails where the page is out of date

A command is a launcher in bin/ that calls the program.
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"
BEGIN, END = "<!-- flags: written by docs/flags.py -->", "<!-- flags: end -->"
FIRST = ("train", "sweep", "report", "runs", "data", "eval", "predict", "export", "sample", "describe")
GENERAL = ("options", "positional arguments")  # titles of groups that differ between commands


class Help(NamedTuple):
    """What `--help` prints, without the frames around its groups of options."""

    usage: str  # with the description
    groups: dict[str, str]  # the options of each group, by the group's title


def commands() -> list[str]:
    """Names of the launchers that call the program, the common ones first."""
    names = [file.name for file in (ROOT / "bin").iterdir() if f" sgan_jax {file.name} " in file.read_text()]
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def help_of(command: str) -> Help:
    """Runs the command with `--help`."""
    arguments = [command, "check"] if command == "data" else [command]
    done = subprocess.run(
        [sys.executable, "-m", "sgan_jax", *arguments, "--help"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    usage, *frames = re.split(r"^╭─ (.*?) ─*╮$", done.stdout, flags=re.MULTILINE)
    return Help(_tidy(usage), dict(zip(frames[::2], map(_tidy, frames[1::2]), strict=True)))


def _tidy(text: str) -> str:
    """Lines without the sides of a frame and without its rules."""
    lines = [re.sub(r"^│ ?|\s*│$", "", line).rstrip() for line in text.splitlines()]
    return "\n".join(line for line in lines if not re.fullmatch("[╰─╯]+", line)).strip("\n")


def _options(text: str) -> list[str]:
    """The options of a group, each with its help."""
    return re.split(r"\n(?=-)", re.sub(r"\n+", "\n", text))


def _words(options: list[str]) -> set[str]:
    """Options without their layout, which depends on how long the others of a command are."""
    return {" ".join(option.split()) for option in options}


def section(command: str, text: Help, earlier: dict[str, Help]) -> str:
    """A command's part of the page; options that an earlier command has in a group of the same title are only named.

    Args:
      command: a launcher's name.
      text: its help.
      earlier: the help of the commands that the page shows before.
    """
    parts, repeated, missing = [text.usage], [], []
    for title, options in text.groups.items():
        before = next((_options(help.groups[title]) for help in earlier.values() if title in help.groups), [])
        if title in GENERAL or not _words(_options(options)) <= _words(before):
            parts.append("\n".join([title, *_options(options)]))
        else:
            repeated.append(title.removesuffix(" options"))
            missing += [option.split()[0] for option in before if not _words([option]) <= _words(_options(options))]
    page = f"### bin/{command}\n\n```text\n" + "\n\n".join(parts) + "\n```\n"
    if not repeated:
        return page
    less = f", except `{'`, `'.join(missing)}`" if missing else ""
    last = f"The groups {', '.join(repeated[:-1])} and {repeated[-1]} have the options that `bin/{FIRST[0]}` has{less}."
    return f"{page}\n{textwrap.fill(last, 120, break_on_hyphens=False)}\n"


def with_flags(page: str) -> str:
    """The page with the help of today between its markers."""
    earlier: dict[str, Help] = {}
    sections = []
    for command in commands():
        text = help_of(command)
        sections.append(section(command, text, earlier))
        earlier[command] = text
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}\n\n" + "\n".join(sections) + f"\n{END}{after}"


if __name__ == "__main__":
    written = PAGE.read_text()
    if "--check" not in sys.argv:
        PAGE.write_text(with_flags(written))
    elif with_flags(written) != written:
        sys.exit("docs/reference.md is out of date; bin/_python docs/flags.py writes it")

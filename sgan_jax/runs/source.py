"""Which sources run."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commit(*, short: bool = False) -> str | None:
    """The commit of the sources that run, with + where files differ from it; None if they are not a checkout.

    Args:
      short: as many characters as identify it, instead of all forty.
    """
    if not (ROOT / ".git").exists():  # installed: a repository further up is none of ours
        return None
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]  # who commits meanwhile is not kept from it
    name = [*git, "rev-parse", *(["--short"] if short else []), "HEAD"]
    try:
        head = subprocess.run(name, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed.stdout.strip() else "")

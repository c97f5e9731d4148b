"""What pyproject.toml, constraints.txt and the installed packages require of each other."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [
    Requirement(line.split(" #")[0])
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def pins(python: str) -> dict[str, SpecifierSet]:
    """The pins that count on an interpreter, by package."""
    chosen = [pin for pin in PINS if not pin.marker or pin.marker.evaluate({"python_version": python})]
    assert len({canonicalize_name(pin.name) for pin in chosen}) == len(chosen), "two pins for one package"
    return {canonicalize_name(pin.name): pin.specifier for pin in chosen}


def test_each_pin_is_an_exact_version_and_names_no_host():
    for pin in PINS:
        assert pin.url is None and re.fullmatch(r"==\d[\w.]*", str(pin.specifier)), pin


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_pins_of_every_interpreter_are_versions_that_the_project_allows(python):
    asked = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, asked):
        [pin] = pins(python)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), f"{requirement} and {pin}"


def test_whatever_an_installation_pulls_in_is_pinned():
    pinned = pins("{}.{}".format(*sys.version_info))
    seen: set[tuple[str, str]] = set()
    queue = [(Requirement(text), "") for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in constraints.txt"
        for wanted in ("", *sorted(requirement.extras)):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                queue += [(Requirement(text), wanted) for text in metadata.requires(name) or []]
    assert len(seen) > 50


def test_the_python_that_pyenv_picks_is_one_the_project_allows():
    chosen = (ROOT / ".python-version").read_text().strip()
    assert chosen == "3.12" and SpecifierSet(PROJECT["requires-python"]).contains(chosen)

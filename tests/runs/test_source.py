"""Facts about the commit that a measurement names, in repositories made here."""

import subprocess
from pathlib import Path

import pytest

from sgan_jax.runs import source

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one file and one commit, taken for the sources that run."""
    (tmp_path / "file").write_text("one")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*GIT, *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    return tmp_path


def test_the_commit_is_named_in_full_or_by_its_first_characters(checkout: Path) -> None:
    full, short = source.commit(), source.commit(short=True)
    head = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True)
    assert full == head.stdout.strip() and len(full) == 40
    assert short and full.startswith(short) and 7 <= len(short) < 40


def test_a_changed_file_is_marked_and_a_new_one_is_not(checkout: Path) -> None:
    (checkout / "new").write_text("")
    assert not str(source.commit()).endswith("+")
    (checkout / "file").write_text("two")
    assert str(source.commit()).endswith("+") and str(source.commit(short=True)).endswith("+")


def test_sources_below_another_repository_are_of_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "installed").mkdir()
    monkeypatch.setattr(source, "ROOT", checkout / "installed")
    assert source.commit() is None

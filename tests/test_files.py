"""Files are whole or absent, and errors name them."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sgan_jax.files import flush, named, write_atomically
from sgan_jax.runs.directory import RunDir


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, which a full disk would do to all of them together."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_has_no_room_is_named_and_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    write_atomically(path, "before")
    with largest_file(100), pytest.raises(OSError, match="File too large") as caught:
        write_atomically(path, "x" * 200)
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["config.json"], "nothing half-written"


def test_a_line_that_has_no_room_names_its_file(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.log({"step": 1})
    with largest_file(run.metrics_file.stat().st_size), pytest.raises(OSError, match="File too large") as caught:
        run.log({"step": 2})
    assert caught.value.filename == str(run.metrics_file)
    assert list(run.metrics()) == [{"step": 1}]


def test_an_error_that_names_a_file_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, named(tmp_path):
        (tmp_path / "absent").read_text()
    assert caught.value.filename == str(tmp_path / "absent")


def test_a_link_stays_one_and_what_is_no_file_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("before")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "after"
    source, sink = os.pipe()
    try:
        write_atomically(Path(f"/dev/fd/{sink}"), "text")
        assert os.read(source, 9) == b"text"
    finally:
        os.close(source)
        os.close(sink)
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path / "folder", "text")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "folder"), None)


def test_all_of_a_folder_and_its_name_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    files = [folder / "a", folder / "inner" / "b"]
    for file in files:
        file.write_text("")
    synced: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append((os.fstat(number).st_dev, os.fstat(number).st_ino)))
    flush(folder)
    wanted = [path.stat() for path in (tmp_path, folder, folder / "inner", *files)]
    assert sorted(synced) == sorted((stat.st_dev, stat.st_ino) for stat in wanted)

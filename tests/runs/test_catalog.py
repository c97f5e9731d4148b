"""The runs of a folder: what the table says of each, two compared, one removed."""

import json
import os
import shutil
from pathlib import Path

import pytest
from small_run import CONFIG, DATASET, RECORD, begun, with_checkpoints

from sgan_jax.config import changed
from sgan_jax.errors import UserError
from sgan_jax.metrics.measure import Measure
from sgan_jax.runs import catalog
from sgan_jax.runs.begin import point_latest
from sgan_jax.runs.catalog import compare, find, leftovers, remove, runs_in, summary
from sgan_jax.runs.directory import RunDir

LATEST = Path("runs/latest")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def at(seconds: float, run: RunDir) -> RunDir:
    """The run, begun so long after the epoch."""
    os.utime(run.config_file, (seconds, seconds))
    return run


def finished(path: str, step: int = 12000) -> RunDir:
    run = with_checkpoints(begun(path), "step_600", f"step_{step}")
    run.log({"step": 600, "seconds": 1.0, "test_accuracy": 0.5, "train_accuracy": 0.6})
    run.log({"step": step, "seconds": 9.5, "test_accuracy": 0.75, "train_accuracy": 0.8})
    run.result_file.write_text(json.dumps({"step": step}))
    point_latest(run)  # as training does from the first checkpoint on
    return run


def unfinished(path: str) -> RunDir:
    run = with_checkpoints(begun(path), "step_600")
    point_latest(run)
    return run


# --- the table ---


def test_a_row_has_what_a_run_is_how_far_and_how_good():
    run = finished("runs/a")
    (run.checkpoints / "step_600" / "file").write_bytes(b"x" * 1000)
    row = summary(run)
    others = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file() and file.name != "file")
    assert row.size == 1000 + others
    assert row[3:] == ((600, 12000), "tutorial", "mnist-5k", 3, 12000, 12000, 0.75, "test", row.begun, "", "")
    assert (row.state, row.usable) == ("finished", True)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"train_accuracy": 0.1, "validation_accuracy": 0.2, "test_accuracy": 0.3}, (0.3, "test")),
        ({"train_accuracy": 0.1, "validation_accuracy": 0.2}, (0.2, "validation")),
        ({"train_accuracy": 0.1}, (0.1, "train")),
        ({"d/accuracy": 0.1, "test_accuracy": None}, (None, "")),
    ],
)
def test_the_accuracy_is_of_the_images_that_are_furthest_from_training(figures, expected):
    run = begun("runs/a")
    run.log({"step": 600, **figures})
    run.log({"step": 700, "d/real": 1.0})
    assert (summary(run).accuracy, summary(run).subset) == expected


def test_states_of_runs():
    finished("runs/finished")
    unfinished("runs/unfinished")
    begun("runs/empty")
    damaged = begun("runs/damaged")
    damaged.config_file.write_text("{")
    Path("runs/notes").mkdir()
    Path("runs/.hidden").mkdir()
    states = {row.path.name: (row.state, row.usable) for row in runs_in()}
    assert states == {
        "finished": ("finished", True),
        "unfinished": ("unfinished", True),
        "empty": ("no checkpoint", False),
        "damaged": ("damaged", False),
    }
    (row,) = [row for row in runs_in() if row.state == "damaged"]
    assert row.problem.startswith("runs/damaged/config.json: damaged: no JSON")


def test_runs_are_listed_in_the_order_in_which_they_were_begun_and_latest_is_no_run_of_its_own():
    for seconds, name in ((30, "a"), (10, "b"), (20, "c")):
        at(seconds, unfinished(f"runs/{name}"))
    assert LATEST.is_symlink()
    assert [row.path.name for row in runs_in()] == ["b", "c", "a"]


def test_a_folder_without_runs_is_empty_and_one_that_is_missing_is_an_error():
    assert runs_in() == []
    Path("other").mkdir()
    assert runs_in(Path("other")) == []
    with pytest.raises(UserError, match=r"^missing: no such folder of runs$"):
        runs_in(Path("missing"))


# --- comparing ---


def test_two_runs_are_compared_by_what_differs_and_their_figures_side_by_side():
    one = finished("runs/a")
    record = RECORD._replace(dataset=DATASET._replace(digest="e" * 64))
    other = begun("runs/b", changed(CONFIG, {"seed": 1, "model.width": 8}), record)
    other.log({"step": 100, "seconds": 2.0, "validation_accuracy": 0.25})
    compared = compare(one, other)
    images = ("mnist-5k (dddddddddddd...)", "mnist-5k (eeeeeeeeeeee...)")
    assert compared.settings == {"seed": (0, 1), "model.width": (128, 8), "images": images}
    assert compared.figures == {
        "test_accuracy": (Measure(0.75, "%"), None),
        "train_accuracy": (Measure(0.8, "%"), None),
        "validation_accuracy": (None, Measure(0.25, "%")),
        "steps": (Measure(12000), Measure(100)),
        "seconds": (Measure(9.5), Measure(2.0)),
    }
    assert [row.state for row in compared.runs] == ["finished", "no checkpoint"]
    assert compare(one, one).settings == {}


def test_a_run_is_found_by_its_name_in_the_folder_or_by_its_path():
    for path in ("runs/a", "elsewhere/a", "elsewhere/b"):
        begun(path)
    assert find("a").path == Path("runs/a")
    assert find("elsewhere/a").path == Path("elsewhere/a")
    assert find("b", Path("elsewhere")).path == Path("elsewhere/b")
    assert find("latest").path.resolve().name == "b"
    with pytest.raises(UserError, match=r"^c: no such run; runs/ holds a$"):
        find("c")


# --- removing ---


def test_a_run_is_removed_with_all_its_files_and_no_other_one():
    unfinished("runs/b")
    run = finished("runs/a")
    at(10, RunDir(Path("runs/b")))
    row = summary(run)
    assert remove(run) == catalog.Removed(row, Path("runs/b"))
    assert sorted(entry.name for entry in Path("runs").iterdir()) == ["b", "latest"]
    assert RunDir(Path("runs/b")).record() == RECORD


def test_latest_then_leads_to_the_newest_run_that_has_a_checkpoint_or_is_removed():
    at(10, unfinished("runs/old"))
    at(20, unfinished("runs/new"))
    at(30, begun("runs/empty"))
    at(40, unfinished("runs/gone"))
    assert remove(RunDir(LATEST)).latest == Path("runs/new")
    assert not Path("runs/gone").exists() and LATEST.resolve().name == "new"
    assert remove(RunDir(Path("runs/old"))).latest is None, "another run is the newest"
    assert LATEST.resolve().name == "new"
    assert remove(RunDir(Path("runs/new"))).latest is None
    assert not LATEST.is_symlink() and Path("runs/empty").exists()


def test_a_run_elsewhere_that_latest_leads_to_is_removed_there():
    unfinished("runs/a")
    unfinished("elsewhere/b")
    assert remove(RunDir(LATEST)).run.path == Path("elsewhere/b").absolute()
    assert LATEST.resolve().name == "a" and not Path("elsewhere/b").exists()


def test_a_run_in_progress_is_not_removed():
    run = unfinished("runs/a")
    with run.locked(), pytest.raises(UserError, match=r"^runs/a: another process trains in it; stop that one first$"):
        remove(run)
    assert run.record() == RECORD and LATEST.exists()
    remove(run)


def test_what_is_no_run_or_more_than_one_is_not_removed():
    Path("web").mkdir()
    Path("web/config.json").write_text('{"port": 80}')
    with pytest.raises(UserError, match=r"^web: its config.json is not a run's; remove the folder yourself"):
        remove(find("web"))
    outer = begun("outer")
    begun("outer/deep/inner")
    with pytest.raises(UserError, match=r"^outer: holds another run, outer/deep/inner; move or remove that first$"):
        remove(outer)
    begun("runs/a")
    Path("runs/link").symlink_to("a")
    with pytest.raises(UserError, match=r"^runs/link: is a link to .*/runs/a; name that$"):
        remove(find("link"))
    assert all(Path(name).exists() for name in ("web/config.json", "outer/config.json", "runs/a/config.json"))


def test_a_damaged_run_can_be_removed():
    run = unfinished("runs/a")
    run.config_file.write_text("{")
    assert remove(run).run.state == "damaged"
    assert not run.path.exists()


def test_a_kill_while_a_run_is_removed_leaves_no_half_of_a_run(monkeypatch):
    at(10, unfinished("runs/b"))
    run = unfinished("runs/a")

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "rmtree", killed)
        remove(run)
    assert [row.path.name for row in runs_in()] == ["b"] and LATEST.resolve().name == "b"
    assert leftovers() == [Path("runs/.a.removed")]
    remove(unfinished("runs/a"))
    assert leftovers() == [], "the next removal of that name takes it along"


def test_a_run_that_cannot_be_removed_is_one_line(monkeypatch):
    run = unfinished("runs/a")

    def fails(path):
        raise PermissionError(13, "Permission denied", "runs/.a.removed/x")

    monkeypatch.setattr(shutil, "rmtree", fails)
    with pytest.raises(UserError, match=r"^runs/.a.removed/x: cannot be removed \(Permission denied\)$"):
        remove(run)

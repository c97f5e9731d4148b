"""`bin/runs`: the table, the comparison and the removal as a user sees them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from outer import NOTICE, RUN, copy_of_finished_run

from sgan_jax.runs.directory import RunDir

Does = Callable[..., str]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The folder of two runs, `short` and the finished one."""
    run = copy_of_finished_run(tmp_path)
    short = RunDir(run.with_name("short"))
    record = RunDir(run).record()
    short.path.mkdir()
    short.write_record(record)
    return run.parent


def test_the_table_has_a_line_for_each_run(runs: Path, does: Does) -> None:
    lines = does("runs").splitlines()
    assert lines[0].split() == ["run", "preset", "data", "labels", "steps", "accuracy", "size", "state"]
    rows = {line.split()[0]: line for line in lines[1:3]}
    accuracy = RunDir(runs.parent / RUN).result()["test_accuracy"]
    words = rows[RUN.name].split()
    assert words[1:5] == ["tutorial", "mnist-5k", "100", "8"] and words[-1] == "finished"
    assert f"{100 * accuracy:.2f} % test" in rows[RUN.name]
    assert "0 of 8" in rows["short"] and rows["short"].endswith("no checkpoint") and " - " in rows["short"]
    assert lines[-2].startswith("2 runs, ") and lines[-1] == f"runs/latest: {RUN.name}"


def test_the_table_as_json(runs: Path, does: Does) -> None:
    rows = {row["name"]: row for row in json.loads(does("runs", "--json"))}
    row = rows[RUN.name]
    assert (row["path"], row["state"], row["latest"], row["checkpoints"]) == (str(RUN), "finished", True, [2, 4, 6, 8])
    assert (row["accuracy"], row["subset"]) == (RunDir(runs.parent / RUN).result()["test_accuracy"], "test")
    assert (rows["short"]["latest"], rows["short"]["accuracy"]) == (False, None)


def test_a_folder_without_runs_and_another_one(runs: Path, does: Does, fails: Does) -> None:
    (runs.parent / "others").mkdir()
    assert does("runs", "--folder", "others") == "others: no runs; sgan train makes one\n"
    assert json.loads(does("runs", "--folder", "others", "--json")) == []
    assert fails("runs", "--folder", "none") == "none: no such folder of runs"
    runs.rename(runs.with_name("mine"))
    assert RUN.name in does("runs", "--folder", "mine")


def test_two_runs_side_by_side(runs: Path, does: Does) -> None:
    short = json.loads((runs / "short/config.json").read_text())
    short["config"]["model"]["width"] = 16
    short["config"]["augment"]["extra"] = ["mirror"]
    (runs / "short/config.json").write_text(json.dumps(short))
    lines = [line.split() for line in does("runs", "compare", RUN, "short").splitlines()]
    assert lines[:3] == [
        ["setting", RUN.name, "short"],
        ["model.width", "8", "16"],
        ["augment.extra", "-", "mirror"],
    ]
    assert ["figure", RUN.name, "short"] in lines and ["steps", "8", "0"] in lines
    compared = json.loads(does("runs", "compare", RUN.name, "short", "--json"))
    assert compared["settings"] == {"model.width": [8, 16], "augment.extra": [[], ["mirror"]]}
    assert compared["figures"]["steps"] == [8, 0] and compared["figures"]["test_accuracy"][1] is None
    assert "the settings and the images are the same" in does("runs", "compare", "latest", RUN.name)


def test_a_run_is_removed_and_what_it_was_is_said(runs: Path, does: Does, fails: Does) -> None:
    printed = does("runs", "remove", "latest")
    assert printed.startswith(f"removed {RUN} (tutorial, mnist-5k, 100 labels, finished): 4 checkpoints, ")
    assert sorted(entry.name for entry in runs.iterdir()) == ["short"], "no usable run is left for runs/latest"
    assert fails("eval").startswith("runs/latest: no such run directory; train first")
    assert fails("runs", "remove", RUN.name) == f"{RUN.name}: no such run; runs/ holds short"


def test_the_run_that_latest_is_now_is_named(runs: Path, does: Does) -> None:
    (runs / "short/checkpoints/step_2").mkdir(parents=True)
    assert does("runs", "remove", RUN).splitlines()[-1] == "runs/latest: is short now"
    assert (runs / "latest").resolve().name == "short"
    assert RunDir(runs / "latest").record().dataset.notice == NOTICE


def test_too_few_or_too_many_names_are_one_line(runs: Path, fails: Does) -> None:
    assert fails("runs", "remove") == "runs remove: 0 names; expected one run"
    assert fails("runs", "compare", "short") == "runs compare: 1 name; expected two runs"
    assert fails("runs", "list", "short") == "runs list: 1 name; expected no run"
    assert fails("runs", "remove", "short", "--json") == "--json: is of list and compare; leave it out"
    with RunDir(runs / "short").locked():
        assert fails("runs", "remove", "short") == "runs/short: another process trains in it; stop that one first"

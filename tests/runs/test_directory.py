"""The files of a run directory: labelled images, metrics, result, the data set's name."""

import dataclasses
import json
from pathlib import Path

import pytest
from small_run import CONFIG, begun

from sgan_jax.errors import UserError
from sgan_jax.files import write_json


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- labels.json ---


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[7, 0, 5]",
        "{}",
        '{"indices": 3}',
        '{"indices": [7, 0]}',
        '{"indices": [7, 0, 8]}',
        '{"indices": [7, 0, -1]}',
        '{"indices": [7, 0, "5"]}',
        '{"indices": [7, 0, null]}',
    ],
)
def test_labels_that_are_not_what_was_written_are_a_one_line_error(text):
    run = begun()
    run.labels_file.write_text(text)
    with pytest.raises(UserError, match=r"runs/a/labels\.json: damaged"):
        run.labelled()


# --- the data set of a run ---


@pytest.mark.parametrize(
    ("asked", "data_dir", "name"),
    [("auto", None, "mnist-5k"), ("kmnist", None, "kmnist"), ("auto", "digits", "auto"), ("kmnist", "k", "kmnist")],
)
def test_auto_is_what_it_was_when_the_run_began(asked, data_dir, name):
    data = dataclasses.replace(CONFIG.data, dataset=asked, data_dir=data_dir)
    assert begun(config=dataclasses.replace(CONFIG, data=data)).dataset() == name


# --- metrics.jsonl ---


def test_metrics_are_read_as_they_were_logged():
    run = begun()
    assert list(run.metrics()) == []
    lines = [{"step": 100, "d/real": 0.25}, {"step": 200, "d/real": 1e-30}]
    for line in lines:
        run.log(line)
    assert list(run.metrics()) == lines


@pytest.mark.parametrize("cut", ["", "{", '{"step": 20', '{"step": 200, "d/re', "\0\0\0\0", "12", "\udcff\udcfe"])
def test_a_line_that_a_kill_cut_off_is_left_out_and_gone_after_a_resume(cut):
    run = begun()
    run.log({"step": 100})
    with run.metrics_file.open("a", errors="surrogateescape") as file:
        file.write(cut)
    assert list(run.metrics()) == [{"step": 100}]
    run.forget_after(100)
    run.log({"step": 200})
    assert run.metrics_file.read_text() == '{"step": 100}\n{"step": 200}\n'


def test_a_last_line_without_its_line_end_is_whole_and_the_next_one_starts_anew():
    run = begun()
    run.metrics_file.write_text('{"step": 100}\n{"step": 200}')
    run.forget_after(200)
    run.log({"step": 300})
    assert [line["step"] for line in run.metrics()] == [100, 200, 300]


def test_a_damaged_line_costs_no_other():
    run = begun()
    run.metrics_file.write_text('{"step": 100}\ngarbage\n{"step": 200}\n')
    assert [line["step"] for line in run.metrics()] == [100, 200]


def test_a_resume_forgets_the_steps_that_it_takes_again():
    run = begun()
    for step in (100, 200, 300):
        run.log({"step": step})
    run.forget_after(200)
    assert [line["step"] for line in run.metrics()] == [100, 200]
    run.forget_after(0)
    assert run.metrics_file.read_text() == ""


def test_figures_that_json_has_no_word_for_are_null():
    run = begun()
    run.log({"step": 1, "d/real": float("nan"), "d/fake": float("inf"), "g/fool": 0.5})
    expected = '{"step": 1, "d/real": null, "d/fake": null, "g/fool": 0.5}'
    assert run.metrics_file.read_text() == expected + "\n"
    write_json(run.result_file, {"step": 1, "d/real": float("nan"), "d/fake": -float("inf"), "g/fool": 0.5})
    assert json.loads(run.result_file.read_text()) == json.loads(expected)


# --- result.json ---


def test_figures_of_a_run_that_has_not_ended_are_none_and_a_damaged_file_is_one_line():
    run = begun()
    assert run.result() == {}
    run.result_file.write_text("[]")
    with pytest.raises(UserError, match=r"result.json: damaged: expected figures by name"):
        run.result()

"""How a training call begins in a run directory: what it records, what it joins and what it does not."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import CONFIG, DATASET, LABELLED, PART, RECORD, begun, with_checkpoints

from sgan_jax.config import Config, changed
from sgan_jax.errors import UserError
from sgan_jax.runs.begin import begin
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import existing
from sgan_jax.runs.record import Origin


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The warnings since they were last asked for."""

    def since() -> list[str]:
        messages = caplog.messages.copy()
        caplog.clear()
        return messages

    return since


def with_settings(**values: Any) -> Config:
    return changed(CONFIG, {name.replace("__", "."): value for name, value in values.items()})


# --- the run that it began from ---


def test_latest_may_become_the_run_that_began_from_it():
    asked = with_settings(init_from=str(Path("runs/a").absolute()))
    origin = Origin(str(Path("runs/a").absolute()), 600, "e" * 64, ("0",), (), ())
    run = with_checkpoints(begun("runs/b", asked, RECORD._replace(origin=origin)), "step_0")
    own = with_settings(init_from=str(run.path.absolute()))  # what `runs/latest` is now
    assert begun("runs/b", own).record() == RECORD._replace(config=asked, origin=origin)
    for other in (CONFIG, with_settings(init_from="/runs/c")):
        with pytest.raises(UserError, match=r"other settings \(init_from was .*runs/a, now"):
            begun("runs/b", other)


# --- a new run ---


def test_a_new_run_records_the_configuration_and_the_indices_of_the_labelled_images():
    run = begun()
    assert run.record() == RECORD
    assert json.loads(run.labels_file.read_text()) == {"indices": [7, 0, 5]}
    assert sorted(entry.name for entry in run.path.iterdir()) == ["config.json", "labels.json"]


def test_a_folder_of_other_things_is_not_taken_for_a_run_directory():
    Path("thesis").mkdir()
    Path("thesis/chapter1.txt").write_text("SGANs")
    with pytest.raises(UserError, match=r"thesis: holds files but no config\.json"):
        begun("thesis")
    assert os.listdir("thesis") == ["chapter1.txt"]


def test_a_start_that_was_killed_before_there_was_a_run_is_begun_again():
    run = begun()
    run.config_file.unlink()
    for name in (".config.json.123.tmp", ".labels.json.123.tmp"):
        (run.path / name).write_text("{")
    run.labels_file.write_text('{"indices": [1]}')
    run.metrics_file.write_text("")  # as a run of no result leaves them, which `begin` may be replacing
    for folder in (run.checkpoints, run.tensorboard):
        folder.mkdir()
    with_checkpoints(run, "step_600")
    with pytest.raises(UserError, match="holds files but no config"):
        begin(RunDir(run.path), RECORD, LABELLED)
    (run.checkpoints / "step_600").rmdir()
    assert begin(RunDir(run.path), RECORD, LABELLED).tolist() == [7, 0, 5]


def test_a_file_in_the_place_of_a_run_directory_is_a_one_line_error():
    Path("a").write_text("")
    for path in (Path("a"), Path("a/b")):
        with pytest.raises(UserError, match=rf"^{path}: cannot be written \(.+\); choose another run$"):
            begun(path)
        with pytest.raises(UserError, match=rf"^{path}: cannot be written \(.+\)"), RunDir(path).locked():
            pass


def test_a_read_only_directory_is_a_one_line_error(warnings):
    Path("locked").mkdir(mode=0o500)
    if os.access("locked", os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(UserError, match=r"locked/a: cannot be written \(Permission denied\)"):
        begun("locked/a")
    with pytest.raises(UserError, match=r"cannot be written \(Permission denied\)"), RunDir(Path("locked/a")).locked():
        pass
    begun("a")
    os.chdir("locked")
    begun(Path("../a"))
    assert warnings() == ["runs/latest cannot be written (Permission denied)"]


def test_a_second_training_in_a_run_directory_is_an_error_while_the_first_goes_on():
    run = RunDir(Path("runs/a"))
    with run.locked(), pytest.raises(UserError, match="another process trains in it"), RunDir(run.path).locked():
        pass
    with RunDir(run.path).locked():
        pass


# --- a run that is resumed ---


def test_a_resumed_run_keeps_its_first_record_and_is_never_shorter(warnings):
    run = begun()
    run.result_file.write_text("{}")
    later = PART._replace(versions={"jax": "2.0"}, command=("sgan", "train", "--epochs", "1"))
    begun(config=with_settings(epochs=1), record=RECORD._replace(parts=(later,)))
    assert run.record() == RECORD._replace(parts=(PART, later))
    assert warnings() == ["jax was 1.0: the run's last bits may now differ"]
    begun(config=with_settings(epochs=30), record=RECORD._replace(parts=(later,)))
    assert (run.record().config.epochs, len(run.record().parts)) == (30, 2)


def test_a_run_that_is_resumed_in_another_precision_warns_and_records_devices_and_sources(warnings):
    run = begun()
    begun(record=RECORD._replace(parts=(PART._replace(commit="b" * 40),)))
    assert warnings() == []
    elsewhere = PART._replace(device={"platform": "gpu", "precision": "bfloat16"})
    begun(record=RECORD._replace(parts=(elsewhere,)))
    assert warnings() == ["precision was float32: the run's last bits may now differ"]
    assert run.record().commits == ["a" * 40, "b" * 40]
    assert run.record().parts[-1] == elsewhere


def test_a_call_that_changes_nothing_leaves_no_trace_in_the_record():
    before = begun().config_file.read_text()
    assert begun().config_file.read_text() == before


def test_a_run_keeps_the_labelled_images_it_began_with():
    joined = begin(begun(), RECORD, np.array([1, 2, 3]))
    assert joined.tolist() == [7, 0, 5]
    assert joined.dtype == np.int64


def test_a_run_may_be_made_longer_or_get_its_data_from_elsewhere():
    begun()
    longer = with_settings(epochs=99, steps=50_000, data__dataset="auto", data__data_dir="/moved")
    assert begun(config=longer).record().config == longer


def test_what_a_run_reports_of_itself_may_change():
    with_checkpoints(begun(), "step_600")
    reports = with_settings(evaluators=("accuracy", "accuracy"))
    assert begun(config=reports).record().config == reports


def test_a_run_that_has_not_ended_cannot_be_made_shorter_and_one_that_has_stays_as_long_as_it_is():
    run = with_checkpoints(begun(), "step_600")
    with pytest.raises(UserError, match=r"\(steps was 12000, now 6000: it has not ended yet\)"):
        begun(config=with_settings(epochs=10))
    run.result_file.write_text("{}")
    assert begun(config=with_settings(epochs=10)).record().config.epochs == CONFIG.epochs


def test_a_run_whose_learning_rate_was_to_end_with_it_cannot_be_made_longer():
    config = with_settings(adam__schedule="cosine", epochs=2)
    with_checkpoints(begun(config=config), "step_600")
    begun(config=replace(config, steps=1200))  # the same length, given another way
    with pytest.raises(UserError) as error:
        begun(config=replace(config, epochs=3))
    assert "(steps was 1200, now 1800: its learning rate was to end with the former)" in str(error.value)


def test_a_run_whose_propagated_labels_pause_for_a_fraction_of_its_steps_cannot_be_made_longer():
    config = with_settings(propagation__neighbours=6, propagation__pause_until=0.5, epochs=2)
    with_checkpoints(begun(config=config), "step_600")
    with pytest.raises(UserError) as error:
        begun(config=replace(config, epochs=3))
    assert "(steps was 1200, now 1800: its propagated labels were to pause in steps that the" in str(error.value)


@pytest.mark.parametrize(
    ("values", "difference"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"batch_size": 25}, "batch_size was 50, now 25"),
        ({"steps_per_epoch": 5}, "steps_per_epoch was 600, now 5"),
        ({"model.head": "separate"}, "model.head was stacked, now separate"),
        ({"data.labels": 4}, "data.labels was 3, now 4"),
        ({"data.label_seed": 1}, "data.label_seed was 0, now 1"),
        ({"objective.tangents": 3}, "objective.tangents was 4, now 3"),
        ({"propagation.alpha": 0.9}, "propagation.alpha was 0.998, now 0.9"),
        ({"views.teacher": "none"}, "views.teacher was weak, now none"),
    ],
)
def test_another_setting_on_a_run_is_an_error_that_names_it_and_changes_nothing(values, difference):
    before = with_checkpoints(begun(), "step_600").config_file.read_text()
    with pytest.raises(UserError) as error:
        begun(config=changed(CONFIG, values))
    assert f"({difference});" in str(error.value), "this setting and no other"
    assert Path("runs/a/config.json").read_text() == before


def test_a_run_that_ended_before_its_first_result_is_replaced_by_other_settings():
    run = RunDir(Path("runs/a"))
    begin(run, RECORD._replace(config=with_settings(batch_size=65536)), np.array([1, 2, 3]))
    assert begin(run, RECORD, LABELLED).tolist() == [7, 0, 5]
    assert run.record().config == CONFIG
    with_checkpoints(run, "step_100")
    with pytest.raises(UserError, match="seed was 0, now 1"):
        begun(config=with_settings(seed=1))


def test_several_other_settings_are_all_named():
    begun().log({"step": 100})
    with pytest.raises(UserError, match=r"seed was 0, now 1; batch_size was 50, now 2"):
        begun(config=with_settings(seed=1, batch_size=2))


def test_other_images_under_the_same_settings_are_an_error_that_names_both_sets():
    begun().log({"step": 100})
    other = RECORD._replace(dataset=DATASET._replace(name="mnist", digest="e" * 64))
    with pytest.raises(UserError, match=r"dataset was mnist-5k \(dddddddddddd\.\.\.\), now mnist \(eeeeeeeeeeee"):
        begun(record=other)


def test_custom_images_with_other_names_of_classes_are_an_error():
    custom = RECORD._replace(dataset=DATASET._replace(custom=True, class_names=("cat", "dog")))
    begun(record=custom).log({"step": 100})
    begun(record=custom)
    with pytest.raises(UserError, match=r"\(classes were cat, dog, now chat, dog\); use those, or another run"):
        begun(record=custom._replace(dataset=custom.dataset._replace(class_names=("chat", "dog"))))


def test_the_same_images_under_another_name_are_the_same():
    begun()
    begun(record=RECORD._replace(dataset=DATASET._replace(name="digits")))


def test_a_write_that_fails_leaves_the_file_as_it_was(monkeypatch):
    run = begun()
    before = run.config_file.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"runs/a: cannot be written \(No space left on device\)"):
        begun(config=with_settings(epochs=30))
    assert run.config_file.read_text() == before
    assert sorted(entry.name for entry in run.path.iterdir()) == ["config.json", "labels.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"indices": [7, 0]}'])
def test_damaged_or_missing_labels_are_not_drawn_again(text):
    run = begun()
    run.labels_file.write_text(text)
    with pytest.raises(UserError, match=r"runs/a/labels\.json: damaged"):
        begun()
    run.labels_file.unlink()
    with pytest.raises(UserError, match=r"runs/a/labels\.json: not found"):
        begun()
    assert not run.labels_file.exists()


# --- runs/latest ---


@pytest.mark.parametrize("path", ["runs/a", "elsewhere/deep/a", "runs/group/a"])
def test_latest_points_at_the_run_that_was_begun_or_joined_last(path):
    begun("runs/first")
    begun(path)
    assert Path("runs/latest").resolve() == Path(path).resolve()
    assert existing(None).path == Path(path).resolve()
    begun("runs/first")
    assert existing(None).path == Path("runs/first").resolve()


def test_a_run_without_a_checkpoint_takes_latest_only_from_another_one():
    begun("runs/first")
    begun("runs/second")
    assert existing(None).path.name == "second", "report --serve shows it"
    with_checkpoints(RunDir(Path("runs/second")), "step_2")
    begun("runs/third")
    assert existing(None).path.name == "second"
    with_checkpoints(RunDir(Path("runs/third")), "step_2.orbax-checkpoint-tmp")
    begun("runs/third")
    assert existing(None).path.name == "second"
    with_checkpoints(RunDir(Path("runs/third")), "step_4")
    begun("runs/third")
    assert existing(None).path.name == "third"
    (Path("runs/third/checkpoints") / "step_4").rmdir()
    begun("runs/second")
    assert existing(None).path.name == "second"


def test_a_run_that_is_not_to_be_the_newest_leaves_latest_as_it_is():
    begun("runs/first")
    begin(RunDir(Path("runs/second")), RECORD, LABELLED, newest=False)
    assert existing(None).path == Path("runs/first").resolve()


def test_latest_is_a_relative_link_so_that_runs_can_be_moved():
    begun("runs/a")
    Path("runs").rename("old")
    assert existing(Path("old/latest")).record().config == CONFIG


def test_joining_the_run_by_the_name_of_latest_leaves_the_link_as_it_is():
    begun("runs/a")
    begun("runs/latest")
    assert os.readlink("runs/latest") == "a"


def test_a_run_elsewhere_does_not_need_a_place_for_latest(warnings):
    Path("runs").write_text("a file in its place")
    begun("elsewhere")
    (warning,) = warnings()
    assert warning.startswith("runs/latest cannot be written (")

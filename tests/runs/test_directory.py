import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from sgan_jax.config import PRESETS, AdamConfig, Config, DataConfig, ModelConfig, PropagationConfig
from sgan_jax.errors import UserError
from sgan_jax.runs import directory
from sgan_jax.runs.directory import RunDir, checkpoint_path, default_path, existing

CONFIG = Config(data=DataConfig(dataset="mnist-5k", labels=3))
LABELLED = np.array([7, 0, 5])
RECORD = {
    "dataset": {
        "name": "mnist-5k",
        "digest": "d" * 64,
        "notice": "mnist-5k: not comparable with MNIST",
        "train": 8,
        "image_shape": [28, 28, 1],
        "class_names": list("0123456789"),
    },
    "versions": {"jax": "1.0"},
    "commit": "a" * 40,
    "device": {"platform": "cpu", "precision": "float32"},
    "command": ["sgan", "train"],
}
PART = ("versions", "commit", "device", "command")  # what may differ from one part of a run to the next


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begun(path: str | Path = "runs/a", config: Config = CONFIG) -> RunDir:
    run = RunDir(Path(path))
    run.begin(config, RECORD, LABELLED)
    return run


def changed(**fields) -> Config:
    return dataclasses.replace(CONFIG, **fields)


def with_checkpoints(run: RunDir, *names: str) -> RunDir:
    for name in names:
        (run.checkpoints / name).mkdir(parents=True)
    return run


# --- names ---


def test_a_run_is_named_after_what_tells_it_from_others():
    assert default_path(Config(), "mnist") == Path("runs/mnist-100-tutorial-s0")
    other = Config(seed=3, preset="joint", data=DataConfig(labels=20, label_seed=4), model=ModelConfig("k_plus_one"))
    assert default_path(other, "kmnist") == Path("runs/kmnist-20-joint-k_plus_one-s3-l4")
    own = dataclasses.replace(PRESETS["k_plus_one"], data=DataConfig(labels=20))
    assert default_path(own, "mnist") == Path("runs/mnist-20-k_plus_one-s0")
    other = dataclasses.replace(own, model=dataclasses.replace(own.model, head="stacked"))
    assert default_path(other, "mnist") == Path("runs/mnist-20-k_plus_one-stacked-s0")


def test_a_run_that_goes_on_keeps_its_first_record_and_is_never_shorter(capsys):
    run = begun()
    first = run.record()
    run.result_file.write_text("{}")
    later = RECORD | {"versions": {"jax": "2.0"}, "command": ["sgan", "train", "--epochs", "1"]}
    run.begin(changed(epochs=1), later, LABELLED)
    assert run.record() == first | {"resumed": [{name: later[name] for name in PART}]}
    assert capsys.readouterr().err == "sgan: warning: jax was 1.0: the run's last bits may now differ\n"
    run.begin(changed(epochs=30), later, LABELLED)
    assert (run.config().epochs, len(run.record()["resumed"])) == (30, 1)


def test_a_run_that_goes_on_in_another_precision_or_with_other_sources_says_so(capsys):
    run = begun()
    run.begin(CONFIG, RECORD | {"commit": "b" * 40}, LABELLED)
    assert capsys.readouterr().err == ""
    elsewhere = {"platform": "gpu", "precision": "bfloat16"}
    run.begin(CONFIG, RECORD | {"device": elsewhere}, LABELLED)
    warning = "sgan: warning: precision was float32: the run's last bits may now differ\n"
    assert capsys.readouterr().err == warning
    assert run.commits() == ["a" * 40, "b" * 40]
    assert run.record()["resumed"][-1]["device"] == elsewhere
    assert capsys.readouterr().err == ""


def test_a_call_that_changes_nothing_leaves_no_trace_in_the_record():
    run = begun()
    before = run.config_file.read_text()
    begun()
    assert run.config_file.read_text() == before


def test_a_run_of_a_set_with_a_slash_in_its_name_lies_in_runs_like_any_other():
    assert default_path(Config(), "emnist/letters").parent == Path("runs")


# --- beginning and joining ---


def test_a_new_run_records_the_configuration_and_the_indices_of_the_labelled_images():
    run = RunDir(Path("runs/a"))
    run.begin(CONFIG, RECORD, LABELLED)
    assert run.config() == CONFIG
    assert run.record()["dataset"] == RECORD["dataset"]
    assert json.loads(run.labels_file.read_text()) == {"indices": [7, 0, 5]}
    assert sorted(entry.name for entry in run.path.iterdir()) == ["config.json", "labels.json"]


def test_a_run_keeps_the_labelled_images_it_began_with():
    begun()
    joined = RunDir(Path("runs/a")).begin(CONFIG, RECORD, np.array([1, 2, 3]))
    assert joined.tolist() == [7, 0, 5]
    assert joined.dtype == np.int64


def test_a_run_may_be_made_longer_or_get_its_data_from_elsewhere():
    begun()
    moved = dataclasses.replace(CONFIG.data, dataset="auto", data_dir="/moved")
    longer = changed(epochs=99, steps=50_000, data=moved)
    assert begun(config=longer).config() == longer


def test_a_run_that_has_not_ended_cannot_be_made_shorter_and_one_that_has_stays_as_long_as_it_is():
    run = with_checkpoints(begun(), "step_600")
    with pytest.raises(UserError, match=r"\(steps was 12000, now 6000: it has not ended yet\)"):
        begun(config=changed(epochs=10))
    run.result_file.write_text("{}")
    assert begun(config=changed(epochs=10)).config().epochs == CONFIG.epochs


def test_a_run_whose_learning_rate_was_to_end_with_it_cannot_be_made_longer():
    config = changed(adam=AdamConfig(schedule="cosine"), epochs=2)
    with_checkpoints(begun(config=config), "step_600")
    begun(config=dataclasses.replace(config, steps=1200))  # the same length, said another way
    with pytest.raises(UserError) as error:
        begun(config=dataclasses.replace(config, epochs=3))
    assert "(steps was 1200, now 1800: its learning rate was to end with the former)" in str(error.value)


def test_a_run_that_is_to_hear_of_its_graph_at_a_share_of_its_steps_cannot_be_made_longer():
    config = changed(propagation=PropagationConfig(6, alone_until=0.5), epochs=2)
    with_checkpoints(begun(config=config), "step_600")
    with pytest.raises(UserError) as error:
        begun(config=dataclasses.replace(config, epochs=3))
    assert "(steps was 1200, now 1800: its graph was to be heard in steps that the former gives" in str(error.value)


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (changed(seed=1), "seed was 0, now 1"),
        (changed(batch_size=50), "batch_size was 100, now 50"),
        (changed(steps_per_epoch=5), "steps_per_epoch was 600, now 5"),
        (changed(model=ModelConfig("separate")), "model.head was stacked, now separate"),
        (changed(data=dataclasses.replace(CONFIG.data, labels=4)), "data.labels was 3, now 4"),
        (changed(data=dataclasses.replace(CONFIG.data, label_seed=1)), "data.label_seed was 0, now 1"),
    ],
)
def test_another_setting_on_a_run_is_an_error_that_names_the_field_and_changes_nothing(config, difference):
    before = with_checkpoints(begun(), "step_600").config_file.read_text()
    with pytest.raises(UserError) as error:
        begun(config=config)
    assert f"({difference});" in str(error.value), "this field and no other"
    assert Path("runs/a/config.json").read_text() == before


def test_a_run_that_ended_before_its_first_result_gives_way_to_other_settings():
    run = RunDir(Path("runs/a"))
    run.begin(changed(batch_size=65536), RECORD, np.array([1, 2, 3]))
    assert run.begin(CONFIG, RECORD, LABELLED).tolist() == [7, 0, 5]
    assert run.config() == CONFIG
    with_checkpoints(run, "step_100")
    with pytest.raises(UserError, match="seed was 0, now 1"):
        run.begin(changed(seed=1), RECORD, LABELLED)


def test_several_other_settings_are_all_named():
    begun().log({"step": 100})
    with pytest.raises(UserError, match=r"seed was 0, now 1; batch_size was 100, now 2"):
        begun(config=changed(seed=1, batch_size=2))


def test_other_images_under_the_same_settings_are_an_error_that_names_both_sets():
    begun().log({"step": 100})
    other = {"dataset": RECORD["dataset"] | {"name": "mnist", "digest": "e" * 64}}
    with pytest.raises(UserError, match=r"dataset was mnist-5k \(dddddddddddd\.\.\.\), now mnist \(eeeeeeeeeeee"):
        RunDir(Path("runs/a")).begin(CONFIG, other, LABELLED)


def test_classes_of_other_names_are_an_error_where_they_are_ones_own():
    own = RECORD["dataset"] | {"own": True, "class_names": ["cat", "dog"]}
    run = RunDir(Path("runs/a"))
    run.begin(CONFIG, RECORD | {"dataset": own}, LABELLED)
    run.log({"step": 100})
    run.begin(CONFIG, RECORD | {"dataset": own}, LABELLED)
    with pytest.raises(UserError, match=r"\(classes were cat, dog, now chat, dog\); use those, or another run"):
        run.begin(CONFIG, RECORD | {"dataset": own | {"class_names": ["chat", "dog"]}}, LABELLED)


def test_the_same_images_under_another_name_are_the_same():
    begun()
    RunDir(Path("runs/a")).begin(CONFIG, RECORD | {"dataset": RECORD["dataset"] | {"name": "digits"}}, LABELLED)


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
    run.metrics_file.write_text("")  # as a run of no result leaves them, to which `begin` may be giving way
    for folder in (run.checkpoints, run.tensorboard):
        folder.mkdir()
    with_checkpoints(run, "step_600")
    with pytest.raises(UserError, match="holds files but no config"):
        RunDir(run.path).begin(CONFIG, RECORD, LABELLED)
    (run.checkpoints / "step_600").rmdir()
    assert RunDir(run.path).begin(CONFIG, RECORD, LABELLED).tolist() == [7, 0, 5]


def test_a_file_in_the_place_of_a_run_directory_is_a_one_line_error():
    Path("a").write_text("")
    for path in (Path("a"), Path("a/b")):
        with pytest.raises(UserError, match=rf"^{path}: cannot be written \(.+\); choose another run$"):
            begun(path)
        with pytest.raises(UserError, match=rf"^{path}: cannot be written \(.+\)"), RunDir(path).locked():
            pass


def test_a_read_only_directory_is_a_one_line_error(capsys):
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
    assert capsys.readouterr().err == "sgan: warning: runs/latest cannot be written (Permission denied)\n"


def test_a_second_training_in_a_run_directory_is_refused_while_the_first_is_at_it():
    run = RunDir(Path("runs/a"))
    with run.locked(), pytest.raises(UserError, match="another process trains in it"), RunDir(run.path).locked():
        pass
    with RunDir(run.path).locked():
        pass


# --- runs/latest ---


@pytest.mark.parametrize("path", ["runs/a", "elsewhere/deep/a", "runs/group/a"])
def test_latest_points_at_the_run_that_was_begun_or_joined_last(path):
    begun("runs/first")
    begun(path)
    assert Path("runs/latest").resolve() == Path(path).resolve()
    assert existing(None).path == Path(path).resolve()
    begun("runs/first")
    assert existing(None).path == Path("runs/first").resolve()


def test_latest_is_a_relative_link_so_that_runs_can_be_moved():
    begun("runs/a")
    Path("runs").rename("old")
    assert existing(Path("old/latest")).config() == CONFIG


def test_joining_the_run_by_the_name_of_latest_leaves_the_link_as_it_is():
    begun("runs/a")
    begun("runs/latest")
    assert os.readlink("runs/latest") == "a"


def test_a_run_elsewhere_does_not_need_a_place_for_latest(capsys):
    Path("runs").write_text("a file in its place")
    begun("elsewhere")
    error = capsys.readouterr().err
    assert error.startswith("sgan: warning: runs/latest cannot be written (")
    assert error.count("\n") == 1


# --- finding a run ---


def test_without_any_run_the_error_says_what_to_do():
    with pytest.raises(UserError, match=r"runs/latest: no such run directory; train first, or .* run"):
        existing(None)


def test_latest_whose_run_was_deleted_is_no_run():
    run = begun()
    for file in run.path.iterdir():
        file.unlink()
    run.path.rmdir()
    with pytest.raises(UserError, match="no such run directory"):
        existing(None)


def test_an_unknown_run_is_an_error_that_lists_the_runs():
    begun("runs/b")
    begun("runs/a")
    with pytest.raises(UserError, match=r"^runs/c: no such run directory; runs/ holds a, b$"):
        existing(Path("runs/c"))


def test_an_empty_directory_is_no_run():
    Path("empty").mkdir()
    with pytest.raises(UserError, match=r"^empty/config\.json: not found; expected a run directory"):
        existing(Path("empty"))


def test_a_file_is_no_run():
    Path("file").write_text("")
    with pytest.raises(UserError, match=r"^file/config\.json: not found; expected a run directory"):
        existing(Path("file"))


# --- finding a checkpoint ---


def test_a_checkpoint_is_named_by_its_name_its_number_latest_or_a_path():
    run = with_checkpoints(begun(), "step_2", "step_10")
    assert checkpoint_path(run, "latest", [2, 10]) == run.checkpoints / "step_10"
    for name in ("step_2", "2", "02"):
        assert checkpoint_path(run, name, [2, 10]) == run.checkpoints / "step_2"
    for path in ("runs/a/checkpoints/step_2", "./step_2", "../x"):
        assert checkpoint_path(run, path, [2, 10]) == Path(path)


def test_a_folder_of_the_callers_hides_no_checkpoint_of_the_run():
    run = with_checkpoints(begun(), "step_2")
    for name in ("step_2", "best"):
        Path(name).mkdir()
    assert checkpoint_path(run, "step_2", [2]) == run.checkpoints / "step_2"
    assert checkpoint_path(run, "best", [2]) == Path("best")


def test_latest_of_a_run_without_checkpoints_is_an_error():
    with pytest.raises(UserError, match=r"no checkpoint yet; `train` writes one after each epoch"):
        checkpoint_path(begun(), "latest", [])


def test_a_checkpoint_that_is_given_as_a_path_brings_its_own_run():
    with_checkpoints(begun("runs/a"), "step_2")
    begun("runs/b")
    assert existing(None, "runs/a/checkpoints/step_2").path.name == "a"
    assert existing(None, "step_2").path.name == "b"
    with pytest.raises(UserError, match=r"lies in another run, .*runs/a; leave run out"):
        existing(Path("runs/b"), "runs/a/checkpoints/step_2")
    Path("copied/step_3").mkdir(parents=True)
    with pytest.raises(UserError, match=r"lies in no run directory; name the run that it is of with run"):
        existing(None, "copied/step_3")
    assert existing(Path("runs/b"), "copied/step_3").path.name == "b"
    assert existing(None, "copied/step_2").path.name == "b"


# --- config.json and labels.json that are not what was written ---


@pytest.mark.parametrize(
    "text",
    ["", "{", "\0\0\0", "\udcff", "[]", "3", "null", "{}", '{"config": {}}', '{"config": 3, "dataset": {}}'],
)
def test_a_damaged_config_is_a_one_line_error_that_names_the_file(text):
    run = begun()
    run.config_file.write_text(text, errors="surrogateescape")
    for use in (run.record, run.config, lambda: existing(run.path), lambda: begun()):
        with pytest.raises(UserError, match=r"runs/a/config\.json: damaged") as error:
            use()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("field", sorted(RECORD["dataset"]))
def test_a_config_that_lacks_a_field_of_the_data_set_or_has_another_type_in_it_is_an_error(field):
    run = begun()
    record = run.record()
    for dataset in ({k: v for k, v in record["dataset"].items() if k != field}, record["dataset"] | {field: None}):
        run.config_file.write_text(json.dumps(record | {"dataset": dataset}))
        with pytest.raises(UserError, match=r"runs/a/config\.json: damaged or of another version"):
            run.record()


@pytest.mark.parametrize("resumed", [None, 3, [3], [None], [{}], [{"versions": {}}], [{"versions": {}, "device": 1}]])
def test_a_config_with_something_else_in_the_place_of_its_later_parts_is_an_error(resumed):
    run = begun()
    run.config_file.write_text(json.dumps(run.record() | {"resumed": resumed}))
    with pytest.raises(UserError, match="damaged or of another version"):
        begun()


@pytest.mark.parametrize("odd", [{"rollbacks": 5}, {"estimator": []}, {"dataset": {"labels_per_class": 5}}])
def test_a_config_with_another_kind_of_what_it_need_not_hold_is_an_error(odd):
    run = begun()
    record = run.record()
    changed = {name: record[name] | value if name == "dataset" else value for name, value in odd.items()}
    run.config_file.write_text(json.dumps(record | changed))
    with pytest.raises(UserError, match="damaged or of another version"):
        run.record()


@pytest.mark.parametrize("shape", [[28, 28], [28, 28, "1"], [28, 28, 1.5], [28, 28, 1, 1]])
def test_a_config_with_another_kind_of_image_shape_is_an_error(shape):
    run = begun()
    run.config_file.write_text(json.dumps(run.record() | {"dataset": RECORD["dataset"] | {"image_shape": shape}}))
    with pytest.raises(UserError, match="damaged or of another version"):
        run.record()


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("data", "labels", "many", r"runs/a: config\.json: data: labels is 'many', expected int"),
        ("data", "labels", 2.5, "labels is 2.5, expected int"),
        ("data", "labels", True, "labels is True, expected int"),
        ("data", "labels", 0, r"runs/a/config\.json: --labels: 0; must be at least 1"),
        ("data", "data_dir", 3, r"data_dir is 3, expected str \| None"),
        ("model", "head", ["stacked"], r"head is \['stacked'\], expected str"),
        ("model", "width", -8, "--width: -8; must be at least 1"),
        ("model", "depth", 3, "field 'depth' is not of this version"),
        ("adam", "learning_rate", "fast", "learning_rate is 'fast', expected float"),
        ("adam", "learning_rate", float("nan"), "--learning-rate: nan; must be a positive number"),
        (None, "epochs", "20", "config.json: epochs is '20', expected int"),
        (None, "optimizer", "adam", "field 'optimizer' is not of this version"),
        (None, "model", "big", "model: 'big' in the place of fields"),
    ],
)
def test_a_config_with_a_value_of_another_kind_is_a_one_line_error_that_names_it(part, field, value, message):
    run = begun()
    record = run.record()
    (record["config"][part] if part else record["config"])[field] = value
    run.config_file.write_text(json.dumps(record))
    for use in (run.config, begun):
        with pytest.raises(UserError, match=message) as error:
            use()
        assert "\n" not in str(error.value)


def test_a_field_that_an_older_version_did_not_have_takes_its_default():
    run = begun()
    record = run.record()
    del record["config"]["model"]["width"], record["config"]["steps"]
    run.config_file.write_text(json.dumps(record))
    assert run.config() == CONFIG


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
    for use in (run.labelled, begun):
        with pytest.raises(UserError, match=r"runs/a/labels\.json: damaged"):
            use()


def test_missing_labels_are_not_drawn_again():
    run = begun()
    run.labels_file.unlink()
    with pytest.raises(UserError, match=r"runs/a/labels\.json: not found"):
        begun()
    assert not run.labels_file.exists()


# --- the data set of a run ---


@pytest.mark.parametrize(
    ("asked", "data_dir", "name"),
    [("auto", None, "mnist-5k"), ("kmnist", None, "kmnist"), ("auto", "digits", "auto"), ("kmnist", "k", "kmnist")],
)
def test_auto_is_what_it_was_when_the_run_began(asked, data_dir, name):
    data = dataclasses.replace(CONFIG.data, dataset=asked, data_dir=data_dir)
    assert begun(config=changed(data=data)).dataset() == name


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


def test_figures_that_json_has_no_word_for_are_null(tmp_path):
    run = begun()
    run.log({"step": 1, "d/real": float("nan"), "d/fake": float("inf"), "g/fool": 0.5})
    expected = '{"step": 1, "d/real": null, "d/fake": null, "g/fool": 0.5}'
    assert run.metrics_file.read_text() == expected + "\n"
    directory.write_json(run.result_file, {"step": 1, "d/real": float("nan"), "d/fake": -float("inf"), "g/fool": 0.5})
    assert json.loads(run.result_file.read_text()) == json.loads(expected)


# --- whole files ---


def test_a_write_that_fails_leaves_the_file_as_it_was(monkeypatch):
    run = begun()
    before = run.config_file.read_text()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"runs/a: cannot be written \(No space left on device\)"):
        begun(config=changed(epochs=30))
    assert run.config_file.read_text() == before
    assert sorted(entry.name for entry in run.path.iterdir()) == ["config.json", "labels.json"]

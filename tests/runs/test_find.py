"""Where runs lie, and how a command finds one and its checkpoints."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_run import CONFIG, begun, with_checkpoints

from sgan_jax.config import Config, changed
from sgan_jax.errors import UserError
from sgan_jax.presets import PRESETS
from sgan_jax.runs.find import checkpoint_path, default_path, existing, run_and_checkpoint


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- names ---


def test_a_run_is_named_after_what_tells_it_from_others():
    assert default_path(changed(Config(), {"data.labels": 100}), "mnist") == Path("runs/mnist-100-tutorial-s0")
    values = {"seed": 3, "preset": "joint", "data.labels": 20, "data.label_seed": 4, "model.head": "k_plus_one"}
    assert default_path(changed(Config(), values), "kmnist") == Path("runs/kmnist-20-joint-k_plus_one-s3-l4")
    of_preset = changed(PRESETS["k_plus_one"], {"data.labels": 20})
    assert default_path(of_preset, "mnist") == Path("runs/mnist-20-k_plus_one-s0")
    other = replace(of_preset, model=replace(of_preset.model, head="stacked"))
    assert default_path(other, "mnist") == Path("runs/mnist-20-k_plus_one-stacked-s0")
    begun_from = changed(of_preset, {"init_from": "runs/a"})
    assert default_path(begun_from, "mnist") == Path("runs/mnist-20-k_plus_one-s0-init")


def test_a_run_of_a_set_with_a_slash_in_its_name_lies_in_runs_like_any_other():
    assert default_path(Config(), "emnist/letters").parent == Path("runs")


def test_a_path_names_a_run_or_one_of_its_checkpoints():
    assert run_and_checkpoint(Path("runs/a")) == (Path("runs/a"), "latest")
    assert run_and_checkpoint(Path("runs/a/step_600")) == (Path("runs/a"), "step_600")
    assert run_and_checkpoint(Path("runs/a/checkpoints/step_600")) == (Path("runs/a"), "step_600")
    begun("runs/step_5")
    assert run_and_checkpoint(Path("runs/step_5")) == (Path("runs/step_5"), "latest")


# --- runs ---


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


def test_an_empty_directory_and_a_file_are_no_runs():
    Path("empty").mkdir()
    Path("file").write_text("")
    for name in ("empty", "file"):
        with pytest.raises(UserError, match=rf"^{name}/config\.json: not found; expected a run directory"):
            existing(Path(name))


# --- checkpoints ---


def test_a_checkpoint_is_named_by_its_name_its_number_latest_or_a_path():
    run = with_checkpoints(begun(), "step_2", "step_10")
    assert checkpoint_path(run, "latest", [2, 10]) == run.checkpoints / "step_10"
    for name in ("step_2", "2", "02"):
        assert checkpoint_path(run, name, [2, 10]) == run.checkpoints / "step_2"
    for path in ("runs/a/checkpoints/step_2", "./step_2", "../x"):
        assert checkpoint_path(run, path, [2, 10]) == Path(path)


def test_a_folder_of_the_callers_hides_no_checkpoint_of_the_run():
    run = with_checkpoints(begun(), "step_2")
    for name in ("step_2", "latest", "best", "other"):
        Path(name).mkdir()
    run.log({"step": 2, "validation_accuracy": 0.5})
    for name in ("step_2", "latest", "best"):
        assert checkpoint_path(run, name, [2]) == run.checkpoints / "step_2"
    assert checkpoint_path(run, "other", [2]) == Path("other")


def test_latest_of_a_run_without_checkpoints_is_an_error():
    with pytest.raises(UserError, match=r"no checkpoint yet; `train` writes one after each epoch"):
        checkpoint_path(begun(), "latest", [])


def test_the_best_checkpoint_is_that_of_the_highest_validation_accuracy_and_never_of_the_test_accuracy():
    run = with_checkpoints(begun(), "step_2", "step_4", "step_6", "step_8")
    for step, validation, test in ((2, 0.5, 0.1), (4, 0.9, 0.2), (6, 0.9, 0.3), (8, 0.6, 0.9), (10, 1.0, 0.1)):
        run.log({"step": step, "test_accuracy": test, "validation_accuracy": validation})
    run.log({"step": 12, "d/real": 1.0})
    assert checkpoint_path(run, "best", [2, 4, 6, 8]).name == "step_6", "the later of equal ones, of those on the disk"
    assert checkpoint_path(run, "best", [2, 8]).name == "step_8"


def test_the_best_checkpoint_of_a_run_without_validation_is_an_error():
    run = with_checkpoints(begun(), "step_2")
    run.log({"step": 2, "test_accuracy": 0.5})
    with pytest.raises(UserError) as error:
        checkpoint_path(run, "best", [2])
    assert error.value.marked == (
        "runs/a: has no validation images to choose the best checkpoint by; train with ‹data.validation›, or choose "
        "‹ckpt› latest or step_N"
    )
    asked = with_checkpoints(begun("runs/b", changed(CONFIG, {"data.validation": 1})), "step_2")
    with pytest.raises(UserError, match=r"^runs/b: no checkpoint has a validation accuracy; choose ckpt latest"):
        checkpoint_path(asked, "best", [2])
    with pytest.raises(UserError, match=r"no checkpoint yet"):
        checkpoint_path(asked, "best", [])


def test_a_checkpoint_that_is_given_as_a_path_brings_its_own_run():
    for name in ("runs/a", "runs/b"):
        with_checkpoints(begun(name), "step_2")
    begun("runs/b")
    assert existing(None, "runs/a/checkpoints/step_2").path.name == "a"
    assert existing(None, "step_2").path.name == "b"
    with pytest.raises(UserError, match=r"lies in another run, .*runs/a; leave run out"):
        existing(Path("runs/b"), "runs/a/checkpoints/step_2")
    Path("copied/step_3").mkdir(parents=True)
    with pytest.raises(UserError, match=r"lies in no run directory; name its run with run"):
        existing(None, "copied/step_3")
    assert existing(Path("runs/b"), "copied/step_3").path.name == "b"
    assert existing(None, "copied/step_2").path.name == "b"

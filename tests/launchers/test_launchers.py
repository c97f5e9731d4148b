"""What a launcher runs once the environment is there: where, and with which arguments."""

import subprocess

import pytest

LAUNCHERS = ["train", "sweep", "runs", "data", "eval", "predict", "export", "sample", "describe"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_runs_its_command_in_the_callers_folder_with_the_arguments_as_given(ready, launcher):
    here = ready.home / "some where"
    here.mkdir()
    result = ready.call(launcher, "--run", "a  b", "*", "", cwd=here)
    assert result.returncode == 0, result.stderr
    place, command = result.stdout.splitlines()
    assert place == f"in {here}"
    assert command == f"[-P][-m][sgan_jax][{launcher}][--run][a  b][*][]"


def test_what_a_launcher_writes_lands_in_the_callers_folder_whose_modules_it_does_not_import(ready):
    (ready.home / "json.py").write_text("raise SystemExit('the wrong json')")
    result = ready.call("_python", "-c", "import json; open('written', 'w')", cwd=ready.home)
    assert (result.returncode, result.stderr) == (0, "")
    assert (ready.home / "written").exists()


def test_testing_runs_pytest_in_the_projects_folder(ready):
    place, command = ready.call("test", "-k", "x y", cwd=ready.home).stdout.splitlines()
    assert (place, command) == (f"in {ready.root}", "[-P][-m][pytest][-k][x y]")


def test_checking_ends_with_the_tests_and_stops_at_the_first_failure(ready):
    lines = [line for line in ready.call("check").stdout.splitlines() if line.startswith("[")]
    assert [line.split("][")[2].strip("]") for line in lines] == ["ruff", "ruff", "mypy", "pytest"]
    failed = ready.call("check", FAKE_FAILURE="mypy")
    assert failed.returncode == 1 and "[pytest]" not in failed.stdout


def test_ci_runs_the_check(ready):
    environment = ready.environment({"CI": "true"})
    result = subprocess.run([ready.root / ".ci" / "run"], env=environment, text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[-P][-m][pytest][-n][2]"


def test_a_link_to_a_launcher_works(ready):
    link = ready.home / "sgan-train"
    link.symlink_to(ready.root / "bin" / "train")
    result = subprocess.run([link], env=ready.environment({}), cwd=ready.home, text=True, capture_output=True)
    assert result.stdout.endswith("[-P][-m][sgan_jax][train]\n")


def test_a_launcher_passes_on_the_exit_status(ready):
    assert ready.call("_python", "-c", "raise SystemExit(3)").returncode == 3

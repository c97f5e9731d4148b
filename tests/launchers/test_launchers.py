"""What a launcher runs once the environment is there: where, with which arguments, under which allocator."""

import subprocess

import pytest


@pytest.mark.parametrize("launcher", ["train", "eval", "sample", "describe"])
def test_a_launcher_runs_its_command_in_the_callers_folder_with_the_arguments_as_given(ready, launcher):
    here = ready.home / "some where"
    here.mkdir()
    result = ready.call(launcher, "--run", "a  b", "*", "", cwd=here)
    assert result.returncode == 0, result.stderr
    place, _, command = result.stdout.splitlines()
    assert place == f"in {here}"
    assert command == f"[-P][-m][sgan_jax][{launcher}][--run][a  b][*][]"


def test_what_a_launcher_writes_lands_in_the_callers_folder_whose_modules_it_does_not_import(ready):
    (ready.home / "json.py").write_text("raise SystemExit('the wrong json')")
    result = ready.call("_python", "-c", "import json; open('written', 'w')", cwd=ready.home)
    assert (result.returncode, result.stderr) == (0, "")
    assert (ready.home / "written").exists()


def test_testing_runs_pytest_in_the_projects_folder(ready):
    place, _, command = ready.call("test", "-k", "x y", cwd=ready.home).stdout.splitlines()
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
    assert result.stdout.splitlines()[-1] == "[-P][-m][pytest]"


def test_a_link_to_a_launcher_works(ready):
    link = ready.home / "sgan-train"
    link.symlink_to(ready.root / "bin" / "train")
    result = subprocess.run([link], env=ready.environment({}), cwd=ready.home, text=True, capture_output=True)
    assert result.stdout.endswith("[-P][-m][sgan_jax][train]\n")


def test_a_launcher_passes_on_the_exit_status(ready):
    assert ready.call("_python", "-c", "raise SystemExit(3)").returncode == 3


# --- the allocator


def uses_glibc() -> bool:
    return subprocess.run("getconf GNU_LIBC_VERSION", shell=True, capture_output=True).returncode == 0


@pytest.mark.skipif(not uses_glibc(), reason="glibc's allocator only")
def test_glibcs_allocator_is_set_for_what_computes_and_left_as_it_is_elsewhere(ready):
    def tunables(launcher: str, **settings: str) -> str:
        return next(
            line for line in ready.call(launcher, **settings).stdout.splitlines() if line.startswith("tunables")
        )

    for launcher in ("train", "eval", "sample"):
        assert tunables(launcher) == "tunables glibc.malloc.hugetlb=1"
    for launcher in ("describe", "test"):
        assert tunables(launcher) == "tunables none"
    assert tunables("train", GLIBC_TUNABLES="mine=1") == "tunables mine=1"
    (ready.path / "getconf").unlink()
    ready.add_shim("getconf", "exit 1")  # as on a machine without glibc
    assert tunables("train") == "tunables none"

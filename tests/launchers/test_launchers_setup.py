"""First use: which interpreter is chosen, what is installed and when, and what mends itself."""

import os
import resource
import shlex
import shutil
import signal
import time
from collections.abc import Callable

import pytest

# A pip that notes who called it and works until there is a file `go`.
SLOW = 'echo $PPID >"$FAKE_FOLDER/caller"; while [ ! -e "$FAKE_FOLDER/go" ]; do sleep 0.05; done'


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def holds(project, name: str, text: str) -> Callable[[], bool]:
    return lambda: text in (project.folder / name).read_text()


def noted(project) -> int:
    """The process that called pip, which is the set-up, once pip has noted it."""
    file = project.folder / "caller"
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


# --- which interpreter


def test_the_newest_suitable_interpreter_makes_the_environment(project):
    for version in ((3, 10), (3, 11), (3, 12), (3, 13), (3, 15)):
        project.add_interpreter(version)
    project.add_interpreter((3, 15), "python3")
    result = project.call("train")
    assert result.returncode == 0, result.stderr
    assert project.log("venv") == ["venv (3, 13)"]


def test_a_shim_that_exits_127_is_passed_over(project):
    for name in ("python3.13", "python3", "python"):
        project.add_shim(name)
    project.add_interpreter((3, 12))
    assert project.call("train").returncode == 0
    assert project.log("venv") == ["venv (3, 12)"]


def test_the_version_chosen_for_the_projects_folder_counts_wherever_the_call_comes_from(project):
    chosen = project.add_interpreter((3, 12), project.home / "3.12.1" / "python")
    project.add_interpreter((3, 13), project.home / ".pyenv" / "versions" / "3.13.0" / "bin" / "python")
    assert (project.root / ".python-version").read_text() == "3.12\n"
    project.add_shim("python3.13")
    project.add_shim("python3.12", f'[ "$(cat .python-version)" = 3.12 ] && exec {chosen} "$@"; exit 127')
    assert project.call("train", cwd=project.home).returncode == 0
    assert project.log("venv") == ["venv (3, 12)"]


def test_pyenvs_interpreters_are_found_where_the_path_has_an_old_one(project):
    project.add_interpreter((3, 11), "python3")
    project.add_interpreter((3, 12), project.home / ".pyenv" / "versions" / "3.12.1" / "bin" / "python")
    assert project.call("train").returncode == 0
    assert project.log("venv") == ["venv (3, 12)"]


@pytest.mark.parametrize("name", ["python3.11", "python3", "python"])
def test_python_3_11_will_do_if_there_is_nothing_newer(project, name):
    project.add_interpreter((3, 11), name)
    assert project.call("train").returncode == 0
    assert project.log("venv") == ["venv (3, 11)"]


def test_an_interpreter_without_its_venv_module_is_passed_over(project):
    project.add_interpreter((3, 12))
    newest = project.add_interpreter((3, 13))
    newest.write_text(newest.read_text().replace("import sys; ", "import sys; sys.modules['ensurepip'] = None; ", 1))
    assert project.call("train").returncode == 0
    assert project.log("venv") == ["venv (3, 12)"]


def test_sgan_python_overrides_the_choice(project):
    project.add_interpreter((3, 13))
    mine = project.add_interpreter((3, 11), project.home / "mine")
    assert project.call("train", SGAN_PYTHON=str(mine)).returncode == 0
    assert project.log("venv") == ["venv (3, 11)"]


@pytest.mark.parametrize("settings", [{}, {"SGAN_PYTHON": "/no/such/python"}, {"SGAN_PYTHON": "python3.10"}])
def test_without_a_suitable_interpreter_one_line_says_so_and_nothing_is_made(project, settings):
    project.add_interpreter((3, 10))
    result = project.call("train", **settings)
    assert result.returncode == 1
    assert result.stderr.startswith("sgan: error: " + settings.get("SGAN_PYTHON", "no interpreter"))
    assert "SGAN_PYTHON" in result.stderr and result.stderr.count("\n") == 1
    assert not project.venv.exists()


# --- what is installed, and when


def test_the_first_call_says_what_it_does_and_the_second_says_and_does_nothing(project):
    project.add_interpreter((3, 12))
    first, second = project.call("train"), project.call("train")
    assert first.returncode == second.returncode == 0
    assert "first use: making" in first.stderr and "ready after" in first.stderr and first.stderr.count("\n") == 2
    assert second.stderr == "" and second.stdout == first.stdout
    [pip] = project.log("pip")
    assert pip.endswith(f"-c {project.root}/constraints.txt -e {project.root}")


def test_a_call_on_a_ready_environment_costs_under_a_tenth_of_a_second(ready):
    def seconds() -> float:
        """Of processor time, which another process's load does not change much."""
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ready.call("train").returncode == 0
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    assert min(seconds() for _ in range(5)) < 0.1


def test_training_does_without_the_tools_and_testing_adds_them_once(ready):
    for launcher in ("test", "test", "train"):
        assert ready.call(launcher).returncode == 0
    core, dev = ready.log("pip")
    assert core.endswith(str(ready.root)) and dev.endswith(f"{ready.root}[dev]")
    assert len(ready.log("venv")) == 1


def test_an_environment_made_for_testing_serves_training(project):
    project.add_interpreter((3, 12))
    assert project.call("test").returncode == project.call("train").returncode == 0
    assert len(project.log("pip")) == 1


def test_extras_named_in_the_environment_are_installed_once(ready):
    for _ in range(2):
        assert ready.call("train", SGAN_EXTRAS="cuda,tfds").returncode == 0
    assert ready.call("train").returncode == 0
    assert [line.rsplit("[")[-1] for line in ready.log("pip")[1:]] == ["cuda,tfds]"]


def test_compilers_for_accelerators_get_an_environment_of_their_own(ready):
    ready.call("bench", "--compile-only", "h200")  # the pretended Python does not know benchmarks/bench.py
    assert ready.log("pip")[-1].endswith("[compile]")
    own = ready.root / ".venv-compile"
    assert (own / ".sgan-compile").exists() and not (ready.venv / ".sgan-compile").exists()


def test_an_unknown_extra_is_one_line_that_lists_the_known_ones(ready):
    result = ready.call("train", SGAN_EXTRAS="cuda13")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "sgan: error: SGAN_EXTRAS: unknown extra 'cuda13'; choose from "
        "compile, cuda, dev, docs, export, features, ray, sklearn, stream, tfds, tpu\n"
    )


@pytest.mark.parametrize(
    "edit",
    [("pyproject.toml", '"pillow>=10.4"', '"pillow>=10.5"'), ("constraints.txt", "pillow==", "pillow===")],
    ids=["dependency", "constraint"],
)
def test_changed_requirements_are_installed_into_the_same_environment(ready, edit):
    ready.edit(*edit)
    assert ready.call("train").returncode == ready.call("train").returncode == 0
    assert (len(ready.log("venv")), len(ready.log("pip"))) == (1, 2)


def test_changed_settings_of_the_tools_install_nothing(ready):
    ready.edit("pyproject.toml", "line-length = 120", "line-length = 119")
    assert ready.call("train").stderr == ""
    assert len(ready.log("pip")) == 1


def test_a_moved_project_is_installed_from_its_new_place(ready):
    ready.root = ready.root.rename(ready.folder / "elsewhere")
    assert ready.call("train").returncode == 0
    assert ready.log("pip")[1].endswith(str(ready.folder / "elsewhere"))


@pytest.mark.parametrize("absolute", [True, False])
def test_sgan_venv_puts_the_environment_elsewhere(project, absolute):
    project.add_interpreter((3, 12))
    place = project.folder / "some" / "where"
    result = project.call("train", SGAN_VENV=str(place) if absolute else "../some/where", cwd=project.home)
    assert result.returncode == 0, result.stderr
    assert (place / "bin" / "python").exists() and not project.venv.exists()


@pytest.mark.parametrize("content", ["thesis.txt", "bin/python", "pyvenv.cfg"])
def test_a_folder_of_somebody_elses_is_left_alone(project, content):
    project.add_interpreter((3, 12))
    theirs = project.folder / "theirs" / content
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    result = project.call("train", SGAN_VENV=str(project.folder / "theirs"))
    assert result.returncode == 1 and theirs.exists() and len(os.listdir(project.folder / "theirs")) == 1
    assert "not a working virtual environment" in result.stderr and result.stderr.count("\n") == 1


def test_an_environment_that_the_user_made_is_completed_not_cleared(project):
    (project.venv / "bin").mkdir(parents=True)
    (project.venv / "pyvenv.cfg").touch()
    shutil.copy(project.folder / "environment", project.venv / "bin" / "python")
    (project.venv / "theirs").touch()
    result = project.call("train")
    assert result.returncode == 0, result.stderr
    assert (project.venv / "theirs").exists() and len(project.log("pip")) == 1 and not project.log("venv")


def test_an_environment_whose_interpreter_is_gone_is_made_anew(ready):
    (ready.venv / "bin" / "python").unlink()
    (ready.venv / "bin" / "python").symlink_to("/no/such/python")
    (ready.venv / "leftover").touch()
    assert ready.call("train").returncode == 0
    assert len(ready.log("venv")) == 2 and not (ready.venv / "leftover").exists()


# --- what goes wrong on the way


def test_a_failure_of_pip_is_shown_and_the_next_call_tries_again(project):
    project.add_interpreter((3, 12))
    failed = project.call("train", FAKE_PIP="echo 'ERROR: no network' >&2; exit 7")
    assert failed.returncode == 1 and failed.stdout == ""
    assert failed.stderr.splitlines()[1] == "ERROR: no network"
    assert failed.stderr.splitlines()[2].startswith("sgan: error: could not install the packages")
    assert project.call("train").returncode == 0
    assert len(project.log("venv")) == 2


def test_a_working_environment_outlives_a_failure_to_renew_it(ready):
    ready.edit("constraints.txt", "pillow==", "pillow===")
    (ready.venv / "package").touch()
    assert ready.call("train", FAKE_PIP="exit 1").returncode == 1
    assert ready.call("train").returncode == 0
    assert (ready.venv / "package").exists() and len(ready.log("venv")) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_set_up_mends_itself(project, how):
    project.add_interpreter((3, 12))
    process = project.start("train", "errors", FAKE_PIP=f"touch {shlex.quote(str(project.venv))}/half; sleep 30")
    wait_until((project.venv / "half").exists)
    os.killpg(process.pid, how)
    assert process.wait(timeout=20) != 0
    result = project.call("train")
    assert result.returncode == 0 and "first use" in result.stderr  # it may have waited until the killed pip was gone
    assert not (project.venv / "half").exists() and project.call("train").stderr == ""


def test_two_first_calls_at_once_set_up_once(project):
    project.add_interpreter((3, 12))
    first = project.start("train", "first", FAKE_PIP=SLOW)
    wait_until(lambda: len(project.log("pip")) == 1)
    second = project.start("train", "second", FAKE_PIP=SLOW)
    wait_until(holds(project, "second", "waiting for it"))
    (project.folder / "go").touch()
    assert first.wait(timeout=20) == second.wait(timeout=20) == 0
    assert (len(project.log("venv")), len(project.log("pip"))) == (1, 1)


def test_a_pip_that_outlives_its_set_up_is_waited_for(project):
    project.add_interpreter((3, 12))
    first = project.start("train", "first", FAKE_PIP=SLOW)
    os.kill(noted(project), signal.SIGKILL)
    assert first.wait(timeout=20) != 0
    second = project.start("train", "second")
    wait_until(holds(project, "second", "waiting for it"))
    (project.folder / "go").touch()
    assert second.wait(timeout=20) == 0
    assert len(project.log("venv")) == 2


def test_ending_the_set_up_ends_its_pip(project):
    project.add_interpreter((3, 12))
    first = project.start("train", "first", FAKE_PIP=SLOW)
    os.kill(noted(project), signal.SIGTERM)
    assert first.wait(timeout=20) != 0
    assert "interrupted" in (project.folder / "first").read_text()
    assert project.call("train").returncode == 0  # would wait for a pip that lives

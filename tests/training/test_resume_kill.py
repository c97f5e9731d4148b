"""Whatever ends a run, and whenever: the same command ends with the weights of a run that nothing disturbed."""

import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
from kills import KILLED
from outer import DIGITS, EPOCHS, HOME, RUN, SMALL, STEPS, command, environment, finished_run, metrics, sha256, succeed

MOMENTS = {  # in the order of a run's life
    "no indices yet": ("os.rename", "labels.json"),
    "no config yet": ("os.rename", "config.json"),
    "not the latest yet": ("os.rename", "latest"),
    "no metrics yet": ("os.rename", "metrics.jsonl"),
    "no samples yet": ("os.rename", "step_2.png"),
    "before the first line": ("open", "metrics.jsonl', 'a'"),
    "save begun": ("os.mkdir", "step_2.orbax-checkpoint-tmp"),
    "save half done": ("open", "_METADATA', 'w'"),
    "save all but done": ("os.rename", "/step_2', -1"),
    "second save all but done": ("os.rename", "/step_4', -1"),
    "before the second line": ("open", "metrics.jsonl', 'a'"),
    "resume begun": ("os.rename", "metrics.jsonl"),
    "third save begun": ("os.mkdir", "step_6.orbax-checkpoint-tmp"),
    "no result yet": ("os.rename", "result.json"),
}
FEW = ("save all but done",)
LONG = ("--steps-per-epoch", 200, "--epochs", 2, "--log-every", 1)


def same_end(run: Path, expected: Path, step: int) -> None:
    """The run ended as the other did, and nothing is left of what disturbed it."""
    assert sha256(run, step) == sha256(expected, step)
    assert metrics(run) == metrics(expected), "no line twice and none missing"
    assert (run / f"samples/step_{step}.png").read_bytes() == (expected / f"samples/step_{step}.png").read_bytes()
    assert (run / "result.json").exists()
    assert not list(run.rglob("*tmp*"))


@pytest.mark.parametrize("moments", [FEW, pytest.param(tuple(MOMENTS), marks=pytest.mark.slow)], ids=["few", "all"])
def test_killed_at_these_moments_one_after_the_other_a_run_ends_as_if_undisturbed(moments, tmp_path):
    arguments = ["train", *DIGITS, *SMALL, *EPOCHS, "--run", "run"]
    for moment in moments:
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, *MOMENTS[moment], *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert killed.returncode == -signal.SIGKILL, (moment, killed.stdout, killed.stderr)
        assert killed.stderr == "", moment
    succeed(*arguments, cwd=tmp_path)
    run = tmp_path / "run"
    for left in [*run.glob(".*.tmp"), *run.glob("samples/.*.tmp")]:
        left.unlink()  # small files that were not in their place yet; an unfinished checkpoint would be large
    same_end(run, finished_run()[0] / RUN, STEPS[-1])
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [f"step_{step}" for step in STEPS]


@cache
def undisturbed() -> Path:
    """A run of 400 steps."""
    folder = HOME / "undisturbed"
    folder.mkdir(parents=True)
    succeed("train", *DIGITS, *SMALL[:4], *LONG, "--run", "run", cwd=folder)
    return folder / "run"


def train(folder: Path, number: signal.Signals | None = None, at: int = 0, saved: int = 0) -> tuple[int, str]:
    """bin/train, which gets a signal when it has printed the line of step `at`; its status and all that it printed.

    Checkpoints are written in the background. If there has to be one of step `saved` first, that is waited for: the run
    meanwhile gets less than 195 steps further, because nobody reads its lines and the pipe holds no more of them.
    """
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            command("train", *DIGITS, *SMALL[:4], *LONG, "--run", "run"),
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            pipesize=4096,
        )
        with process:
            assert process.stdout is not None
            printed = ""
            for line in process.stdout:
                printed += line
                if number is not None and line.startswith(f">{at},"):
                    while saved and saved not in checkpoints(folder / "run") and process.poll() is None:
                        time.sleep(0.01)
                    process.send_signal(number)
    assert (folder / "stderr").read_text() == ""
    return process.returncode, printed


def checkpoints(run: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step_")) for path in (run / "checkpoints").glob("step_*[0-9]"))


@pytest.mark.slow
def test_killed_between_two_checkpoints_a_run_resumes_from_the_last_one(tmp_path):
    status, printed = train(tmp_path, signal.SIGKILL, at=205, saved=200)
    assert status == -signal.SIGKILL
    assert "run: new run, to step 400\n" in printed
    assert checkpoints(tmp_path / "run") == [200]
    status, printed = train(tmp_path)
    assert status == 0
    assert "run: from step 200, to step 400\n" in printed
    same_end(tmp_path / "run", undisturbed(), 400)


@pytest.mark.slow
def test_interrupted_and_terminated_a_run_saves_ends_and_resumes_from_there(tmp_path):
    run = tmp_path / "run"
    status, printed = train(tmp_path, signal.SIGINT, at=40)
    assert status == 130
    assert printed.endswith("stopped by SIGINT; the same command resumes\n")
    (first,) = checkpoints(run)
    assert 40 <= first < 200

    status, printed = train(tmp_path, signal.SIGTERM, at=240)
    assert status == 143
    assert f"run: from step {first}, to step 400\n" in printed
    assert printed.endswith("stopped by SIGTERM; the same command resumes\n")
    assert checkpoints(run)[:2] == [first, 200]
    second = checkpoints(run)[-1]
    assert 240 <= second < 400

    status, printed = train(tmp_path)
    assert status == 0
    assert f"run: from step {second}, to step 400\n" in printed
    same_end(run, undisturbed(), 400)
    assert sha256(run, 200) == sha256(undisturbed(), 200)
    assert [line["step"] for line in metrics(run)] == [100, 200, 300, 400]

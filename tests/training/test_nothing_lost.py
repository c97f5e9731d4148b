"""Experiments that take minutes: kills at random moments, and a disk that is full and then is not."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from outer import DIGITS, EPOCHS, RUN, SMALL, call, command, environment, finished_run, metrics, sha256, succeed

from sgan_jax.runs import checkpoint

KILLS = 30
MANY = ("--width", "8", "--batch-size", "2", "--steps-per-epoch", "3", "--epochs", "60", "--run", "run")


@pytest.mark.slow
def test_killed_at_thirty_random_moments_a_run_ends_with_the_bits_of_one_that_was_not(tmp_path: Path) -> None:
    whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
    for folder in (whole, disturbed):
        folder.mkdir()
    began = time.monotonic()
    succeed("train", *DIGITS, *MANY, cwd=whole)
    length = time.monotonic() - began
    random = np.random.default_rng(0)
    moments = {"before the first step": 0, "between checkpoints": 0, "in the writing of one": 0}
    run, kills = disturbed / "run", 0
    while kills < KILLS:
        process = subprocess.Popen(
            command("train", *DIGITS, *MANY), cwd=disturbed, env=environment(), stdout=subprocess.PIPE, text=True
        )
        with process:
            # A third of them wait for a checkpoint that is being written; else few would be met.
            deadline, hunting = time.monotonic() + random.uniform(0.2, 0.6 * length), kills % 3 == 0
            while process.poll() is None and time.monotonic() < deadline:
                if hunting and list(run.glob("checkpoints/*orbax-checkpoint-tmp*")):
                    break
                time.sleep(0.002)
            if process.poll() is not None:
                assert process.returncode == 0
                (run / "result.json").unlink()  # it was faster than the dice: its last epochs are made once more
                for step in sorted(run.glob("checkpoints/step_*"))[-20:]:
                    subprocess.run(["rm", "-r", step], check=True)
                continue
            process.send_signal(signal.SIGKILL)
            printed = process.stdout.read() if process.stdout else ""
        kills += 1
        writing = bool(list(run.glob("checkpoints/*orbax-checkpoint-tmp*")))
        kind = (
            "in the writing of one"
            if writing
            else "between checkpoints"
            if "to step" in printed
            else "before the first step"
        )
        moments[kind] += 1
    succeed("train", *DIGITS, *MANY, cwd=disturbed)
    print(f"{KILLS} kills: {moments}")
    assert min(moments.values()) >= 1
    assert sha256(run, 180) == sha256(whole / "run", 180)
    assert metrics(run) == metrics(whole / "run")


def mounted(folder: Path, size: str, *, again: bool = False) -> bool:
    """A file system in memory of a size, where this user may make one."""
    options = f"remount,size={size}" if again else f"size={size}"
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.slow
def test_a_full_disk_leaves_the_last_whole_checkpoint_and_more_space_lets_the_run_resume(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(disk, "600k"):
        pytest.skip("no file system can be mounted here")
    try:
        arguments = ("train", *DIGITS, *SMALL, *EPOCHS, "--run", disk / "run")
        done = call(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("sgan: error: ")]
        assert str(disk / "run") in line
        for step in checkpoint.steps(disk / "run" / "checkpoints"):
            assert sha256(disk / "run", step) == sha256(finished_run()[0] / RUN, step)
        assert mounted(disk, "64m", again=True)
        succeed(*arguments, cwd=tmp_path)
        assert sha256(disk / "run", 8) == sha256(finished_run()[0] / RUN, 8)
        assert metrics(disk / "run") == metrics(finished_run()[0] / RUN)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
def test_a_preempted_run_saves_and_ends_within_ten_seconds(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("train", *DIGITS, *SMALL[:4], "--steps-per-epoch", 100_000, "--log-every", 1, "--run", "run"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(">20,"))
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        process.stdout.read()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 10
    assert len(list((tmp_path / "run" / "checkpoints").glob("step_*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("finish", [False, True], ids=["", "to the end"])
def test_a_run_that_is_still_comparing_images_ends_as_soon_and_may_begin_again(finish: bool, tmp_path: Path) -> None:
    arguments = ("train", "--preset", "best", *DIGITS, "--width", 8, "--steps", 1, "--run", "run")
    fresh = {"SGAN_CACHE": str(tmp_path / "cache"), "XLA_FLAGS": ""}
    process = subprocess.Popen(
        command(*arguments), cwd=tmp_path, env=environment(**fresh), stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        next(line for line in process.stderr if "comparing each of 4000 images" in line)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 10
    assert not list((tmp_path / "cache").rglob("graphs/*"))
    if finish:
        assert "finished" in succeed(*arguments, cwd=tmp_path, **fresh)

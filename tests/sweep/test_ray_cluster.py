"""Facts about sweeps on a Ray cluster: the same records as here, whatever happens to a worker."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tyro
from outer import DIGITS, SMALL, command, environment, metrics, succeed

from sgan_jax.cli.sweep import Sweep
from sgan_jax.config import Config, DataConfig
from sgan_jax.data.load import load_embedded
from sgan_jax.errors import UserError
from sgan_jax.sweep import ray_cluster, trial
from sgan_jax.sweep.trial import Shared, Trial
from sgan_jax.training.signals import Stop

STEPS = 600  # long enough to be caught in
ARGUMENTS = (*DIGITS, *SMALL[:4], "--steps-per-epoch", STEPS // 2, "--steps", STEPS, "--labels", "10,20", "--draws", 2)

# Two workers of one run each, apart from the head, which takes none. It prints the address, kills the worker whose
# number it reads, and ends with its input.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
ray_cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
nodes = [ray_cluster.add_node(num_cpus=1) for _ in range(2)]
print(ray_cluster.address, flush=True)
for line in sys.stdin:
    ray_cluster.remove_node(nodes[int(line)], allow_graceful=False)
    print("killed", flush=True)
ray_cluster.shutdown()
"""


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A cluster in which runs are trained below `tmp_path / "workers"`."""
    workers = tmp_path / "workers"
    workers.mkdir()
    settings = environment(TMPDIR=str(workers), RAY_TMPDIR="/tmp", RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0")
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    process.communicate(timeout=120)


def untimed(path: Path) -> list[dict]:
    """Lines of results.jsonl without what differs from call to call, by preset, labels and draw."""
    records = [json.loads(text) for text in path.read_text().splitlines()]
    untimed = [{name: value for name, value in record.items() if name != "seconds"} for record in records]
    return sorted(untimed, key=lambda record: (record["draw"], record["labels"]))


@pytest.mark.slow
def test_a_cluster_of_two_workers_of_which_one_is_killed_leaves_the_records_of_one_machine(two_workers, tmp_path):
    assert two_workers.stdout is not None and two_workers.stdin is not None
    address = two_workers.stdout.readline().strip()
    assert address, "the cluster did not start"
    driver = subprocess.Popen(
        command("sweep", *ARGUMENTS, "--out", "out", "--ray", address),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    while len(list((tmp_path / "workers").glob("sgan-*/run/metrics.jsonl"))) < 2:  # both are in the middle of a run
        assert driver.poll() is None and time.monotonic() - begun < 300
        time.sleep(0.1)
    two_workers.stdin.write("0\n")
    two_workers.stdin.flush()
    assert two_workers.stdout.readline() == "killed\n"
    printed, complaints = driver.communicate(timeout=600)
    assert (driver.returncode, "Traceback" in complaints) == (0, False), (printed, complaints)
    assert printed.startswith("4 trials are given to the cluster\n")
    assert sorted(line for line in printed.splitlines() if line.endswith(" is done")) == [
        f"trial {number} of 4: fast-{labels}-s{draw} is done"
        for number, (draw, labels) in enumerate([(0, 10), (0, 20), (1, 10), (1, 20)], 1)
    ]
    # The killed worker could not clear away what it had begun; the trial is there all the same.
    assert len(list((tmp_path / "workers").glob("sgan-*"))) == 1
    succeed("sweep", *ARGUMENTS, "--out", "here", cwd=tmp_path)
    assert untimed(tmp_path / "out/results.jsonl") == untimed(tmp_path / "here/results.jsonl")
    for run in (tmp_path / "here/runs").iterdir():
        there = tmp_path / "out/runs" / run.name
        assert metrics(there) == metrics(run)
        assert [path.name for path in (there / "checkpoints").iterdir()] == [f"step_{STEPS}"]
        assert json.loads((there / "config.json").read_text())["command"][1:] == [
            "sweep",
            *map(str, ARGUMENTS),
            *("--out", "out", "--ray", address),
        ]
    assert "Test Accuracy: " in succeed("eval", "--run", there, cwd=tmp_path)
    # The same command finds all trials there, and needs no cluster for that.
    assert succeed("sweep", *ARGUMENTS, "--out", "out", "--ray", address, cwd=tmp_path).startswith("out: 4 of 4 trials")


@pytest.mark.slow
def test_a_signal_gives_up_what_the_cluster_has_not_finished(two_workers, tmp_path):
    assert two_workers.stdout is not None
    address = two_workers.stdout.readline().strip()
    long = ("--steps", 100_000, "--steps-per-epoch", 100_000)
    driver = subprocess.Popen(
        command("sweep", *DIGITS, *SMALL[:4], *long, "--labels", 10, "--draws", 1, "--out", "out", "--ray", address),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    while not list((tmp_path / "workers").glob("sgan-*/run/metrics.jsonl")):
        assert driver.poll() is None and time.monotonic() - begun < 300
        time.sleep(0.1)
    driver.send_signal(signal.SIGTERM)
    printed, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM
    assert printed.endswith("stopped by SIGTERM; the same command resumes from there\n")
    assert (tmp_path / "out/results.jsonl").read_text() == ""


def of_a_cluster(address: str) -> Any:
    """The command line of a sweep of one trial on a cluster."""
    arguments = ["--dataset", "mnist-5k", "--preset", "joint", "--labels", "10", "--draws", "1", "--ray", address]
    return tyro.cli(Sweep, args=arguments)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "10001", "127.0.0.1:99999", "host:port"])
def test_an_address_where_no_cluster_answers_is_one_line(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^ray {address}: no cluster answers there \([^\n]+\)$"):
        of_a_cluster(address)()
    assert not list(tmp_path.glob("sweeps/*/runs/*"))


def test_a_cluster_without_ray_is_one_line_about_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"^ray auto: the package ray is not installed; set SGAN_EXTRAS=ray for the "):
        of_a_cluster("auto")()
    assert not list(tmp_path.iterdir()), "before anything is written"


class Inside:
    """As much of Ray as is used: tasks run in this process, the last given first."""

    class exceptions:
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            def __init__(self, cause: Exception):
                super().__init__(f"somewhere\n{type(cause).__name__}: {cause}")
                self.cause = cause

    def __init__(self) -> None:
        self.cancelled: list[int] = []
        self._tasks: list[Callable[[], bytes]] = []

    def put(self, value: object) -> object:
        return value

    def cluster_resources(self) -> dict:
        return {"CPU": 2.0}

    def remote(self, function: Callable[..., bytes]) -> Any:
        def submit(*arguments: object) -> int:
            self._tasks.append(partial(function, *arguments))
            return len(self._tasks) - 1

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=submit))

    def wait(self, waiting: list[int], timeout: float) -> tuple[list[int], list[int]]:
        return waiting[-1:], waiting[:-1]

    def get(self, task: int) -> bytes:
        try:
            return self._tasks[task]()
        except self.exceptions.RayError:
            raise
        except Exception as error:
            raise self.exceptions.RayTaskError(error) from None

    def cancel(self, task: int, force: bool) -> None:
        self.cancelled.append(task)


def test_a_trial_that_fails_on_its_worker_is_an_error_and_others_come_back_with_their_last_checkpoint(
    tmp_path, monkeypatch
):
    def train(config: Config, path: Path, shared: Shared, stop: Stop) -> bool:
        if config.data.labels == 20:
            raise Inside.exceptions.RayError("gone")
        if config.data.labels == 30:
            raise UserError("‹data.labels› 30: too few images")
        for step in (2, 4):
            (path / f"checkpoints/step_{step}").mkdir(parents=True)
        return True

    monkeypatch.setattr(trial, "train", train)
    monkeypatch.setitem(sys.modules, "ray", Inside())
    configs = [Config(data=DataConfig(labels=labels)) for labels in (10, 30, 20)]
    trials = [Trial(number, 3, config, tmp_path / str(number)) for number, config in enumerate(configs, 1)]
    lost, failed, good = ray_cluster.train(trials, Shared(load_embedded(), "stop"), Stop())
    assert [ended.trial for ended in (good, failed, lost)] == trials
    assert str(lost.error) == "lost with its worker 11 times (RayError)"
    assert str(failed.error) == "its worker cannot train it: data.labels 30: too few images"
    assert failed.error.marked.endswith("‹data.labels› 30: too few images")
    assert good.error is None
    assert os.listdir(tmp_path) == ["1"]
    assert [path.name for path in (tmp_path / "1/checkpoints").iterdir()] == ["step_4"]


def packed(name: str) -> bytes:
    """A tar file of one file of that name."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"new"))
    return made.getvalue()


def test_a_run_directory_that_comes_back_replaces_one_that_was_begun_here(tmp_path):
    run = tmp_path / "runs/fast-10-s0"
    run.mkdir(parents=True)
    (run / "begun").write_text("old")
    ray_cluster._unpack(packed("./config.json"), run)
    assert [path.name for path in run.iterdir()] == ["config.json"]
    assert os.listdir(tmp_path / "runs") == ["fast-10-s0"]


def test_no_file_that_comes_back_is_written_outside_of_its_run(tmp_path):
    run = tmp_path / "runs/fast-10-s0"
    with pytest.raises(tarfile.OutsideDestinationError):
        ray_cluster._unpack(packed("../outside"), run)
    assert not run.exists() and os.listdir(tmp_path / "runs") == []

"""Facts about what is chosen for the devices that there are, and that several of them compute what one does."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import pytest
from outer import DIGITS, QUICK, call, command, environment, finished_run, metrics, succeed
from outer import RUN as FINISHED
from rooms import rooms

from sgan_jax.engine.devices import available, claim_number, connect, named, resolve_precision, team
from sgan_jax.errors import UserError

SIZES = ("--width", "8", "--batch-size", "8", "--steps-per-epoch", "2")
RUN = (*DIGITS, *SIZES)
EIGHT = {"XLA_FLAGS": f"{QUICK['XLA_FLAGS']} --xla_force_host_platform_device_count=8"}


def cpuinfo(folder: Path, flags: str) -> Path:
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: any\nflags\t\t: fpu {flags} sse2\nbugs\t\t: none\n")
    return file


# --- precision ---


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("avx2", "float32"), ("avx512f", "float32"), ("avx512_bf16", "bfloat16"), ("amx_tile amx_bf16", "bfloat16")],
)
def test_auto_is_bfloat16_on_processors_that_multiply_it_faster(tmp_path: Path, flags: str, precision: str) -> None:
    assert resolve_precision("auto", cpuinfo(tmp_path, flags)) == precision


def test_auto_is_float32_where_the_system_lists_no_processors(tmp_path: Path) -> None:
    assert resolve_precision("auto", tmp_path / "missing") == "float32"


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_by_name_is_taken_on_any_processor(tmp_path: Path, asked: str) -> None:
    for flags in ("avx2", "amx_bf16"):
        assert resolve_precision(asked, cpuinfo(tmp_path, flags)) == asked


@contextmanager
def jax_platforms(names: str) -> Iterator[None]:
    """As if JAX_PLATFORMS were `names`, for messages: JAX has its devices already."""
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", names)
    try:
        yield
    finally:
        jax.config.update("jax_platforms", before)


def assert_close(run: Path, other: Path) -> None:
    """Two runs have the same metrics, within the rounding of sums over devices."""
    for ours, theirs in zip(metrics(run), metrics(other), strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert theirs[name] == (pytest.approx(value, rel=1e-4, abs=1e-3) if isinstance(value, float) else value)


# --- devices that are not there ---

# Every command and the library's calls, by the platform that is asked for: what they print and their status. In one
# process, since JAX has no device after any of them.
WITHOUT_DEVICE = """
import sys
import jax, numpy as np
import sgan_jax
from sgan_jax.cli.main import main

_, run, *platforms = sys.argv
train = ["--dataset", "mnist-5k", "--preset", "supervised", "--labels", "10"]
commands = [
    ["train", *train], ["sweep", *train[:4], "--draws", "1"], ["eval", "--run", run], ["predict", "--run", run, run],
    ["export", "--run", run], ["sample", "--run", run], ["describe"],
]
config = sgan_jax.preset("supervised", dataset="mnist-5k", labels=10)
images = np.full((8, 12, 12), 255, np.uint8)
calls = {
    "train": lambda: sgan_jax.train(config),
    "load": lambda: sgan_jax.load(run),
    "fit": lambda: sgan_jax.SGANClassifier("supervised").fit(images, np.arange(8) % 2),
}
for platform in platforms:
    jax.config.update("jax_platforms", platform)
    for command in commands:
        sys.argv = ["sgan", *command]
        try:
            main()
        except SystemExit as done:
            print(platform, command[0], done.code, file=sys.stderr)
    for name, call in calls.items():
        try:
            call()
        except (sgan_jax.errors.UserError, ValueError) as error:
            print(f"sgan: error: {error}\\n{platform} {name} 2", file=sys.stderr)
"""


def test_a_device_that_is_not_there_is_one_line_of_every_command_and_of_the_library(tmp_path: Path) -> None:
    platforms = ["tpuu", "rocm"] if list(Path("/dev").glob("nvidia*")) else ["tpuu", "cuda"]
    python = [sys.executable, "-P", "-c", WITHOUT_DEVICE, str(finished_run()[0] / FINISHED), *platforms]
    done = subprocess.run(python, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    lines = iter(done.stderr.splitlines())
    for platform in platforms:
        for name in ("train", "sweep", "eval", "predict", "export", "sample", "describe", "train", "load", "fit"):
            assert next(lines).startswith(f"sgan: error: JAX_PLATFORMS is {platform}: no such device here")
            assert next(lines) == f"{platform} {name} 2"
    assert not list(lines) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ("cuda", AssertionError(), "JAX_PLATFORMS is cuda: no such device here; set it to cpu or to what"),
        (
            "tpu",
            RuntimeError("Unable to initialize backend 'tpu': INTERNAL: no libtpu.so (set JAX_PLATFORMS='' to"),
            "JAX_PLATFORMS is tpu: no such device here (INTERNAL: no libtpu.so); set it to cpu or to what",
        ),
        (
            "",
            RuntimeError("Unable to initialize backend 'tpu': busy.\n(you may need to uninstall the plugin"),
            "JAX cannot use this machine's devices (busy); set JAX_PLATFORMS to cpu",
        ),
    ],
)
def test_the_line_gives_jaxs_reason(wanted: str, error: Exception, message: str, monkeypatch) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("jax.devices", fail)
    with jax_platforms(wanted), pytest.raises(UserError) as caught:
        available()
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


# --- several devices of one process ---

# Run where there are eight: the tests' own process has one.
IN_EIGHT = """
import jax, numpy as np
from sgan_jax.config import Config, ConsistencyConfig, ModelConfig
from sgan_jax.engine.devices import local, team
from sgan_jax.engine.system import build
from sgan_jax.training.dispatch import Dispatcher, Feed
from sgan_jax.types import Data, Model, Net

consistency = ConsistencyConfig(1.0, rule="softmatch", rule_decay=0.9, alignment="uniform")
config = Config(steps=3, batch_size=8, model=ModelConfig(width=4, dropout=0.4), consistency=consistency)
system = build(config, (8, 8, 1), 3)
draw = np.random.default_rng(0)
images = draw.integers(0, 256, (40, 8, 8, 1), np.uint8)
data = Data(images[:9], np.arange(9, dtype=np.int32) % 3, images)

def train(count):
    group = team(count, config.batch_size)
    state = jax.jit(system.init)(jax.random.key(0))
    *_, last = Dispatcher(config, system, group, lambda: False).run(Feed(data), state, jax.random.key(1))
    assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(last.state)} == {count}
    text = jax.jit(system.train_step(group)).lower(*map(group.place, (state, data, jax.random.key(1)))).as_text()
    return local(last.state), last.metrics.loss | last.metrics.watch, text

(one, columns_1, text_1), (eight, columns_8, text_8) = train(1), train(8)
for name, column in columns_1.items():
    np.testing.assert_allclose(column, columns_8[name], rtol=1e-5, atol=1e-6, err_msg=name)
for a, b in zip(jax.tree.leaves((one.params, one.aux)), jax.tree.leaves((eight.params, eight.aux)), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
assert one.aux["pseudo_labels"]["rule"]["mean"] != 1 / 3
assert "batch" in text_8 and '"batch"' not in text_1

mean = Net(lambda key: None, lambda _, x, statistics, training: x.mean() + statistics, (8,), list, lambda: 3.0)
assert float(jax.jit(team(8, 8).spread(mean).bound(Model(None, 2.0)))(jax.numpy.arange(8.0))) == 5.5
print("equal")
"""


@pytest.mark.slow
def test_eight_devices_compute_what_one_does(tmp_path: Path) -> None:
    python = [sys.executable, "-P", "-c", IN_EIGHT]
    done = subprocess.run(python, cwd=tmp_path, env=environment(**EIGHT), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "equal\n"), done.stderr


@pytest.mark.parametrize("count", [0, 2])
def test_devices_that_are_not_there_are_an_error(count: int) -> None:
    with pytest.raises(UserError) as error:
        team(count, 50)
    assert str(error.value) == f"devices: {count}; must be 1, the cpu devices"


class Two:
    """Two devices, of which nothing is asked but that they are there."""

    platform = "cpu"


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "message"),
    [
        (25, None, "‹devices›: 2; must divide ‹batch_size›, 25"),
        (25, 50, "‹devices›: 2; must divide ‹batch_size›, 25"),
        (50, 75, "‹devices›: 2; must divide ‹unlabelled›, 75"),
    ],
)
def test_images_that_the_devices_do_not_divide_are_an_error(
    monkeypatch: pytest.MonkeyPatch, labelled: int, unlabelled: int | None, message: str
) -> None:
    monkeypatch.setattr("jax.devices", lambda: [Two(), Two()])
    with pytest.raises(UserError) as error:
        team(2, labelled, unlabelled)
    assert error.value.marked == message


@pytest.mark.slow
def test_a_run_moves_between_one_device_and_eight(tmp_path: Path) -> None:
    succeed("train", *RUN, "--epochs", 2, "--run", "one", cwd=tmp_path)
    succeed("train", *RUN, "--epochs", 1, "--run", "moved", "--devices", 8, cwd=tmp_path, **EIGHT)
    printed = succeed("train", *RUN, "--epochs", 2, "--run", "moved", cwd=tmp_path)
    assert "moved: from step 2, to step 4\n" in printed
    assert_close(tmp_path / "one", tmp_path / "moved")
    record = json.loads((tmp_path / "moved/config.json").read_text())
    assert [part["device"]["count"] for part in (record, *record["resumed"])] == [8, 1]


@pytest.mark.slow
def test_devices_that_cannot_have_equal_parts_are_an_error(tmp_path: Path) -> None:
    done = call("train", *DIGITS, "--batch-size", 10, "--devices", 8, "--run", "run", cwd=tmp_path, **EIGHT)
    assert done.returncode == 2
    assert done.stderr == "sgan: error: --devices: 8; must divide --batch-size, 10\n"
    assert not (tmp_path / "run").exists()


# --- several processes ---


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def two_processes(
    folder: Path, *arguments: object, source: tuple[object, ...] = DIGITS
) -> list[subprocess.CompletedProcess[str]]:
    """The same command in process 0 and 1, to the end of both."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    group = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", 2)
    calls = [command("train", *source, *SIZES, *arguments, *group, "--process", index) for index in (0, 1)]
    running = [subprocess.Popen(call, cwd=folder, env=environment(), **pipes) for call in calls]  # type: ignore[call-overload]
    outputs = [process.communicate(timeout=600) for process in running]
    done = [subprocess.CompletedProcess(p.args, p.returncode, *out) for p, out in zip(running, outputs, strict=True)]
    assert not any("Traceback" in one.stderr for one in done), done
    return done


@pytest.mark.slow
def test_of_two_processes_that_are_to_trace_the_first_does_and_both_have_to_know(tmp_path: Path) -> None:
    trace = ("--profile", "trace", "--profile-steps", "2-3")
    done = two_processes(tmp_path, "--epochs", 2, "--run", "run", *trace)
    assert [one.returncode for one in done] == [0, 0], done
    assert len(list((tmp_path / "trace").rglob("*.xplane.pb"))) == 1


@pytest.mark.slow
def test_two_processes_train_what_one_does_and_only_the_first_writes(tmp_path: Path) -> None:
    succeed("train", *RUN, "--epochs", 2, "--run", "alone", cwd=tmp_path)
    first, second = two_processes(tmp_path, "--epochs", 2, "--run", "run")
    assert (first.returncode, second.returncode) == (0, 0), (first, second)
    assert "finished: run" in first.stdout
    assert "step_2" not in second.stdout
    assert_close(tmp_path / "alone", tmp_path / "run")
    again = two_processes(tmp_path, "--epochs", 2, "--run", "run")
    assert [one.returncode for one in again] == [0, 0]
    assert "finished at step 4" in again[0].stdout


@pytest.mark.slow
def test_a_run_that_ends_early_is_left_by_all_of_its_processes(tmp_path: Path) -> None:
    arguments = ("--epochs", 20, "--labels", 20, "--validation", 10, "--patience", 1, "--keep", 1, "--run", "run")
    for _ in ("trained", "resumed"):
        first, second = two_processes(tmp_path, *arguments)
        assert (first.returncode, second.returncode) == (0, 0), (first, second)
        assert "ended early at step " in first.stdout and "stopped" not in first.stdout + second.stdout
    assert metrics(tmp_path / "run")[-1]["step"] < 40


@pytest.mark.slow
def test_a_finished_run_with_a_graph_is_left_by_all_of_its_processes(tmp_path: Path) -> None:
    arguments, images = ("--preset", "best", "--steps", 2, "--run", "run"), ("--data-dir", rooms())
    for message in ("finished: run", "finished at step 2"):
        first, second = two_processes(tmp_path, *arguments, source=images)
        assert (first.returncode, second.returncode) == (0, 0), (first, second)
        assert message in first.stdout


@pytest.mark.slow
def test_a_run_that_cannot_begin_ends_all_of_its_processes(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    first, second = two_processes(tmp_path, "--run", "run")
    assert (first.returncode, second.returncode) == (2, 2)
    assert "sgan: error: run: cannot be written" in first.stderr
    assert "sgan: error: the run's first process could not begin; its own message has the reason\n" in second.stderr


# A start of which the others never come, with less patience.
ALONE = """
import sys
from sgan_jax.engine import devices
devices.PATIENCE = int(sys.argv.pop())
from sgan_jax.cli.main import main
main()
"""


@pytest.mark.parametrize(("process", "gives_up"), [(0, True), (1, False)], ids=["0", "1, Ctrl-C"])
def test_a_process_that_is_alone_says_at_once_what_it_waits_for_and_gives_up(
    process: int, gives_up: bool, tmp_path: Path
) -> None:
    where, patience = f"127.0.0.1:{free_port()}", 1 if gives_up else 300
    group = ("--coordinator", where, "--processes", 3, "--process", process, patience)
    python = [sys.executable, "-P", "-c", ALONE, "train", *map(str, (*DIGITS, *group))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    quiet = {name: value for name, value in environment().items() if "proxy" not in name.lower()}  # JAX warns of them
    with subprocess.Popen(python, cwd=tmp_path, env=quiet, **pipes) as alone:  # type: ignore[call-overload]
        line = alone.stdout.readline()
        assert line == f"process {process} of 3 waits for the others at {where}; it gives up after {patience} s\n"
        if not gives_up:
            alone.send_signal(signal.SIGINT)
        printed, error = alone.communicate(timeout=60)
    message = f"sgan: error: the other processes at {where} did not come within 1 s; start all of 0 to 2 as --process\n"
    assert (alone.returncode, printed, error) == ((2, "", message) if gives_up else (130, "", ""))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("127.0.0.1:1", None, None), "coordinator, processes and process go together"),
        ((None, 2, 0), "coordinator, processes and process go together"),
        (("127.0.0.1:1", 2, 2), "process: 2; must be between 0 and 1"),
        (("127.0.0.1:1", 2, -1), "process: -1; must be between 0 and 1"),
        (("127.0.0.1:1", 1, 1), "process: 1; must be 0, below processes"),
        (("127.0.0.1:1", 0, 0), "processes: 0; must be at least 1"),
    ],
)
def test_flags_of_a_manual_start_that_do_not_fit_are_an_error(
    given: tuple[str | None, int | None, int | None], message: str
) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        connect(*given)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has addresses that a process holds by itself")
def test_a_number_is_given_once_for_a_run_on_a_machine_as_long_as_its_process_lives() -> None:
    where = f"127.0.0.1:{free_port()}"
    holds = (
        "import sys; from sgan_jax.engine.devices import claim_number; claim_number(sys.argv[1], 1); print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", holds, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == b"\n"
        with pytest.raises(UserError, match=f"^process: 1; another process at {where} has that number; give each its"):
            connect(where, 2, 1)
        claim_number(where, 0)
        claim_number(f"{where}0", 1)
        other.stdin.write(b"\n")
    claim_number(where, 1)


# --- one of several devices ---

# Trains on a device of three, by the flag or within `jax.default_device`, and prints where the parameters lie.
ON_A_DEVICE = """
import logging
import sys
import jax
import sgan_jax
from sgan_jax.cli.main import main
from sgan_jax.training.recorder import Recorder

finish = Recorder._finish_epoch
def finish_epoch(self, step, state, metrics):
    print("on", *{leaf.device.id for leaf in jax.tree.leaves(state.params)}, file=sys.stderr)
    return finish(self, step, state, metrics)
Recorder._finish_epoch = finish_epoch
logging.getLogger().handlers.clear()  # that an import has set; main imports later

flags = ["--dataset", "mnist-5k", "--labels", "10", "--width", "2", "--batch-size", "2", "--steps", "1"]
config = sgan_jax.preset("supervised", dataset="mnist-5k", labels=10, width=2, batch_size=2, steps=1)
for device in ([], ["--device", "cpu"], ["--device", "cpu:2"], ["--device", "cpu:3"], ["--device", "tpu"]):
    sys.argv = ["sgan", "train", "--preset", "supervised", *flags, "--run", "run" + "".join(device), *device]
    try:
        main()
    except SystemExit as done:
        print(done.code, file=sys.stderr)
with jax.default_device(jax.devices()[1]):
    sgan_jax.train(config, "one")
"""


@pytest.mark.slow
def test_a_run_is_trained_on_the_device_that_is_asked_for(tmp_path: Path) -> None:
    flags = f"{environment()['XLA_FLAGS']} --xla_force_host_platform_device_count=3"
    settings = environment(XLA_FLAGS=flags)
    done = subprocess.run(
        [sys.executable, "-P", "-c", ON_A_DEVICE], cwd=tmp_path, env=settings, capture_output=True, text=True
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("sgan: warning")]
    assert lines == [
        *("on 0", "0"),
        *("sgan: device: cpu (cpu)", "on 0", "0"),
        *("sgan: device: cpu:2 (cpu)", "on 2", "0"),
        *("sgan: error: --device: cpu:3; no such device here, there is cpu:0 to cpu:2", "2"),
        "sgan: error: --device: tpu; no such device here, there is cpu:0 to cpu:2; "
        "the extras cuda and tpu bring JAX's support of these",
        "2",
        "on 1",
    ]


@pytest.mark.parametrize("name", ["gpu:", "0", "gpu:x", "GPU", ""])
def test_a_name_that_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"^device: {name}; expected a kind such as cpu, gpu or tpu, or one of"):
        named(name)


def test_a_device_is_refused_where_other_flags_choose_them(fails: Callable[..., str]) -> None:
    assert "--devices asks for 2" in fails("train", *DIGITS, "--device", "cpu:0", "--devices", 2)
    assert "is for one process" in fails("train", *DIGITS, "--device", "cpu", "--cluster")
    assert "is for one process" in fails("sweep", "--device", "cpu", "--ray", "local")

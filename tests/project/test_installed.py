"""The package as a user installs it: the core alone runs every command, and each extra alone runs its own.

Not installed here: `docs` (`test_docs` builds the site with the developers' packages), `ray` (80 MB, and a cluster of
the developers' package is a test of its own), `tfds` (TensorFlow, and a data set from the network), `cuda` and `tpu`
(gigabytes, and a device that tests do not have), `compile` (a gigabyte; `test_compiled` uses it where it is). Without
its extra, Ray's command must end in one line, too.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx_files import write_means
from outer import ROOT, connected, environment
from PIL import Image

pytestmark = pytest.mark.slow

SMALL = ("--width", "8", "--batch-size", "2", "--steps", "2")
OF_EXTRAS = (
    "flatbuffers",
    "onnx",
    "onnxruntime",
    "safetensors",
    "sklearn",
    "grain",
    "ray",
    "tensorflow",
    "mkdocs",
    "pytest",
    "keras",
)
FIT = """
import numpy as np
from sgan_jax import SGANClassifier
X = np.random.default_rng(0).integers(0, 256, (20, 12, 12), np.uint8)
model = SGANClassifier("fast", width=8, batch_size=2, steps=2).fit(X, np.arange(20) % 3 - 1)
print(len(model.predict(X)), model.classes_.tolist())
"""
READ_STABLEHLO = """
import sys, zipfile, jax.export, numpy as np
with zipfile.ZipFile(sys.argv[1]) as archive:
    classify = jax.export.deserialize(bytearray(archive.read("program"))).call
print(classify(np.zeros((3, 28, 28, 1), np.uint8)).shape)
"""


def run(*arguments: object, cwd: Path, status: int = 0) -> tuple[str, str]:
    """Runs a program where nothing of the project but the installed package can be imported; what it printed."""
    own = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run(list(map(str, arguments)), cwd=cwd, env=own, capture_output=True, text=True, timeout=1800)
    assert done.returncode == status, (arguments, done.stdout[-1000:], done.stderr[-3000:])
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def install(venv: Path, what: object) -> None:
    """Installs a package with the versions of constraints.txt; skips the test where no registry answers."""
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command = list(map(str, [*pip, "-c", ROOT / "constraints.txt", what]))
    done = subprocess.run(command, capture_output=True, text=True, env=connected())
    if done.returncode and "Failed to establish a new connection" in done.stderr:
        pytest.skip("no package registry answers")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, built from a copy: a build leaves files beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("sgan_jax", "pyproject.toml", "README.md", "LICENSE"):
        run("cp", "-r", ROOT / name, folder, cwd=folder)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", folder / "built"]
    run(*build, folder, cwd=folder)
    (built,) = (folder / "built").glob("sgan_jax-*.whl")
    return built


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A virtual environment with the wheel, and nothing of an extra."""
    venv = tmp_path_factory.mktemp("environments") / "core"
    run(sys.executable, "-m", "venv", venv, cwd=ROOT)
    install(venv, wheel)
    yield venv
    shutil.rmtree(venv.parent)  # a gigabyte


@pytest.fixture(scope="module")
def reader(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a folder of images and a run of two steps, made by the core alone."""
    folder = tmp_path_factory.mktemp("reader")
    draw = np.random.default_rng(0)
    for name in ("cat", "dog", "unlabelled", "test/cat", "test/dog"):
        (folder / "pets" / name).mkdir(parents=True)
        for number in range(4):
            pixels = draw.integers(0, 256, (16, 16), np.uint8)
            Image.fromarray(pixels).save(folder / "pets" / name / f"{number}.png")
    write_means(folder / "means.onnx")
    run(core / "bin" / "sgan", "train", "--dataset", "mnist-5k", *SMALL, "--run", "runs/digits", cwd=folder)
    return folder


def with_extra(core: Path, wheel: Path, extra: str) -> Path:
    """An environment with the core and one extra; its own file for each of the core's, by hard links."""
    venv = core.parent / extra
    shutil.copytree(core, venv, symlinks=True, copy_function=os.link)
    install(venv, f"{wheel}[{extra}]")
    return venv


def sgan(venv: Path, *arguments: object, cwd: Path, status: int = 0) -> tuple[str, str]:
    """`sgan ARGUMENTS` of an environment: standard output and standard error."""
    return run(venv / "bin" / "python", "-m", "sgan_jax", *arguments, cwd=cwd, status=status)


def test_the_core_has_no_package_of_an_extra(core: Path, reader: Path) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {OF_EXTRAS} if find_spec(n)])"
    assert run(core / "bin" / "python", "-c", code, cwd=reader)[0] == "[]\n"


def test_the_core_runs_every_command(core: Path, reader: Path) -> None:
    def text(*arguments: object) -> str:
        return sgan(core, *arguments, cwd=reader)[0]

    assert "train" in run(core / "bin" / "sgan", cwd=reader)[0]
    assert text("--version").startswith("sgan ")
    assert json.loads(text("eval", "--run", "runs/digits", "--json"))["step"] == 2
    assert text("predict", "pets/test/cat").count("%") == 4
    assert (reader / text("sample", "--count", "4").strip()).exists()
    assert "networks.png" in text("describe", "--preset", "fast")
    assert (reader / text("report").strip()).stat().st_size > 10_000
    assert "cat" in text("data", "check", "pets")
    sweep = "--preset", "fast", "--labels", "20", "--draws", "1", "--dataset", "mnist-5k", *SMALL, "--out", "swept"
    assert "swept/table.md" in text("sweep", *sweep)
    assert "swept/table.md" in text("report", "--sweep", "swept")
    assert "finished" in text("train", "--preset", "fast", "--data-dir", "pets", "--labels", "8", *SMALL)
    assert "finished" in text("train", "--run", "runs/digits")


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("export", "export --format onnx --run runs/digits"),
        ("export", "export --format stablehlo --run runs/digits"),
        ("export", "export --format safetensors --run runs/digits"),
        ("features", "eval --generator --features means.onnx --run runs/digits"),
        ("stream", "train --preset fast --data-dir pets --labels 8 --stream True --steps 2 --run runs/streamed"),
        ("ray", "sweep --preset fast --labels 20 --draws 1 --dataset mnist-5k --ray local --out on-ray"),
    ],
)
def test_without_its_extra_a_command_ends_in_one_line_that_names_the_extra(
    core: Path, reader: Path, extra: str, command: str
) -> None:
    errors = sgan(core, *command.split(), cwd=reader, status=2)[1].splitlines()
    assert errors[-1].startswith("sgan: error: ") and f"SGAN_EXTRAS={extra}" in errors[-1]
    assert f"pip install 'sgan-jax[{extra}]'" in errors[-1]


def test_without_its_extra_the_estimator_names_the_extra(core: Path, reader: Path) -> None:
    code = "import sgan_jax\ntry: sgan_jax.SGANClassifier\nexcept ImportError as error: print(error)"
    assert "pip install 'sgan-jax[sklearn]'" in run(core / "bin" / "python", "-c", code, cwd=reader)[0]


def test_the_extra_export_alone_writes_every_format(core: Path, wheel: Path, reader: Path) -> None:
    venv = with_extra(core, wheel, "export")
    for format in ("onnx", "stablehlo", "safetensors"):
        for kind in ("classifier", "generator"):
            written = sgan(venv, "export", "--run", "runs/digits", "--format", format, "--kind", kind, cwd=reader)[0]
            assert (reader / written.strip()).stat().st_size > 1000
    program = reader / "runs" / "digits" / "export" / "classifier.stablehlo.zip"
    assert run(venv / "bin" / "python", "-c", READ_STABLEHLO, program, cwd=reader)[0] == "(3, 10)\n"


def test_the_extra_features_alone_measures_a_generator_by_a_file(core: Path, wheel: Path, reader: Path) -> None:
    venv = with_extra(core, wheel, "features")
    command = ("--generator", "--features", "means.onnx", "--run", "runs/digits", "--images", "50", "--json")
    assert json.loads(sgan(venv, "eval", *command, cwd=reader)[0])["features"]["file"] == "means.onnx"


def test_the_extra_sklearn_alone_fits_the_estimator(core: Path, wheel: Path, reader: Path) -> None:
    venv = with_extra(core, wheel, "sklearn")
    assert run(venv / "bin" / "python", "-c", FIT, cwd=reader)[0] == "20 [0, 1]\n"


def test_the_extra_stream_alone_trains_on_a_streamed_folder(core: Path, wheel: Path, reader: Path) -> None:
    venv = with_extra(core, wheel, "stream")
    command = ["train", "--preset", "fast", "--data-dir", "pets", "--labels", "8", "--stream", "True", *SMALL]
    assert "finished" in sgan(venv, *command, "--run", "runs/streamed-alone", cwd=reader)[0]

"""Files for use without this package: each runtime computes what the networks compute."""

import ast
import dataclasses
import inspect
import io
import json
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from awkward import write_awkward
from nets import shallow
from outer import HOME, ROOT, environment
from PIL import Image
from rooms import RUN, trained
from safetensors.numpy import load as load_tensors

from sgan_jax.data import preprocess
from sgan_jax.data.images import read_image
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.export import onnx_graph
from sgan_jax.export.formats import FORMATS, export
from sgan_jax.export.prepare import KINDS, Exported, prepare
from sgan_jax.export.safetensors import load_safetensors
from sgan_jax.inference.predict import predict
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.presets import PRESETS
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened
from sgan_jax.runs.record import DatasetRecord, RunRecord
from sgan_jax.types import TrainState

NAMES = ("one", "two", "three")
SHAPE = (10, 12, 3)  # no size of the generators' own: they crop
# Their parts are those of "residual, batch", of other depths and norms.
SLOW = {("residual", "classifier"), ("wide_residual", "classifier"), ("wide_residual", "generator")}
CASES = [
    pytest.param(networks, "stacked", kind, marks=[pytest.mark.slow] * ((networks, kind) in SLOW))
    for networks in sorted(NETWORKS)
    for kind in KINDS
]
CASES += [("residual, batch", "stacked", "classifier")]
CASES += [("tutorial", head, "classifier") for head in sorted(HEADS) if head != "stacked" and HEADS[head].classifies]


def parameters(abstract: Any) -> Any:
    """Random numbers in the place of trained ones, of a size that neither dies out nor grows from layer to layer."""
    random = np.random.default_rng(0)

    def leaf(like: jax.ShapeDtypeStruct) -> jax.Array:
        if len(like.shape) > 1:
            return jnp.asarray(random.normal(0, np.prod(like.shape[:-1]) ** -0.5, like.shape), like.dtype)
        return jnp.asarray(random.normal(1, 0.3, like.shape), like.dtype)  # biases, and scales of weights

    return jax.tree.map(leaf, abstract)


@cache
def opened(
    networks: str, head: str, shape: tuple[int, int, int] = SHAPE, precision: str = "bfloat16", data_dir: str = "set"
) -> Opened:
    """What is exported is float32, whatever the precision is. "residual, batch" are networks and their norm."""
    networks, _, norm = networks.partition(", ")
    preset = PRESETS["feature_matching" if norm else "joint"]
    model = dataclasses.replace(
        preset.model, networks=networks, head=head, width=8, latent=6, norm=norm or "group", **shallow(networks)
    )
    data = dataclasses.replace(preset.data, data_dir=data_dir)
    config = dataclasses.replace(preset, data=data, model=model, precision=precision)
    system = build(config, shape, len(NAMES))
    abstract = system.abstract_state()
    params, aux = parameters(abstract.params), jax.tree.map(jnp.abs, parameters(abstract.aux))
    state = TrainState(jnp.int32(7), params, {}, params, aux)
    record = RunRecord(config, DatasetRecord("set", "0" * 64, "a notice", 10, shape, NAMES), ())
    return Opened(RunDir(Path("run")), record, system, state, 7)


@cache
def exported(networks: str, head: str, kind: str) -> Exported:
    """The function is compiled, which is quicker here than one operation after the other."""
    made = prepare(opened(networks, head), kind)
    return made._replace(function=jax.jit(made.function))


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def argument(made: Exported, count: int) -> np.ndarray:
    if made.argument.name == "images":
        return images(count)
    return np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)


def parts(content: bytes) -> list[bytes]:
    """The files in a zip; or the one that it is."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return [content]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(name) for name in archive.namelist()]


def metadata_of(format: str, content: bytes) -> dict[str, Any]:
    if format == "stablehlo":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return json.loads(archive.read("about.json"))
    if format == "onnx":
        return {prop.key: json.loads(prop.value) for prop in onnx.load_from_string(content).metadata_props}
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return {name: json.loads(text) for name, text in header["__metadata__"].items()}


def from_onnx(content: bytes, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content)
    (only,) = session.get_inputs()
    return session.run(None, {only.name: given})[0]


def from_stablehlo(content: bytes, given: np.ndarray) -> np.ndarray:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return np.asarray(jax.export.deserialize(bytearray(archive.read("program"))).call(given))


@pytest.mark.parametrize(("networks", "head", "kind"), CASES)
def test_every_runtime_computes_what_the_networks_compute_for_any_number_of_images(
    networks: str, head: str, kind: str, tmp_path: Path
) -> None:
    made = exported(networks, head, kind)
    for name, run in (("onnx", from_onnx), ("stablehlo", from_stablehlo)):
        content = FORMATS[name].to_bytes(made)
        for count in (1, 5):
            given = argument(made, count)
            expected = np.asarray(made.function(jnp.asarray(given)))
            assert expected.shape == (count, *((3,) if kind == "classifier" else SHAPE))
            np.testing.assert_allclose(run(content, given), expected, atol=1e-5, err_msg=name)
            assert count == 1 or np.abs(expected[0] - expected[1]).max() > 1e-3, "of other images something else"
    path = tmp_path / "file.safetensors"
    path.write_bytes(FORMATS["safetensors"].to_bytes(made))
    function, metadata = load_safetensors(path)
    np.testing.assert_allclose(jax.jit(function)(jnp.asarray(given)), expected, atol=1e-5)
    assert (metadata["kind"], metadata["class_names"], metadata["step"]) == (kind, list(NAMES), 7)
    if kind == "classifier":
        np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    else:
        assert expected.min() >= 0 and expected.max() <= 1


def test_files_carry_class_names_size_and_notice() -> None:
    made = exported("tutorial", "stacked", "classifier")
    for format, how in FORMATS.items():
        metadata = metadata_of(format, how.to_bytes(made))
        assert metadata["class_names"] == list(NAMES) and metadata["image_shape"] == list(SHAPE)
        assert metadata["notice"] == "a notice" and metadata["config"]["model"]["width"] == 8
    tensors = load_tensors(FORMATS["safetensors"].to_bytes(made))
    assert {"conv_1/kernel", "logits/bias"} <= tensors.keys()


def test_an_operation_that_is_not_translated_is_named() -> None:
    made = exported("tutorial", "stacked", "classifier")._replace(function=lambda x: jnp.sort(x, axis=1))
    with pytest.raises(UserError, match="operation 'sort' is not translated; format stablehlo takes every network"):
        FORMATS["onnx"].to_bytes(made)
    with pytest.raises(onnx_graph.Unsupported):
        onnx_graph.graph_of(jnp.cumsum, jax.ShapeDtypeStruct((3,), jnp.float32), ("a", "b"))


def test_a_file_of_another_program_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    whole = FORMATS["safetensors"].to_bytes(exported("mlp", "stacked", "classifier"))
    for content in (b"", b"\x00" * 100, whole[:-8]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="other.safetensors: not a .safetensors file that `export` wrote") as error:
            load_safetensors(path)
        assert "\n" not in str(error.value)


# An example as the receiver of a file runs it, who does not have this package.
ALONE = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(",")))
sys.argv.pop(0)
runpy.run_path(sys.argv[0])
"""
MISSING = {"onnx": "sgan_jax,jax,onnx", "stablehlo": "sgan_jax", "safetensors": "nothing"}


@cache
def awkward() -> list[Path]:
    return write_awkward(HOME / "awkward", *SHAPE[:2])


def naive(path: Path) -> np.ndarray:
    """What a program reads that knows nothing of the preprocessing."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        return np.asarray(image.convert("RGB").resize(SHAPE[1::-1]))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_the_example_of_each_format_predicts_what_predict_predicts_on_awkward_files(
    tmp_path: Path, format: str, channels: int
) -> None:
    run = opened("tutorial", "stacked", (*SHAPE[:2], channels), "float32")
    file = export(run, format, out=tmp_path / f"x{FORMATS[format].suffix}")
    example = ROOT / "examples" / f"{format}_classify.py"
    command = [sys.executable, "-W", "error", "-c", ALONE, MISSING[format], example, file, *awkward()]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    expected = predict(run, awkward()).predictions
    assert [(row[0], row[2]) for row in rows] == [(one.class_name, str(one.path)) for one in expected]
    np.testing.assert_allclose([float(row[1]) for row in rows], [one.probability for one in expected], atol=1e-5)
    assert len(example.read_text().splitlines()) <= 50


def test_of_awkward_files_the_network_predicts_something_else_without_the_preprocessing() -> None:
    run = opened("tutorial", "stacked", SHAPE, "float32")
    classify, predictions = prepare(run, "classifier").function, predict(run, awkward()).predictions
    expected = np.array([one.probabilities for one in predictions])
    plain = np.array(classify(jnp.asarray(np.stack([naive(path) for path in awkward()]))))
    differences = np.abs(expected - plain).max(axis=1)
    same = {path.name for path, difference in zip(awkward(), differences, strict=True) if difference < 5e-5}
    assert same == {"as_it_is.png"}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_file_states_its_preprocessing_and_holds_the_function_that_does_it(format: str) -> None:
    for channels in (1, 3):
        run = opened("mlp", "stacked", (*SHAPE[:2], channels), "float32")
        about = metadata_of(format, FORMATS[format].to_bytes(prepare(run, "classifier")))
        text = "; ".join(about["preprocessing"])
        for word in ("EXIF", "16 bits", "transparent", "white", "RGB" if channels == 3 else "grey", "Lanczos", "uint8"):
            assert word in text
        assert f"height of {SHAPE[0]} and a width of {SHAPE[1]}" in text
        program: dict[str, Any] = {}
        exec(about["preprocessing_python"], program)
        for path in awkward():
            with path.open("rb") as file, Image.open(file) as image:
                pixels = program["preprocess"](image, channels, SHAPE[:2])
            np.testing.assert_array_equal(pixels, read_image(path, channels, SHAPE[:2]))
    of_generator = metadata_of(format, FORMATS[format].to_bytes(exported("mlp", "stacked", "generator")))
    assert not {"preprocessing", "preprocessing_python"} & of_generator.keys()


def function(source: str) -> str:
    """The body of the function `preprocess` of a program, without its docstring."""
    (found,) = [node for node in ast.parse(source).body if getattr(node, "name", "") == "preprocess"]
    assert isinstance(found, ast.FunctionDef)
    return "\n".join(map(ast.unparse, found.body[1:]))


@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
def test_the_examples_copy_the_function_of_predict(format: str) -> None:
    example = (ROOT / "examples" / f"{format}_classify.py").read_text()
    assert function(example) == function(inspect.getsource(preprocess))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_no_file_names_folders_of_the_machine_that_trained(format: str, kind: str, tmp_path: Path) -> None:
    run = opened("tutorial", "stacked", data_dir="/home/somebody/projects/pets")
    path = export(run, format, kind, out=tmp_path / "file")
    content = b"".join(parts(path.read_bytes()))
    assert metadata_of(format, path.read_bytes())["config"]["data"]["data_dir"] == "pets"
    folders = ("/home/somebody", "projects/", f"{ROOT}/", f"{sys.prefix}/", "site-packages", "/sgan_jax/", "/tests/")
    assert [folder for folder in folders if folder.encode() in content] == []


def test_files_go_into_the_run_directory(does: Callable[..., str], tmp_path: Path) -> None:
    run = shutil.copytree(trained()[0] / RUN, tmp_path / "run")
    assert does("export", "--run", "run", "--kind", "generator", "--averaged") == "run/export/generator.onnx\n"
    assert (run / "export/generator.onnx").stat().st_size > 1000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "tflite"}, "unknown format 'tflite'; choose one of onnx, safetensors, stablehlo"),
        ({"kind": "teacher"}, "kind: teacher; choose one of classifier, generator"),
    ],
)
def test_an_unknown_format_or_kind_is_an_error_that_lists_the_known(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as error:
        export(opened("tutorial", "stacked"), **settings)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("act", "modules"),
    [
        (FORMATS["onnx"].to_bytes, ["onnx"]),
        (FORMATS["safetensors"].to_bytes, ["safetensors", "safetensors.numpy"]),
        (FORMATS["stablehlo"].to_bytes, ["flatbuffers"]),
        (lambda _: load_safetensors(Path("a.safetensors")), ["safetensors"]),
    ],
    ids=["onnx", "safetensors", "stablehlo", "load"],
)
def test_a_package_that_is_missing_is_an_error_that_names_its_extra(
    act: Callable[[Exported], object], modules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]  # importing it fails
    with pytest.raises(UserError) as error:
        act(exported("tutorial", "stacked", "classifier"))
    assert f"the package {modules[0]} is not installed; set SGAN_EXTRAS=export" in str(error.value)
    assert "pip install 'sgan-jax[export]'" in str(error.value)


WITHOUT_FLATBUFFERS = """
import sys
sys.modules["flatbuffers"] = None
from sgan_jax.cli.main import main
sys.argv = ["sgan", "export", "--format", "stablehlo"]
main()
"""


def test_export_without_flatbuffers_ends_in_one_line() -> None:
    python = [sys.executable, "-P", "-c", WITHOUT_FLATBUFFERS]
    done = subprocess.run(python, capture_output=True, text=True, env=environment(), cwd=trained()[0])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("sgan: error: --format stablehlo: the package flatbuffers is not installed; ")


@pytest.mark.parametrize("networks", sorted(NETWORKS))
def test_a_generated_image_does_not_depend_on_what_is_beside_it(networks: str) -> None:
    made = exported(networks, "stacked", "generator")
    latents = jnp.asarray(argument(made, 5))
    together = made.function(latents)
    one_by_one = jnp.concatenate([made.function(latents[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(one_by_one, together, atol=1e-5)

"""Files for use without this package: each runtime gives what the networks give."""

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from outer import ROOT, call, environment, succeed
from rooms import RUN, picture, trained
from safetensors.numpy import load as load_tensors

from sgan_jax.config import PRESETS
from sgan_jax.engine.system import build
from sgan_jax.errors import UserError
from sgan_jax.export import onnx_graph
from sgan_jax.export.formats import FORMATS, KINDS, Exported, load_safetensors, prepare
from sgan_jax.models.heads import HEADS
from sgan_jax.models.networks.table import NETWORKS
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import Opened

NAMES = ("one", "two", "three")
SHAPE = (10, 12, 3)  # no size of the generators' own: they crop
CASES = [(networks, "stacked", kind) for networks in sorted(NETWORKS) for kind in KINDS]
CASES += [("tutorial", head, "classifier") for head in sorted(HEADS) if head != "stacked" and HEADS[head].classifies]


@cache
def exported(networks: str, head: str, kind: str) -> Exported:
    preset = PRESETS["joint"]
    model = dataclasses.replace(preset.model, networks=networks, head=head, width=8, latent=6)
    config = dataclasses.replace(preset, model=model, precision="bfloat16")  # what is exported is float32 all the same
    system = build(config, SHAPE, len(NAMES))
    state = jax.jit(system.init)(jax.random.key(0), images(20))
    state = jax.tree.map(lambda leaf: leaf + leaf.dtype.type(0.03), state)  # biases are 0 at first
    return prepare(Opened(RunDir(Path("run")), config, SHAPE, NAMES, "a notice", system, state, 7), kind)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def argument(made: Exported, count: int) -> np.ndarray:
    if made.argument[0] == "images":
        return images(count)
    return np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)


def from_onnx(content: bytes, given: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content)
    (only,) = session.get_inputs()
    return session.run(None, {only.name: given})[0]


def from_stablehlo(content: bytes, given: np.ndarray) -> np.ndarray:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return np.asarray(jax.export.deserialize(bytearray(archive.read("program"))).call(given))


@pytest.mark.parametrize(("networks", "head", "kind"), CASES)
def test_every_runtime_gives_what_the_networks_give_for_any_number_of_images(
    networks: str, head: str, kind: str, tmp_path: Path
) -> None:
    made = exported(networks, head, kind)
    for name, run in (("onnx", from_onnx), ("stablehlo", from_stablehlo)):
        content = FORMATS[name].make(made)
        for count in (1, 5):
            given = argument(made, count)
            expected = np.asarray(made.function(jnp.asarray(given)))
            assert expected.shape == (count, *((3,) if kind == "classifier" else SHAPE))
            np.testing.assert_allclose(run(content, given), expected, atol=1e-5, err_msg=name)
    path = tmp_path / "file.safetensors"
    path.write_bytes(FORMATS["safetensors"].make(made))
    function, about = load_safetensors(path)
    np.testing.assert_allclose(function(jnp.asarray(given)), expected, atol=1e-5)
    assert (about["kind"], about["class_names"], about["step"]) == (kind, list(NAMES), 7)
    if kind == "classifier":
        np.testing.assert_allclose(expected.sum(axis=1), 1, rtol=1e-5)
    else:
        assert expected.min() >= 0 and expected.max() <= 1


def test_files_carry_class_names_size_and_notice() -> None:
    made = exported("tutorial", "stacked", "classifier")
    model = onnx.load_from_string(FORMATS["onnx"].make(made))
    props = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    with zipfile.ZipFile(io.BytesIO(FORMATS["stablehlo"].make(made))) as archive:
        about = json.loads(archive.read("about.json"))
    for held in (props, about):
        assert held["class_names"] == list(NAMES) and held["image_shape"] == list(SHAPE)
        assert held["notice"] == "a notice" and held["config"]["model"]["width"] == 8
    tensors = load_tensors(FORMATS["safetensors"].make(made))
    assert {"conv_1/kernel", "logits/bias"} <= tensors.keys()


def test_an_operation_that_is_not_translated_is_named() -> None:
    made = exported("tutorial", "stacked", "classifier")._replace(function=lambda x: jnp.sort(x, axis=1))
    with pytest.raises(UserError, match="operation 'sort' is not translated; format stablehlo takes every network"):
        FORMATS["onnx"].make(made)
    with pytest.raises(onnx_graph.Unsupported):
        onnx_graph.graph_of(jnp.cumsum, jax.ShapeDtypeStruct((3,), jnp.float32), ("a", "b"))


def test_a_file_of_others_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for content in (b"", b"\x00" * 100, FORMATS["safetensors"].make(exported("mlp", "stacked", "classifier"))[:-8]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"other\.safetensors: no \.safetensors file that `export` wrote") as error:
            load_safetensors(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_the_example_of_each_format_says_what_predict_says(tmp_path: Path, format: str) -> None:
    here, _ = trained()
    paths = []
    for index, kind in enumerate(("sky", "floor", "sky")):
        picture(kind, 700 + index).save(tmp_path / f"{index}.png")
        paths.append(str(tmp_path / f"{index}.png"))
    file = succeed("export", "--format", format, "--out", tmp_path / f"x{FORMATS[format].suffix}", cwd=here).strip()
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{format}_classify.py"), file, *paths]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=here)
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    expected = json.loads(succeed("predict", *paths, "--format", "json", cwd=here))
    assert [(row[0], row[2]) for row in said] == [(one["class"], one["image"]) for one in expected]
    np.testing.assert_allclose([float(row[1]) for row in said], [one["probability"] for one in expected], atol=1e-5)
    assert len((ROOT / "examples" / f"{format}_classify.py").read_text().splitlines()) <= 30


def test_files_go_into_the_run_directory_and_slips_are_one_line(tmp_path: Path) -> None:
    here, _ = trained()
    assert succeed("export", "--kind", "generator", "--averaged", cwd=here) == f"{here / RUN}/export/generator.onnx\n"
    for arguments, message in (
        (("--format", "tflite"), "unknown format 'tflite'; choose one of onnx, safetensors, stablehlo"),
        (("--kind", "teacher"), "--kind: teacher; choose one of classifier, generator"),
    ):
        done = call("export", *arguments, cwd=here)
        assert (done.returncode, done.stderr) == (2, f"sgan: error: {message}\n")


@pytest.mark.parametrize("networks", sorted(NETWORKS))
def test_a_generated_image_does_not_depend_on_what_is_beside_it(networks: str) -> None:
    made = exported(networks, "stacked", "generator")
    latents = jnp.asarray(argument(made, 5))
    together = made.function(latents)
    alone = jnp.concatenate([made.function(latents[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert float(jnp.abs(alone[0] - alone[1]).max()) > 1e-3

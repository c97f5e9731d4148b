"""Features by a file of the user's: what the network is given, and what is refused in one line."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_files import Shape, weights, write, write_means, write_net
from PIL import Image

from sgan_jax.errors import UserError
from sgan_jax.metrics.features import Features
from sgan_jax.runs import onnx_features
from sgan_jax.runs.features import open_features

IMAGES = np.random.default_rng(1).integers(0, 256, (5, 8, 10, 3), np.uint8)
GREY = IMAGES[..., :1]


def opened(path: Path, images: np.ndarray = IMAGES) -> Features:
    return open_features(path, images.shape[1:], Path("run"))


@pytest.mark.parametrize("batch", ["N", 1, 2, 7])
def test_images_are_given_from_0_to_1_in_the_order_of_the_file(batch: int | str, tmp_path: Path) -> None:
    for images, shape, axes in (
        (IMAGES, (3, 8, 10), (0, 3, 1, 2)),
        (IMAGES, (8, 10, 3), (0, 1, 2, 3)),
        (GREY, (1, 8, 10), (0, 3, 1, 2)),
        (GREY, (8, 10, 1), (0, 1, 2, 3)),
        (np.repeat(GREY, 3, axis=-1), (3, 8, 10), (0, 3, 1, 2)),  # what grey images become
    ):
        path = write_net(tmp_path / "net.onnx", (batch, *shape))
        given = GREY if (images[..., 0] == images[..., -1]).all() else images
        described = opened(path, given).describe(given, None)
        expected = (images / 255).transpose(axes).reshape(5, -1) @ weights(int(np.prod(shape)), 4)
        np.testing.assert_allclose(described.features, expected, rtol=1e-5, atol=1e-5)
        assert described.classes is None
        some = opened(path, given).describe(given, np.array([3, 0])).features
        np.testing.assert_allclose(some, expected[[3, 0]], rtol=1e-5, atol=1e-5)


def test_a_free_size_takes_images_as_they_are_and_outputs_are_made_rows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_features, "BATCH_VALUES", 2 * 8 * 10 * 3)  # two images at once
    features = opened(write_means(tmp_path / "means.onnx"))
    np.testing.assert_allclose(features.describe(IMAGES, None).features, IMAGES.mean(axis=(1, 2)) / 255, rtol=1e-5)
    digest = hashlib.sha256((tmp_path / "means.onnx").read_bytes()).hexdigest()
    assert str(features.about) == f"{tmp_path / 'means.onnx'} (SHA-256 {digest[:12]})"
    assert features.about.to_json() == {"file": str(tmp_path / "means.onnx"), "sha256": digest}


def test_images_of_another_size_are_resized_without_aliasing(tmp_path: Path) -> None:
    stripes = np.zeros((1, 32, 32, 1), np.uint8)
    stripes[:, :, ::2] = 255
    (batch,) = onnx_features._batches(stripes, onnx_features.Takes("x", 1, (10, 12), 3, "NCHW"))
    assert batch.shape == (1, 3, 10, 12) and batch.dtype == np.float32
    assert np.abs(batch[..., 2:-2] - 0.5).max() < 0.1, "every other column, without a filter"
    assert batch.min() >= 0 and batch.max() <= 1
    shape = ("N", 16, 12, 3)
    described = opened(write_net(tmp_path / "net.onnx", shape)).describe(IMAGES[:1], None)
    resized = Image.fromarray(IMAGES[0]).resize((12, 16), Image.Resampling.BICUBIC)  # which rounds to whole levels
    expected = (np.asarray(resized) / 255).reshape(1, -1) @ weights(16 * 12 * 3, 4)
    np.testing.assert_allclose(described.features, expected, atol=0.2)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (("N", "C", 8, 10), TensorProto.FLOAT, "takes tensor(float) ['N', 'C', 8, 10]; expected one input, float32"),
        (("N", 30), TensorProto.FLOAT, "takes tensor(float) ['N', 30]; expected one input, float32 [N, C, H, W] or"),
        (("N", 3, 8, 10), TensorProto.FLOAT16, "takes tensor(float16) ['N', 3, 8, 10]; expected one input, float32"),
        (("N", 1, 8, 10), TensorProto.FLOAT, "takes grey images; expected 3 channels, as the images have"),
    ],
)
def test_a_file_that_takes_something_else_is_one_line(
    shape: Shape, kind: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("net.onnx"), [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], shape, {}, kind)
    with pytest.raises(UserError) as error:
        opened(Path("net.onnx"))
    assert str(error.value).startswith(f"features net.onnx: {message}") and "\n" not in str(error.value)


def test_a_file_that_gives_no_features_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shape = ("N", 3, 8, 10)
    Path("text.onnx").write_text("no network")
    write_net(Path("outside.onnx"), shape, outside=True)
    write_net(Path("wide.onnx"), shape, features=2049)
    write(Path("sum.onnx"), [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], shape, {})
    write(Path("one.onnx"), [helper.make_node("ReduceSum", ["x"], ["y"])], (2, 3, 8, 10), {})
    write(Path("log.onnx"), [helper.make_node("Log", ["x"], ["y"])], shape, {})
    mismatched = [helper.make_node("Flatten", ["x"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["y"])]
    write(Path("small.onnx"), mismatched, ("N", 3, "H", "W"), {"w": weights(7, 2)})
    for name, message in (
        ("none", "cannot be read (No such file or directory)"),
        ("text", "cannot be read as ONNX ("),
        ("outside", "keeps its weights in another file; save them inside of it"),
        ("wide", "2,049 features an image; expected at most 2,048"),
        ("sum", "gives [] of 1 images; expected a row for each"),
        ("one", "gives [1, 1, 1, 1] of 2 images; expected a row for each"),
        ("log", "gives NaN or infinite features"),
        ("small", "computes nothing of images 1 x 3 x 8 x 10 ("),
    ):
        with pytest.raises(UserError) as error:
            opened(Path(f"{name}.onnx"))
        assert str(error.value).startswith(f"features {name}.onnx: {message}") and "\n" not in str(error.value)


def test_without_onnxruntime_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        UserError, match="onnxruntime is not installed; set SGAN_EXTRAS=features .*'sgan-jax.features.'"
    ):
        opened(write_means(tmp_path / "means.onnx"))

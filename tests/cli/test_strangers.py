"""Files from strangers: whatever their bytes are, what comes of them is an array or one named error.

Each kind begins with files that are whole; they are then damaged by a generator of a fixed seed. Nothing is unpickled,
run, or written elsewhere: `bin/test --slow` tries 10,000 files, the quick part of the tests some hundreds.
"""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import sets
from outer import RUN, copy_of_finished_run, finished_run
from PIL import Image

from sgan_jax.cli.train import resolved
from sgan_jax.config import to_json, validate
from sgan_jax.data.arrays import load_npz
from sgan_jax.data.idx import load_idx
from sgan_jax.data.images import BadImage, read_header, read_image
from sgan_jax.data.load import load
from sgan_jax.errors import UserError
from sgan_jax.export.prepare import prepare
from sgan_jax.export.safetensors import load_safetensors, to_safetensors
from sgan_jax.metrics.subsets import Subset
from sgan_jax.presets import PRESETS
from sgan_jax.report.page import render
from sgan_jax.runs import checkpoint, predictions
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import open_run
from sgan_jax.sweep.directory import SweepDir
from sgan_jax.sweep.table import cells, table

Random = np.random.Generator
ODD_NUMBERS = (-1, 0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**63, -(2**63), 10**400, 1e308, float("nan"), float("inf"))
ODD_VALUES = (None, True, "", "x", "../../etc/passwd", "\ud800", "a" * 5000, [], {}, [[]], {"a": {}}, *ODD_NUMBERS)


def damaged(data: bytes, random: Random) -> bytes:
    """The bytes with one to three faults, as disks, networks and people make them."""
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(0, max(1, len(data))))
        length = int(min(random.geometric(0.05), 4096))
        kind = random.integers(0, 7)
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + data[at + length :]
        elif kind == 2:
            data = data[:at] + random.bytes(length) + data[at:]
        elif kind == 3:
            data = data[:at] + data[at : at + length] * 2 + data[at + length :]
        elif kind == 4:
            data = (
                data[:at]
                + bytes(byte ^ (1 << int(random.integers(0, 8))) for byte in data[at : at + 1])
                + data[at + 1 :]
            )
        elif kind == 5:
            number = int(random.choice([0, 1, 127, 128, 255, 256, 65535, 2**31 - 1])).to_bytes(4, "big")
            data = data[:at] + number[: int(random.integers(1, 5))] + data[at + 4 :]
        else:
            data = (
                random.bytes(int(random.integers(0, 64)))
                if random.random() < 0.1
                else data[:at] + bytes(length) + data[at:]
            )
    return data


def odd(value: Any, random: Random) -> Any:
    """A JSON value with another one somewhere in it, or something missing or too much."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        name = str(random.choice(sorted(value)))
        kind = random.random()
        if kind < 0.15:
            return {key: inner for key, inner in value.items() if key != name}
        if kind < 0.2:
            return value | {f"{name}x": value[name]}
        return value | {name: odd(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        at = int(random.integers(0, len(value)))
        return [*value[:at], odd(value[at], random), *value[at + 1 :]]
    return ODD_VALUES[int(random.integers(0, len(ODD_VALUES)))]


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


Case = Callable[[Path, Random], Callable[[], object]]


def image(folder: Path, random: Random) -> Callable[[], object]:
    held = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    format = str(random.choice(["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "ico", "tga"]))
    Image.fromarray(pixels).save(held, format)
    path = folder / "image.png"
    path.write_bytes(damaged(held.getvalue(), random))
    channels, size = int(random.choice([1, 3])), (None, (5, 6))[int(random.integers(0, 2))]
    return lambda: (read_header(path), read_image(path, channels, size))


def arrays(folder: Path, random: Random) -> Callable[[], object]:
    path, held = folder / "set.npz", io.BytesIO()
    save = np.savez if random.random() < 0.5 else np.savez_compressed
    x = np.zeros((4, 5, 5), np.uint8)
    save(held, x_train=x, y_train=np.array([0, 1, -1, 1]), x_test=x[:2], y_test=np.array([1, 0]))
    path.write_bytes(damaged(held.getvalue(), random))
    return lambda: load_npz(path)


def idx(folder: Path, random: Random) -> Callable[[], object]:
    where = folder / "idx"
    where.mkdir(exist_ok=True)
    for stem, array in (("images-idx3", np.zeros((4, 5, 5))), ("labels-idx1", np.array([0, 1, 1, 0]))):
        data = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes() + array.astype(np.uint8).tobytes()
        for part in ("train", "t10k"):
            spoilt = damaged(data, random) if random.random() < 0.5 else data
            (where / f"{part}-{stem}-ubyte").write_bytes(spoilt)
    return lambda: load_idx(where)


def published(folder: Path, random: Random) -> Callable[[], object]:
    """The files of a published set, one of them odd."""
    write = (sets.cifar10, sets.cifar100, sets.svhn, sets.stl10)[int(random.integers(0, 4))]
    whole, where = folder / f"whole-{write.__name__}", folder / write.__name__
    if not whole.exists():
        write(whole)
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(whole, where)
    path = sorted(where.iterdir())[int(random.integers(0, len(list(where.iterdir()))))]
    path.write_bytes(damaged(path.read_bytes(), random))
    return lambda: load(data_dir=where)


def records(folder: Path, random: Random) -> Callable[[], object]:
    """config.json, labels.json, metrics.jsonl and result.json of a run, one of them odd."""
    run = RunDir(folder / "run")
    if not run.path.exists():
        shutil.copytree(finished_run()[0] / RUN, run.path)
    for name in ("config.json", "labels.json", "metrics.jsonl", "result.json"):
        shutil.copy(finished_run()[0] / RUN / name, run.path / name)
    path = run.path / str(random.choice(["config.json", "labels.json", "metrics.jsonl", "result.json"]))
    if random.random() < 0.3:
        path.write_bytes(damaged(path.read_bytes(), random))
    elif path.suffix == ".jsonl":
        path.write_bytes(
            b"".join(as_json(odd(json.loads(line), random)) + b"\n" for line in path.read_bytes().splitlines())
        )
    else:
        held = json.loads(path.read_bytes())
        if path.name == "config.json":
            held |= {"rollbacks": ["step 3: d/real is nan"], "estimator": {"labels": "i"}}
        path.write_bytes(as_json(odd(held, random)))
    page = random.random() < 0.02  # which takes a while
    return lambda: (
        run.record(),
        run.labelled(),
        list(run.metrics()),
        run.result(),
        page and (render(run), open_run(run.path)),
    )


def predicted(folder: Path, random: Random) -> Callable[[], object]:
    path = folder / "predictions.npz"
    probabilities = np.full((5, 2), 0.5)
    predictions.save(
        path,
        predictions.collect("test", Subset(np.zeros((5, 3, 3, 1), np.uint8), np.array([0, 1, 1, 0, 1])), probabilities),
    )
    path.write_bytes(damaged(path.read_bytes(), random))
    return lambda: predictions.load(path)


def checkpoints(folder: Path, random: Random) -> Callable[[], object]:
    """A checkpoint with a file that is damaged, missing or empty."""
    source, path = folder / "whole", folder / "step_3"
    like = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [np.zeros((), np.int32)]}
    if not source.exists():
        with checkpoint.saver(source) as saver:
            saver.save(3, like)
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source / "step_3", path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = files[int(random.integers(0, len(files)))]
    if random.random() < 0.15:
        file.unlink()
    else:
        file.write_bytes(damaged(file.read_bytes(), random))
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like)

    def restore() -> None:
        found = checkpoint.restore(path, abstract)
        jax.tree.map(np.testing.assert_array_equal, found, like)  # an error, or the very numbers

    return restore


def parameters(folder: Path, random: Random) -> Callable[[], object]:
    whole, path = folder / "whole.safetensors", folder / "some.safetensors"
    if not whole.exists():
        whole.write_bytes(to_safetensors(prepare(open_run(finished_run()[0] / RUN), "classifier")))
    data = whole.read_bytes()
    header = int.from_bytes(data[:8], "little") + 8
    path.write_bytes(damaged(data[:header], random) + data[header:] if random.random() < 0.7 else damaged(data, random))
    return lambda: load_safetensors(path)


def trials(folder: Path, random: Random) -> Callable[[], object]:
    sweep = SweepDir(folder / "sweep")
    sweep.path.mkdir(exist_ok=True)
    record = json.loads((finished_run()[0] / RUN / "config.json").read_text())
    row = {
        "preset": "fast",
        "labels": 10,
        "draw": 0,
        "head": "stacked",
        "dataset": "mnist",
        "notice": "",
        "digest": "d",
    }
    row |= {"steps": 3, "seconds": 1.0, "test_accuracy": 0.5, "ema_test_accuracy": 0.5, "config": record["config"]}
    row |= {"fall": 0.0, "commit": "c", "versions": record["versions"], "device": record["device"]}
    lines = [as_json(odd(row, random) if random.random() < 0.5 else row) for _ in range(2)]
    text = b"\n".join(lines) + b"\n"
    sweep.results_file.write_bytes(damaged(text, random) if random.random() < 0.3 else text)
    return lambda: table(cells(sweep.records()), "mnist")


# A configuration of version 0.1, in which some settings had other names and types.
OF_0_1 = {
    "preset": "best",
    "objective": "joint",
    "batch_size": 64,
    "data": {"labels": 10, "image_size": 28, "stream": None},
    "augment": {"rotation": 10.0, "mirror": True},
    "propagation": {"neighbours": 6, "alone_from": 0.25, "alone_until": 0.5, "slanted": False, "back": 0.5},
}


def settings(folder: Path, random: Random) -> Callable[[], object]:
    """A file to start from."""
    path = folder / str(random.choice(["settings.json", "settings.toml", "settings"]))
    if path.suffix == ".toml":
        path.write_bytes(damaged(b'seed = 3\n[model]\nwidth = 8\n[augment]\nextra = ["mirror"]\n', random))
    else:
        values = to_json(PRESETS["best"]) if random.random() < 0.5 else OF_0_1
        path.write_bytes(as_json(odd(values, random)))
    return lambda: validate(resolved({}, path))


KINDS: dict[str, tuple[Case, int]] = {  # and how many of 10,000
    "image": (image, 3200),
    "arrays": (arrays, 1600),
    "idx": (idx, 1000),
    "published": (published, 400),
    "records": (records, 1600),
    "predicted": (predicted, 600),
    "checkpoints": (checkpoints, 400),
    "parameters": (parameters, 300),
    "trials": (trials, 500),
    "settings": (settings, 400),
}


def test_there_are_ten_thousand() -> None:
    assert sum(count for _, count in KINDS.values()) == 10_000


@pytest.mark.parametrize("fraction", [0.02, pytest.param(1.0, marks=pytest.mark.slow)], ids=["few", "all"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_damaged_file_is_read_or_one_line_says_why_not(
    kind: str, fraction: float, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case, count = KINDS[kind]
    inside = tmp_path / "inside"
    inside.mkdir()
    errors = 0
    for number in range(int(fraction * count)):
        run = case(inside, np.random.default_rng((number, *kind.encode())))
        try:
            run()
        except (UserError, BadImage) as error:
            errors += 1
            assert str(error) and "\n" not in str(error), (kind, number)
        except Exception as error:
            raise AssertionError(f"{kind}, file {number}: {type(error).__name__}: {error}") from error
    print(f"{kind}: {errors} errors, {int(fraction * count) - errors} read")
    assert errors > 0
    assert [path.name for path in tmp_path.iterdir()] == ["inside"], "nothing is written elsewhere"


def test_a_name_in_a_record_leads_nowhere(tmp_path: Path, monkeypatch) -> None:
    # The names of data set and classes in a record are shown, and are no place to write to.
    monkeypatch.chdir(tmp_path)
    run = RunDir(copy_of_finished_run(tmp_path))
    record = json.loads(run.config_file.read_text())
    record["dataset"]["name"] = "../../outside"
    record["dataset"]["class_names"] = [f"../{name}" for name in record["dataset"]["class_names"]]
    run.config_file.write_text(json.dumps(record))
    before = sorted(path.name for path in tmp_path.iterdir())
    assert "../../outside" in render(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == before

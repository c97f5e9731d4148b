"""What bin/bench prints, from measurements made up and from a short run."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from outer import call, succeed

from sgan_jax.presets import PRESETS

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("bench")


@pytest.fixture(scope="module")
def time_to() -> ModuleType:
    return load("time_to")


def row(label: str, kind: str, median: float, preset: str = "tutorial") -> dict[str, Any]:
    times = {"min_ms": median - 1, "median_ms": median, "max_ms": median + 9, "first_step_s": 1.0, "peak_mb": 900.4}
    start = {"start_to_first_step_s": 12.34, "warm_start_to_first_step_s": 5.678}
    named = {"label": label, "kind": kind, "precision": "float32", "preset": preset, "version": "x 1.0"}
    return named | times | start


def test_every_preset_can_be_a_row(bench: ModuleType) -> None:
    assert set(bench.STEP_IMAGES) == set(PRESETS)


def test_rates_shares_and_ratios_are_worked_from_the_medians(bench: ModuleType) -> None:
    result = {
        "machine": {"processor": "P", "instruction_sets": ["avx2"], "cores": 2, "python": "3.12.1"},
        "commit": "abc",
        "command": "bin/bench",
        "rounds": 10,
        "steps_a_round": 3,
        "operations": {"tutorial": 60e9, "joint": 30e9, "product": 16e9, "evaluation": 1.4e12},
        "rows": [
            row("sgan_jax tutorial float32", "ours", 500.0),
            row("sgan_jax joint float32", "ours", 200.0, "joint"),
            row("evaluation float32", "evaluation", 14_000.0) | {"resident_mb": [476.4, 601.5, 601.6]},
            row("product float32", "product", 100.0),
            row("products of joint float32", "alone", 190.0, "joint"),
            row("Keras float32", "peer", 800.0),
        ],
    }
    lines = bench.tables(result).splitlines()
    # 60e9 / 0.5 s = 120 GFLOP/s, of 16e9 / 0.1 s = 160; 250 images in 0.5 s
    ours = "| sgan_jax tutorial float32 | x 1.0 | 500 (499 - 509) | 2.00 | 500 | 120 | 75% | 900 |"
    assert ours in lines
    assert "| sgan_jax joint float32 | x 1.0 | 200 (199 - 209) | 5.00 | 750 | 150 | 94% | 900 |" in lines
    assert "| evaluation float32 | x 1.0 | 14000 (13999 - 14009) | 0.07 | 5000 | 100 | 62% | 900 |" in lines
    assert "Resident memory of evaluation float32 after each call, MB: 476, 602, 602." in lines
    assert "| products of joint float32 | x 1.0 | 190 (189 - 199) | 5.26 | 0 | 158 | 99% | 900 |" in lines
    assert "| Keras float32 | x 1.0 | 800 (799 - 809) | 1.25 | 312 | 75 | 47% | 900 |" in lines
    assert "| sgan_jax tutorial float32 | 0.62 |" in lines
    assert "| sgan_jax joint float32 | 12.3 | 5.7 |" in lines


def test_without_peers_there_are_no_ratios(bench: ModuleType) -> None:
    result = {
        "machine": {"processor": "P", "instruction_sets": [], "cores": 2, "python": "3.12.1"},
        "commit": "abc",
        "command": "bin/bench",
        "rounds": 1,
        "steps_a_round": 1,
        "operations": {"tutorial": 60e9, "product": 16e9},
        "rows": [row("sgan_jax tutorial float32", "ours", 500.0), row("product float32", "product", 100.0)],
    }
    assert "Ratio" not in bench.tables(result)


def test_presets_stand_beside_a_peer_with_their_own_step(bench: ModuleType) -> None:
    args = argparse.Namespace(presets=["photos"], keras=sys.executable, torch=sys.executable, side=64)
    (peer,) = bench.peers_of(args, "bfloat16")
    assert (peer.kind, peer.preset) == ("peer", "photos")
    assert Path(peer.command[1]).name == "torch_photos_peer.py" and peer.command[-3:] == ["64", "64", "3"]
    assert bench.shape_of("photos", args) == (64, 64, 3) and bench.shape_of("tutorial", args) == (28, 28, 1)
    args.presets = ["tutorial", "photos"]
    labels = ["Keras float32", "PyTorch float32", "PyTorch, step of photos, float32"]
    assert [one.label for one in bench.peers_of(args, "float32")] == labels
    args.presets, args.torch = ["fast"], "/nowhere/python"
    assert [one.label for one in bench.peers_of(args, "float32")] == labels[:1]


def test_evaluation_counts_a_forward_pass_of_each_image(bench: ModuleType) -> None:
    assert bench.evaluation_operations() == pytest.approx(70_000 * 19.7e6, rel=0.01)


def test_help_explains_and_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    assert "--make-peers" in succeed("bench", "--help", cwd=tmp_path)
    assert call("bench", "--round", "x", cwd=tmp_path).returncode == 2


@pytest.mark.slow
def test_a_short_run_measures_every_contender(tmp_path: Path) -> None:
    arguments = ("--presets", "joint", "--rounds", 2, "--steps", 1, "--warmup", 0, "--json")
    result = json.loads(succeed("bench", *arguments, cwd=tmp_path))
    rows = {one["label"]: one for one in result["rows"]}
    assert {"sgan_jax joint float32", "product float32", "products of joint float32"} <= set(rows)
    for one in rows.values():
        assert 0 < one["min_ms"] <= one["median_ms"] <= one["max_ms"]
        assert one["peak_mb"] > 100
        assert len(one["resident_mb"]) == 2 and 100 < max(one["resident_mb"]) <= one["peak_mb"] + 1
    joint = rows["sgan_jax joint float32"]
    assert 0 < joint["warm_start_to_first_step_s"] < joint["start_to_first_step_s"], "compiled programs were found"


def test_times_to_an_accuracy_stand_beside_the_peers_steps(time_to: ModuleType) -> None:
    rows = [
        {"preset": "joint", "draw": 0, "seconds": 100.0, "step": 900, "accuracy": 96.01},
        {"preset": "joint", "draw": 1, "seconds": 144.0, "step": 1300, "accuracy": 95.95},
        {"preset": "tutorial", "draw": 0, "seconds": None, "step": 7200, "accuracy": 95.43},
    ]
    lines = time_to.table(95.92, rows, {"label": "Keras float32", "median_ms": 400.0}).splitlines()
    assert "| `joint` | 1 | 144 | 1300 | 95.95 |" in lines
    assert "| `tutorial` | 0 | not reached | 7200 | 95.43 |" in lines
    assert "Keras float32: 7,200 steps of 400 ms (median) take 2880 s." in lines
    assert "`joint` takes 122 s (median), 1/23.6 of that." in lines
    assert not any(line.startswith("`tutorial`") for line in lines), "a run that was given up has no time"


def test_a_line_that_is_being_written_is_not_read_yet(time_to: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    assert not list(time_to.evaluations(file))
    file.write_text('{"step": 1}\n{"step": 2, "test_accuracy": 0.5}\n{"step": 4, "test_accuracy": 0.')
    assert [line["step"] for line in time_to.evaluations(file)] == [2]


@pytest.mark.slow
def test_the_clock_stops_at_the_accuracy_and_a_run_without_it_is_given_up(time_to: ModuleType) -> None:
    flags = ["--dataset", "mnist-5k", "--width", "8"]
    reached = time_to.run(10.0, "joint", 0, steps=400, every=2, flags=flags)  # ten classes: chance gets there
    assert reached["seconds"] > 0 and reached["accuracy"] >= 10 and reached["step"] < 400
    never = time_to.run(100.0, "joint", 0, steps=4, every=2, flags=flags)
    assert (never["seconds"], never["step"]) == (None, 4)
    assert 0 < never["accuracy"] < 100

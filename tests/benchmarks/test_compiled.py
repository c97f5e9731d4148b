"""What compilers for accelerators make of the programs: no more than the records of benchmarks/records/compiled.

A change that makes a figure smaller, or larger for a reason, comes with a new record:

    bin/bench --compile-only TARGET --json > benchmarks/records/compiled/TARGET.json
"""

import json
from pathlib import Path
from typing import Any

import bench
import compile_only
import pytest
from packaging.requirements import Requirement

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
RECORDS = {target: json.loads((compile_only.RECORDS / f"{target}.json").read_text()) for target in compile_only.TARGETS}
ROWS = [
    pytest.param(row, id=f"{row['target']}-{row['program']}-{row['chips']}")
    for r in RECORDS.values()
    for row in r["rows"]
]
SLACK = 1.05  # of memory and cycles, which depend on the order in which a compiler places arrays


def check(row: dict[str, Any]) -> None:
    """What holds of every program for every target."""
    assert row["of_host"] == [], "a step exchanges nothing with the host"
    assert row["donated"] == row["state_arrays"], "each array of the state is updated in its own memory"
    assert row["loops"] == (0 if row["program"] == "evaluation" else 1)
    for kind, found in row["collectives"].items():
        assert row["chips"] > 1
        assert found["largest"] <= row["state_bytes"], f"{kind}: chips exchange gradients and sums, never the images"


@pytest.mark.parametrize("row", ROWS)
def test_recorded_programs_stay_on_the_chip_and_exchange_gradients_only(row: dict[str, Any]) -> None:
    check(row)


def test_records_are_of_the_compilers_that_are_pinned() -> None:
    lines = [line.split(" #")[0] for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    newest = [
        pin for pin in map(Requirement, lines) if not pin.marker or pin.marker.evaluate({"python_version": "3.12"})
    ]
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in newest}
    compilers = {row["compiler"] for record in RECORDS.values() for row in record["rows"]}
    # JAX's own version is that of its plugin for CUDA.
    assert compilers == {f"libtpu {versions['libtpu']}", f"jax-cuda12-plugin {versions['jax']}"}


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_no_program_has_grown(row: dict[str, Any]) -> None:
    python = compile_only.interpreter(row["target"])
    if python is None:
        pytest.skip(
            f"no compiler for {row['target']}: `bin/bench --compile-only {row['target']}` installs the extra compile"
        )
    today = compile_only.estimate(row["program"], row["target"], row["chips"], python)
    if today["compiler"] != row["compiler"]:
        pytest.skip(f"the record is of {row['compiler']}, and {today['compiler']} is installed")
    check(today)
    for figure in ("instructions", "kernels", "loops"):
        assert today[figure] <= row[figure], figure
    for figure in ("cycles", "scratch_bytes", "argument_bytes"):
        assert today[figure] <= SLACK * row[figure], figure
    for kind, found in today["collectives"].items():
        before = row["collectives"].get(kind, {"number": 0, "operands": 0})
        assert found["number"] <= before["number"] and found["operands"] <= before["operands"], kind


def test_estimates_are_headed_by_what_they_are() -> None:
    row = {"program": "best", "target": "tpu-v5e", "chips": 8, "compiler": "libtpu 1.0", "operations": 8.4e9}
    row |= {"floor_ms": 0.00533, "cycles": 1_860_000, "estimated_ms": 1.24, "instructions": 1722, "kernels": 652}
    row |= {"collectives": {"all-reduce": {"number": 12, "operands": 92, "largest": 1}}, "state_bytes": 19.3e6}
    row |= {"argument_bytes": 77e6, "scratch_bytes": 57.2e6}
    row |= {"costly": [[930_000, 125, "jvp(_Discriminator)/norm_1/reduce_sum"]]}
    place = row["costly"][0][2]
    one_chip = {"chips": 1, "program": "comparison", "operations": 0, "estimated_ms": None, "cycles": 0}
    one_chip |= {"collectives": {}, "costly": [[0, 125, place]]}
    text = compile_only.tables({"rows": [row, row | one_chip], "commit": "abc", "command": "bin/bench"})
    assert text.startswith("Compiler estimates; nothing was run. libtpu 1.0")
    assert "| `best` | 8 | 8.4 | 0.005 | 1.24 | 1722 | 652 | 12 all-reduce (92) | 19.3 | 77.0 | 57.2 |" in text
    assert "| comparison | 1 | - | - | - | 1722 | 652 | - | 19.3 | 77.0 | 57.2 |" in text
    assert "| `best`, 8 chips: the most expensive places |" in text
    assert "| jvp(_Discriminator)/norm_1/reduce_sum | 125 | 930,000 | 50% |" in text
    assert "| comparison: the places with most operations |" in text
    assert "| jvp(_Discriminator)/norm_1/reduce_sum | 125 | - | 7% |" in text


def test_without_a_compiler_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(compile_only, "interpreter", lambda target: None)
    monkeypatch.setattr("sys.argv", ["bench", "--compile-only", "h200"])
    with pytest.raises(SystemExit, match=r"^bench: no compiler for h200 is installed; .* the extra compile$"):
        bench.main()


def test_a_program_that_does_not_compile_is_one_line() -> None:
    with pytest.raises(compile_only.CompilerError, match=r"^no-preset does not compile for 1 x h200: .*invalid choice"):
        compile_only.estimate("no-preset", "h200", 1, compile_only.sys.executable)

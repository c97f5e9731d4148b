"""What bin/bench --compile-only prints, from estimates made up."""

from typing import Any

import bench
import compile_only
import pytest


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

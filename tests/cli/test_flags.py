"""How values of flags are read."""

import os

import pytest

from sgan_jax.cli.flags import parse_size
from sgan_jax.errors import UserError


def test_a_size_is_a_number_or_height_and_width() -> None:
    assert parse_size("28") == (28, 28)
    assert parse_size("20x36") == (20, 36)
    assert parse_size("-5") == (-5, -5)  # out of range, which the configuration reports


@pytest.mark.parametrize("text", ["", "x", "28x", "x28", "28 x 28", "28.5", "1x2x3", "28X28", "1e3", "٢٨", "9" * 5000])
def test_any_other_text_is_an_error(text: str) -> None:
    with pytest.raises(UserError, match="data.image_size: .*; expected N or HEIGHTxWIDTH"):
        parse_size(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--labels", "x"), "--labels/--data.labels: x; expected a whole number"),
        (("train", "--devices", "None"), "--devices: None; expected a whole number"),
        (("train", "--learning-rate", "1e"), "--learning-rate/--adam.learning-rate: 1e; expected a number"),
        (("train", "--stream", "maybe"), "--stream/--data.stream: maybe; expected True or False"),
        (("sample", "--count", "1.5"), "--count: 1.5; expected a whole number"),
        (("sweep", "--draws", "ten"), "--draws: ten; expected a whole number"),
    ],
)
def test_values_of_another_kind_are_errors_in_words(sgan, monkeypatch, arguments, message) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    status, _, error = sgan(*arguments)
    assert status == 2 and f"Error parsing {message} " in error
    assert "<class" not in error and "None}" not in error


@pytest.mark.parametrize(("columns", "widest"), [("300", 120), ("1000", 120), ("90", 90), (None, 80)])
def test_help_is_as_wide_as_the_terminal_and_120_columns_at_most(sgan, monkeypatch, columns, widest) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    status, printed, _ = sgan("train", "--help")
    assert status == 0
    assert {len(line) for line in printed.splitlines() if line.startswith("  --")} == {widest}
    assert os.environ.get("COLUMNS") == columns

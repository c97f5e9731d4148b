"""How values of flags are read."""

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

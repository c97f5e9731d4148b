import pytest

from sgan_jax.errors import reason


@pytest.mark.parametrize(
    ("error", "quoted"),
    [
        (ValueError("bad magic\nand where it was"), "bad magic"),
        (ValueError("\n  after an empty line"), "after an empty line"),
        (ValueError("x" * 500), "x" * 120),
        (EOFError(), "EOFError"),
        (EOFError(" \n"), "EOFError"),
    ],
)
def test_what_an_error_says_fits_one_line(error, quoted):
    assert reason(error) == quoted

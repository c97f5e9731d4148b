"""Opens CSV files, as spreadsheets of any language write them."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgan_jax.errors import UserError, reason

_DELIMITERS = ",;\t"  # spreadsheets of some languages write semicolons


@contextmanager
def lines_of(path: Path, place: str, expected: str = "") -> Iterator[Any]:
    """A `csv.reader` of a file in UTF-8, separated by commas, semicolons or tabs.

    Args:
      path: the file.
      place: how messages name it.
      expected: the end of the message for a file that is not CSV.

    Raises:
      UserError: the file cannot be read, or is not such a file; also while its lines are read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            yield csv.reader(file, delimiter=max(_DELIMITERS, key=first.count))
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise UserError(f"{place}: not UTF-8; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{place}: damaged, or no CSV file ({reason(error)}){expected}") from None

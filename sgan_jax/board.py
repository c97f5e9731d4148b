"""A run's figures and pictures for TensorBoard, written without TensorFlow."""

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np


class Board:
    """Event files in a folder; one more for each start of the run, which takes back the steps it repeats."""

    def __init__(self, folder: Path, first: int):
        """Begins a file.

        Args:
          folder: where TensorBoard is to look.
          first: the step that the run goes on from.
        """
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protobuf's, about how the package was built
            from tensorboardX import SummaryWriter

        # Files are told apart by the second in which they were begun: a start within the same would replace the other.
        own = f".{time.time_ns()}"
        back = first + 1 if first else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=back, flush_secs=30, filename_suffix=own)

    def figures(self, step: int, values: dict[str, Any]) -> None:
        """Numbers by name, `d/real` in the group `d`."""
        for name, value in values.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name if "/" in name else f"accuracy/{name}", value, step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        """A picture, uint8 `[H, W, C]`, C 1 or 3."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes what is left."""
        self._writer.close()

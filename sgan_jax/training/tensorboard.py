"""A run's figures and pictures for TensorBoard, written without TensorFlow."""

import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sgan_jax.errors import UserError
from sgan_jax.report.pictures import size_of

_IMPORTING = threading.Lock()
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the colour type in the header of a PNG file


def _writers() -> tuple[Any, Any, Any, Any]:
    """What writes event files, imported without warnings.

    Filters of warnings are the whole process's: threads that replace them together could leave the wrong ones behind.
    """
    with _IMPORTING:
        if "tensorboardX" not in sys.modules:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of protobuf's, about how the package was built
    from tensorboardX import event_file_writer, summary
    from tensorboardX.proto import event_pb2, summary_pb2

    return event_file_writer, summary, event_pb2, summary_pb2


class Board:
    """Event files in a folder; one more for each start of the run, which takes back the steps it repeats."""

    def __init__(self, folder: Path, first: int):
        """Begins a file.

        Args:
          folder: where TensorBoard is to look.
          first: the step from which the run resumes.
        """
        event_file_writer, self._summary, self._event, self._proto = _writers()
        self._folder = folder
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            # Its SummaryWriter would leave the file to a thread, behind which training waits for ever once a full disk
            # has ended it. Files are named by the second in which they were begun: a start within the same would
            # replace the other.
            prefix, own = str(folder / "events"), f".{time.time_ns()}"
            self._writer: Any = event_file_writer.EventsWriter(prefix, filename_suffix=own)
        self.take_back(first)  # of a run that was killed before its first checkpoint all steps

    def figures(self, step: int, values: dict[str, Any]) -> None:
        """Numbers by name, `d/real` in the group `d`.

        Raises:
          UserError: the file cannot be written, as by `picture`.
        """
        for name, value in values.items():
            if isinstance(value, int | float):
                group = "" if "/" in name else "accuracy/" if name.endswith("_accuracy") else "measures/"
                self._add(step, self._summary.scalar(f"{group}{name}", value))

    def take_back(self, last: int) -> None:
        """Has TensorBoard forget the steps after `last`, which are taken once more."""
        begin = self._event.SessionLog(status=self._event.SessionLog.START)
        self._write(self._event.Event(wall_time=time.time(), step=last + 1, session_log=begin))

    def picture(self, step: int, name: str, png: bytes) -> None:
        """A picture, as a PNG file's bytes."""
        width, height = size_of(png)
        image = self._proto.Summary.Image(
            height=height, width=width, colorspace=_CHANNELS[png[25]], encoded_image_string=png
        )
        self._add(step, self._proto.Summary(value=[self._proto.Summary.Value(tag=name, image=image)]))

    def _add(self, step: int, summary: Any) -> None:
        self._write(self._event.Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        with self._told():
            self._writer.write_event(event)
            self._writer.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be written ({error.strerror or error})") from None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file, in which everything is."""
        with suppress(OSError):
            self._writer.close()

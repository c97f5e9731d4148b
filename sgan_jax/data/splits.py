"""The files of a folder of images by split and class, before any of them is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class LeftOut(NamedTuple):
    """A file that is not used, and the reason."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(frozen=True)
class Split:
    """The files of the training or the test split, in a fixed order, each with its label."""

    paths: list[Path] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)  # UNKNOWN for an unlabelled image

    def add(self, path: Path, label: int) -> None:
        """Appends a file."""
        self.paths.append(path)
        self.labels.append(label)


@dataclass(frozen=True)
class Listing:
    """The files of a folder of images, before any of them is opened."""

    folder: Path
    class_names: tuple[str, ...]
    places: tuple[str, ...]  # where the training images of each class are, for messages
    train: Split  # classes in order, then the unlabelled images
    test: Split
    left_out: tuple[LeftOut, ...]  # images outside the folders of classes
    labels_file: Path | None = None  # the CSV file of labels
    missing: tuple[LeftOut, ...] = ()  # files that the CSV file names, and that are not there
    lines: int = 0  # of the CSV file

    def name(self, path: Path) -> str:
        """The file as messages name it: its path relative to the folder."""
        return path.relative_to(self.folder).as_posix()


def class_order(name: str) -> list[tuple[int, int, str]]:
    """A key for the order of classes: 9 before 10, and letters after numbers."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]

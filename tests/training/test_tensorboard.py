"""What TensorBoard finds."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgan_jax.errors import UserError
from sgan_jax.report.pictures import png_of
from sgan_jax.training.tensorboard import Board

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def test_figures_and_pictures_are_read_back_and_a_resume_takes_back_the_steps_it_repeats(tmp_path: Path) -> None:
    with Board(tmp_path, 0) as board:
        for step in (1, 2, 3):
            board.figures(step, {"d/real": 0.5 * step, "test_accuracy": 0.9, "note": "text"})
        for channels in (1, 3):
            board.picture(2, f"of {channels}", png_of(np.zeros((4, 6, channels), np.uint8)))
    with Board(tmp_path, 2) as board:
        board.figures(3, {"d/real": 7.0})
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == ["accuracy/test_accuracy", "d/real"]
    assert [(event.step, event.value) for event in found.Scalars("d/real")] == [(1, 0.5), (2, 1.0), (3, 7.0)]
    assert [event.step for event in found.Scalars("accuracy/test_accuracy")] == [1, 2]
    for channels in (1, 3):
        (image,) = found.Images(f"of {channels}")
        assert (image.step, image.width, image.height) == (2, 6, 4)
        assert Image.open(io.BytesIO(image.encoded_image_string)).getbands() == tuple("RGB" if channels == 3 else "L")


def test_a_run_that_was_killed_before_its_first_checkpoint_shows_each_step_once(tmp_path: Path) -> None:
    for value in (0.5, 7.0):
        with Board(tmp_path, 0) as board:
            board.figures(1, {"d/real": value})
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("d/real")] == [(1, 7.0)]


def test_a_run_that_goes_back_takes_back_its_steps_in_the_same_file(tmp_path: Path) -> None:
    with Board(tmp_path, 0) as board:
        for step in (1, 2, 3):
            board.figures(step, {"d/real": 0.5 * step})
        board.take_back(1)
        board.figures(2, {"d/real": 7.0})
    found = reader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("d/real")] == [(1, 0.5), (2, 7.0)]


def test_a_full_disk_is_one_line_and_not_waited_for(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, Board(tmp_path / "board", 0) as board:
        board._writer._py_recordio_writer._writer.close()
        board._writer._py_recordio_writer._writer = full
        for _ in range(3):
            with pytest.raises(UserError, match=r"board: cannot be written \(No space left on device\)$"):
                board.figures(1, {"d/real": 0.5})

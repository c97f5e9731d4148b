"""Settings and data that cannot be trained are errors before anything is trained, and name the setting to change."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from outer import DIGITS
from pets import write

from sgan_jax.config import Config, DataConfig
from sgan_jax.data.load import UNKNOWN, Dataset
from sgan_jax.errors import UserError
from sgan_jax.presets import PRESETS
from sgan_jax.training.start import labelled_images, split


def images(labels: list[int], **changes: object) -> Dataset:
    """A set of three classes with these training labels."""
    pixels, known = np.zeros((len(labels), 8, 8, 1), np.uint8), np.asarray(labels, np.int32)
    dataset = Dataset("made", pixels, known, pixels[:0], known[:0], ("a", "b", "c"), custom=True)
    return dataclasses.replace(dataset, **changes)


def asking(labels: int | None, validation: int = 0, preset: str = "fast") -> Config:
    return dataclasses.replace(PRESETS[preset], data=DataConfig(labels=labels, validation=validation))


def test_of_the_labelled_images_the_last_are_for_validation_and_each_part_has_all_classes() -> None:
    dataset, config = images([0, 1, 2] * 4), asking(9, 3)
    for_training, validation = split(labelled_images(config, dataset), config)
    assert [sorted(dataset.train_labels[part]) for part in (for_training, validation)] == [
        [0, 0, 1, 1, 2, 2],
        [0, 1, 2],
    ]


@pytest.mark.parametrize(
    ("dataset", "config", "message"),
    [
        (images([0, 1, 2] * 4), asking(2), r"data.labels: 2; must be at least 3, one for each class"),
        (images([0, 1, 2] * 4), asking(2, 1), r"data.labels: 2; must be at least 3, one for each class"),
        (images([0, 1, 2] * 4), asking(6, 4), r"data.validation: keeps all labels of class '[abc]' from training"),
        (
            images([0, 1, 0, 1, UNKNOWN]),
            asking(None),
            r"data.data_dir: no training image of class 'c' has a label; expected one at least",
        ),
        (images([0, 1, 2]), asking(3, preset="best"), r"made: 3 training images; a graph of them takes from 7 to"),
        (
            images([0, 1, 2] * 4, streamed=np.zeros((5, 8, 8, 1), np.uint8)),
            asking(3, preset="best"),
            r"preset best: compares all images .* preset consistency does not",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_are_an_error_that_names_the_setting_to_change(
    dataset: Dataset, config: Config, message: str
) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        labelled_images(config, dataset)


def test_fewer_labels_than_classes_are_an_error_that_names_the_flag(tmp_path: Path, fails) -> None:
    assert fails("train", *DIGITS, "--labels", 5) == "--labels: 5; must be at least 10, one for each class"
    assert not (tmp_path / "runs").exists()


def test_a_sweep_reports_its_last_trial_before_it_trains_the_first(tmp_path: Path, fails) -> None:
    line = fails("sweep", *DIGITS, "--labels", "100,10", "--validation", 5, "--draws", 1, "--out", "out")
    assert "--validation: keeps all labels of class" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "stream"),
    [
        (("train", "--run", "out", "--labels", 4), True),
        (("train", "--run", "out", "--labels", 4), None),
        (("sweep", "--out", "out", "--labels", 4, "--draws", 1), True),
    ],
)
def test_without_the_extra_for_streaming_nothing_is_written(
    command: tuple[object, ...], stream: bool | None, tmp_path: Path, sgan, monkeypatch
) -> None:
    pets = write(tmp_path / "pets")
    monkeypatch.setitem(sys.modules, "grain", None)
    if stream is None:
        monkeypatch.setattr("sgan_jax.data.memory.excess", lambda needed: "more than there is")
    how = ("--stream", stream) if stream else ()
    status, printed, error = sgan(*command, "--preset", "fast", "--data-dir", pets, *how)
    assert (status, printed) == (2, "")
    *notes, line = error.splitlines()
    assert len(notes) == (not stream), "that the images do not fit"
    assert "error: --stream: reading images from disk at every step needs Grain: the package grain is not" in line
    assert "set SGAN_EXTRAS=stream" in line and "pip install 'sgan-jax[stream]'" in line
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]

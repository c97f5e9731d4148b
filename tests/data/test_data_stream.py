"""Images that stay on disk: which of them are read, in which order, and how damaged files are replaced."""

import shutil

import numpy as np
import pytest
from pets import SIZE, picture, write

from sgan_jax.data import memory
from sgan_jax.data.load import load
from sgan_jax.data.stream import Files, batches
from sgan_jax.errors import UserError


class Numbers:
    """A source of 10 images whose pixels are their index."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> np.ndarray:
        return np.full((2, 2, 1), index, np.uint8)


def numbers(batch: np.ndarray) -> list[int]:
    return batch[:, 0, 0, 0].tolist()


def test_each_image_comes_once_before_any_comes_twice_and_a_resume_continues_the_order():
    feed = batches(Numbers(), 4, seed=1, first=0)
    read = [numbers(next(feed)) for _ in range(10)]
    flat = [number for batch in read for number in batch]
    for epoch in range(4):
        assert sorted(flat[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert flat[:10] != flat[10:20]
    later = batches(Numbers(), 4, seed=1, first=3)
    assert [numbers(next(later)) for _ in range(7)] == read[3:]
    assert numbers(next(batches(Numbers(), 4, seed=2, first=0))) != read[0]


def test_labelled_images_are_in_memory_and_the_stream_has_all_images_of_the_set_in_memory(tmp_path):
    folder = write(tmp_path / "pets")
    in_memory, streamed = load(data_dir=folder, stream=False), load(data_dir=folder, stream=True)
    assert streamed.known.all() and len(streamed.train_images) == 5 and len(streamed.streamed) == 9
    np.testing.assert_array_equal(streamed.test_images, in_memory.test_images)
    np.testing.assert_array_equal(np.stack([streamed.streamed[i] for i in range(9)]), in_memory.train_images)
    assert streamed.digest != in_memory.digest
    shutil.move(folder / "unlabelled" / "3.png", folder / "unlabelled" / "4.png")
    assert load(data_dir=folder, stream=True).digest != streamed.digest


def test_labelled_and_streamed_images_have_the_same_channels(tmp_path):
    folder = write(tmp_path / "pets")
    picture(50, "RGB").save(folder / "unlabelled" / "rgb.png")
    dataset = load(data_dir=folder, stream=True)
    assert dataset.train_images.shape == (5, SIZE, SIZE, 3) and dataset.test_images.shape == (3, SIZE, SIZE, 3)
    assert dataset.streamed[0].shape == (SIZE, SIZE, 3)


def test_a_folder_without_unlabelled_images_cannot_be_streamed(tmp_path):
    folder = write(tmp_path / "pets")
    shutil.rmtree(folder / "unlabelled")
    with pytest.raises(UserError, match="^data.stream: .* has no images in 'unlabelled'"):
        load(data_dir=folder, stream=True)


def test_images_that_do_not_fit_in_half_of_the_memory_are_streamed(tmp_path, monkeypatch, caplog):
    folder = write(tmp_path / "pets")
    assert load(data_dir=folder).streamed is None
    monkeypatch.setattr(memory, "FRACTION", 1e-12)
    caplog.set_level("INFO")
    assert load(data_dir=folder).streamed is not None
    assert (
        "unlabelled images are read from disk when a step needs them (0.0 GB of images, more than half of"
        in caplog.text
    )
    assert load(data_dir=folder, stream=False).streamed is None


def test_a_damaged_file_is_warned_of_once_and_replaced_by_the_next(tmp_path, caplog):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        picture(number, "L").save(path)
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    files = Files(paths, (SIZE, SIZE, 1), resized=False)
    for _ in range(2):
        np.testing.assert_array_equal(files[2], np.asarray(picture(0, "L"))[..., None])
    (record,) = caplog.records
    assert record.message.startswith(f"{paths[2]}: left out (")
    for path in paths:
        path.write_text("no")
    with pytest.raises(UserError, match="neither this file nor any of the 100 after it can be read"):
        Files(paths, (SIZE, SIZE, 1), resized=False)[0]


def test_only_folders_of_images_are_streamed(tmp_path, write_idx, arrays):
    write_idx(tmp_path / "idx", arrays)
    with pytest.raises(UserError, match="data.stream: .*idx is not a folder of images"):
        load(data_dir=tmp_path / "idx", stream=True)
    with pytest.raises(UserError, match="data.stream: reads custom images one by one; name their folder"):
        load("mnist-5k", stream=True)


def test_a_containers_limit_counts_as_its_memory(tmp_path, monkeypatch):
    machine = memory.total()
    for text, expected in (("max\n", machine), ("4096\n", 4096)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "limit", tmp_path / "none"))
        assert memory.total() == expected or (text == "max\n" and memory.total() > machine)

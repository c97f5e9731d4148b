"""A folder of images: what is loaded, which errors are one line, and which files are left out with a warning."""

import io
import logging
import os
import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest
from awkward import lab, turned
from pets import SIZE, picture, write
from PIL import Image

from sgan_jax.config import Config, changed
from sgan_jax.data.check import check
from sgan_jax.data.images import BadImage, read_header, read_image
from sgan_jax.data.labelled import load_labelled
from sgan_jax.data.load import UNKNOWN, load
from sgan_jax.errors import UserError
from sgan_jax.training.start import load_data


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header states width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed, "L").save(buffer, "png")
    return buffer.getvalue()


def test_images_are_those_of_the_files_by_class_with_the_unlabelled_ones_last(tmp_path):
    dataset = load(data_dir=write(tmp_path / "pets"))
    assert (dataset.name, dataset.class_names, dataset.custom, dataset.notice) == ("pets", ("cat", "dog"), True, "")
    assert dataset.train_labels.tolist() == [0, 0, 0, 1, 1] + [UNKNOWN] * 4
    assert dataset.test_labels.tolist() == [0, 0, 1]
    assert dataset.train_images.shape == (9, SIZE, SIZE, 1) and dataset.train_images.dtype == np.uint8
    for index, image in enumerate([*dataset.train_images, *dataset.test_images]):
        np.testing.assert_array_equal(image[..., 0], np.asarray(picture(index, "L")))
    assert dataset.train_files[2:6] == ("cat/2.png", "dog/0.png", "dog/1.png", "unlabelled/0.png")
    assert dataset.test_files == ("test/cat/0.png", "test/cat/1.png", "test/dog/0.png")


def test_one_colour_image_makes_all_images_rgb(tmp_path):
    folder = write(tmp_path / "pets")
    picture(100, "RGB").save(folder / "dog" / "rgb.png")
    images = load(data_dir=folder).train_images
    assert images.shape[-1] == 3
    np.testing.assert_array_equal(images[5], np.asarray(picture(100, "RGB")))
    np.testing.assert_array_equal(images[0], np.asarray(picture(0, "L"))[..., None].repeat(3, axis=-1))


def test_american_spelling_folders_in_folders_hidden_files_and_numbered_classes(tmp_path):
    for name in ("10", "9", "unlabeled/deep/deeper"):
        (tmp_path / name).mkdir(parents=True)
    picture(0, "L").save(tmp_path / "10" / "a.png")
    picture(1, "L").save(tmp_path / "9" / "a.jpeg")
    picture(2, "L").save(tmp_path / "unlabeled/deep/deeper/a.bmp")
    for name in (".DS_Store", "9/Thumbs.db", "README.txt"):
        (tmp_path / name).write_text("no image")
    dataset = load(data_dir=tmp_path)
    assert dataset.class_names == ("9", "10")
    assert dataset.train_labels.tolist() == [0, 1, UNKNOWN] and not dataset.has_test


def test_class_names_need_not_be_ascii(tmp_path):
    decomposed = "cafe\u0301"
    for name in (decomposed, "日本"):
        (tmp_path / "set" / name).mkdir(parents=True)
        picture(len(name), "L").save(tmp_path / "set" / name / "ü.png")
    assert load(data_dir=tmp_path / "set").class_names == ("café", "日本")


@pytest.mark.parametrize("size", [(5, 5), (16, 16), (20, 36), (9, 5)])
def test_images_of_any_size_are_resized_on_request(tmp_path, size):
    folder = write(tmp_path / "pets")
    picture(50, "L", (30, 20)).save(folder / "cat" / "wide.png")
    dataset = load(data_dir=folder, image_size=size)
    assert dataset.train_images.shape == (10, *size, 1)
    expected = picture(50, "L", (30, 20)).resize(size[::-1], Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(dataset.train_images[3][..., 0], np.asarray(expected))


@pytest.mark.parametrize("stream", [False, True])
def test_images_need_not_be_square(tmp_path, stream):
    dataset = load(data_dir=write(tmp_path / "pets", "RGB", (36, 20)), stream=stream)
    assert dataset.train_images.shape == (5 if stream else 9, 20, 36, 3)
    np.testing.assert_array_equal(dataset.train_images[4], np.asarray(picture(4, "RGB", (36, 20))))
    if stream:
        np.testing.assert_array_equal(dataset.streamed[5], np.asarray(picture(5, "RGB", (36, 20))))


def test_sizes_that_differ_are_an_error_that_names_a_file_and_the_setting(tmp_path):
    folder = write(tmp_path / "pets")
    picture(50, "L", (30, 20)).save(folder / "cat" / "wide.png")
    expected = (
        r"cat/wide\.png: 30 x 20 pixels; expected 8 x 8 pixels as of cat/0\.png, or data.image_size N .*\(2 sizes in"
    )
    with pytest.raises(UserError, match=expected):
        load(data_dir=folder)


def test_sixteen_bits_transparency_palettes_and_exif_orientation_are_decoded_as_displayed(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((2, 2), 0x80FF, np.uint16)).save(path)
    assert read_image(path, 1).ravel().tolist() == [0x80] * 4
    Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8), "RGBA").save(path)
    assert read_image(path, 3).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    Image.fromarray(np.array([[[10, 20, 30], [200, 100, 0]]], np.uint8)).quantize(2).save(path)
    assert read_image(path, 3).tolist() == [[[10, 20, 30], [200, 100, 0]]]
    turned = Image.fromarray(np.array([[0, 255]], np.uint8).repeat(8, axis=0).repeat(8, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the stored image is displayed on the right
    turned.save(tmp_path / "a.jpg", exif=exif, quality=95)
    seen = read_image(tmp_path / "a.jpg", 1)
    assert seen.shape == (16, 8, 1) and seen[:7].max() < 20 and seen[9:].min() > 235


def test_lab_is_decoded_as_rgb_and_as_grey(tmp_path):
    pixels = np.array([[[255, 255, 255], [0, 0, 0]], [[150, 90, 80], [70, 100, 140]]], np.uint8)
    rgb = Image.fromarray(pixels.repeat(4, axis=0).repeat(4, axis=1))
    in_lab = lab(rgb)
    assert in_lab.mode == "LAB"
    in_lab.save(tmp_path / "lab.tiff")
    assert np.abs(read_image(tmp_path / "lab.tiff", 3).astype(int) - np.asarray(rgb)).max() <= 3
    assert np.abs(read_image(tmp_path / "lab.tiff", 1)[..., 0].astype(int) - np.asarray(rgb.convert("L"))).max() <= 3
    folder = write(tmp_path / "pets", "RGB")
    in_lab.save(folder / "cat" / "lab.tiff")
    assert check(folder).left_out == ()


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_header_and_decoded_image_agree_in_every_exif_orientation(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.arange(200, dtype=np.uint8).reshape(10, 20)).save(tmp_path / f"a.{kind}", exif=exif, quality=100)
    header, image = read_header(tmp_path / f"a.{kind}"), read_image(tmp_path / f"a.{kind}", 1)
    assert (header.height, header.width) == image.shape[:2] == ((20, 10) if orientation > 4 else (10, 20))
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1], 0].astype(int)  # of 0 19, 180 199 as stored
    expected = {1: (0, 19, 180, 199), 2: (19, 0, 199, 180), 3: (199, 180, 19, 0), 4: (180, 199, 0, 19)}
    expected |= {5: (0, 180, 19, 199), 6: (180, 0, 199, 19), 7: (199, 19, 180, 0), 8: (19, 199, 0, 180)}
    assert np.abs(corners - expected[orientation]).max() <= 6


def test_an_image_whose_header_states_another_size_is_left_out_by_name(tmp_path, caplog, monkeypatch):
    from sgan_jax.data import images as module

    real, where = module.read_image, write(tmp_path / "pets")
    broken = min((where / "cat").iterdir())

    def read(path, *given):
        return real(path, *given)[:-1] if path == broken else real(path, *given)

    whole = load(data_dir=where)
    monkeypatch.setattr(module, "read_image", read)
    with caplog.at_level(logging.WARNING):
        dataset = load(data_dir=where)
    assert len(dataset.train_images) == len(whole.train_images) - 1
    assert f"cat/{broken.name}" in caplog.text and "8 x 7 pixels when decoded, not 8 x 8" in caplog.text


@pytest.fixture
def odd_photo(tmp_path):
    """A photo that can be read, with metadata of which Pillow warns."""
    path = tmp_path / "photos" / "cat" / "a.jpg"
    path.parent.mkdir(parents=True)
    picture(3).save(path, exif=turned(6).tobytes()[:-6])
    return path


def test_reading_images_leaves_the_filters_of_warnings_alone(odd_photo):
    before = list(warnings.filters)
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        read_header(odd_photo)
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        assert read_image(odd_photo, 3).shape == (SIZE, SIZE, 3)
    assert warnings.filters == before


def test_commands_hide_the_warnings_of_pillow(odd_photo, sgan):
    (odd_photo.parents[1] / "dog").mkdir()
    picture(4).save(odd_photo.parents[1] / "dog" / "b.png")
    status, printed, error = sgan("data", "check", odd_photo.parents[1])
    assert (status, error) == (0, "") and "left out" not in printed


def test_fine_stripes_become_grey_where_images_are_made_smaller(tmp_path):
    stripes = np.indices((64, 96)).sum(axis=0, dtype=np.uint8) % 2 * np.uint8(255)  # a filter of few pixels aliases
    stripes = np.stack([stripes, np.roll(stripes, 1, axis=0), stripes // 2])
    folder, size = tmp_path / "set", (8, 12)
    for name, pixels in zip(("cat/a", "dog/b", "unlabelled/c"), stripes, strict=True):
        (folder / name).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    np.savez(tmp_path / "set.npz", x_train=stripes, y_train=[0, 1, -1])
    in_memory, streamed = load(data_dir=folder, image_size=size), load(data_dir=folder, image_size=size, stream=True)
    arrays = load(data_dir=tmp_path / "set.npz", image_size=size).train_images
    from_disk = np.stack([streamed.streamed[index] for index in range(3)])
    expected = [read_image(folder / f"{name}.png", 1, size) for name in ("cat/a", "dog/b", "unlabelled/c")]
    for images in (in_memory.train_images, from_disk, arrays):
        np.testing.assert_array_equal(images, expected)
    inner = in_memory.train_images[:, 1:-1, 1:-1].astype(int)
    assert np.abs(inner - np.array([127, 127, 63])[:, None, None, None]).max() <= 4


BAD = {
    "empty": (b"", "empty file"),
    "text": (b"this is no image, whatever it is called", "no image that Pillow reads"),
    "bomb": (bomb(9_000, 8_000), "9000 x 8000 pixels, more than 64 million"),
    "of which Pillow warns": (bomb(10_000, 10_000), "more than 64 million pixels"),
    "huge": (bomb(2**31 - 1, 2**31 - 1), "million"),
    "truncated": (png(77)[:70], ""),
    "header only": (png(77)[:33], ""),
    "flipped": (png(77)[:45] + bytes(b ^ 0xFF for b in png(77)[45:60]) + png(77)[60:], ""),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_image_is_left_out_with_a_warning_that_names_it(tmp_path, caplog, case):
    content, reason = BAD[case]
    folder = write(tmp_path / "pets")
    before = load(data_dir=folder)
    (folder / "dog" / "bad.png").write_bytes(content)
    caplog.clear()
    after = load(data_dir=folder)
    assert after.digest == before.digest
    (record,) = caplog.records
    assert "1 of 13 files left out: dog/bad.png (" in record.message and reason in record.message
    with pytest.raises(BadImage):
        read_image(folder / "dog" / "bad.png", 1)


def test_a_pipe_a_dead_link_and_a_mode_without_eight_bits_are_left_out_too(tmp_path, caplog):
    folder = write(tmp_path / "pets")
    os.mkfifo(folder / "unlabelled" / "pipe.png")
    (folder / "unlabelled" / "link.png").symlink_to(tmp_path / "nowhere.png")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(folder / "unlabelled" / "float.tiff")
    picture(60, "L").save(folder / "at_the_root.png")
    assert len(load(data_dir=folder).train_images) == 9
    (record,) = caplog.records
    assert "4 of 15 files left out" in record.message
    for part in (
        "pipe.png (no file)",
        "link.png (",
        "float.tiff (mode F",
        "at_the_root.png (lies in no folder of a class)",
    ):
        assert part in record.message


def test_of_many_bad_files_five_are_named_and_the_command_that_lists_all(tmp_path, caplog):
    folder = write(tmp_path / "pets")
    for number in range(9):
        (folder / "unlabelled" / f"bad{number}.png").write_text("no")
    load(data_dir=folder)
    (record,) = caplog.records
    assert record.message.count("(no image that Pillow reads)") == 5
    assert record.message.endswith(f", ... (all: bin/data check {folder})")


ERRORS = {
    "no class": (
        lambda f: [shutil.rmtree(f / name) for name in ("cat", "dog", "test")],
        "no folder of a class; expected",
    ),
    "one class": (lambda f: [shutil.rmtree(f / name) for name in ("dog", "test")], "one class only, 'cat'; expected"),
    "empty class": (
        lambda f: [p.unlink() for p in (f / "dog").iterdir()],
        r"dog: no image of this class can be used; exp",
    ),
    "bad class": (lambda f: [p.write_text("x") for p in (f / "dog").iterdir()], r"can be used: dog/0\.png \(no image"),
    "undecodable": (
        lambda f: [p.write_bytes(png(1)[:60]) for p in (f / "dog").iterdir()],
        r"can be used: dog/0\.png \(",
    ),
    "same name": (
        lambda f: shutil.copytree(f / "cat", f / "CAT"),
        "classes 'CAT' and 'cat' differ in spelling only",
    ),
    "other test class": (lambda f: (f / "test" / "cow").mkdir(), r"cow: no class of .*, whose classes are cat, dog"),
    "empty test": (lambda f: [shutil.rmtree(f / "test" / n) for n in ("cat", "dog")], "no folder of a class; expected"),
}


@pytest.mark.parametrize("case", sorted(ERRORS))
def test_each_error_is_one_line(tmp_path, case):
    folder = write(tmp_path / "pets")
    damage, message = ERRORS[case]
    damage(folder)
    with pytest.raises(UserError, match=message) as error:
        load(data_dir=folder)
    assert "\n" not in str(error.value)


def test_a_folder_whose_name_is_not_text_is_an_error(tmp_path):
    folder = write(tmp_path / "pets")
    os.rename(os.fsencode(folder / "dog"), os.fsencode(folder) + b"/d\xffg")
    with pytest.raises(UserError, match="is not UTF-8; rename it"):
        load(data_dir=folder)


def test_no_unlabelled_images_are_a_warning_for_who_trains_on_them_and_for_nobody_else(tmp_path, caplog):
    folder = write(tmp_path / "pets", test=False)
    shutil.rmtree(folder / "unlabelled")
    np.savez(tmp_path / "pets.npz", x_train=np.ones((5, 8, 8)), y_train=[0, 1, 0, 1, 1])
    for place in (folder, tmp_path / "pets.npz"):
        assert load(data_dir=place).known.all()
        load_labelled(place, (8, 8, 1))
        assert not caplog.records
        load_data(changed(Config(), {"data.data_dir": place}), None)
        assert caplog.messages == [
            "pets: no unlabelled images: all 5 have a label; ‹data.labels› N uses the others without theirs"
        ]
        caplog.clear()


def test_settings_that_do_not_apply_are_errors(tmp_path, write_idx, arrays):
    folder = write(tmp_path / "pets")
    with pytest.raises(
        UserError, match="data.dataset mnist with data.data_dir .*only files of published sets have a name"
    ):
        load("mnist", folder)
    with pytest.raises(UserError, match="data.image_size 32: resizes custom images"):
        load("mnist-5k", image_size=(32, 32))
    write_idx(tmp_path / "idx", arrays)
    with pytest.raises(UserError, match="data.image_size 32: IDX files are taken as they are"):
        load(data_dir=tmp_path / "idx", image_size=(32, 32))


def test_idx_files_beside_a_folder_are_still_idx_files(tmp_path, write_idx, arrays):
    write_idx(tmp_path / "idx", arrays)
    (tmp_path / "idx" / "notes").mkdir()
    assert load(data_dir=tmp_path / "idx").num_classes == 10


def test_links_a_test_folder_in_another_case_and_postscript(tmp_path, caplog, monkeypatch):
    folder = write(tmp_path / "pets")
    (folder / "test").rename(folder / "Test")
    (tmp_path / "elsewhere").mkdir()
    (folder / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    (folder / "dog" / "program.png").write_bytes(program)
    gs = tmp_path / "bin" / "gs"  # Pillow would run this program on the file
    gs.parent.mkdir()
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gs.parent}:{os.environ['PATH']}")
    dataset = load(data_dir=folder)
    assert dataset.class_names == ("cat", "dog") and len(dataset.test_images) == 3
    assert "cat/more (a link to a folder)" in caplog.text
    assert "dog/program.png (no image that Pillow reads)" in caplog.text
    assert not (tmp_path / "was-run").exists()


def test_images_that_are_too_large_are_an_error_before_any_is_decoded(tmp_path):
    folder = write(tmp_path / "pets", size=(600, 20))
    with pytest.raises(
        UserError, match=r"pets: images of 600 x 20 pixels; expected at most 512 x 512, or data.image_size"
    ):
        load(data_dir=folder)
    assert load(data_dir=folder, image_size=(16, 16)).train_images.shape == (9, 16, 16, 1)


def test_a_folder_is_not_taken_for_the_published_set_of_its_name(tmp_path):
    assert load(data_dir=write(tmp_path / "mnist")).name == "mnist-local"

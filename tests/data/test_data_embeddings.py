"""Vectors for images: what is read, and which files are refused in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgan_jax.data.dataset import Dataset
from sgan_jax.data.embeddings import with_embeddings
from sgan_jax.errors import UserError

FILES = ("cat/0.png", "cat/1.png", "dog/é.png", "unlabelled/3.png")
VECTORS = np.array([[3.0, 4.0], [0.0, -2.0], [1e-30, 0.0], [1e30, 1e30]])
UNIT = np.array([[0.6, 0.8], [0.0, -1.0], [1.0, 0.0], [0.5**0.5, 0.5**0.5]])


def dataset(files: tuple[str, ...] = FILES) -> Dataset:
    pixels, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 0, 1, -1], np.int32)
    return Dataset(
        "set", pixels, labels, pixels[:1], labels[:1], ("a", "b"), train_files=files, test_files=("t/9.png",)
    )


def message(path: Path, of: Dataset) -> str:
    with pytest.raises(UserError) as error:
        with_embeddings(of, path)
    assert "\n" not in error.value.marked
    place = f"‹propagation.embeddings› {path}: "
    assert error.value.marked.startswith(place)
    return error.value.marked.removeprefix(place)


def csv_of(rows: list[tuple[object, ...]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_in_the_images_order_become_vectors_of_length_one(kind: type, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VECTORS.astype(kind))
    got = with_embeddings(dataset(files=()), tmp_path / "v.npy")
    assert got.embeddings is not None and got.embeddings.dtype == np.float32
    np.testing.assert_allclose(got.embeddings, UNIT, rtol=1e-6)
    assert got.digest == dataset().digest and got.embeddings_digest != "" == dataset().embeddings_digest


def test_whole_numbers_and_half_precision_are_vectors_too(tmp_path: Path) -> None:
    for kind in (np.uint8, np.float16):
        np.save(tmp_path / "v.npy", np.array([[3, 4], [4, 3], [1, 0], [0, 200]]).astype(kind))
        got = with_embeddings(dataset(), tmp_path / "v.npy").embeddings
        np.testing.assert_allclose(got, [[0.6, 0.8], [0.8, 0.6], [1, 0], [0, 1]], rtol=1e-3)


def test_the_order_of_an_array_in_memory_leaves_the_digest_as_it_is(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(4, 768)).astype(np.float32)
    digests = set()
    for order in ("C", "F"):
        np.save(tmp_path / "v.npy", np.asarray(vectors, order=order))
        digests.add(with_embeddings(dataset(), tmp_path / "v.npy").embeddings_digest)
    assert len(digests) == 1


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_columns_may_be_separated_as_spreadsheets_of_some_languages_do(delimiter: str, tmp_path: Path) -> None:
    rows = [("file", 0, 1), *((name, *vector) for name, vector in zip(FILES, VECTORS.tolist(), strict=True))]
    (tmp_path / "v.csv").write_text(csv_of(rows).replace(",", delimiter), "utf-8-sig")
    np.testing.assert_allclose(with_embeddings(dataset(), tmp_path / "v.csv").embeddings, UNIT, rtol=1e-6)


@pytest.mark.parametrize("header", [True, False])
def test_rows_by_name_may_be_in_any_order_and_beside_those_of_test_images(header: bool, tmp_path: Path) -> None:
    order = [2, 0, 3, 1]
    names = ["dog\\e\u0301.png", "./cat/0.png", "unlabelled/3.png", "cat/1.png", "t/9.png"]
    vectors = np.concatenate([VECTORS[order], [[1.0, 1.0]]])
    np.savez(tmp_path / "v.npz", names=np.array(names), vectors=vectors)
    rows = [(name, *vector) for name, vector in zip(names, vectors.tolist(), strict=True)]
    (tmp_path / "v.csv").write_text(csv_of([("file", 0, 1)] * header + rows), "utf-8")
    for file in ("v.npz", "v.csv"):
        np.testing.assert_allclose(with_embeddings(dataset(), tmp_path / file).embeddings, UNIT, rtol=1e-6)


def changed(row: int, value: float) -> np.ndarray:
    vectors = VECTORS.copy()
    vectors[row] = value
    return vectors


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (VECTORS[:3], "3 rows for 4 training images; expected a row for each, in their order, or an .npz or .csv"),
        (VECTORS[0], "vectors are [2]; expected [images, numbers]"),
        (np.zeros((4, 0)), "vectors are [4, 0]; expected [images, numbers]"),
        (VECTORS.astype(complex), "vectors are complex128; expected numbers, such as float32"),
        (VECTORS > 0, "vectors are bool; expected numbers, such as float32"),
        (changed(1, np.nan), "1 row (number 1) with a number that is NaN, infinite or too large for float32"),
        (changed(2, np.inf), "1 row (number 2) with a number that is NaN, infinite or too large for float32"),
        (changed(2, 1e300), "1 row (number 2) with a number that is NaN, infinite or too large for float32"),
        (0 * VECTORS, "4 rows (number 0, 1, 2, ...) of zeros only, which cannot be compared by their angle"),
    ],
)
def test_rows_that_are_no_vectors_of_the_images_are_refused_with_counts(
    array: np.ndarray, expected: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", array)
    assert message(tmp_path / "v.npy", dataset()).startswith(expected)


def test_names_that_are_not_those_of_the_images_are_refused_with_counts(tmp_path: Path) -> None:
    def refused(names: list[str], of: Dataset, vectors: np.ndarray = VECTORS) -> str:
        np.savez(tmp_path / "v.npz", names=np.array(names), vectors=vectors)
        return message(tmp_path / "v.npz", of)

    assert refused(["x.png", *FILES[1:]], dataset()) == (
        "of 4 training images 1 (cat/0.png) without a row; of 4 rows 1 (x.png) without an image; expected files "
        "relative to the folder, such as cat/0.png"
    )
    assert refused(list("pqrs"), dataset()).startswith(
        "of 4 training images 4 (cat/0.png, cat/1.png, dog/é.png, ...) without a row; of 4 rows 4 (p, q, r, ...) "
    )
    assert refused([FILES[0], *FILES[:3]], dataset()).startswith("1 of 4 rows repeat a name; expected each once")
    assert refused(list(FILES[:3]), dataset()) == "3 names for 4 vectors; expected as many"
    assert "the images of set have no files; expected .npy" in refused(list(FILES), dataset(files=()))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("v.txt", b"", "expected a file .npy, .npz, .csv"),
        ("none.npy", None, "no such file"),
        ("v.npy", b"", "damaged, or not .npy ("),
        ("v.npy", b"text", "damaged, or not .npy ("),
        ("v.npz", b"text", "damaged, or not .npz ("),
        ("v.csv", b"", "vectors are [0, 0]; expected [images, numbers]"),
        ("v.csv", b"a.png,1\nb.png,x\n", "line 2: could not convert string to float: 'x'; expected the image's file,"),
        ("v.csv", b"a.png,1,2\nb.png,1\n", "line 2: 1 numbers, 2 before it"),
        ("v.csv", b"\xff\xfe", "not UTF-8; save it as CSV in UTF-8"),
    ],
)
def test_other_files_are_refused_in_one_line(name: str, content: bytes | None, expected: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message(tmp_path / name, dataset()).startswith(expected)


def test_archives_without_the_arrays_and_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", features=VECTORS)
    assert message(tmp_path / "v.npz", dataset()) == "no array names and vectors; there are features"
    np.savez(tmp_path / "v.npz", names=np.arange(4), vectors=VECTORS)
    assert message(tmp_path / "v.npz", dataset()) == "names is int64 [4]; expected text, a name for each row"
    np.savez(tmp_path / "v.npz", names=np.array(FILES, object), vectors=VECTORS)
    assert message(tmp_path / "v.npz", dataset()).startswith("damaged, or not .npz (Object arrays cannot be loaded")
    np.savez(tmp_path / "w.npz", VECTORS)
    (tmp_path / "w.npz").rename(tmp_path / "v.npy")
    assert message(tmp_path / "v.npy", dataset()) == "not .npy; an archive has the suffix .npz"
    (tmp_path / "folder.npy").mkdir()
    assert message(tmp_path / "folder.npy", dataset()) == "a folder"


def test_other_vectors_have_another_digest(tmp_path: Path) -> None:
    digests = set()
    for vectors in (UNIT, UNIT[::-1], np.concatenate([UNIT, 0 * UNIT], axis=1)):
        digests.add(replace(dataset(), embeddings=vectors.astype(np.float32)).embeddings_digest)
    assert len(digests) == 3


def test_a_header_of_more_numbers_than_memory_holds_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "v.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)}
        np.lib.format.write_array_header_1_0(file, header)
    assert "damaged, or too large for the memory" in message(tmp_path / "v.npy", dataset())

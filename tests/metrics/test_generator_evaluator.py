"""The evaluator `generator`, with features that are the pixels: which images it compares, and how often."""

from pathlib import Path

import jax
import numpy as np
import pytest

from sgan_jax.metrics import table
from sgan_jax.metrics.features import About, Basis, Described, Features, about_of, basis_of
from sgan_jax.metrics.generated import frechet_distance, manifolds
from sgan_jax.metrics.measure import PERCENT, Measure
from sgan_jax.metrics.subsets import Subset, compared, how_many_compared

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 2, 2, 1), np.uint8)
ABOUT = About("runs/reference", 600, "c4b7" * 16, 0.9936)


class Pixels:
    """Describes images by their pixels, and remembers how many it was given."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, images: np.ndarray, indices: np.ndarray | None) -> Described:
        images = images if indices is None else images[indices]
        self.counts.append(len(images))
        return Described(images.reshape(len(images), -1).astype(np.float32), np.zeros(len(images), int))


def drawn(_: object, key: jax.Array, count: int) -> np.ndarray:
    return np.asarray(jax.random.randint(key, (count, 2, 2, 1), 0, 200)).astype(np.uint8)


def subject(pixels: Pixels | None, tests: int) -> table.Subject:
    labels = np.zeros(50, np.int32)
    subsets = {"train": Subset(IMAGES[:3], labels[:3])} | ({"test": Subset(IMAGES[:tests], labels)} if tests else {})
    features = Features(ABOUT, ("a",), pixels) if pixels else None
    return table.Subject(lambda *_: None, drawn, True, subsets, 1, jax.random.key(0), IMAGES, features)


def test_figures_are_those_of_the_papers_and_real_images_are_described_once() -> None:
    pixels = Pixels()
    evaluate = table.generator(subject(pixels, 20))
    evaluated = evaluate(None, False)
    assert evaluate(None, True) == evaluated
    assert pixels.counts == [20, 20, 20, 20], "training images, generated ones, test images, and again generated ones"
    images = compared(50, 20, 20)
    real = IMAGES[images.training].reshape(20, -1)
    made = drawn(None, jax.random.key(0), 20).reshape(20, -1)
    for others, values in (
        (made, {name: measure.value for name, measure in evaluated.measures.items()}),
        (IMAGES[:20].reshape(20, -1), evaluated.about["features"]["floor"]),
    ):
        of_manifolds = manifolds(real, others)
        assert values["frechet_distance"] == pytest.approx(frechet_distance(real, others))
        assert values["generator_recall"] == of_manifolds.recall
        assert values["generator_coverage"] == of_manifolds.coverage
    assert evaluated.counts == dict.fromkeys(evaluated.measures, 20)
    assert about_of(evaluated.about["features"]) == ABOUT


@pytest.mark.parametrize(("tests", "n", "floor"), [(0, 50, False), (5, 50, False), (6, 6, True), (40, 40, True)])
def test_as_many_images_are_compared_as_there_are_of_each_kind(tests: int, n: int, floor: bool) -> None:
    evaluated = table.generator(subject(Pixels(), tests))(None, False)
    assert {measure.images for measure in evaluated.measures.values()} == {n}
    assert evaluated.about["features"]["images"] == n and bool(evaluated.about["features"]["floor"]) == floor
    assert how_many_compared(50, tests, most=8, least=6) == min(n, 8)


def test_without_features_there_are_no_figures() -> None:
    assert table.generator(subject(None, 20))(None, False) == table.Evaluated({})


def test_features_are_named_with_their_digest_and_accuracy() -> None:
    assert str(ABOUT) == "runs/reference at step 600, 99.36% of test images (SHA-256 c4b7c4b7c4b7)"
    assert ABOUT._replace(source=str(Path("/home/me/ref")), accuracy=None).named == (
        "ref at step 600 (SHA-256 c4b7c4b7c4b7)"
    )
    assert about_of(ABOUT.to_json()) == ABOUT
    assert about_of(None) is about_of({"run": "a"}) is about_of([1]) is None


def test_the_basis_of_figures_is_read_from_their_line() -> None:
    floor = {"frechet_distance": Measure(0.5, "", 20), "generator_recall": Measure(0.9, PERCENT, 20)}
    basis = Basis(ABOUT, 20, floor)
    units = {"frechet_distance": "", "generator_recall": "%"}
    line = {"features": basis.to_json(), "units": units, "frechet_distance": 3.0, "generator_recall": 0.1}
    assert basis_of(line) == basis and basis.same_as(basis._replace(about=ABOUT._replace(source="moved")))
    assert not basis.same_as(basis._replace(images=10))
    assert basis_of({"features": ABOUT.to_json()}) is basis_of({"features": 3}) is basis_of({}) is None
    assert basis_of(line | {"features": basis.to_json() | {"floor": {"frechet_distance": "low"}}}).floor == {}

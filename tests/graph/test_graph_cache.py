"""Facts about graphs that are kept in the cache."""

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgan_jax.config import PropagationConfig
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError
from sgan_jax.graph import cache
from sgan_jax.graph import neighbours as algorithms
from sgan_jax.graph.neighbours import Neighbours
from sgan_jax.training.signals import Stopped

SMALL = PropagationConfig(neighbours=3, candidates=6)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[PropagationConfig]:
    """The configurations of the graphs that were computed, with an empty cache."""
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    made: list[PropagationConfig] = []
    compute = algorithms.nearest_by_deformation

    def recorded(images: np.ndarray, config: PropagationConfig, *others: Any) -> Neighbours:
        made.append(config)
        return compute(images, config, *others)

    monkeypatch.setattr(algorithms, "nearest_by_deformation", recorded)
    return made


def dataset(seed: int = 0, images: int = 12) -> Dataset:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (images + 2, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(images + 2, dtype=np.int32) % 2
    vectors = draw.normal(size=(images, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Dataset(
        "set", pixels[:images], labels[:images], pixels[images:], labels[images:], ("a", "b"), embeddings=vectors
    )


def same(a: Neighbours, b: Neighbours) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_graph_is_computed_once_for_the_same_images_and_settings(made: list[PropagationConfig]) -> None:
    first = cache.load_by_deformation(dataset(), SMALL)
    assert same(cache.load_by_deformation(dataset(), SMALL), first) and len(made) == 1
    assert not same(cache.load_by_deformation(dataset(seed=1), SMALL), first) and len(made) == 2
    handwriting = replace(SMALL, parts=True, deslant=True, reverse_weight=0.5)
    second = cache.load_by_deformation(dataset(), handwriting)
    assert same(cache.load_by_deformation(dataset(), handwriting), second) and len(made) == 3


def test_a_setting_that_decides_a_graph_is_part_of_its_key_and_no_other_is(
    made: list[PropagationConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithms, "nearest_by_deformation", lambda _, config, *others: made.append(config) or graph)
    monkeypatch.setattr(algorithms, "nearest_by_orientations", lambda _, config, *others: made.append(config) or graph)
    monkeypatch.setattr(algorithms, "nearest_by_embeddings", lambda _, config, *others: made.append(config) or graph)
    graph = Neighbours(np.zeros((12, 3), np.int32), np.ones((12, 3), np.float32))

    def computed_again(load: object, name: str) -> bool:
        load(dataset(), SMALL)
        made.clear()
        value = getattr(SMALL, name) or 0
        load(dataset(), replace(SMALL, **{name: not value if isinstance(getattr(SMALL, name), bool) else value + 1e-9}))
        return bool(made)

    for load, settings in (
        (cache.load_by_deformation, algorithms.DEFORMATION_SETTINGS),
        (cache.load_by_orientations, algorithms.ORIENTATIONS_SETTINGS),
        (cache.load_by_embeddings, algorithms.EMBEDDINGS_SETTINGS),
    ):
        assert {f.name for f in fields(SMALL) if computed_again(load, f.name)} == set(settings)


@pytest.mark.parametrize("kind", ["deformation", "orientations", "embeddings"])
def test_a_graph_of_another_version_of_the_algorithm_is_not_read(
    kind: str, made: list[PropagationConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = getattr(cache, f"load_by_{kind}")
    current = load(dataset(), SMALL)
    (file,) = (tmp_path / "cache" / "graphs").iterdir()
    np.savez(file, indices=current.indices, weights=2 * current.weights)  # as another algorithm would compute it
    assert not same(load(dataset(), SMALL), current)
    version = f"{kind.upper()}_VERSION"
    monkeypatch.setattr(algorithms, version, getattr(algorithms, version) + 1)
    assert same(load(dataset(), SMALL), current)


def test_both_kinds_of_graph_are_kept_beside_each_other(made: list[PropagationConfig], tmp_path: Path) -> None:
    by_deformation = cache.load_by_deformation(dataset(), SMALL)
    by_orientations = cache.load_by_orientations(dataset(), SMALL)
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 2
    assert not same(by_deformation, by_orientations)
    assert same(cache.load_by_deformation(dataset(), SMALL), by_deformation) and len(made) == 1
    assert same(cache.load_by_orientations(dataset(), SMALL), by_orientations)


def test_a_graph_of_embeddings_is_of_these_embeddings_whatever_the_images(made: list[PropagationConfig]) -> None:
    first, others = dataset(), dataset(seed=1)
    graph = cache.load_by_embeddings(first, SMALL)
    assert same(cache.load_by_embeddings(replace(others, embeddings=first.embeddings), SMALL), graph)
    assert not same(cache.load_by_embeddings(replace(first, embeddings=others.embeddings), SMALL), graph)
    assert not made, "no pixels are compared"


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_graph_is_computed_again_with_a_warning(
    damage: bytes | None, made: list[PropagationConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = cache.load_by_deformation(dataset(), SMALL)
    (file,) = (tmp_path / "cache" / "graphs").iterdir()
    if damage is None:
        np.savez(file, indices=first.indices + 12, weights=first.weights)  # beyond the last image
    else:
        file.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert same(cache.load_by_deformation(dataset(), SMALL), first)
    assert len(made) == 2 and f"{file}: cannot be used" in caplog.text
    assert same(cache.load_by_deformation(dataset(), SMALL), first) and len(made) == 2


def test_a_cache_that_cannot_be_written_costs_a_warning(
    made: list[PropagationConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert cache.load_by_deformation(dataset(), SMALL).indices.shape == (12, 3)
    assert "cannot be written" in caplog.text


def test_a_cache_that_cannot_be_read_costs_a_warning(
    made: list[PropagationConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "graphs").symlink_to("graphs")  # leads to itself
    with caplog.at_level(logging.WARNING):
        assert cache.load_by_deformation(dataset(), SMALL).indices.shape == (12, 3)
    assert "cannot be used" in caplog.text and len(made) == 1


def test_what_the_check_raises_ends_the_comparison_and_leaves_nothing(
    made: list[PropagationConfig], tmp_path: Path
) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        cache.load_by_deformation(dataset(), SMALL, check)
    assert not list((tmp_path / "cache").rglob("*.npz"))
    assert cache.load_by_deformation(dataset(), SMALL, calls.clear).indices.shape == (12, 3) and not calls


def test_each_stage_of_a_comparison_is_reported_to_its_end_and_what_is_in_the_cache_is_not(
    made: list[PropagationConfig],
) -> None:
    reports: list[tuple[str, int, int]] = []
    parts = replace(SMALL, parts=True, deslant=True)
    cache.load_by_deformation(dataset(), parts, report=lambda *report: reports.append(report))
    cache.load_by_orientations(dataset(), parts, report=lambda *report: reports.append(report))
    stages = ["finding candidates", "comparing images", "comparing directions of edges"]
    assert list(dict.fromkeys(stage for stage, _, _ in reports)) == stages
    for stage in stages:
        counts = [(done, total) for name, done, total in reports if name == stage]
        assert [done for done, _ in counts] == list(range(1, len(counts) + 1))
        assert {total for _, total in counts} == {len(counts)}
    assert len([stage for stage, _, _ in reports if stage == stages[0]]) == 8, "four regions, with and without slant"
    reports.clear()
    cache.load_by_deformation(dataset(), parts, report=lambda *report: reports.append(report))
    assert not reports


def test_too_few_images_are_one_line(made: list[PropagationConfig]) -> None:
    with pytest.raises(UserError) as error:
        cache.load_by_deformation(dataset(images=4), PropagationConfig(neighbours=4, candidates=6))
    assert error.value.marked == (
        "set: 4 training images; a graph of them takes from 5 to 200000 (‹propagation.neighbours› is 4)"
    )
    assert not made

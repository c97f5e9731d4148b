"""Facts about the graph that is kept from run to run."""

import logging
from pathlib import Path

import numpy as np
import pytest

from sgan_jax.config import PropagationConfig
from sgan_jax.data.load import Dataset
from sgan_jax.errors import UserError
from sgan_jax.graph import cache
from sgan_jax.graph.neighbours import Neighbours
from sgan_jax.training.signals import Stopped

SMALL = PropagationConfig(neighbours=3, candidates=6)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts how often a graph is made, of a cache of its own."""
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    made: list[int] = []
    neighbours = cache.neighbours_by_distortion

    def counted(*arguments: object) -> Neighbours:
        made.append(1)
        return neighbours(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache, "neighbours_by_distortion", counted)
    return made


def dataset(seed: int = 0, images: int = 12) -> Dataset:
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (images + 2, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(images + 2, dtype=np.int32) % 2
    return Dataset("set", pixels[:images], labels[:images], pixels[images:], labels[images:], ("a", "b"))


def same(a: Neighbours, b: Neighbours) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_graph_is_made_once_for_a_set_and_its_numbers(made: list[int]) -> None:
    first = cache.load_by_distortion(dataset(), SMALL)
    assert same(cache.load_by_distortion(dataset(), SMALL), first) and len(made) == 1
    in_parts, upright = PropagationConfig(3, 6, parts=True), PropagationConfig(3, 6, slanted=False)
    both_ways = PropagationConfig(3, 6, parts=True, back=0.5), PropagationConfig(3, 6, parts=True, back=0.25)
    numbers = PropagationConfig(2, 6), PropagationConfig(3, 7)
    others = (1, SMALL), *((0, config) for config in (*numbers, in_parts, upright, *both_ways))
    for seed, config in others:
        cache.load_by_distortion(dataset(seed), config)
    assert cache.load_by_distortion(dataset(), in_parts).indices.shape == (12, 12)
    assert cache.load_by_distortion(dataset(), both_ways[1]).indices.shape == (12, 24)
    assert len(made) == 8


def test_graphs_of_either_kind_are_kept_beside_each_other(made: list[int], tmp_path: Path) -> None:
    by_distortion, by_orientations = (
        cache.load_by_distortion(dataset(), SMALL),
        cache.load_by_orientations(dataset(), 3),
    )
    assert len(list((tmp_path / "cache" / "graphs").iterdir())) == 2
    assert not same(by_distortion, by_orientations)
    assert same(cache.load_by_distortion(dataset(), SMALL), by_distortion) and len(made) == 1
    assert same(cache.load_by_orientations(dataset(), 3), by_orientations)


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_a_damaged_graph_is_made_again_with_a_warning(
    damage: bytes | None, made: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = cache.load_by_distortion(dataset(), SMALL)
    (file,) = (tmp_path / "cache" / "graphs").iterdir()
    if damage is None:
        np.savez(file, indices=first.indices + 12, weights=first.weights)  # beyond the last image
    else:
        file.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert same(cache.load_by_distortion(dataset(), SMALL), first)
    assert len(made) == 2 and f"{file}: cannot be used" in caplog.text
    assert same(cache.load_by_distortion(dataset(), SMALL), first) and len(made) == 2


def test_a_cache_that_cannot_be_written_costs_a_warning(
    made: list[int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert cache.load_by_distortion(dataset(), SMALL).indices.shape == (12, 3)
    assert "cannot be written" in caplog.text


def test_a_cache_that_may_not_be_looked_into_costs_a_warning(
    made: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(cache.Path, "exists", denied)
    with caplog.at_level(logging.WARNING):
        assert cache.load_by_distortion(dataset(), SMALL).indices.shape == (12, 3)
    assert "Permission denied" in caplog.text and len(made) == 1


def test_what_the_check_raises_ends_the_comparison_and_leaves_nothing(made: list[int], tmp_path: Path) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        cache.load_by_distortion(dataset(), SMALL, check)
    assert not list((tmp_path / "cache").rglob("*.npz"))
    assert cache.load_by_distortion(dataset(), SMALL, calls.clear).indices.shape == (12, 3) and not calls


def test_too_few_images_are_one_line(made: list[int]) -> None:
    with pytest.raises(UserError, match=r"^set: 4 training images; a graph of them takes from 5 to 200000$"):
        cache.load_by_distortion(dataset(images=4), PropagationConfig(4, 6))
    assert not made

"""Generated images: walks between latents, and the animation of a run's sample grids."""

import itertools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outer import RUN, STEPS, copy_of_finished_run, finished_run
from PIL import Image

from sgan_jax.errors import UserError
from sgan_jax.inference.sample import WALK, between, walk
from sgan_jax.runs.opened import open_run

Does = Callable[..., str]


def test_the_arc_between_two_vectors_begins_and_ends_with_them_and_keeps_the_length() -> None:
    start, end = jnp.array([3.0, 0.0, 0.0]), jnp.array([0.0, 3.0, 0.0])
    half = between(start, end, jnp.array([0.5]))
    np.testing.assert_allclose(half, [3 / np.sqrt(2), 3 / np.sqrt(2), 0], rtol=1e-6)
    for parallel in (start, -start):
        np.testing.assert_allclose(between(start, parallel, jnp.array([0.25])), 0.75 * start + 0.25 * parallel)
    points = between(*jax.random.normal(jax.random.key(0), (2, 1, 100)), jnp.linspace(0.0, 1.0, 7)[:, None])
    lengths = np.linalg.norm(points, axis=-1)
    assert lengths.min() > 0.95 * min(lengths[0], lengths[-1]), "a straight line's middle has 0.7 of it"
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert steps.max() < 1.1 * steps.min()


def test_a_walk_leads_from_one_image_to_another_in_small_steps() -> None:
    opened = open_run(finished_run()[0] / RUN)
    images = walk(opened, 2 * WALK)
    assert images.shape == (2 * WALK, 28, 28, 1) and images.dtype == np.uint8
    rows = images.reshape(2, WALK, -1).astype(int)
    along = [np.abs(a - b).mean() for row in rows for a, b in itertools.pairwise(row)]
    across = np.abs(rows[:, 0] - rows[:, -1]).mean()
    assert 0 < max(along) < 0.5 * across
    np.testing.assert_array_equal(walk(opened, 2 * WALK), images)
    assert (walk(opened, 2 * WALK, seed=1) != images).any()
    np.testing.assert_array_equal(walk(opened, WALK), images[:WALK], "a row does not depend on others")
    for count in (0, 15, 1010):
        with pytest.raises(UserError, match=rf"^count: {count}; must be a multiple of 10 up to 1000 for a walk$"):
            walk(opened, count)


def test_grids_walks_and_animations_are_files_of_their_own(does: Does, tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    assert does("sample", "--walk", "--count", 20).strip().endswith("samples/step_8-walk.png")
    with Image.open(run / "samples/step_8-walk.png") as grid:
        assert grid.size == (10 * 58 + 2, 2 * 58 + 2)
    made = Path(does("sample", "--gif").strip())
    assert made.resolve() == (run / "samples/training.gif").resolve()
    with Image.open(made) as animation:
        assert (animation.n_frames, animation.info["loop"]) == (len(STEPS), 0)
        for frame, step in enumerate(STEPS):
            animation.seek(frame)
            with Image.open(run / f"samples/step_{step}.png") as drawn:
                np.testing.assert_array_equal(animation.convert("L"), drawn)
            assert animation.info["duration"] == (2000 if step == STEPS[-1] else 400)


def test_animations_that_cannot_be_made_are_one_line(fails: Does, tmp_path: Path) -> None:
    run = copy_of_finished_run(tmp_path)
    for name, *value in (("ckpt", "step_2"), ("count", 5), ("seed", 1), ("walk",)):
        assert fails("sample", "--gif", f"--{name}", *value) == f"--{name}: of a new grid; leave out --gif or --{name}"
    assert "cannot write the picture" in fails("sample", "--gif", "--out", run / "config.json" / "a.gif")
    Image.new("L", (5, 5)).save(run / "samples/step_6.png")
    assert "step_6.png: of another size than " in fails("sample", "--gif")
    (run / "samples/step_6.png").write_bytes((run / "samples/step_4.png").read_bytes()[:300])
    assert "step_6.png: cannot be read (" in fails("sample", "--gif")
    for grid in (run / "samples").iterdir():
        grid.unlink()
    assert fails("sample", "--gif").endswith("samples: no sample grids; `train` draws one after each epoch")

"""A run that begins with another run's weights: what it takes, what it records, and that it does not need it again."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from outer import HOME
from pets import make

import sgan_jax
from sgan_jax import SGANClassifier
from sgan_jax.config import changed
from sgan_jax.data.dataset import Dataset
from sgan_jax.errors import UserError
from sgan_jax.runs.opened import open_run
from sgan_jax.runs.record import Origin
from sgan_jax.training.events import Listener
from sgan_jax.types import TrainState

CONFIG = sgan_jax.preset("supervised", width=2, batch_size=2, steps=2, steps_per_epoch=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)


def pets(*names: str, images: np.ndarray = IMAGES) -> Dataset:
    labels = np.arange(len(images), dtype=np.int32) % len(names)
    return Dataset("pets", images, labels, images[:0], labels[:0], names, custom=True)


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@cache
def source() -> Path:
    """A run of cats and dogs, with checkpoints after its first and its second step."""
    return sgan_jax.train(CONFIG, HOME / "source", pets("cat", "dog")).run


def weights(path: Path, ckpt: str) -> TrainState:
    return jax.tree.map(np.asarray, open_run(path, ckpt).state)


def equal(one: Any, other: Any) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


def begun(folder: Path, dataset: Dataset, origin: object = None, **settings: Any) -> Path:
    """A run of a step more that begins with the weights of `source`."""
    config = changed(CONFIG, {"init_from": origin or source(), "steps": 1} | settings)
    return sgan_jax.train(config, folder / "run", dataset).run


def test_step_0_has_the_weights_of_the_other_run_and_fresh_optimisers(tmp_path: Path) -> None:
    before, after = weights(source(), "latest"), weights(begun(tmp_path, pets("cat", "dog")), "step_0")
    assert equal(after.params, before.params) and equal(after.ema, before.ema)
    assert int(after.step) == 0
    assert not any(leaf.any() for leaf in jax.tree.leaves(after.opt))


def test_classes_are_matched_by_name_and_the_record_names_them(tmp_path: Path) -> None:
    run = begun(tmp_path, pets("bird", "dog", "fox"), source() / "step_1", **{"seed": 5})
    before, after = weights(source(), "step_1"), weights(run, "step_0")
    assert equal(after.params["g"], before.params["g"])
    kernels = [one.params["d"]["logits"]["kernel"] for one in (before, after)]
    np.testing.assert_array_equal(kernels[1][:, 1], kernels[0][:, 1])  # dog
    assert not np.isin(kernels[1][:, [0, 2]], kernels[0]).any()
    meta = json.loads((source() / "checkpoints" / "step_1" / "meta" / "metadata").read_text())
    origin = Origin(str(source()), 1, meta["sha256"], ("dog",), ("bird", "fox"), ("cat",))
    opened = open_run(run)
    assert (opened.record.origin, opened.config.init_from) == (origin, str(source() / "step_1"))


def test_a_resume_does_not_need_the_other_run(tmp_path: Path) -> None:
    other, notes = tmp_path / "other", Notes()
    shutil.copytree(source(), other)
    config = changed(CONFIG, {"init_from": other, "adam.schedule": "constant"})
    data = pets("cat", "dog")
    whole = sgan_jax.train(config, tmp_path / "whole", data, notes).run
    line = f"begins with the weights of {other} at step 2; classes kept: cat, dog"
    assert [text for text in notes.lines if text.startswith("begins")] == [line]
    parts = sgan_jax.train(changed(config, {"steps": 1}), tmp_path / "parts", data).run
    for step in (1,):  # as after a kill in the first epoch
        shutil.rmtree(parts / "checkpoints" / f"step_{step}")
    shutil.rmtree(other)
    notes.lines.clear()
    assert sgan_jax.train(config, parts, data, notes).run == parts
    assert not any(text.startswith("begins") for text in notes.lines)
    assert equal(weights(parts, "step_2"), weights(whole, "step_2"))
    assert open_run(parts).record.origin == open_run(whole).record.origin


def test_networks_or_images_that_differ_are_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    colour = np.repeat(IMAGES, 3, axis=-1)
    large = np.repeat(IMAGES, 2, axis=1)
    for dataset, settings, message in (
        (pets("cat", "dog"), {"model.width": 3}, "model.width is 2 there, 3 here; expected a run of the same networks"),
        (pets("cat", "dog"), {"model.head": "separate"}, "model.head is stacked there, separate here;"),
        (
            pets("cat", "dog", images=colour),
            {"model.latent": 7},
            "model.latent is 100 there, 7 here; images are 8 x 8 grey there, 8 x 8 RGB here;",
        ),
        (pets("cat", "dog", images=large), {}, "images are 8 x 8 grey there, 8 x 16 grey here;"),
        (pets("cat", "dog"), {"init_from": tmp_path / "none"}, "none: no such run directory"),
        (pets("cat", "dog"), {"init_from": source() / "step_9"}, "step_9: no such checkpoint; there are step_1, st"),
    ):
        with pytest.raises(UserError, match=f"^init_from.*{message}") as error:
            begun(tmp_path, dataset, **settings)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "run").exists()


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    shutil.copytree(source(), tmp_path / "other")
    for file in (tmp_path / "other" / "checkpoints" / "step_2" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(UserError, match="^init_from: .*step_2: the checkpoint is damaged"):
        begun(tmp_path, pets("cat", "dog"), tmp_path / "other")


def test_another_origin_is_another_run(tmp_path: Path) -> None:
    run = begun(tmp_path, pets("cat", "dog"))
    with pytest.raises(UserError, match=r"other settings \(init_from was .*source, now none\)"):
        sgan_jax.train(changed(CONFIG, {"steps": 1}), run, pets("cat", "dog"))


def test_the_estimator_begins_with_the_weights_of_a_run(tmp_path: Path) -> None:
    y = np.asarray(["cat", "dog"])[np.arange(12) % 2]
    settings: dict[str, Any] = {"width": 2, "batch_size": 2, "steps": 1, "steps_per_epoch": 1, "learning_rate": 1e-12}
    first = SGANClassifier("supervised", **settings).fit(IMAGES, y)
    saved = first.save(tmp_path / "first")
    again = SGANClassifier("supervised", init_from=saved, random_state=3, **settings).fit(IMAGES, y)
    np.testing.assert_allclose(again.predict_proba(IMAGES), first.predict_proba(IMAGES), atol=1e-5)
    loaded = SGANClassifier.load(again.save(tmp_path / "again"))
    assert loaded.record_.origin.run == str(saved) and loaded.get_params()["init_from"] == str(saved)
    with pytest.raises(ValueError, match=r"^init_from .*: width is 2 there, 3 here"):
        SGANClassifier("supervised", init_from=saved, **settings | {"width": 3}).fit(IMAGES, y)


def test_the_command_line_names_the_origin(tmp_path: Path, does: Callable[..., str], fails: Callable[..., str]) -> None:
    make(tmp_path / "pets", {"cat": 3, "dog": 3, "unlabelled": 1})
    small = ("train", "--preset", "supervised", "--width", 2, "--batch-size", 2, "--steps", 1, "--data-dir", "pets")
    does(*small, "--labels", 4)
    run = tmp_path / "runs" / "pets-4-supervised-s0"
    more = (*small, "--init-from", "runs/latest")
    printed = does(*more)
    assert f"begins with the weights of {run} at step 1; classes kept: cat, dog\n" in printed
    assert "finished: runs/pets-6-supervised-s0-init" in printed
    assert "finished at step 1" in does(*more), "runs/latest is now the run itself"
    page = Path(does("report", "--run", "runs/latest").strip().splitlines()[-1])
    assert f"the weights of {run} at step 1" in page.read_text()
    message = "--width is 2 there, 3 here; expected a run of the same networks and image shape"
    assert fails(*more, "--width", 3, "--run", "x", "--init-from", run) == f"--init-from {run}: {message}"

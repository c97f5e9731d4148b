"""What `eval`, `sample` and `describe` do: figures and pictures of a run that is there."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from sgan_jax.config import Config, validate
from sgan_jax.data.load import load
from sgan_jax.data.sizes import square
from sgan_jax.engine.system import build, derive_keys, sample_images
from sgan_jax.errors import UserError
from sgan_jax.limits import LARGEST_SIDE
from sgan_jax.metrics.accuracy import Evaluation, class_logits, held_out, make_classify, parts, probabilities, tally
from sgan_jax.report import pictures
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.opened import open_run

MAX_SAMPLES = 1000  # they are generated as one batch, which takes about 3 MB an image


def evaluate_checkpoint(path: Path | None, ckpt: str, data_dir: str | None, as_json: bool) -> int:
    """Prints accuracies, then figures per class of the test images, and draws their confusion matrix.

    Accuracies are those of the last weights and of the averaged ones, the rest of the last.

    Raises:
      UserError: no such run or checkpoint, no classifier in it, or other data than it was trained on.
    """
    opened = open_run(path, ckpt)
    opened.needs_classifier("evaluate")
    run, config, system, state, step = opened.run, opened.config, opened.system, opened.state, opened.step
    record = run.record()["dataset"]
    folder = data_dir or config.data.data_dir
    if record.get("own") and not folder:
        names = "x_train, y_train, x_test and y_test" if record.get("test") else "x_train and y_train alone"
        raise UserError(
            f"{run.path}: a program of one's own trained it on its arrays; give them as ‹data.data_dir› FILE.npz with "
            f"{names}"
        )
    dataset = load(
        config.data.dataset if folder else run.dataset(),
        folder,
        square(config.data.image_size),
        config.data.stream if folder else None,
    )
    if dataset.digest != record["digest"]:
        raise UserError(
            f"{dataset.name}: {run.path} was trained on other data, {record['name']}; "
            "give its folder with ‹data.data_dir›"
        )

    classify, classes = make_classify(system.disc), dataset.num_classes
    labelled = run.labelled()
    sets = parts(dataset, labelled[len(labelled) - config.data.validation :])
    shown = held_out(sets) or "train"
    logits = {
        f"{prefix}{name}": class_logits(classify, params.d, images, classes)
        for prefix, params in (("", state.params), ("ema_", state.ema))
        for name, (images, _) in sets.items()
    }
    found = {f"{name}_accuracy": tally(said, sets[name.removeprefix("ema_")][1]) for name, said in logits.items()}
    accuracies, of_shown = {name: one.accuracy for name, one in found.items()}, found[f"{shown}_accuracy"]
    picture = run.confusion_file(step)
    if as_json:
        print(json.dumps(_figures(run, step, record["notice"], accuracies, dataset.class_names, of_shown)))
    else:
        _print_figures(record["notice"], accuracies, dataset.class_names, of_shown)
    # After the figures, which are worth having where the run directory cannot be written.
    name = record["notice"] or dataset.name
    title = f"{name}, {config.data.labels} labels, step {step}: {shown} images"
    pictures.save_confusion(of_shown.confusion, dataset.class_names, picture, title)
    if shown != "train":
        images, labels = sets[shown]
        kept = predictions.collect(shown, images, labels, probabilities(logits[shown]))
        predictions.save(run.predictions_file(step), kept)
    if not as_json:
        print(f"\nconfusion matrix: {picture}")
    return 0


def _print_figures(notice: str, accuracies: dict[str, float], classes: tuple[str, ...], test: Evaluation) -> None:
    if notice:
        print(f"*** {notice} ***")
    names = [name.removesuffix("_accuracy") for name in accuracies if not name.startswith("ema_")]
    for name in names:
        print(f"{name.capitalize()} Accuracy: {100 * accuracies[f'{name}_accuracy']:.3f}%")
    averaged = [f"{name} {100 * accuracies[f'ema_{name}_accuracy']:.3f}%" for name in names]
    print(f"Averaged weights: {', '.join(averaged)}")

    def percent(value: float) -> str:  # NaN: no image of the class, or none given it
        return "-" if math.isnan(value) else f"{100 * value:.1f}%"

    width = max(5, *map(len, classes))
    print(f"\n{'class':{width}}  images  recall  precision")
    for name, images, recall, precision in zip(
        classes, test.confusion.sum(axis=1), test.recall, test.precision, strict=True
    ):
        print(f"{name:{width}}  {images:6d}  {percent(recall):>6}  {percent(precision):>9}")


def _figures(
    run: RunDir, step: int, notice: str, accuracies: dict[str, float], names: tuple[str, ...], test: Evaluation
) -> dict[str, Any]:
    def plain(values: np.ndarray) -> list[float | None]:  # JSON has no NaN
        return [None if math.isnan(value) else float(value) for value in values]

    return {
        "run": str(run.path),
        "step": step,
        "notice": notice,
        **accuracies,
        "class_names": list(names),
        "recall": plain(test.recall),
        "precision": plain(test.precision),
        "confusion": test.confusion.tolist(),
        "confusion_png": str(run.confusion_file(step)),
    }


def sample_checkpoint(path: Path | None, ckpt: str, count: int, seed: int | None, out: Path | None) -> int:
    """Draws a grid of generated images; the data set is not needed."""
    if not 1 <= count <= MAX_SAMPLES:
        raise UserError(f"‹count›: {count}; must be between 1 and {MAX_SAMPLES}")
    if seed is not None and not 0 <= seed < 2**32:
        raise UserError(f"‹seed›: {seed}; must be between 0 and 4294967295")
    opened = open_run(path, ckpt)
    keys = derive_keys(opened.config.seed if seed is None else seed)
    chosen = out or opened.run.sample_file(opened.step).with_name(f"step_{opened.step}-sample.png")
    pictures.save_grid(sample_images(opened.system.gen, opened.state.params.g, keys.samples, count), chosen)
    print(chosen)
    return 0


def describe(config: Config, image_shape: tuple[int, int, int], classes: int, out: Path) -> int:
    """Prints both networks layer by layer and draws them."""
    validate(config)
    height, _, channels = image_shape
    for flag, value in (
        ("‹data.image_size›", height),
        ("‹channels›", channels),
        ("‹classes›", classes),
    ):
        if not 1 <= value <= LARGEST_SIDE:
            raise UserError(f"{flag}: {value}; must be between 1 and {LARGEST_SIDE}")
    system = build(config, image_shape, classes)
    drawn = []
    for title, net in (("discriminator", system.disc), ("generator", system.gen)):
        rows = net.layers()
        width = max(len(row.kind) for row in rows)
        print(f"{title}: {sum(row.parameters for row in rows):,} parameters")
        for row in rows:
            shape = " x ".join("batch" if size is None else str(size) for size in row.output)
            print(f"  {row.name:10}  {row.kind:{width}}  {shape:22}  {row.parameters:>9,}")
        print()
        drawn.append(pictures.Network(title, [pictures.Layer(*row) for row in rows]))
    pictures.save_diagram(drawn, out)
    print(f"diagram: {out}")
    return 0

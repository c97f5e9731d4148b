"""`eval`: figures of a checkpoint's classifier, or of its generator."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sgan_jax.cli.flags import Device, File, Int
from sgan_jax.errors import UserError
from sgan_jax.metrics.measure import percent

if TYPE_CHECKING:
    from sgan_jax.inference.evaluate import EvaluationResult


@dataclass(frozen=True)
class Eval:
    """Print the accuracy of a checkpoint's classifier on the training and test images, or on other labelled images.

    With --generator: how near generated images come to real ones, by features of another run's classifier or of a file.
    """

    ckpt: str = "latest"
    """step_7200, latest, best (by validation accuracy), or the path of a checkpoint."""
    run: File = None
    """Run directory; by default runs/latest."""
    data_dir: File = None
    """Where the run's images lie now, if they were moved; or other labelled images of its classes, or of some."""
    labels_file: File = None
    """Where the CSV file of labels lies: the run's, if it was moved, or that of the other images."""
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    top_k: Int = None
    """For the accuracy by the K most probable classes; by default 5 where there are more classes than that."""
    generator: bool = False
    """Measure the generator, not the classifier."""
    features: File = None
    """For --generator: a run, or RUN/step_N, whose classifier gives the features, of images of the same shape; or an
    ONNX file, FILE.onnx."""
    images: Int = None
    """For --generator: how many images are compared; by default as many as there are to test on, at most 10000 and
    no more than there are to train on."""
    json: bool = False
    """Print one JSON object instead of text."""

    def __call__(self) -> int:
        """Runs the command."""
        from sgan_jax.inference.evaluate import evaluate, save_evaluation
        from sgan_jax.runs.opened import open_run

        if self.generator:
            return self._measure_generator()
        for name in ("features", "images"):
            if getattr(self, name) is not None:
                raise UserError(f"‹{name}›: only of a generator; give ‹generator› as well")
        result = evaluate(open_run(self.run, self.ckpt), *self._data(), self.top_k)
        print(json.dumps(_as_json(result)) if self.json else _as_text(result))
        save_evaluation(result)  # after the figures, which are worth having where the directory cannot be written
        if not self.json:
            print(f"\nconfusion matrix: {result.confusion_file}")
        return 0

    def _data(self) -> tuple[str | None, str | None]:
        """Where the images are, and their labels."""
        data_dir, labels_file = (None if path is None else str(path) for path in (self.data_dir, self.labels_file))
        return data_dir, labels_file

    def _measure_generator(self) -> int:
        from sgan_jax.cli import eval_generator
        from sgan_jax.inference.generator import evaluate_generator
        from sgan_jax.runs.opened import open_run

        if self.features is None:
            raise UserError(
                "‹generator›: needs ‹features› RUN, a run whose classifier was trained separately, or FILE.onnx"
            )
        if self.top_k is not None:
            raise UserError("‹top_k›: of a classifier; leave out ‹generator› or ‹top_k›")
        opened = open_run(self.run, self.ckpt)
        result = evaluate_generator(opened, self.features, *self._data(), self.images)
        print(json.dumps(eval_generator.as_json(result)) if self.json else eval_generator.as_text(result))
        return 0


def _as_text(result: "EvaluationResult") -> str:
    lines = [f"*** {result.notice} ***"] if result.notice else []
    if result.other:
        lines.append(f"*** other data than the run was trained on: {result.other} ***")
    images = result.images
    accuracies = {name: percent(value, images[name]) for name, value in result.accuracies.items()}
    lines += [
        f"{name.capitalize()} Accuracy: {value}% of {images[name]:,} images" for name, value in accuracies.items()
    ]
    averaged = [f"{name} {percent(value, images[name])}%" for name, value in result.averaged_accuracies.items()]
    lines.append(f"Averaged weights: {', '.join(averaged)}")
    if result.top_k:
        top = [f"{name} {percent(value, images[name])}%" for name, value in result.top_k_accuracies.items()]
        lines.append(f"Top-{result.top_k} accuracy: {', '.join(top)}")
    lines.append(f"Expected calibration error: {100 * result.calibration_error:.2f}% ({result.subset} images)")
    width = max(5, *map(len, result.class_names))
    lines += ["", f"{'class':{width}}  images  recall  precision      F1"]
    columns = result.confusion.sum(axis=1), result.recall, result.precision, result.f1
    for name, count, recall, precision, f1 in zip(result.class_names, *columns, strict=True):
        row = f"{name:{width}}  {count:6d}  {_percent(recall):>6}  {_percent(precision):>9}  {_percent(f1):>6}"
        lines.append(row)
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}%"


def _as_json(result: "EvaluationResult") -> dict[str, Any]:
    return {
        "run": str(result.run),
        "step": result.step,
        "notice": result.notice,
        "other_data": result.other or None,
        **{f"{name}_accuracy": value for name, value in result.accuracies.items()},
        **{f"ema_{name}_accuracy": value for name, value in result.averaged_accuracies.items()},
        "images": result.images,
        "class_names": list(result.class_names),
        "recall": _without_nan(result.recall),
        "precision": _without_nan(result.precision),
        "f1": _without_nan(result.f1),
        "top_k": result.top_k or None,
        "top_k_accuracy": result.top_k_accuracies,
        "calibration_error": result.calibration_error,
        "confusion": result.confusion.tolist(),
        "confusion_png": str(result.confusion_file),
        "mistakes": _mistakes(result),
    }


def _mistakes(result: "EvaluationResult") -> list[dict[str, Any]]:
    """The most confident mistakes on held-out images, the most confident first."""
    predictions = result.predictions
    if predictions is None:
        return []
    names, predicted, confidence = result.class_names, predictions.predicted, predictions.probabilities.max(axis=1)
    files = predictions.files if len(predictions.files) else [None] * len(predictions.mistakes)
    return [
        {
            "index": int(index),
            "file": file if file is None else str(file),
            "true": names[predictions.labels[index]],
            "predicted": names[predicted[index]],
            "confidence": float(confidence[index]),
        }
        for index, file in zip(predictions.mistakes, files, strict=True)
    ]


def _without_nan(values: Iterable[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [None if math.isnan(value) else float(value) for value in values]

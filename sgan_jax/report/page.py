"""A run as one HTML page that needs no script, no other file, no network, and no JAX to make it.

Everything on the page is read from the run directory, so that it can be made while the run is in training (`serve`).
"""

import base64
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.config import to_json
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.metrics import per_class
from sgan_jax.metrics.calibration import calibration_error, reliability
from sgan_jax.metrics.features import basis_of
from sgan_jax.metrics.measure import Measure, is_number, losses, measures
from sgan_jax.metrics.names import MEANINGS
from sgan_jax.presets import drawing_note, generator_learns
from sgan_jax.report import pictures
from sgan_jax.report.charts import charts, words
from sgan_jax.runs import predictions
from sgan_jax.runs.compared import with_baseline
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.find import existing
from sgan_jax.runs.record import RunRecord

GRIDS = 6  # grids of generated images that are shown, evenly spaced over the run
FIGURES = ("recall", "precision", "F1")  # of each class
MISTAKE = 112  # pixels up to which the image of a mistake is enlarged

Line = Mapping[str, Any]  # of metrics.jsonl
Fact = tuple[str, str]  # name and value


class Figure(NamedTuple):
    """A figure at the top of the page."""

    name: str
    value: str
    about: str = ""  # such as "of 1,000 images"


class Term(NamedTuple):
    """A term of a loss."""

    name: str
    value: str  # the newest
    meaning: str


def report(path: Path | None, out: Path | None = None) -> Path:
    """Writes the page of a run.

    Args:
      path: run directory; by default the newest run's.
      out: the file; by default report.html in the run directory.

    Returns:
      The file.

    Raises:
      UserError: the run does not exist, or it is damaged.
    """
    run = existing(path)
    file = out or run.path / "report.html"
    write_atomically(file, render(run))
    return file


def render(run: RunDir, refresh: int = 0) -> str:
    """The page as HTML.

    Args:
      run: the run.
      refresh: seconds after which a browser asks for the page again; 0: never.

    Raises:
      UserError: the run is damaged.
    """
    import jinja2

    record, lines, result = run.record(), list(run.metrics()), run.result()
    config, dataset = record.config, record.dataset
    last = max((line["step"] for line in lines), default=0)
    # Names of classes and folders are text, whatever characters they contain.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string((Path(__file__).parent / "page.html.jinja").read_text("utf-8"))
    return page.render(
        title=f"{dataset.name}, {config.data.labels} labels, {config.preset}",
        state=str(result.get("early_end", "finished")) if result else f"step {last} of {config.total_steps}",
        refresh=refresh,
        notice=dataset.notice,
        warnings=[(f"{warning.step:,}", warning.text) for warning in run.warnings()],
        figures=_figures(lines, last, config.total_steps) + _baseline(run),
        held_out=_held_out(record),
        charts=[_trusted(chart) for chart in charts(lines)],
        terms=_terms(lines),
        samples=_samples(run, dataset.image_shape),
        drawing=drawing_note(config),
        generator_learns=generator_learns(config),
        predictions=_predictions(run, list(dataset.class_names)),
        labels=_labels(record),
        propagated=record.trust.described(config.propagation) if record.trust else "",
        per_class=list(zip(dataset.class_names, dataset.labels_per_class, strict=False)),
        commands=list(dict.fromkeys(_command(part.command) for part in record.parts)),
        facts=_facts(run, record, lines),
        config=json.dumps(to_json(config), indent=1),
    )


def _trusted(svg: str) -> Any:
    """Marks a picture as safe to insert: this program drew it, and its text is drawn as shapes."""
    from markupsafe import Markup

    return Markup(svg)


def _held_out(record: RunRecord) -> str:
    """What to know where no test images stand behind the figures; else nothing."""
    if record.dataset.test:
        return ""
    if record.config.data.validation:
        return "There are no test images: the figures on validation images take their place."
    return (
        "There are no test images, so nothing here shows how well the classifier does on images that it has not been "
        "trained on. Put images of known class into the folder test of a folder of images (x_test and y_test of "
        "arrays), or keep N labels from training with --validation N, and train anew."
    )


def _terms(lines: Sequence[Line]) -> list[Term]:
    """The newest value of each term of the losses, with what it means."""
    newest: dict[str, float] = {}
    for line in lines:
        newest |= losses(line)
    return [Term(name.replace("/", " "), f"{value:.4g}", MEANINGS.get(name, "")) for name, value in newest.items()]


def _figures(lines: Sequence[Line], last: int, total: int) -> list[Figure]:
    """The newest value of each measure, the steps taken and the time."""
    newest: dict[str, Measure] = {}
    floor: dict[str, Measure] = {}  # of the generator's figures
    for line in lines:
        newest |= measures(line)
        floor = basis.floor if (basis := basis_of(line)) else floor
    figures = [
        Figure(words(name), str(measure), _of_images(measure) + _beside(floor.get(name)))
        for name, measure in newest.items()
    ]
    figures.append(Figure("steps", f"{last:,}", f"of {total:,}" if last < total else ""))
    seconds = [line["seconds"] for line in lines if is_number(line.get("seconds"))]
    if seconds:
        figures.append(Figure("time", _duration(max(seconds))))
    return figures


def _beside(floor: Measure | None) -> str:
    return "" if floor is None else f"; test images {floor}"


def _of_images(measure: Measure) -> str:
    return "" if measure.images is None else f"of {measure.images:,} image{'s' * (measure.images != 1)}"


def _baseline(run: RunDir) -> list[Figure]:
    """The accuracy with the labels alone, of a run that has a baseline."""
    compared = with_baseline(run)
    if compared is None:
        return []
    name, baseline = f"{compared.name} with the labels alone", compared.baseline
    return [Figure(name, str(baseline), _of_images(baseline))]


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if hours else f"{minute} min {second} s"


def _samples(run: RunDir, image_shape: Sequence[int]) -> list[dict[str, Any]]:
    """Up to `GRIDS` grids of generated images, evenly spaced over the run."""
    grids = sorted(_by_step(run.path / "samples", r"step_(\d+)\.png").items())
    if len(grids) > GRIDS:
        grids = [grids[i] for i in np.linspace(0, len(grids) - 1, GRIDS).round().astype(int)]
    contents = [(step, path.read_bytes()) for step, path in grids]
    height, width = image_shape[:2]
    return [
        {"step": step, "image": _data(png), "width": pictures.grid_width(png, height, width)} for step, png in contents
    ]


def _by_step(folder: Path, pattern: str) -> dict[int, Path]:
    """The files of a folder whose name matches, by the step in the name."""
    matches = [(re.fullmatch(pattern, path.name), path) for path in folder.glob("*")]
    return {int(match[1]): path for match, path in matches if match}


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _predictions(run: RunDir, names: Sequence[str]) -> dict[str, Any] | None:
    """The section about the newest predictions; None where there are none yet."""
    steps = _by_step(run.path / "eval", r"step_(\d+)-predictions\.npz")
    if not steps:
        return None
    step = max(steps)
    newest = predictions.load(run.predictions_file(step))
    if newest.probabilities.shape[1] != len(names):
        raise UserError(f"{run.predictions_file(step)}: of other classes; `eval` writes it anew")
    title = f"{newest.part} images, step {step}"
    confusion = pictures.confusion_figure(newest.confusion, names, title)
    bins = reliability(newest.labels, newest.probabilities)
    return {
        "part": newest.part,
        "step": step,
        "correct": f"{int((newest.predicted == newest.labels).sum()):,}",
        "total": f"{len(newest.labels):,}",
        "calibration_error": f"{100 * calibration_error(newest.labels, newest.probabilities):.2f} %",
        "classes": _classes(newest.confusion, names),
        "confusion": _data(pictures.png(confusion, bbox_inches="tight")),
        "reliability": _trusted(pictures.reliability_svg(bins, title)),
        "mistakes": _mistakes(newest, names),
    }


def _classes(confusion: np.ndarray, names: Sequence[str]) -> list[dict[str, str]]:
    """Figures of each class."""
    figures = confusion.sum(axis=1), *(of(confusion) for of in (per_class.recall, per_class.precision, per_class.f1))
    rows = []
    for name, images, *values in zip(names, *figures, strict=True):
        shown = ("-" if np.isnan(value) else f"{100 * value:.1f} %" for value in values)
        rows.append({"name": name, "images": f"{images:,}"} | dict(zip(FIGURES, shown, strict=True)))
    return rows


def _mistakes(newest: predictions.Predictions, names: Sequence[str]) -> list[dict[str, Any]]:
    """The most confident mistakes, the most confident first."""
    confidence = newest.probabilities.max(axis=1)
    files = newest.files if len(newest.files) else [f"image {index}" for index in newest.mistakes]
    return [
        {
            "image": _data(pictures.png_of(picture)),
            "width": picture.shape[1] * pictures.enlargement(picture.shape[0], picture.shape[1], MISTAKE),
            "index": int(index),
            "file": str(file),
            "predicted": names[newest.predicted[index]],
            "true": names[newest.labels[index]],
            "confidence": f"{100 * confidence[index]:.1f} %",
        }
        for index, picture, file in zip(newest.mistakes, newest.pictures, files, strict=True)
    ]


def _labels(record: RunRecord) -> str:
    """How many labels the run uses, of how many images."""
    data = record.config.data
    images = record.dataset.streamed or record.dataset.train
    fraction = f" ({100 * data.labels / images:.2g} %)" if data.labels and images else ""
    validation = f", {data.validation} of them for validation only" if data.validation else ""
    return f"{data.labels} of {images:,} training images{fraction} with their label{validation}."


def _command(arguments: Sequence[str]) -> str:
    if not arguments:
        return "not recorded"
    program, *options = arguments
    name = "sgan" if Path(program).name in ("__main__.py", "sgan") else program
    return shlex.join([name, *options])


def _facts(run: RunDir, record: RunRecord, lines: Sequence[Line]) -> list[Fact]:
    first_part, dataset = record.parts[0], record.dataset
    facts = [
        ("run", str(run.path)),
        ("data", f"{dataset.images}, {' x '.join(map(str, dataset.image_shape))}"),
        ("device", ", ".join(f"{name} {value}" for name, value in first_part.device.items())),
        ("versions", ", ".join(f"{name} {value}" for name, value in first_part.versions.items())),
    ]
    if record.origin:
        facts.insert(2, ("began with", f"the weights of {record.origin.run} at step {record.origin.step}"))
    if features := dict.fromkeys(basis.about for basis in map(basis_of, lines) if basis):
        facts.append(("features for generated images", "; then ".join(map(str, features))))
    seconds = [(line["step"], line["seconds"]) for line in lines if is_number(line.get("seconds"))]
    if len(seconds) > 1 and seconds[-1][1] > seconds[0][1]:
        (first, began), (last, ended) = seconds[0], seconds[-1]
        facts.append(("speed", f"{(last - first) / (ended - began):.3g} steps/s, evaluation included"))
    return facts

"""A run as one page of HTML that needs nothing else: no script, no file beside it, no network, and no JAX to make it.

All of it is read from the run directory, so that it can be made while the run goes on (`serve`).
"""

import base64
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sgan_jax.config import to_json
from sgan_jax.errors import UserError
from sgan_jax.files import write_atomically
from sgan_jax.metrics.names import WATCHED
from sgan_jax.report import pictures
from sgan_jax.runs import predictions
from sgan_jax.runs.directory import RunDir, existing

GRIDS = 6  # of generated images, evenly through the run
_TERMS = re.compile(r"[dg]/\w+")


def report(path: Path | None, out: Path | None = None) -> int:
    """Writes the page of a run and prints its name.

    Args:
      path: run directory; by default the newest run's.
      out: the file; by default report.html in the run directory.

    Raises:
      UserError: there is no such run, or it is damaged.
    """
    run = existing(path)
    chosen = out or run.path / "report.html"
    write_atomically(chosen, render(run))
    print(chosen)
    return 0


def render(run: RunDir, refresh: int = 0) -> str:
    """The page.

    Args:
      run: the run.
      refresh: seconds after which a browser is to ask again; 0 for a page that stays.

    Raises:
      UserError: the run is damaged.
    """
    import jinja2

    record, lines, asked = run.record(), list(run.metrics()), run.config()
    config, dataset, result = to_json(asked), record["dataset"], run.result()
    last = max((line["step"] for line in lines), default=0)
    total = asked.total_steps
    # What a class or a folder is called is text, whatever it looks like.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string((Path(__file__).parent / "page.html.jinja").read_text("utf-8"))
    return page.render(
        title=f"{dataset['name']}, {asked.data.labels} labels, {asked.preset}",
        state="finished" if result else f"step {last} of {total}",
        refresh=refresh,
        notice=dataset["notice"],
        figures=_figures(lines, last, total),
        curves=[_safe(curve) for curve in _curves(lines)],
        samples=_samples(run),
        predictions=_predictions(run, list(map(str, dataset["class_names"]))),
        labels=_budget(config["data"], dataset),
        per_class=list(zip(dataset["class_names"], dataset.get("labels_per_class", []), strict=False)),
        commands=list(dict.fromkeys(_command(part.get("command")) for part in run.parts())),
        facts=_facts(run, record, lines),
        config=json.dumps(config, indent=1),
    )


def _safe(svg: str) -> Any:
    from markupsafe import Markup

    return Markup(svg)  # of our own making, its text drawn as shapes


def _figures(lines: list[dict[str, Any]], last: int, total: int) -> list[tuple[str, str]]:
    """The newest accuracies, and how far the run is."""
    accuracies: dict[str, float] = {}
    for line in lines:
        accuracies |= {name: value for name, value in line.items() if _is_accuracy(name) and _is_number(value)}
    named = {name: _words(name.removesuffix("_accuracy")) for name in accuracies}
    seconds = [line["seconds"] for line in lines if _is_number(line.get("seconds"))]
    figures = [(named[name], f"{100 * value:.2f} %") for name, value in accuracies.items()]
    figures.append(("steps", f"{last:,} of {total:,}" if last < total else f"{last:,}"))
    if seconds:
        figures.append(("time", _duration(max(seconds))))
    return figures


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if hours else f"{minute} min {second} s"


def _words(name: str) -> str:
    return name.replace("ema", "averaged weights").replace("_", " ")


def _is_accuracy(name: str) -> bool:
    """Of images of a part; `d/real_accuracy` and the like are of the step's own images."""
    return name.endswith("_accuracy") and "/" not in name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _curves(lines: list[dict[str, Any]]) -> list[str]:
    accuracies: dict[str, list[tuple[float, float]]] = {}
    losses: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if not _is_number(value):
                continue
            if _is_accuracy(name):
                accuracies.setdefault(_words(name.removesuffix("_accuracy")), []).append((line["step"], 100 * value))
            elif _TERMS.fullmatch(name) and not WATCHED.fullmatch(name):
                losses.setdefault(name.replace("/", " "), []).append((line["step"], value))
    made = []
    if accuracies:
        made.append(pictures.curves_svg(accuracies, "Accuracy", "%"))
    for player, title in (("d", "Discriminator and classifier"), ("g", "Generator")):
        own = {name: points for name, points in losses.items() if name.startswith(f"{player} ")}
        if own:
            positive = all(value > 0 for points in own.values() for _, value in points)
            made.append(pictures.curves_svg(own, f"{title}: terms of the loss", "loss", log=positive))
    return made


def _samples(run: RunDir) -> list[tuple[int, str]]:
    found = []
    for path in run.path.glob("samples/step_*.png"):
        if match := re.fullmatch(r"step_(\d+)\.png", path.name):
            found.append((int(match[1]), path))
    found.sort()
    if len(found) > GRIDS:
        found = [found[i] for i in np.linspace(0, len(found) - 1, GRIDS).round().astype(int)]
    return [(step, _data(path.read_bytes())) for step, path in found]


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _predictions(run: RunDir, names: list[str]) -> dict[str, Any] | None:
    steps = []
    for path in run.path.glob("eval/step_*-predictions.npz"):
        if match := re.fullmatch(r"step_(\d+)-predictions\.npz", path.name):
            steps.append(int(match[1]))
    if not steps:
        return None
    step = max(steps)
    found = predictions.load(run.predictions_file(step))
    if found.probabilities.shape[1] != len(names):
        raise UserError(f"{run.predictions_file(step)}: of other classes; `eval` writes it anew")
    surest = found.probabilities.max(axis=1)
    mistakes = [
        {
            "image": _data(pictures.png_of(picture)),
            "index": int(index),
            "said": names[found.predicted[index]],
            "is": names[found.labels[index]],
            "confidence": f"{100 * surest[index]:.1f} %",
        }
        for index, picture in zip(found.mistakes, found.pictures, strict=True)
    ]
    title = f"{found.part} images, step {step}"
    return {
        "part": found.part,
        "step": step,
        "right": f"{int((found.predicted == found.labels).sum()):,}",
        "total": f"{len(found.labels):,}",
        "calibration": f"{100 * predictions.calibration_error(found):.2f} %",
        "confusion": _data(pictures.png(pictures.confusion_figure(found.confusion, names, title), bbox_inches="tight")),
        "reliability": _safe(pictures.reliability_svg(predictions.reliability(found), title)),
        "mistakes": mistakes,
    }


def _budget(data: dict[str, Any], dataset: dict[str, Any]) -> str:
    streamed = dataset.get("streamed", 0)
    kept = f", {data['validation']} of them kept from training to measure on" if data.get("validation") else ""
    images = streamed if isinstance(streamed, int) and streamed else dataset["train"]
    share = f" ({100 * data['labels'] / images:.2g} %)" if data.get("labels") and images else ""
    return f"{data.get('labels')} of {images:,} training images{share} with their label{kept}."


def _command(arguments: object) -> str:
    if not isinstance(arguments, list):
        return "not recorded"
    program, *rest = map(str, arguments)
    name = "sgan" if Path(program).name in ("__main__.py", "sgan") else program
    return shlex.join([name, *rest])


def _facts(run: RunDir, record: dict[str, Any], lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    device, dataset = record.get("device", {}), record["dataset"]
    facts = [
        ("run", str(run.path)),
        ("data", f"{dataset['name']} ({dataset['digest'][:12]}...), {' x '.join(map(str, dataset['image_shape']))}"),
        ("device", ", ".join(f"{name} {value}" for name, value in device.items())),
        ("versions", ", ".join(f"{name} {value}" for name, value in record["versions"].items())),
    ]
    seconds = [(line["step"], line["seconds"]) for line in lines if _is_number(line.get("seconds"))]
    if len(seconds) > 1 and seconds[-1][1] > seconds[0][1]:
        (first, began), (last, ended) = seconds[0], seconds[-1]
        facts.append(("speed", f"{(last - first) / (ended - began):.3g} steps/s, evaluation included"))
    return facts

"""Networks, trained separately, by whose features images are compared. No JAX here."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from sgan_jax.metrics.measure import Measure, is_number, measures, percent

DIGITS = 12  # of a digest that are shown
FIGURES = ("frechet_distance", "generator_recall", "generator_coverage")  # of the evaluator `generator`


class About(NamedTuple):
    """Which network gives features: figures by other features cannot be compared."""

    source: str  # the directory of the run that trained it, or an ONNX file
    step: int | None  # of the run's checkpoint; None of a file
    digest: str  # SHA-256 of the checkpoint's state, or of the file, hex
    accuracy: float | None = None  # on its test images at that step, 0..1

    def __str__(self) -> str:
        """`runs/reference at step 600, 99.36% of test images (SHA-256 c4b7585976df)`."""
        step = "" if self.step is None else f" at step {self.step}"
        accuracy = "" if self.accuracy is None else f", {percent(self.accuracy)}% of test images"
        return f"{self.source}{step}{accuracy} (SHA-256 {self.digest[:DIGITS]})"

    @property
    def named(self) -> str:
        """The same for a file that is passed on: of the path only the last part."""
        return str(self._replace(source=PurePath(self.source).name))

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        if self.step is None:
            return {"file": self.source, "sha256": self.digest}
        return {"run": self.source, "step": self.step, "sha256": self.digest, "test_accuracy": self.accuracy}


def about_of(values: Any) -> About | None:
    """The inverse of `About.to_json`; None for something else."""
    if not isinstance(values, Mapping):
        return None
    digest, file, run = (values.get(name) for name in ("sha256", "file", "run"))
    step, accuracy = values.get("step"), values.get("test_accuracy")
    if not isinstance(digest, str):
        return None
    if isinstance(file, str):
        return About(file, None, digest)
    if not isinstance(run, str) or type(step) is not int:
        return None
    return About(run, step, digest, accuracy if is_number(accuracy) else None)


class Basis(NamedTuple):
    """What figures of a generator rest on: figures of another basis cannot be compared with them."""

    about: About
    images: int  # n, of generated and of training images
    floor: dict[str, Measure]  # the same figures of as many test images; empty where there are fewer

    def same_as(self, other: "Basis") -> bool:
        """Whether figures of both can be compared; the run of the features may have been moved."""
        return (self.about.digest, self.images) == (other.about.digest, other.images)

    def to_json(self) -> dict[str, Any]:
        """Plain values by name, as the field `features` of a line has them."""
        floor = {name: measure.value for name, measure in self.floor.items()}
        return self.about.to_json() | {"images": self.images, "floor": floor}


def basis_of(line: Mapping[str, Any]) -> Basis | None:
    """The basis of a line of metrics.jsonl or results.jsonl; None where it has no figures of a generator."""
    values = line.get("features")
    if not isinstance(values, Mapping) or type(images := values.get("images")) is not int:
        return None
    if (about := about_of(values)) is None:
        return None
    floor = values.get("floor")
    values_of_floor = floor if isinstance(floor, Mapping) else {}
    units = {name: measure.unit for name, measure in measures(line).items() if is_number(values_of_floor.get(name))}
    return Basis(about, images, {name: Measure(values_of_floor[name], unit, images) for name, unit in units.items()})


class Described(NamedTuple):
    """What the network makes of images."""

    features: np.ndarray  # float32 [N, F]
    classes: np.ndarray | None  # int64 [N], the most probable ones; None of a network that has no classes


class Features(NamedTuple):
    """A network that describes images."""

    about: About
    class_names: tuple[str, ...]
    describe: Callable[[np.ndarray, np.ndarray | None], Described]  # (uint8 [N, H, W, C], which of them; None: all)

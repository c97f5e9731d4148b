"""What `eval --generator` prints."""

from typing import TYPE_CHECKING, Any

from sgan_jax.metrics.measure import Measure, label, number

if TYPE_CHECKING:
    from sgan_jax.inference.generator import GeneratorEvaluation

_SMALL = {"kernel_distance"}  # shown in thousandths


def as_text(result: "GeneratorEvaluation") -> str:
    """A table of the figures and their floor, and the classes that were drawn."""
    lines = [f"*** {result.notice} ***"] if result.notice else []
    lines += [
        f"step {result.step}: {result.images:,} generated images beside as many training images",
        f"features: {result.features}",
        "",
        f"{'':36}generated  {'test images' if result.floor else ''}".rstrip(),
    ]
    for name, measure in result.figures.items():
        floor = _shown(name, result.floor[name]) if name in result.floor else ""
        lines.append(f"{_named(name, measure):36}{_shown(name, measure):>9}  {floor:>11}".rstrip())
    if not result.floor:
        lines.append(f"no floor: there are fewer than {result.images:,} test images")
    if not result.histogram:
        return "\n".join(lines)
    total = sum(result.histogram.values())
    width = max(5, *map(len, result.histogram))
    lines += ["", f"{'class':{width}}  of generated images"]
    lines += [f"{name:{width}}  {100 * count / total:17.1f}%" for name, count in result.histogram.items()]
    return "\n".join(lines)


def as_json(result: "GeneratorEvaluation") -> dict[str, Any]:
    """The same as one object, percentages as fractions."""
    return {
        "run": str(result.run),
        "step": result.step,
        "notice": result.notice,
        "images": result.images,
        "features": result.features.to_json(),
        "generated": {name: measure.value for name, measure in result.figures.items()},
        "test_images": {name: measure.value for name, measure in result.floor.items()},
        "kernel_distance_deviation": result.kernel_deviation,
        "histogram": result.histogram,
    }


def _named(name: str, measure: Measure) -> str:
    unit = "thousandths" if name in _SMALL else measure.unit
    return f"{label(name)}, {unit}" if unit else label(name)


def _shown(name: str, measure: Measure) -> str:
    return number(Measure(1000 * measure.value)) if name in _SMALL else number(measure)

"""`sweep`: trains presets with several numbers of labels, over several draws."""

import dataclasses
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from sgan_jax.cli.flags import Device, File, Text
from sgan_jax.cli.report import show
from sgan_jax.cli.settings import given, groups, preset_with
from sgan_jax.config import MAX_DRAWS, Config
from sgan_jax.errors import UserError

if TYPE_CHECKING:
    from sgan_jax.sweep.sweep import Result
    from sgan_jax.sweep.trial import Trial
    from sgan_jax.training.events import Listener

MAX_ENSEMBLE = 1000  # a larger number is a slip
OWN = frozenset({"preset", "data.labels", "data.label_seed", "seed"})  # settings that a sweep varies


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which trials, and where they go."""

    labels: str = "10,20,50,100"
    """Numbers of labelled images, separated by commas."""
    preset: str = "fast"
    """Named configurations, as of train, separated by commas; all get the same draws."""
    draws: int = 10
    """Draws of the labelled images for each of them; draw I trains with --seed I and --label-seed I."""
    ensemble: int = 1
    """Runs on each draw, whose classifiers are averaged, too; run M of draw I trains with --seed I + 10000 M."""
    on_nan: str = "stop"
    """As of train: stop a trial whose loss is NaN or infinite, and train the others; or rollback."""
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    out: File = None
    """Sweep directory; by default sweeps/DATASET."""
    ray: Text = None
    """Address of a Ray cluster that trains the trials: HOST:PORT, auto, or local; by default they are trained here."""


class _Sweep:
    def configs(self) -> list[Config]:
        """A configuration a trial. The draws are the outermost, so that a sweep that is cut short is even."""
        plan: Plan = self.plan  # type: ignore[attr-defined]
        presets, labels = ([part.strip() for part in text.split(",")] for text in (plan.preset, plan.labels))
        if not all(part.isdecimal() for part in labels):
            raise UserError(f"‹labels›: '{plan.labels}'; must be whole numbers separated by commas")
        if not 1 <= plan.draws <= MAX_DRAWS:
            raise UserError(f"‹draws›: {plan.draws}; must be between 1 and {MAX_DRAWS}")
        if not 1 <= plan.ensemble <= MAX_ENSEMBLE:
            raise UserError(f"‹ensemble›: {plan.ensemble}; must be between 1 and {MAX_ENSEMBLE}")
        settings = given(self)
        counts = dict.fromkeys(map(int, labels))  # each once, in this order
        return [
            preset_with(
                settings
                | {"preset": preset, "data.labels": count, "data.label_seed": draw, "seed": draw + MAX_DRAWS * member}
            )
            for draw in range(plan.draws)
            for count in counts
            for preset in dict.fromkeys(presets)
            for member in range(plan.ensemble)
        ]

    def __call__(self) -> int:
        """Runs the command."""
        configs = self.configs()
        from sgan_jax.sweep import sweep
        from sgan_jax.training.signals import stop_on_signal

        plan: Plan = self.plan  # type: ignore[attr-defined]
        lines = Lines(on_cluster=bool(plan.ray))
        stopping = partial(stop_on_signal, lines.terminal.stopping)
        options = sweep.Options(plan.out, plan.ray, plan.on_nan, sys.argv, stopping)
        return shown(sweep.sweep(configs, options, lines))


class Lines:
    """Prints the progress of a sweep."""

    def __init__(self, on_cluster: bool):
        """`on_cluster`: print the end of each trial, for its training prints nothing here."""
        from sgan_jax.cli.terminal import Terminal

        self.on_cluster = on_cluster
        self.terminal = Terminal(brief=True)
        self.training: Listener | None = None if on_cluster else self.terminal

    def started(self, trial: "Trial") -> None:
        """Prints which trial begins."""
        print(trial, flush=True)

    def finished(self, trial: "Trial") -> None:
        """Prints that a trial on the cluster has ended."""
        if self.on_cluster:
            print(f"{trial} is done", flush=True)

    def note(self, text: str) -> None:
        """Prints the line."""
        print(text, flush=True)


def shown(result: "Result") -> int:
    """Prints how a sweep ended; returns the exit status.

    Raises:
      UserError: trials could not be trained; names them.
    """
    if result.stopped_by:
        print(f"stopped by {result.stopped_by.name}; the same command resumes from there", flush=True)
        return 128 + result.stopped_by
    if result.report:
        show(result.report)
    if result.failed:
        raise UserError(
            f"{result.path}: {len(result.failed)} of {result.total} trials could not be trained "
            f"({', '.join(map(str, result.failed))}): the warnings have the reasons; the same command tries them again"
        )
    return 0


_groups = groups(OWN)
Sweep: Any = dataclasses.make_dataclass(
    "Sweep",
    [
        ("plan", Annotated[Plan, tyro.conf.OmitArgPrefixes], dataclasses.field(default_factory=Plan)),
        *_groups,
    ],
    bases=(_Sweep,),
    frozen=True,
)
Sweep.__doc__ = "Train presets with several numbers of labels, over several draws; the same command resumes a sweep."

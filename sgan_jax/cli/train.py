"""`train`: trains a run, or resumes it."""

import atexit
import dataclasses
import json
import os
import sys
import textwrap
import tomllib
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from sgan_jax.cli.flags import Device, File, Int, Text
from sgan_jax.cli.settings import given, groups, preset_with
from sgan_jax.config import Config, changed, settings_of_file
from sgan_jax.errors import UserError, reason
from sgan_jax.presets import TABLE


@dataclasses.dataclass(frozen=True)
class Call:
    """How to train, which decides no result."""

    run: File = None
    """Run directory; by default runs/DATASET-LABELS-PRESET-sSEED. With no settings it resumes the run that is there."""
    config: File = None
    """JSON or TOML file to start from, such as another run's config.json; the other settings change it."""
    device: Device = None
    """Kind of device to compute on, or one of several, such as gpu:1; by default the first that JAX has."""
    devices: Int = None
    """How many devices split each step's images; by default one, or all those of several processes."""
    cluster: bool = False
    """Join the other processes of this Slurm, MPI, Kubernetes or TPU job; each runs the same command."""
    coordinator: Text = None
    """HOST:PORT of process 0, where the cluster does not provide it; with --processes and --process."""
    processes: Int = None
    """How many processes train together."""
    process: Int = None
    """Which of them this is, from 0."""
    profile: File = None
    """Folder for a trace of some steps, to be opened in XProf or TensorBoard."""
    profile_steps: Text = None
    """Which steps --profile traces, counted from this call's first; by default 11-20."""
    on_nan: str = "stop"
    """What to do when a loss is NaN or infinite: stop, or rollback to the last checkpoint with other randomness."""
    baseline: bool = False
    """Afterwards train the same classifier on the labels alone, in the directory RUN-baseline, and compare."""
    log_every: int = 0
    """Print the tutorial's line (>1, c[2.305,6], d[0.096,2.399], g[0.095]) every so many steps."""


def _table() -> str:
    """The presets, what each is for, its error and its time; 79 columns."""
    rows = [("preset", "error %", "min", "what it is for")]
    rows += [(name, row.error.partition(" ")[0] or "-", row.minutes, row.purpose) for name, row in TABLE.items()]
    lines = []
    for name, error, minutes, purpose in rows:
        first, *others = textwrap.wrap(purpose, 41, break_on_hyphens=False)
        # tyro joins lines that begin with a letter.
        lines += [f"- {name:20}  {error:>7}  {minutes:>3}  {first}", *(f"{'':38}{line}" for line in others)]
    return "\n".join(lines)


class _Train:
    def __call__(self) -> int:
        """Runs the command."""
        call: Call = self.call  # type: ignore[attr-defined]
        if call.log_every < 0:
            raise UserError(f"‹log_every›: {call.log_every}; must be 0 (off) or more")
        config = resolved(given(self), call.config, call.run)
        from sgan_jax.cli.terminal import Terminal
        from sgan_jax.training import baseline, loop, profiler
        from sgan_jax.training.signals import stop_on_signal
        from sgan_jax.training.start import Options

        traced = profiler.profile(call.profile, call.profile_steps)
        if call.cluster or (call.coordinator, call.processes, call.process) != (None, None, None):
            _connect(call)
        terminal = Terminal(call.log_every)
        options = Options(
            call.run,
            newest=True,
            devices=call.devices,
            profile=traced,
            on_nan=call.on_nan,
            command=sys.argv,
            stopping=partial(stop_on_signal, terminal.stopping),
        )
        if call.baseline:
            result = baseline.train_both(config, options, terminal)
        else:
            result = loop.train(config, options, listener=terminal)
        if result.stopped is None:
            return 0
        print(f"stopped by {result.stopped.name}; the same command resumes", flush=True)
        return 128 + result.stopped


def _connect(call: Call) -> None:
    """Joins the other processes; prints that it waits for them."""
    from sgan_jax.engine import devices

    waits: list[str] = []

    def note(text: str) -> None:
        waits.append(text)
        print(text, flush=True)

    try:
        devices.connect(call.coordinator, call.processes, call.process, note)
    except BaseException as error:
        if waits:  # XLA still waits in its thread: an orderly exit would end in its trace
            atexit.register(_exit_at_once, 2 if isinstance(error, UserError) else 130)
        raise


def _exit_at_once(status: int) -> None:
    sys.stdout.flush()
    os._exit(status)


def resolved(settings: dict[str, Any], file: Path | None = None, run: Path | None = None) -> Config:
    """The configuration that the flags ask for.

    Args:
      settings: that were given, by place.
      file: a configuration to start from.
      run: the run directory; where nothing else names a configuration, its own one is changed.

    Raises:
      UserError: the file or a setting is wrong.
    """
    settings = _replacing(settings)
    if file is not None:
        of_file = read_settings(file)
        if "preset" in settings and "preset" in of_file:
            raise UserError(f"‹preset›: {file} has its own, {of_file['preset']}; leave ‹preset› or ‹config› out")
        return preset_with(of_file | settings)
    if run is not None and "preset" not in settings and _exists(run / "config.json"):
        from sgan_jax.runs.directory import RunDir

        return preset_with(settings, RunDir(run).record().config)
    return preset_with(settings)


def _replacing(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with those of a file or a run that they replace, although these have other names."""
    replaced: dict[str, Any] = {}
    if "epochs" in settings:
        replaced["steps"] = None
    if "data.data_dir" in settings:
        replaced["data.dataset"] = "auto"
    elif "data.dataset" in settings:
        replaced |= dict.fromkeys(("data.data_dir", "data.image_size", "data.stream", "data.labels_file"))
    return replaced | settings


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, which is reported where the directory is made
        return False


def read_settings(path: Path) -> dict[str, Any]:
    """Settings by place out of a JSON or TOML file.

    Raises:
      UserError: it cannot be read, or holds something else.
    """
    try:
        text = path.read_text()
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"‹config› {path}: cannot be read as {path.suffix[1:] or 'JSON'} ({reason(error)})") from None
    try:
        settings = settings_of_file(values)
        changed(Config(), settings)  # names and types are those of settings
        preset_with(settings)  # and the preset is one
        return settings
    except UserError as error:
        raise UserError(f"‹config› {path}: {error.marked}") from None


_groups = groups()
Train: Any = dataclasses.make_dataclass(
    "Train",
    [
        _groups[0],
        ("call", Annotated[Call, tyro.conf.OmitArgPrefixes], dataclasses.field(default_factory=Call)),
        *_groups[1:],
    ],
    bases=(_Train,),
    frozen=True,
)
Train.__doc__ = f"""Train a semi-supervised GAN, or resume a run: the same command resumes a stopped one.

Presets. Error: of MNIST's test images with 100 labels. Minutes: of the steps on two cores.
{_table()}
"""

"""Where runs lie: the directory that a new run gets, and the run and checkpoint that a command is asked for."""

import os
import re
from pathlib import Path

from sgan_jax.config import Config
from sgan_jax.errors import UserError
from sgan_jax.presets import usual_head
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.retention import best

ROOT = Path("runs")
LATEST = ROOT / "latest"


def default_path(config: Config, dataset: str) -> Path:
    """`runs/mnist-100-tutorial-s0`; a head or label seed other than the preset's is appended, and `init`."""
    parts = [dataset.replace("/", "-"), str(config.data.labels), config.preset]  # TFDS has names like emnist/letters
    if config.model.head != usual_head(config.preset):
        parts.append(config.model.head)
    parts.append(f"s{config.seed}")
    if config.init_from is not None:
        parts.append("init")
    if config.data.label_seed:
        parts.append(f"l{config.data.label_seed}")
    return ROOT / "-".join(parts)


def existing(path: Path | None, ckpt: str = "latest") -> RunDir:
    """The run at `path`; by default the one that the checkpoint lies in if that is given as a path, else the newest.

    Raises:
      UserError: there is none.
    """
    chosen = LATEST if path is None else path
    if os.sep in ckpt and Path(ckpt).is_dir():
        holder = Path(ckpt).resolve().parent.parent  # RUN/checkpoints/step_600
        in_a_run = (holder / "config.json").exists()
        if path is None and not in_a_run:
            raise UserError(f"‹ckpt› {ckpt}: lies in no run directory; name its run with ‹run›")
        if path is not None and in_a_run and holder != path.resolve():
            raise UserError(f"‹ckpt› {ckpt}: lies in another run, {holder}; leave ‹run› out")
        if path is None:
            return RunDir(holder)
    if not chosen.exists():
        hint = "train first, or name a run directory with ‹run›" if path is None else _runs_listing()
        raise UserError(f"{chosen}: no such run directory; {hint}")
    run = RunDir(chosen.resolve() if path is None else chosen)
    run.record()
    return run


def _runs_listing() -> str:
    names = sorted(entry.name for entry in ROOT.iterdir() if (entry / "config.json").exists()) if ROOT.is_dir() else []
    names = [name for name in names if name != LATEST.name]
    return f"runs/ holds {', '.join(names)}" if names else "runs/ holds no run"


def run_and_checkpoint(path: Path) -> tuple[Path, str]:
    """`RUN`, `RUN/step_600` or `RUN/checkpoints/step_600` as a run directory and the name of a checkpoint."""
    if not re.fullmatch(r"step_\d+", path.name) or (path / "config.json").exists():
        return path, "latest"
    holder = path.parent
    return holder.parent if holder.name == "checkpoints" else holder, path.name


def checkpoint_path(run: RunDir, name: str, steps: list[int]) -> Path:
    """`latest`, `best`, `step_7200`, `7200` or a path, as a path; `checkpoint.restore` checks whether it is there.

    Args:
      run: the run.
      name: what is asked for; `best` has the highest validation accuracy.
      steps: of the run's checkpoints, ascending.

    Raises:
      UserError: `latest` or `best` is asked for and there is none.
    """
    if name in ("latest", "best"):
        if not steps:
            raise UserError(f"{run.path}: no checkpoint yet; `train` writes one after each epoch")
        return run.checkpoints / f"step_{steps[-1] if name == 'latest' else _best(run, steps)}"
    if name.isdecimal():
        name = f"step_{name.lstrip('0') or '0'}"
    own, other = run.checkpoints / name, Path(name)
    return other if os.sep in name or (other.is_dir() and not own.is_dir()) else own


def _best(run: RunDir, steps: list[int]) -> int:
    """The step of the best checkpoint by validation."""
    step = best(run.metrics(), steps)
    if step is None and not run.record().config.data.validation:
        raise UserError(
            f"{run.path}: has no validation images to choose the best checkpoint by; train with ‹data.validation›, or "
            "choose ‹ckpt› latest or step_N"
        )
    if step is None:
        raise UserError(f"{run.path}: no checkpoint has a validation accuracy; choose ‹ckpt› latest or step_N")
    return step

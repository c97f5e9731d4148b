"""A sweep: every preset with every number of labels, over several draws of them, each row a training run.

Draw i has seed and label seed i, whatever the preset: rows of one draw and number of labels are of the same labelled
images, so that presets can be compared draw by draw.
"""

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import jax

from sgan_jax.config import Config, located, validate
from sgan_jax.data.load import EMBEDDED, Dataset, load
from sgan_jax.data.sizes import square
from sgan_jax.engine.system import build, check_names
from sgan_jax.errors import UserError, mendable
from sgan_jax.metrics.accuracy import average, evaluate, make_classify
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import Images, RunDir, locked, read_json
from sgan_jax.sweep import ray_cluster, table
from sgan_jax.sweep.directory import ROOT, Key, Row, SweepDir, key, key_of
from sgan_jax.training import loop
from sgan_jax.training.signals import Stop, stop_on_signal
from sgan_jax.training.start import labelled_images
from sgan_jax.types import Params


def sweep(configs: Sequence[Config], out: Path | None = None, ray: str | None = None, on_nan: str = "stop") -> int:
    """Trains the rows that are not done yet and reports on all rows of the directory.

    A row that cannot be trained to its end is told of, and the others are trained.

    Args:
      configs: a row each; `dataset` "auto" is resolved here.
      out: the sweep directory; by default one named after the data set under `sweeps/`.
      ray: address of a Ray cluster that trains the rows; by default they are trained here, one after the other.
      on_nan: as of `loop.train`, for each row.

    Returns:
      The exit status: 0, or 128 + the signal's number if one stopped the sweep (the same command then goes on).

    Raises:
      UserError: the settings, the data, the directory or the cluster do not permit it, and no row of this call has been
        trained; or some rows could not be trained to their end, which are named after the report.
    """
    loop.check_on_nan(on_nan)
    for config in configs:
        validate(config)
        check_names(config)
    dataset = _load(configs[0], out)
    name = configs[0].data.dataset if configs[0].data.data_dir else dataset.name
    # Located here: a worker of a cluster has another working directory.
    configs = [located(dataclasses.replace(c, data=dataclasses.replace(c.data, dataset=name))) for c in configs]
    if not dataset.has_test:
        raise UserError(f"{dataset.name}: no test images; a sweep compares errors on them")
    for config in configs:
        labelled_images(config, dataset)
    for config in {config.preset: config for config in configs}.values():
        if not build(config, dataset.train_images.shape[1:], dataset.num_classes).classifies:
            raise UserError(f"‹model.head› {config.model.head}: has no classifier whose error a sweep could measure")
    folder = SweepDir(out or ROOT / dataset.name.replace("/", "-"))
    with ExitStack() as stack:
        stack.enter_context(locked(folder.path, "‹out›"))
        done = folder.begin(configs, Images(dataset.name, dataset.digest))
        if there := sum(key(config) in done for config in configs):
            print(f"{folder.path}: {there} of {len(configs)} rows are there", flush=True)
        left = [
            (f"row {number} of {len(configs)}: {key(config)}", config, folder.run(key(config)).path)
            for number, config in enumerate(configs, 1)
            if key(config) not in done
        ]
        ensembles = _ensembles(configs, done)
        _check_members([config for members in ensembles for config in members], folder, done)
        if ray and left:
            stack.enter_context(ray_cluster.connected(ray))  # before the signals are ours: Ray takes them, too
        stop = stack.enter_context(stop_on_signal())
        failed: list[Key] = []
        for config, error in (_on_cluster if ray else _here)(_Work(left, dataset, stop, on_nan)):
            if error:
                print(f"sgan: warning: {key(config)}: {error}", file=sys.stderr, flush=True)
                failed.append(key(config))
            else:
                folder.append(_row(config, folder.run(key(config))))
        if stop.by:
            stop.tell()
            return 128 + stop.by
        for members in ensembles:
            if not any(key(config) in failed for config in members):
                folder.append(_averaged(members, folder, dataset))
        status = table.report(folder.path) if folder.rows() else 0
        if failed:
            raise UserError(
                f"{folder.path}: {len(failed)} of {len(configs)} rows could not be trained "
                f"({', '.join(map(str, failed))}): the warnings say why; the same command tries them again"
            )
        return status


class _Work(NamedTuple):
    """Rows to train, and what all of them are trained with."""

    rows: list[tuple[str, Config, Path]]  # `row 2 of 4: joint-20-s0`, and its run directory
    dataset: Dataset
    stop: Stop
    on_nan: str


def _here(work: _Work) -> Iterator[ray_cluster.Ended]:
    """Trains one row after the other, in this process; yields each that has ended.

    The second row's overhead is 2.1 s, a process of its own takes 4.4 s. The bits are the same, a step takes no longer
    in the fourth row than in the first, and a row leaves 1 to 17 MB behind.
    """
    for title, config, path in work.rows:
        print(title, flush=True)
        failure = None
        try:
            if loop.train(config, path, stop=work.stop, dataset=work.dataset, on_nan=work.on_nan):
                return
        except Exception as error:
            told = mendable(error)
            unnamed = isinstance(error, OSError) and error.filename is None  # it may be the output's, which all share
            if told is None or unnamed:
                raise
            failure = UserError(told)  # without what the error holds on to, after a lack of memory
        yield config, failure
        if work.stop.by:  # too late for the run to stop
            return


def _on_cluster(work: _Work) -> Iterator[ray_cluster.Ended]:
    """Trains the rows on the cluster's workers, as many at once as it takes; yields each that has ended."""
    print(f"{len(work.rows)} rows are given to the cluster", flush=True)
    titles = {key(config): title for title, config, _ in work.rows}
    runs = [(config, path) for _, config, path in work.rows]
    for config, error in ray_cluster.train(runs, work.dataset, work.stop, work.on_nan):
        if error is None:
            print(f"{titles[key(config)]} is done", flush=True)
        yield config, error


def _load(config: Config, out: Path | None) -> Dataset:
    """The data; "auto" stays what it was when the sweep began that this command goes on with."""
    data = config.data
    if data.dataset != "auto" or (data.data_dir, data.image_size, data.stream) != (None, None, None):
        return load(data.dataset, data.data_dir, square(data.image_size), data.stream)
    places = [out] if out else [ROOT / name for name in ("mnist", EMBEDDED)]
    begun = [name for name in (SweepDir(place).dataset() for place in places) if name]
    return load(begun[0] if len(begun) == 1 else "auto")


def _row(config: Config, run: RunDir) -> Row:
    """What results.jsonl says of a run that has ended; accuracies and their fall are shares, 0 to 1."""
    row = key(config)
    record, parts, result = run.record(), run.parts(), read_json(run.result_file)
    accuracies = [line["test_accuracy"] for line in run.metrics() if line.get("test_accuracy") is not None]
    return {
        "preset": config.preset,
        "labels": config.data.labels,
        "draw": row.draw,
        "member": row.member,
        "head": config.model.head,
        "dataset": result.pop("dataset"),
        "notice": result.pop("notice"),
        "steps": result.pop("step"),
        **result,
        "fall": max(accuracies) - result["test_accuracy"],  # from the best epoch to the last
        "digest": record["dataset"]["digest"],
        "config": record["config"],
        "versions": _of_parts([part["versions"] for part in parts]),
        "device": _of_parts([part["device"] for part in parts]),
        "commit": _each_once(run.commits()),
    }


def _of_parts(records: Sequence[Row]) -> Row:
    """The fields of the last one, each with the values of all where they differ: `float32, bfloat16`."""
    values = {name: list(dict.fromkeys(record.get(name) for record in records)) for name in records[-1]}
    return {name: held[0] if len(held) == 1 else ", ".join(map(str, held)) for name, held in values.items()}


def _each_once(commits: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(filter(None, commits))) or None


def _ensembles(configs: Sequence[Config], done: set[Key]) -> list[list[Config]]:
    """The runs on the same draw with the same preset and number of labels, whose average is not done yet."""
    together: dict[Key, list[Config]] = {}
    for config in configs:
        together.setdefault(key(config)._replace(member=0), []).append(config)
    return [runs for row, runs in together.items() if len(runs) > 1 and row.averaged(len(runs)) not in done]


def _check_members(configs: Sequence[Config], folder: SweepDir, done: set[Key]) -> None:
    """Refuses rows that are done and are to be averaged, but whose weights are not there: hours before they miss."""
    for config in configs:
        path = _last_checkpoint(config, folder)
        if key(config) in done and not path.is_dir():
            raise UserError(f"{path}: not found; ‹ensemble› averages its weights; another ‹out›")


def _last_checkpoint(config: Config, folder: SweepDir) -> Path:
    return folder.run(key(config)).checkpoints / f"step_{config.total_steps}"


def _averaged(members: Sequence[Config], folder: SweepDir, dataset: Dataset) -> Row:
    """What results.jsonl says of the mean of several runs' classifiers; its time is that of all of them."""
    rows = {key_of(row): row for row in folder.rows()}
    first = rows[key(members[0])]
    system = build(members[0], dataset.train_images.shape[1:], dataset.num_classes)
    states = []
    for config in members:
        state = checkpoint.restore(_last_checkpoint(config, folder), system.abstract_state())
        states.append(jax.tree.map(jax.numpy.asarray, state))
    classify = make_classify(system.disc)

    def accuracy(players: list[Params]) -> float:
        test = dataset.test_images, dataset.test_labels
        return evaluate(average(classify, players), None, *test, dataset.num_classes).accuracy

    kept = ("preset", "labels", "draw", "head", "dataset", "notice", "steps", "digest", "config", "versions", "device")
    commits = [str(rows[key(config)].get("commit") or "").split(", ") for config in members]
    return {name: first[name] for name in kept if name in first} | {
        "commit": _each_once(chain(*commits)),
        "together": len(members),
        "seconds": round(sum(rows[key(config)]["seconds"] for config in members), 2),
        "test_accuracy": accuracy([state.params.d for state in states]),
        "ema_test_accuracy": accuracy([state.ema.d for state in states]),
    }

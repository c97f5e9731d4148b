"""What results.jsonl records about a trial, or about the average of several trials' classifiers."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import jax

from sgan_jax.config import Config, to_json
from sgan_jax.data.load import Dataset
from sgan_jax.engine.system import build
from sgan_jax.files import read_json
from sgan_jax.metrics.accuracy import accuracy
from sgan_jax.metrics.classify import class_logits, ensemble
from sgan_jax.runs import checkpoint
from sgan_jax.runs.directory import RunDir
from sgan_jax.sweep.directory import Record, SweepDir, key, key_of

_FROM_FIRST = (
    "preset",
    "labels",
    "draw",
    "head",
    "dataset",
    "notice",
    "steps",
    "digest",
    "config",
    "versions",
    "device",
)


def record_of(config: Config, run: RunDir) -> Record:
    """The record of a trial that has ended. Accuracies and the drop of accuracy are fractions 0..1.

    Args:
      config: the trial's.
      run: its run directory.
    """
    trial = key(config)
    record, result = run.record(), read_json(run.result_file)
    accuracies = [line["test_accuracy"] for line in run.metrics() if line.get("test_accuracy") is not None]
    drop = max(accuracies) - result["test_accuracy"]  # from the best epoch to the last
    return {
        "preset": config.preset,
        "labels": config.data.labels,
        "draw": trial.draw,
        "member": trial.member,
        "head": config.model.head,
        "dataset": result.pop("dataset"),
        "notice": result.pop("notice"),
        "steps": result.pop("step"),
        **result,
        "fall": drop,
        "digest": record.dataset.digest,
        "config": to_json(record.config),
        "versions": _merged([part.versions for part in record.parts]),
        "device": _merged([part.device for part in record.parts]),
        "commit": _each_once(record.commits),
    }


def averaged_record(members: Sequence[Config], folder: SweepDir, dataset: Dataset) -> Record:
    """The record of an ensemble: its classifier predicts the mean of its members' class probabilities.

    Args:
      members: trials of one draw, whose checkpoints are in the sweep directory.
      folder: the sweep directory.
      dataset: what they were trained on.

    Returns:
      The record; its seconds are the sum of the members'.
    """
    records = {key_of(record): record for record in folder.records()}
    first = records[key(members[0])]
    system = build(members[0], dataset.train_images.shape[1:], dataset.num_classes)
    states = []
    for config in members:
        state = checkpoint.restore(last_checkpoint(config, folder), system.abstract_state())
        states.append(jax.tree.map(jax.numpy.asarray, state))

    def test_accuracy(averaged: bool) -> float:
        models = [state.model("d", averaged) for state in states]
        logits = class_logits(ensemble(system.classify, models), None, dataset.test_images, dataset.num_classes)
        return accuracy(logits, dataset.test_labels)

    commits = [str(records[key(config)].get("commit") or "").split(", ") for config in members]
    return {name: first[name] for name in _FROM_FIRST if name in first} | {
        "commit": _each_once(chain(*commits)),
        "together": len(members),
        "seconds": round(sum(records[key(config)]["seconds"] for config in members), 2),
        "test_accuracy": test_accuracy(averaged=False),
        "ema_test_accuracy": test_accuracy(averaged=True),
    }


def last_checkpoint(config: Config, folder: SweepDir) -> Path:
    """The checkpoint that a trial leaves when it ends, perhaps early."""
    run = folder.run(key(config))
    return run.checkpoints / f"step_{run.result().get('step', config.total_steps)}"


def _merged(records: Sequence[Record]) -> Record:
    """The fields of the last record, each with the values of all records where they differ: `float32, bfloat16`."""
    values = {name: list(dict.fromkeys(record.get(name) for record in records)) for name in records[-1]}
    return {name: each[0] if len(each) == 1 else ", ".join(map(str, each)) for name, each in values.items()}


def _each_once(commits: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(filter(None, commits))) or None

"""config.json: what was written is read back, and anything else is one line that names the file and the setting."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import CONFIG, DATASET, PART, RECORD

from sgan_jax.config import to_json
from sgan_jax.errors import UserError
from sgan_jax.graph.verdict import Trust
from sgan_jax.runs.directory import RunDir
from sgan_jax.runs.record import Origin, RunRecord, read_record


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.chdir(tmp_path)
    run = RunDir(Path("runs/a"))
    run.write_record(RECORD)
    return run


def values(run: RunDir) -> dict[str, Any]:
    return json.loads(run.config_file.read_text())


def write(run: RunDir, values: Any) -> RunRecord:
    """Writes other values, and reads them."""
    run.config_file.write_text(json.dumps(values))
    return run.record()


def test_a_record_is_read_as_it_was_written(run: RunDir) -> None:
    custom = DATASET._replace(custom=True, streamed=48, test=20, labels_per_class=(5, 3), class_names=("floor", "sky"))
    custom = custom._replace(embeddings="f" * 64)
    later = PART._replace(commit=None, command=())
    for record in (
        RECORD,
        RunRecord(CONFIG, custom, (PART, later), ("step 3: d/real is nan",), "U"),
        RECORD._replace(origin=Origin("/runs/b", 600, "e" * 64, ("cat",), ("dog", "fox"), ())),
        RECORD._replace(trust=Trust("calibrated", 100, 55, 0.5, 1.25)),
    ):
        run.write_record(record)
        assert run.record() == read_record(run.config_file) == record
    assert run.record().commits == ["a" * 40]


def test_a_rollback_is_noted_and_nothing_else_changes(run: RunDir) -> None:
    run.note_rollback("step 3: d/real is nan")
    run.note_rollback("step 9: g/fool is inf")
    assert run.record() == RECORD._replace(rollbacks=("step 3: d/real is nan", "step 9: g/fool is inf"))


def test_a_verdict_is_noted_and_nothing_else_changes(run: RunDir) -> None:
    for trust in (Trust("trusted", 100, 97, 0.9667, 6.0), Trust("unused", 100, 9, -0.01, 0.0)):
        run.note_trust(trust)
        assert run.record() == RECORD._replace(trust=trust)


@pytest.mark.parametrize(
    "text",
    ["", "{", "\0\0\0", "\udcff", "[]", "3", "null", "{}", '{"config": {}}', '{"config": 3, "dataset": {}}'],
)
def test_a_damaged_config_is_a_one_line_error_that_names_the_file(text: str, run: RunDir) -> None:
    run.config_file.write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=r"^runs/a/config\.json: damaged") as error:
        run.record()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("field", ["name", "digest", "notice", "train", "image_shape", "class_names"])
def test_a_config_that_lacks_a_field_of_the_data_set_or_has_another_type_in_it_is_an_error(
    field: str, run: RunDir
) -> None:
    whole = values(run)
    for dataset in ({k: v for k, v in whole["dataset"].items() if k != field}, whole["dataset"] | {field: None}):
        with pytest.raises(UserError, match=r"^runs/a/config\.json: damaged or of another version"):
            write(run, whole | {"dataset": dataset})


@pytest.mark.parametrize("resumed", [None, 3, [3], [None], [{}], [{"versions": {}}], [{"versions": {}, "device": 1}]])
def test_a_config_with_something_else_in_the_place_of_its_later_parts_is_an_error(resumed: Any, run: RunDir) -> None:
    with pytest.raises(UserError, match="damaged or of another version"):
        write(run, values(run) | {"resumed": resumed})


@pytest.mark.parametrize(
    "odd",
    [
        {"rollbacks": 5},
        {"estimator": []},
        {"origin": {}},
        {"origin": 3},
        {"dataset": {"labels_per_class": 5}},
        {"propagated": 3},
        {"propagated": {"verdict": "trusted", "tested": "many", "right": 1, "kappa": 0.5, "certainty": 6.0}},
        {"propagated": {"verdict": "splendid", "tested": 9, "right": 1, "kappa": 0.5, "certainty": 6.0}},
    ],
)
def test_a_config_with_another_kind_of_what_it_need_not_have_is_an_error(odd: dict[str, Any], run: RunDir) -> None:
    whole = values(run)
    changed = {name: whole[name] | value if name == "dataset" else value for name, value in odd.items()}
    with pytest.raises(UserError, match="damaged or of another version"):
        write(run, whole | changed)


@pytest.mark.parametrize("shape", [[28, 28], [28, 28, "1"], [28, 28, 1.5], [28, 28, 1, 1], [28, 0, 1], [5000, 28, 1]])
def test_a_config_with_another_kind_of_image_shape_is_an_error(shape: list[Any], run: RunDir) -> None:
    whole = values(run)
    with pytest.raises(UserError, match="damaged or of another version"):
        write(run, whole | {"dataset": whole["dataset"] | {"image_shape": shape}})


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("data", "labels", "many", "data.labels: 'many'; expected a whole number or none"),
        ("data", "labels", 2.5, "data.labels: 2.5; expected a whole number or none"),
        ("data", "labels", True, "data.labels: True; expected a whole number or none"),
        ("data", "labels", 0, "data.labels: 0; must be at least 1"),
        ("data", "data_dir", 3, "data.data_dir: 3; expected text or none"),
        ("model", "head", ["stacked"], "model.head: ('stacked',); expected text"),
        ("model", "width", -8, "model.width: -8; must be between 1 and 65536"),
        ("model", "depth", 3, "no setting is named 'model.depth'"),
        ("adam", "learning_rate", "fast", "adam.learning_rate: 'fast'; expected a number"),
        ("adam", "learning_rate", float("nan"), "adam.learning_rate: nan; must be a positive number"),
        (None, "epochs", "20", "epochs: '20'; expected a whole number"),
        (None, "optimizer", "adam", "no setting is named 'optimizer'"),
        (None, "model", "big", "model is 'big', expected settings by name"),
    ],
)
def test_a_config_with_a_value_of_another_kind_is_a_one_line_error_that_names_it(
    part: str | None, field: str, value: Any, message: str, run: RunDir
) -> None:
    whole = values(run)
    (whole["config"][part] if part else whole["config"])[field] = value
    with pytest.raises(UserError) as error:
        write(run, whole)
    assert str(error.value).startswith(f"runs/a/config.json: {message}")
    assert "\n" not in str(error.value)


def test_a_setting_that_an_older_version_did_not_have_takes_its_default(run: RunDir) -> None:
    whole = values(run)
    del whole["config"]["model"]["width"], whole["config"]["steps"], whole["config"]["views"]
    assert write(run, whole).config == CONFIG
    assert values(run)["config"] != to_json(CONFIG)

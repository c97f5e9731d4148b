"""A user's own images, from the folder to the prediction: small networks on pictures that are easy to tell apart."""

import csv
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from outer import call, metrics, sha256, succeed
from rooms import RUN, SIZE, TINY, picture, rooms, trained


def test_check_tells_what_is_there_and_how_to_train(tmp_path: Path) -> None:
    printed = succeed("data", "check", rooms(), cwd=tmp_path)
    assert "floor              5       10\nsky                3       10\nunlabelled        40\n" in printed
    assert "left out: 1 files\n  sky/bad.png: no image that Pillow reads\n" in printed


def test_training_takes_all_labels_and_learns_the_classes() -> None:
    here, printed = trained()
    record = json.loads((here / RUN / "config.json").read_text())
    assert record["config"]["data"]["labels"] == 8
    assert record["dataset"]["class_names"] == ["floor", "sky"] and record["dataset"]["image_shape"] == [SIZE, SIZE, 3]
    result = json.loads((here / RUN / "result.json").read_text())
    assert (result["dataset"], result["labels"], result["step"]) == ("rooms", 8, 40)
    assert result["train_accuracy"] == result["test_accuracy"] == 1.0
    assert f"finished: {RUN}\n" in printed


def test_the_same_command_goes_on_and_other_images_are_refused(tmp_path: Path) -> None:
    here, _ = trained()
    assert "finished at step 40" in succeed("train", *TINY, "--epochs", 2, "--data-dir", rooms(), cwd=here)
    resized = call("train", *TINY, "--epochs", 2, "--data-dir", rooms(), "--image-size", 16, cwd=here)
    assert resized.returncode == 2 and "dataset was rooms (" in resized.stderr


def test_without_test_images_labels_may_be_kept_for_validation(tmp_path: Path) -> None:
    for name in ("floor", "sky", "unlabelled"):
        (tmp_path / "rooms" / name).mkdir(parents=True)
        for path in (rooms() / name).glob("*.png"):
            (tmp_path / "rooms" / name / path.name).write_bytes(path.read_bytes())
    arguments = (*TINY, "--epochs", 1, "--data-dir", "rooms")
    printed = succeed("train", *arguments, "--validation", 3, cwd=tmp_path)
    assert "validation accuracy" in printed and "test accuracy" not in printed
    (line,) = metrics(tmp_path / RUN)
    assert {"train_accuracy", "validation_accuracy", "ema_validation_accuracy"} <= line.keys()
    assert "test_accuracy" not in line
    evaluated = succeed("eval", cwd=tmp_path)
    assert "Validation Accuracy: " in evaluated and "Test" not in evaluated
    alone = succeed("train", *arguments, "--seed", 1, cwd=tmp_path)
    assert "train accuracy" in alone and "validation" not in alone
    assert "Train Accuracy: " in succeed("eval", cwd=tmp_path)
    swept = call("sweep", "--labels", 4, "--draws", 1, "--data-dir", "rooms", cwd=tmp_path)
    assert (swept.returncode, swept.stderr.splitlines()[-1]) == (
        2,
        "sgan: error: rooms: no test images; a sweep compares errors on them",
    )


def test_predictions_of_files_and_folders_as_text_csv_and_json(tmp_path: Path) -> None:
    here, _ = trained()
    picture("sky", 900).resize((30, 20)).convert("RGBA").save(tmp_path / "wide.png")
    printed = succeed("predict", tmp_path / "wide.png", rooms() / "test" / "floor", cwd=here).splitlines()
    assert len(printed) == 11
    label, percent, path = printed[0].split()
    assert (label, path) == ("sky", str(tmp_path / "wide.png")) and 50 < float(percent.removesuffix("%")) <= 100
    assert {line.split()[0] for line in printed[1:]} == {"floor"}

    rows = list(csv.reader(succeed("predict", tmp_path, "--format", "csv", cwd=here).splitlines()))
    assert rows[0] == ["image", "class", "probability", "floor", "sky"]
    assert rows[1][:2] == [str(tmp_path / "wide.png"), "sky"]
    assert float(rows[1][2]) == float(rows[1][4]) == pytest.approx(1 - float(rows[1][3]), abs=2e-6)

    out = tmp_path / "out" / "said.json"
    assert succeed("predict", tmp_path, "--format", "json", "--out", out, "--averaged", cwd=here) == f"{out}\n"
    (said,) = json.loads(out.read_text())
    assert set(said) == {"image", "class", "probability", "probabilities"} and said["class"] == "sky"
    assert set(said["probabilities"]) == {"floor", "sky"}


def test_prediction_needs_no_data_and_tells_of_files_that_are_no_images(tmp_path: Path) -> None:
    shutil.copytree(trained()[0] / RUN, tmp_path / "elsewhere")
    record = json.loads((tmp_path / "elsewhere" / "config.json").read_text())
    record["config"]["data"]["data_dir"] = str(tmp_path / "gone")
    (tmp_path / "elsewhere" / "config.json").write_text(json.dumps(record))
    done = call("predict", "--run", "elsewhere", rooms() / "sky", cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 3)
    assert done.stderr == f"sgan: warning: {rooms() / 'sky' / 'bad.png'}: left out (no image that Pillow reads)\n"
    nothing = call("predict", "--run", "elsewhere", rooms() / "sky" / "bad.png", cwd=tmp_path)
    assert nothing.returncode == 2
    assert nothing.stderr.endswith("sgan: error: none of 1 files is an image that can be used\n")
    missing = call("predict", "--run", "elsewhere", "nowhere.png", cwd=tmp_path)
    assert missing.stderr == "sgan: error: nowhere.png: no such file; name image files, or folders of them\n"
    other = call("predict", "--run", "elsewhere", "--format", "xml", rooms() / "sky", cwd=tmp_path)
    assert other.stderr == "sgan: error: --format: xml; choose one of text, csv, json\n"


def test_a_folder_that_is_streamed_trains_resumes_to_the_bit_and_is_told_of(tmp_path: Path) -> None:
    arguments = (*TINY, "--data-dir", rooms(), "--stream", "True")
    done = call("train", *arguments, "--epochs", 2, "--run", "whole", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "unlabelled images are read from disk at every step (--stream)" in done.stderr
    record = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert (record["dataset"]["train"], record["dataset"]["streamed"]) == (8, 48)
    assert record["config"]["data"]["stream"] is True
    for epochs in (1, 2):
        succeed("train", *arguments, "--epochs", epochs, "--run", "parts", cwd=tmp_path)
    assert sha256(tmp_path / "parts", 40) == sha256(tmp_path / "whole", 40)
    assert json.loads((tmp_path / "whole" / "result.json").read_text())["test_accuracy"] == 1.0
    assert "Test Accuracy: 100" in succeed("eval", "--run", "whole", cwd=tmp_path)
    refused = call("train", "--preset", "best", "--data-dir", rooms(), "--stream", "True", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.endswith("and these do not fit in memory; --preset consistency does not\n")


def test_slips_of_files_and_sizes_are_one_line(tmp_path: Path) -> None:
    here, _ = trained()
    held = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**7, 10**3, 10**3)}
    np.lib.format.write_array_header_1_0(held, header)
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x_train.npy", held.getvalue())
    for arguments, message in (
        (("data", "check", tmp_path / "huge.npz"), "out of memory; give a smaller --image-size"),
        (("data", "check", rooms(), "--image-size", -5), "--image-size: -5; must be between 8 and 512"),
        (("predict", "--out", ".", rooms() / "test"), ".: Is a directory"),
        (
            ("train", *TINY, "--data-dir", rooms(), "--validation", 7, "--run", tmp_path / "v"),
            "--validation: keeps all",
        ),
    ):
        done = call(*arguments, cwd=here)
        assert done.returncode == 2, arguments
        assert done.stderr.splitlines()[-1].startswith(f"sgan: error: {message}"), done.stderr
    assert not (tmp_path / "v").exists()


def test_a_name_that_is_no_text_does_not_cost_the_others(tmp_path: Path) -> None:
    here, _ = trained()
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb") as file:
        picture("sky", 5).save(file, "png")
    succeed("predict", "--format", "csv", "--out", tmp_path / "f.csv", os.fsdecode(odd), rooms() / "test", cwd=here)
    assert len((tmp_path / "f.csv").read_text().splitlines()) == 22

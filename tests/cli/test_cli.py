"""The command line as a user has it, on the digits inside the package: the texts, the files and the exit statuses.

A process is started where the process itself is the fact; the other tests call the command line in their own process.
"""

import json
import os
import re
import resource
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from outer import (
    DIGITS,
    EPOCHS,
    NOTICE,
    RUN,
    SMALL,
    STEPS,
    THERE,
    call,
    command,
    copy_of_finished_run,
    environment,
    finished_run,
    metrics,
    succeed,
)
from PIL import Image

import sgan_jax
from sgan_jax.cli.main import COMMANDS
from sgan_jax.config import Config, changed
from sgan_jax.inference.describe import describe


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run that the test may change, as runs/latest of the test's directory."""
    return copy_of_finished_run(tmp_path)


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture that has to be a PNG."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        picture.load()
        return picture.size


# --- bin/train ---


def test_training_prints_the_data_the_run_every_step_and_every_epoch():
    lines = finished_run()[1].splitlines()
    assert lines[0] == f"*** {NOTICE} ***"
    assert lines[1] == f"{RUN}: new run, to step 8"
    steps = [line for line in lines if line.startswith(">")]
    number = r"\d+\.\d{3}"
    carried = {"train": r"\d+\.\d\d", "test": r"\d+\.\d", "averaged weights test": r"\d+\.\d"}  # of 4,000 and 1,000
    for step, line in enumerate(steps, 1):
        assert re.fullmatch(rf">{step}, c\[{number},\d+\], d\[{number},{number}\], g\[{number}\]", line)
    assert len(steps) == 8
    progress = [line for line in lines if line.startswith("epoch ")]
    assert [line.split()[:4] for line in progress] == [["epoch", f"{k}/4", "step", f"{2 * k}/8"] for k in (1, 2, 3, 4)]
    assert [line for line in lines if NOTICE in line] == [lines[0], f"finished: {RUN} ({NOTICE})"]
    epochs = [line for line in lines if line.startswith("step_")]
    for step, line in zip(STEPS, epochs, strict=True):
        figures = ", ".join(f"{of} accuracy {number}%" for of, number in carried.items())
        assert re.fullmatch(rf"step_{step}: {figures}", line)
    accuracy = json.loads((finished_run()[0] / RUN / "result.json").read_text())["test_accuracy"]
    assert lines[-4:] == [
        f"finished: {RUN} ({NOTICE})",
        f"test accuracy {100 * accuracy:.1f}% of 1,000",
        f"results: {RUN}/result.json, checkpoints/step_8, samples/step_8.png",
        f"next: bin/report --run {RUN}, or bin/predict --run {RUN} IMAGE",
    ]


def test_training_prints_what_is_trained_on_what_before_the_first_step():
    lines = finished_run()[1].splitlines()
    assert lines[2] == "device: cpu, float32"
    assert lines[3] == "images: 28 x 28, grey; 100 labelled, 3,900 unlabelled, 1,000 for the test"
    assert lines[4] == "labelled: 10 of each of 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"
    networks = describe(changed(Config(), {"model.width": 8}), (28, 28, 1), 10)
    assert lines[5] == f"parameters: {', '.join(f'{network.name} {network.parameters:,}' for network in networks)}"


def test_the_losses_of_the_first_step_are_those_of_a_fresh_network():
    line = next(line for line in finished_run()[1].splitlines() if line.startswith(">1,"))
    c, d_real, d_fake, g = (float(x) for x in re.findall(r"\d+\.\d{3}", line))
    # Logits near 0: -log(1/10); Z = 10, so real is scored 10/11: -log(10/11), -log(1/11), -log(10/11).
    assert (c, d_real, d_fake, g) == pytest.approx((np.log(10), np.log(1.1), np.log(11), np.log(1.1)), rel=0.15)


def test_the_run_directory_holds_what_the_readme_says():
    folder, _ = finished_run()

    def names(where: str) -> list[str]:
        return sorted(path.name for path in (folder / RUN / where).iterdir())

    files = ["config.json", "labels.json", "metrics.jsonl", "result.json"]
    assert names(".") == sorted(["checkpoints", "eval", *files, "samples", "tensorboard"])
    assert names("checkpoints") == [f"step_{step}" for step in STEPS]
    assert names("samples") == [f"step_{step}.png" for step in STEPS]
    assert names("eval") == [f"step_{step}-predictions.npz" for step in STEPS]
    assert all("tfevents" in name for name in names("tensorboard"))
    assert (folder / "runs/latest").resolve() == (folder / RUN).resolve()


def test_the_samples_are_a_grid_of_a_hundred_images():
    side = 10 * 2 * 28 + 11 * 2  # twice enlarged, two pixels between them and around
    assert png_size(finished_run()[0] / RUN / "samples/step_2.png") == (side, side)


def test_the_metrics_have_a_line_for_every_epoch():
    lines = metrics(finished_run()[0] / RUN)
    assert tuple(line["step"] for line in lines) == STEPS
    for line in lines:
        assert {"d/supervised", "d/real", "d/fake", "g/fool", "d/accuracy"} <= set(line)
        assert {"train_accuracy", "test_accuracy", "ema_test_accuracy"} <= set(line)
        assert all(np.isfinite(value) for value in line.values() if isinstance(value, float))
        assert set(line["watched"]) == {"d/accuracy", "d/real_accuracy", "d/fake_accuracy"}
        assert line["units"] == dict.fromkeys(("train_accuracy", "test_accuracy", "ema_test_accuracy"), "%")
        assert line["images"] == {"train_accuracy": 4000, "test_accuracy": 1000, "ema_test_accuracy": 1000}


def test_the_labelled_images_are_a_hundred_ten_of_each_class():
    from sgan_jax.data.load import load_embedded

    indices = json.loads((finished_run()[0] / RUN / "labels.json").read_text())["indices"]
    assert len(set(indices)) == 100
    assert np.bincount(load_embedded().train_labels[indices]).tolist() == [10] * 10


def test_the_config_holds_what_decides_the_result():
    from sgan_jax.data.load import load_embedded

    config = json.loads((finished_run()[0] / RUN / "config.json").read_text())
    assert config["config"]["model"]["width"] == 8
    assert config["config"]["batch_size"] == 2
    assert (config["config"]["seed"], config["config"]["data"]["label_seed"]) == (0, 0)
    dataset = config["dataset"]
    assert (dataset["name"], dataset["notice"]) == ("mnist-5k", NOTICE)
    assert dataset["digest"] == load_embedded().digest
    assert (dataset["train"], dataset["test"], dataset["image_shape"]) == (4000, 1000, [28, 28, 1])
    assert {"sgan_jax", "python", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"} <= set(
        config["versions"]
    )
    assert config["device"]["platform"] == "cpu"
    assert config["command"][1:6] == ["train", *DIGITS, *SMALL[:2]]


def test_the_result_is_that_of_the_last_step_and_bears_the_notice():
    folder, _ = finished_run()
    result = json.loads((folder / RUN / "result.json").read_text())
    assert (result["dataset"], result["notice"], result["labels"]) == ("mnist-5k", NOTICE, 100)
    last = metrics(folder / RUN)[-1]
    assert {name: result[name] for name in last} == last


def test_the_same_command_on_a_finished_run_says_so_and_changes_no_result(run, does):
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "config.json"}

    before = contents()
    for arguments in ((*DIGITS, *SMALL, *EPOCHS), ("--run", RUN)):
        printed = does("train", *arguments)
        assert f"{RUN}: finished at step 8; more epochs or steps make it longer" in printed
        assert contents() == before
        accuracy = metrics(run)[-1]["test_accuracy"]
        assert printed.splitlines()[-3:] == [
            f"test accuracy {100 * accuracy:.1f}% of 1,000",
            f"results: {RUN}/result.json, checkpoints/step_8, samples/step_8.png",
            f"next: sgan report --run {RUN}, or sgan predict --run {RUN} IMAGE",
        ]


def test_another_setting_on_the_run_is_an_error_that_names_it(run, fails):
    error = fails("train", *DIGITS, *SMALL, *EPOCHS, "--learning-rate", 0.01, "--run", "runs/latest")
    assert error.startswith("runs/latest: holds a run of other settings (adam.learning_rate was 0.0002, now 0.01);")


@pytest.mark.slow
def test_another_preset_and_another_head_make_a_run_of_their_own(run, tmp_path, does, fails):
    options = ("--preset", "joint", "--head", "real_fake", "--steps", 1)
    printed = does("train", *DIGITS, *SMALL, *options, "--log-every", 1)
    other = tmp_path / "runs/mnist-5k-100-joint-real_fake-s0"
    assert [path.name for path in (other / "checkpoints").iterdir()] == ["step_1"]
    assert (tmp_path / "runs/latest").resolve() == other
    assert re.search(r"^>1, d\[0\.\d{3},0\.\d{3}\], g\[0\.\d{3}\]$", printed, re.M), "a plain GAN has no c"
    assert "step_1: no classifier" in printed
    assert fails("eval").endswith("its head 'real_fake' has no classifier to evaluate; `sample` shows its generator")
    checkpoint, copied = other / "checkpoints/step_1", tmp_path / "copied/step_1"
    shutil.copytree(checkpoint, copied)
    assert fails("eval", "--run", RUN, "--ckpt", checkpoint).endswith(f"lies in another run, {other}; leave --run out")
    assert "lies in no run directory; name its run with --run" in fails("eval", "--ckpt", copied)
    error = fails("eval", "--run", RUN, "--ckpt", copied)
    assert error.startswith(f"{copied}: a checkpoint of other networks: ema/d/logits/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--labels", 0), "--labels: 0; must be at least 1"),
        (("--labels", 4001), "--labels 4001: class"),
        (("--epochs", 0), "--epochs: 0; must be at least 1"),
        (("--steps", -1), "--steps: -1; must be at least 1"),
        (("--steps-per-epoch", 0), "--steps-per-epoch: 0; must be at least 1"),
        (("--batch-size", 0), "--batch-size: 0; must be between 1 and 65536"),
        (("--propagation.alpha", 1), "--propagation.alpha: 1.0; must be at least 0 and below 1"),
        (("--unlabelled", 9), "--unlabelled: 9; must be at least --batch-size, 50"),
        (("--evaluators", "brightness"), "unknown evaluator 'brightness'; choose one of accuracy"),
        (("--image-size", "wide"), "--image-size: wide; expected N or HEIGHTxWIDTH"),
        (("--config", "none.json"), "--config none.json: cannot be read as json ("),
        (("--width", 0), "--width: 0; must be between 1 and 65536"),
        (("--precision", "float16"), "--precision: float16; choose one of float32, bfloat16, auto"),
        (("--learning-rate", "nan"), "--learning-rate: nan; must be a positive number"),
        (("--seed", -1), "--seed: -1; must be between 0 and 4294967295"),
        (("--label-seed", 2**32), "--label-seed: 4294967296; must be between 0 and 4294967295"),
        (("--log-every", -1), "--log-every: -1; must be 0 (off) or more"),
        (
            ("--preset", "tutrial"),
            "unknown preset 'tutrial'; choose one of best, best-objects, best-unaugmented",
        ),
        (("--preset", "catgan", "--head", "real_fake"), "head 'real_fake' has no classes, which objective 'catgan' is"),
        (("--data-dir", ""), "--data-dir: '' is no path; leave it out, or name a file or folder"),
        (("--data-dir", "missing"), "--data-dir missing: does not exist"),
        (("--run", "file"), "file: cannot be written (File exists); choose another --run"),
        (("--run", "file/below"), "file/below: cannot be written (Not a directory); choose another --run"),
        (("--run", "x" * 300), "x" * 300 + ": cannot be written (File name too long)"),
        (("--run", "full"), "full: holds files but no config.json; give an empty or new directory with --run"),
    ],
)
def test_flags_that_no_run_can_be_made_of_are_one_line(arguments, message, fails, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    dataset = () if "--data-dir" in arguments else DIGITS
    assert fails("train", *dataset, *arguments).startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"], "nothing half-written"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("eval", "--help"), ("describe", "--out", "networks.png")])
def test_output_that_has_no_room_is_one_line(arguments, unbuffered, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED=unbuffered),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "sgan: error: standard output: cannot be written (No space left on device)\n"


def test_output_that_nobody_reads_ends_the_program_in_silence():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command("eval", "--help"), env=environment(), stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_damaged_config_is_one_line_whatever_the_command(run, fails):
    (run / "config.json").write_text('{"config": {"epo')
    for arguments in (("train", *DIGITS, *SMALL, "--run", RUN), ("eval",), ("sample",)):
        assert "config.json: damaged: no JSON (" in fails(*arguments)


def test_a_config_of_another_version_is_one_line_whatever_the_command(run, fails):
    record = json.loads((run / "config.json").read_text())
    record["config"]["data"]["labels"] = "many"
    (run / "config.json").write_text(json.dumps(record))
    for arguments in (("train", *DIGITS, *SMALL, "--run", RUN), ("eval",), ("sample",)):
        assert "config.json: --labels: 'many'; expected a whole number or none; start a new run" in fails(*arguments)


# --- bin/eval ---


def test_evaluation_prints_both_accuracies_and_figures_of_every_class(run, does, tmp_path):
    lines = does("eval", "--ckpt", "step_2").splitlines()
    assert lines[0] == f"*** {NOTICE} ***"
    logged = metrics(run)[0]
    train = f"Train Accuracy: {100 * logged['train_accuracy']:.2f}% of 4,000 images"
    assert lines[1] == train, "as training measured it"
    assert lines[2] == f"Test Accuracy: {100 * logged['test_accuracy']:.1f}% of 1,000 images"
    averaged = re.fullmatch(r"Averaged weights: train \d{1,2}\.\d{2}%, test (\d{1,2}\.\d)%", lines[3])
    assert averaged and averaged[1] == f"{100 * logged['ema_test_accuracy']:.1f}"
    assert re.fullmatch(r"Top-5 accuracy: train \d{1,3}\.\d{2}%, test \d{1,3}\.\d%", lines[4])
    assert re.fullmatch(r"Expected calibration error: \d{1,2}\.\d\d% \(test images\)", lines[5])
    assert lines[7].split() == ["class", "images", "recall", "precision", "F1"]
    for name, line in enumerate(lines[8:18]):
        assert re.fullmatch(rf"{name} +100 +\d+\.\d% +(\d+\.\d%|-) +\d+\.\d%", line)
    picture = run / "eval/step_2-confusion.png"
    assert lines[-1] == f"confusion matrix: {picture.relative_to(tmp_path)}" or lines[-1].endswith(str(picture))
    assert min(png_size(picture)) > 500


def test_the_json_of_an_evaluation_agrees_with_its_text(run, does):
    text = does("eval", "--ckpt", "2")
    printed = does("eval", "--ckpt", "step_2", "--json")
    figures = json.loads(printed, parse_constant=pytest.fail)  # NaN is no JSON
    assert (figures["step"], figures["notice"], figures["run"]) == (2, NOTICE, str(run))
    assert f"Train Accuracy: {100 * figures['train_accuracy']:.2f}% of 4,000 images\n" in text
    assert f"Test Accuracy: {100 * figures['test_accuracy']:.1f}% of 1,000 images\n" in text
    assert figures["images"] == {"train": 4000, "test": 1000}
    averaged = [100 * figures[f"ema_{name}_accuracy"] for name in ("train", "test")]
    assert f"Averaged weights: train {averaged[0]:.2f}%, test {averaged[1]:.1f}%\n" in text
    confusion = np.array(figures["confusion"])
    assert confusion.sum(axis=1).tolist() == [100] * 10
    assert np.trace(confusion) / 1000 == figures["test_accuracy"]
    given = confusion.sum(axis=0)
    for k, name in enumerate(figures["class_names"]):
        recall = confusion[k, k] / 100
        precision = confusion[k, k] / given[k] if given[k] else None
        assert (figures["recall"][k], figures["precision"][k]) == (recall, precision)
        shown = "-" if precision is None else f"{100 * precision:.1f}%"
        f1 = 2 * confusion[k, k] / (100 + given[k])
        assert figures["f1"][k] == f1
        row = [name, "100", f"{100 * recall:.1f}%", shown, f"{100 * f1:.1f}%"]
        assert row in [line.split() for line in text.splitlines()]
    assert f"Expected calibration error: {100 * figures['calibration_error']:.2f}% (test images)\n" in text
    assert figures["top_k"] == 5 and figures["test_accuracy"] <= figures["top_k_accuracy"]["test"] < 1
    assert Path(figures["confusion_png"]).exists()


def test_a_checkpoint_is_found_by_name_number_latest_or_path(run, does, tmp_path):
    def step(*arguments: object) -> int:
        drawn = Path(does("sample", "--count", 1, *arguments).strip())
        return int(drawn.name.removeprefix("step_").removesuffix("-sample.png"))

    assert step() == step("--ckpt", "latest") == step("--ckpt", "8") == 8
    (tmp_path / "runs/latest").unlink()  # so that the path alone tells the run
    assert step("--ckpt", RUN / "checkpoints/step_2") == 2
    assert step("--ckpt", "step_2", "--run", RUN) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("step_3", f"checkpoints/step_3: no such checkpoint; {THERE}"),
        ("7200", f"checkpoints/step_7200: no such checkpoint; {THERE}"),
        ("step_x", f"checkpoints/step_x: no such checkpoint; {THERE}"),
        ("-1", f"checkpoints/-1: no such checkpoint; {THERE}"),
        ("last", f"checkpoints/last: no such checkpoint; {THERE}"),
        ("", "checkpoints: no checkpoint, but another directory; there are no checkpoints"),
        (".", "checkpoints: no checkpoint, but another directory; there are no checkpoints"),
        ("no/such/path", "no/such/path: no such checkpoint; there are no checkpoints"),
        (
            "runs/latest/checkpoints/step_9",
            f"checkpoints/step_9: no such checkpoint; {THERE}",
        ),
        ("runs", "runs: no checkpoint, but another directory; there are no checkpoints"),
        ("n" * 300, "n" * 300 + ": File name too long"),
    ],
)
@pytest.mark.parametrize("command", ["eval", "sample"])
def test_a_name_that_is_no_checkpoint_is_one_line_that_lists_those_there(command, name, message, run, fails):
    assert fails(command, f"--ckpt={name}").endswith(message)


@pytest.mark.parametrize("command", ["eval", "sample"])
def test_where_there_is_no_run_or_no_checkpoint_one_line_says_what_to_do(command, run, fails, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert fails(command, "--run", "empty").startswith("empty/config.json: not found; expected a run directory")
    assert fails(command, "--run", "file").startswith("file/config.json: not found; expected a run directory")
    assert fails(command, "--run", "none") == "none: no such run directory; runs/ holds mnist-5k-100-tutorial-s0"
    (run / "checkpoints").rename(tmp_path / "gone")
    assert fails(command).endswith("no checkpoint yet; `train` writes one after each epoch")
    (tmp_path / "runs/latest").unlink()
    assert fails(command).startswith("runs/latest: no such run directory; train first")


def test_a_damaged_checkpoint_is_one_line(run, tmp_path):
    for file in (run / "checkpoints/step_8/state/ocdbt.process_0/d").iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = call("eval", cwd=tmp_path)  # in a process: what Orbax's threads print would come after the test
    assert done.returncode == 2
    assert re.fullmatch(
        rf"sgan: error: \S+/step_8: the checkpoint is damaged \(.+\); {THERE}\n",
        done.stderr,
    )


def test_the_classes_of_the_top_k_accuracy_are_chosen(run, does, fails):
    figures = [json.loads(does("eval", "--ckpt", "2", "--json", "--top-k", k)) for k in (1, 10)]
    assert figures[0]["top_k_accuracy"]["test"] == figures[0]["test_accuracy"]
    assert figures[1]["top_k_accuracy"] == {"train": 1, "test": 1}
    assert fails("eval", "--top-k", 11) == "--top-k: 11; must be between 1 and 10, the number of classes"


def test_the_data_of_a_run_that_began_with_auto_is_what_auto_found_then(run, does, monkeypatch, tmp_path):
    from sgan_jax.data import cache
    from sgan_jax.data.load import Dataset

    record = json.loads((run / "config.json").read_text())
    record["config"]["data"]["dataset"] = "auto"  # as of a start without a network
    (run / "config.json").write_text(json.dumps(record))
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "cache"))
    images, labels = np.zeros((20, 28, 28, 1), np.uint8), np.arange(20, dtype=np.int32) % 10
    cache.write(Dataset("mnist", images, labels, images, labels, tuple("0123456789")))  # what auto finds now
    assert json.loads(does("eval", "--json"))["test_accuracy"] == metrics(run)[-1]["test_accuracy"]
    for arguments in ((*SMALL, *EPOCHS), ()):
        assert f"{RUN}: finished at step 8" in does("train", *arguments, "--run", RUN)


def test_other_data_than_the_run_was_trained_on_is_one_line(run, fails):
    record = json.loads((run / "config.json").read_text())
    record["dataset"]["digest"] = "0" * 64
    (run / "config.json").write_text(json.dumps(record))
    error = fails("eval")
    assert error == f"mnist-5k: {run} was trained on other data, mnist-5k; give its folder with --data-dir"


def test_figures_are_printed_where_the_picture_cannot_be_written(run, sgan):
    shutil.rmtree(run / "eval")
    (run / "eval").write_text("a file in the place of the folder")
    status, printed, error = sgan("eval")
    assert "Test Accuracy: " in printed
    assert status == 2
    assert error.startswith("sgan: error: ")
    assert "cannot write the picture" in error


# --- bin/sample ---


def test_samples_are_drawn_where_no_data_set_is_available(run, does, monkeypatch, tmp_path):
    record = json.loads((run / "config.json").read_text())
    record["config"]["data"] |= {"dataset": "auto", "data_dir": "deleted"}
    (run / "config.json").write_text(json.dumps(record))
    monkeypatch.setenv("SGAN_CACHE", str(tmp_path / "empty"))
    printed = does("sample", "--ckpt", "step_2")
    drawn = run / "samples/step_2-sample.png"
    assert printed == f"{drawn}\n"
    assert drawn.read_bytes() == (run / "samples/step_2.png").read_bytes(), "the run's own fixed latents by default"


def test_count_seed_and_file_of_samples_can_be_chosen(run, does, tmp_path):
    for seed, name in ((1, "one.png"), (1, "again.png"), (2, "missing/folder/two.png")):
        assert does("sample", "--count", 12, "--seed", seed, "--out", name) == f"{name}\n"
    one, again, two = ((tmp_path / n).read_bytes() for n in ("one.png", "again.png", "missing/folder/two.png"))
    assert one == again != two
    assert png_size(tmp_path / "one.png") == (10 * 58 + 2, 2 * 58 + 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", 0), "--count: 0; must be between 1 and 1000"),
        (("--count", 10**9), "--count: 1000000000; must be between 1 and 1000"),
        (("--seed", -1), "--seed: -1; must be between 0 and 4294967295"),
        (("--seed", 2**70), f"--seed: {2**70}; must be between 0 and 4294967295"),
        (("--count", 12, "--out", "file/x.png"), "file/x.png: cannot write the picture ("),
        (("--count", 12, "--out", "folder"), "folder: cannot write the picture ("),
    ],
)
def test_samples_that_cannot_be_drawn_are_one_line(arguments, message, run, fails, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert fails("sample", *arguments).startswith(message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "runs"]


# --- bin/describe ---


def test_describe_shows_the_tutorials_networks_and_draws_them(does, tmp_path):
    printed = does("describe")
    assert "discriminator: 316,938 parameters\n" in printed
    assert "generator: 1,164,289 parameters\n" in printed
    assert re.search(r"^  conv_1 +Conv 3x3, stride 2 +batch x 14 x 14 x 128 +1,280$", printed, re.M)
    assert re.search(r"^  up_2 +Transposed conv 4x4, stride 2 +batch x 28 x 28 x 128 +262,272$", printed, re.M)
    assert printed.splitlines()[-1] == "diagram: networks.png"
    assert min(png_size(tmp_path / "networks.png")) > 500


def test_describe_takes_other_heads_and_images(does):
    printed = does("describe", "--head", "k_plus_one", "--image-size", 32, "--channels", 3, "--classes", 5)
    assert re.search(r"^  logits +Dense +batch x 6 ", printed, re.M)
    assert re.search(r"^  tanh +tanh +batch x 32 x 32 x 3 ", printed, re.M)
    printed = does("describe", "--image-size", "20x36")
    assert re.search(r"^  input +Input +batch x 20 x 36 x 1 ", printed, re.M)
    assert re.search(r"^  tanh +tanh +batch x 20 x 36 x 1 ", printed, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "x"), "unknown preset 'x'; choose one of best, best-objects, best-unaugmented"),
        (("--preset", "supervised", "--head", "real_fake"), "head 'real_fake' has no classes, which objective 'sup"),
        (("--image-size", 0), "--image-size: 0; must be between 1 and 4096"),
        (("--image-size", "20x5000"), "--image-size: 20x5000; must be between 1 and 4096"),
        (("--image-size", "wide"), "--image-size: wide; expected N or HEIGHTxWIDTH"),
        (("--channels", -1), "--channels: -1; must be between 1 and 4096"),
        (("--classes", 0), "--classes: 0; must be between 1 and 4096"),
        (("--out", "file/x.png"), "file/x.png: cannot write the picture ("),
    ],
)
def test_networks_that_cannot_be_described_are_one_line(arguments, message, fails, tmp_path):
    (tmp_path / "file").write_text("")
    assert fails("describe", *arguments).startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# --- all commands ---


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_is_quick_and_explains_every_flag(command, tmp_path):
    # Of the processor, since the machine may have other work as well.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    printed = succeed(command, "--help", cwd=tmp_path, COLUMNS="120")  # in one column
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
    rows = [line.removeprefix("│ ").rstrip("│ ") for line in printed.splitlines() if line.startswith("│")]
    starts = [number for number, row in enumerate(rows) if row.startswith("--")]
    flags = [
        " ".join(" ".join(rows[start:end]).split()) for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
    assert flags
    for flag in flags:
        explained = re.sub(r"^(--\S+( \{\S+| [A-Z]\S*)?,? ?)+|\(default.*", "", flag)
        assert len(explained.split()) >= 2, f"not explained: {flag}"
    assert not list(tmp_path.iterdir())


def test_a_flag_that_does_not_exist_or_has_no_number_or_path_is_reported_with_status_2(sgan, tmp_path):
    wrong = (("train", "--lables", 100), ("train", "--labels", "many"), ("eval", "--head", "stacked"))
    for arguments in (*wrong, ("report", "--run", ""), ("predict", "")):
        status, printed, error = sgan(*arguments)
        assert status == 2
        assert str(arguments[1]) in printed + error
    assert not list(tmp_path.iterdir())


def test_without_a_command_help_lists_the_commands_and_the_version_is_printed(does):
    assert does() == does("--help")
    assert all(name in does() for name in COMMANDS)
    assert len(does().splitlines()) < 40, "a line or two for each"
    assert does("--version") == f"sgan {sgan_jax.__version__}\n"


def test_a_device_that_is_not_there_is_one_line(tmp_path):
    done = call("train", *DIGITS, *SMALL, cwd=tmp_path, JAX_PLATFORMS="tpuu")
    assert done.returncode == 2
    message = r"sgan: error: JAX_PLATFORMS is tpuu: no such device here \(.*'tpuu'.*\); set it to cpu .*\n"
    assert re.fullmatch(message, done.stderr)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_compiled_program_that_was_cut_off_is_compiled_again_and_kept_without_a_message(run, tmp_path):
    cache = tmp_path / "cache"
    kept = {"SGAN_CACHE": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # however fast the machine is

    def sizes() -> dict[Path, int]:
        return {entry: entry.stat().st_size for entry in (cache / "xla").glob("jit_*-cache")}

    succeed("sample", "--count", 1, "--out", "one.png", cwd=tmp_path, **kept)
    whole = sizes()
    assert whole
    for entry, size in whole.items():
        entry.write_bytes(entry.read_bytes()[: size // 2])
    done = call("sample", "--count", 1, "--out", "two.png", cwd=tmp_path, **kept)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "two.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    assert all(sizes()[entry] > size // 2 for entry, size in whole.items())


def test_a_reader_that_leaves_early_is_no_error(run, tmp_path):
    line = " ".join(command("eval")) + " | head -n 1"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.stdout == f"*** {NOTICE} ***\n"
    assert done.stderr == ""

"""What the terminal prints after an epoch."""

import contextlib
import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from outer import DIGITS, environment

from sgan_jax.cli.spelling import command
from sgan_jax.cli.terminal import Terminal
from sgan_jax.cli.waiting import Waiting
from sgan_jax.metrics.measure import Measure
from sgan_jax.training.events import Epoch, Setup, Span
from sgan_jax.types import Metrics


@pytest.mark.parametrize(
    ("measures", "counts", "notice", "line"),
    [
        (
            {"train_accuracy": Measure(0.98765, "%", 60_000), "ema_test_accuracy": Measure(0.5, "%", 300)},
            {"train_accuracy": 10_000},
            "mnist-5k",
            "step_600: train accuracy 98.765% of 10,000, averaged weights test accuracy 50.0%",
        ),
        (
            {"distance": Measure(12.3456789), "entropy": Measure(0.25, "bits")},
            {},
            "",
            "distance 12.35, entropy 0.25 bits",
        ),
        ({}, {}, "", "step_600: no classifier"),
    ],
)
def test_figures_are_printed_in_words_with_their_units(measures, counts, notice, line, capsys) -> None:
    with Terminal().steps(Span(1200, 0, 600, notice)) as steps:
        steps.epoch(Epoch(600, measures, counts, notice))
        steps.finished(Path("runs/a"), notice)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith(line)
    assert printed[1] == "finished: runs/a" + (f" ({notice})" if notice else "")
    uses = "bin/predict --run runs/a IMAGE" if measures else "bin/sample --run runs/a"
    assert printed[-1] == f"next: bin/report --run runs/a, or {uses}"


SETUP = Setup(
    "cpu", 1, "float32", (28, 20, 1), {"cat": 3, "dog": 3}, 0, 94, 10, {"discriminator": 1000, "generator": 2}
)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            [
                "device: cpu, float32",
                "images: 28 x 20, grey; 6 labelled, 94 unlabelled, 10 for the test",
                "labelled: 3 of each of 2 classes (cat, dog)",
                "parameters: discriminator 1,000, generator 2",
            ],
        ),
        ({"devices": 2, "device": "NVIDIA A100"}, ["device: 2 x NVIDIA A100, float32"]),
        ({"labelled": {"cat": 3, "dog": 1200}}, ["labelled: cat 3, dog 1,200"]),
        (
            {"image_shape": (28, 28, 3), "validation": 2},
            ["images: 28 x 28, RGB; 6 labelled, of which 2 are for validation only, 94 unlabelled, 10 for the test"],
        ),
    ],
)
def test_the_setup_is_printed_before_the_first_step(changes, lines, capsys) -> None:
    Terminal().begins(SETUP._replace(**changes))
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line in lines] == lines and len(printed) == 4


def test_a_run_of_many_has_neither_explanations_nor_a_next_command(capsys) -> None:
    terminal = Terminal(brief=True)
    terminal.begins(SETUP)
    with terminal.steps(Span(4, 0, 2, "")) as steps:
        steps.dispatched(2, Metrics({"d/real": 1.0}, {}))
        steps.epoch(Epoch(2, {}, {}, ""))
        steps.finished(Path("runs/a"), "")
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in printed] == ["epoch", "step_2:", "finished:"]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def compared(stream: io.StringIO, seconds: float, total: int = 100) -> str:
    """What is printed where each of so many parts takes that many seconds."""
    now = [0.0]
    waiting = Waiting(stream, lambda: now[0])
    for done in range(1, total + 1):
        waiting.show("comparing images", done, total)
        now[0] += seconds
    return stream.getvalue()


def test_the_comparison_of_images_has_plain_lines_with_percentage_and_time_left() -> None:
    lines = compared(io.StringIO(), seconds=2.5).splitlines()
    assert lines[0] == "comparing images: 5%, 0:03:58 left"
    assert len(lines) == 25 and lines[-1] == "comparing images: 100%, 0:00:00 left"


def test_on_a_terminal_the_comparison_is_one_line_that_ends_with_a_line_end() -> None:
    text = compared(Screen(), seconds=0.25)
    assert text.count("\n") == 1 and text.endswith("comparing images: 100%, 0:00:00 left\x1b[K\n")
    assert text.count("\r") > 50


def test_a_short_comparison_prints_nothing_where_it_is_no_terminal() -> None:
    assert compared(io.StringIO(), seconds=0.05) == ""


def test_a_note_comes_below_a_line_that_is_not_at_its_end(monkeypatch) -> None:
    screen, terminal = Screen(), Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    times = iter((0.0, 5.0))
    terminal._waiting = Waiting(screen, lambda: next(times))
    for done in (1, 2):
        terminal.comparing("comparing images", done, 10)
    terminal.note("stopping")
    assert screen.getvalue().endswith("left\x1b[K\nstopping\n")


def test_commands_are_named_as_they_were_called(monkeypatch) -> None:
    assert command("report") == "bin/report"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/sgan", "train"])
    assert command("report") == "sgan report"


# Training in the foreground of a terminal, whose checkpoint takes as long as one of a large network on a slow disk.
IN_FOREGROUND = """
import fcntl, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from sgan_jax.cli.main import main
from sgan_jax.runs import checkpoint

save, seconds = checkpoint.Saver.save, float(sys.argv.pop())
checkpoint.Saver.save = lambda *arguments: (time.sleep(seconds), save(*arguments))
main()
"""
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
ACKNOWLEDGED = "a checkpoint is saved; Ctrl-C again stops at once, without it"


def on_a_terminal(folder: Path, awaited: list[str], seconds: float) -> tuple[int, str]:
    """Trains; types Ctrl-C after each awaited text. The status, and what the terminal got."""
    long = ("--preset", "supervised", "--width", "2", "--steps-per-epoch", "1000000", "--run", "run")
    python = [sys.executable, "-P", "-c", IN_FOREGROUND, "train", *DIGITS, *long, str(seconds)]
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    settings = environment(TERM="xterm", COLUMNS="160")
    with subprocess.Popen(python, cwd=folder, env=settings, start_new_session=True, **streams) as process:
        os.close(theirs)
        text, waiting = "", list(awaited)
        with contextlib.suppress(OSError):  # nobody holds the other side any more
            while piece := os.read(ours, 4096):
                text += piece.decode()
                if waiting and waiting[0] in text:
                    waiting.pop(0)
                    os.write(ours, b"\x03")
        os.close(ours)
    assert not waiting, text
    return process.returncode, text


def test_ctrl_c_is_answered_at_once_and_the_run_saves_and_gives_the_cursor_back(tmp_path: Path) -> None:
    status, text = on_a_terminal(tmp_path, ["accuracy"], seconds=0)
    assert status == 130
    assert text.index(HIDE) < text.index(SHOW) < text.index(ACKNOWLEDGED)
    assert text.rindex(HIDE) < text.rindex(SHOW)
    assert text.endswith("stopped by SIGINT; the same command resumes\r\n")
    assert len(list((tmp_path / "run" / "checkpoints").glob("step_*"))) == 1


def test_ctrl_c_again_ends_the_run_while_it_saves_and_the_cursor_is_back(tmp_path: Path) -> None:
    status, text = on_a_terminal(tmp_path, ["accuracy", ACKNOWLEDGED], seconds=600)
    assert status == -signal.SIGINT
    assert text.rindex(HIDE) < text.rindex(SHOW)
    assert not list((tmp_path / "run").glob("checkpoints/step_*"))

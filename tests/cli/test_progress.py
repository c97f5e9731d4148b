"""Facts about the progress display: the tutorial's line, plain lines, the bar, the counting of steps and time."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from sgan_jax.cli.progress import LINE_EVERY, Pace, Progress, duration, legend, metric_fields, tutorial_line
from sgan_jax.metrics.names import MEANINGS
from sgan_jax.training.events import Span
from sgan_jax.types import Metrics

FIRST = Metrics({"d/supervised": 2.3052, "d/real": 0.0961, "d/fake": 2.3987, "g/fool": 0.0949}, {"d/accuracy": 0.06})


class Clock:
    """A monotonic clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


Shown = tuple[Progress, io.StringIO, Clock]


def span(total: int, first: int = 0, per_epoch: int = 600) -> Span:
    return Span(total, first, per_epoch, "a notice, which no line repeats")


def plain(of: Span, log_every: int = 0) -> Shown:
    stream, clock = io.StringIO(), Clock()
    return Progress(of, log_every, stream, clock=clock), stream, clock


def bar(of: Span, width: int = 120, log_every: int = 0) -> Shown:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    return Progress(of, log_every, console=console, clock=clock), stream, clock


def without(*missing: str) -> Metrics:
    """FIRST without terms of these names."""
    loss, watch = ({name: value for name, value in terms.items() if name not in missing} for terms in FIRST)
    return Metrics(loss, watch)


def has_control_characters(text: str) -> bool:
    return not text.replace("\n", "").isprintable()


# The tutorial's line


def test_tutorial_line_is_the_tutorials() -> None:
    assert tutorial_line(1, FIRST) == ">1, c[2.305,6], d[0.096,2.399], g[0.095]"


def test_tutorial_line_takes_numpy_scalars_and_full_accuracy() -> None:
    loss: dict[str, Any] = {key: np.float32(value) for key, value in FIRST.loss.items()}
    metrics = Metrics(loss, {"d/accuracy": np.float32(1)})
    assert tutorial_line(12000, metrics) == ">12000, c[2.305,100], d[0.096,2.399], g[0.095]"


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        (("d/supervised", "d/accuracy"), ">7, d[0.096,2.399], g[0.095]"),
        (("d/accuracy",), ">7, c[2.305], d[0.096,2.399], g[0.095]"),
        (("d/supervised",), ">7, c[-,6], d[0.096,2.399], g[0.095]"),
        (("d/real",), ">7, c[2.305,6], d[-,2.399], g[0.095]"),
        (("d/fake",), ">7, c[2.305,6], d[0.096], g[0.095]"),
        (("g/fool",), ">7, c[2.305,6], d[0.096,2.399]"),
        ((*FIRST.loss, *FIRST.watch), ">7"),
    ],
)
def test_tutorial_line_leaves_out_what_was_not_measured(missing: tuple[str, ...], line: str) -> None:
    assert tutorial_line(7, without(*missing)) == line


def test_tutorial_line_ends_with_the_terms_of_other_objectives() -> None:
    catgan = {"d/entropy": 1.0, "d/supervised": 2.0, "g/entropy": 0.25}
    watched = {"d/accuracy": 0.5, "d/real_accuracy": 1.0}
    assert tutorial_line(7, Metrics(catgan, watched)) == ">7, c[2.000,50], d entropy[1.000], g entropy[0.250]"
    matching = Metrics({"d/real": 0.5, "d/fake": 0.25, "g/features": 0.0126}, {})
    assert tutorial_line(7, matching) == ">7, d[0.500,0.250], g features[0.013]"


def test_tutorial_line_shows_a_loss_that_is_nan() -> None:
    metrics = Metrics({"g/fool": float("nan")}, {"d/accuracy": float("nan")})
    assert tutorial_line(7, metrics) == ">7, c[-,nan], g[nan]"


def test_log_every_prints_at_multiples_only() -> None:
    progress, stream, _ = plain(span(30, per_epoch=100), log_every=5)
    with progress:
        for step in range(1, 13):
            progress.log(step, FIRST)
            progress.update(step, FIRST)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith(">")]
    assert lines == [tutorial_line(5, FIRST), tutorial_line(10, FIRST)]


def test_log_every_one_prints_every_step_and_no_timed_lines_between() -> None:
    progress, stream, clock = plain(span(40, per_epoch=20), log_every=1)
    with progress:
        for step in range(1, 20):
            clock.now += 0.9 * LINE_EVERY
            progress.log(step, FIRST)
            progress.update(step, FIRST)
    assert stream.getvalue().splitlines() == [tutorial_line(step, FIRST) for step in range(1, 20)]


# Plain lines


def test_plain_output_has_no_control_characters_and_every_field() -> None:
    progress, stream, clock = plain(span(12000))
    with progress:
        progress.update(1, FIRST)
        clock.now += 20
        progress.update(51, FIRST)
        progress.print("step 51: \x1b[31mred\x1b[0m and a bell \a")
    assert not has_control_characters(stream.getvalue())
    assert stream.getvalue().splitlines()[1] == (
        "epoch  1/20  step    51/12000  2.50 steps/s  1:19:40 left  "
        "c 2.305  d real 0.096  d fake 2.399  g 0.095  batch accuracy 6%"
    )


def test_force_color_in_the_environment_does_not_make_a_file_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress, stream, _ = plain(span(10))
    with progress:
        progress.update(1, FIRST)
    assert stream.getvalue() and not has_control_characters(stream.getvalue())


def test_a_terminal_without_cursor_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(span(10, per_epoch=10), stream=stream) as progress:
        progress.update(1, FIRST)
    assert stream.getvalue() and not has_control_characters(stream.getvalue())


def test_plain_lines_come_every_ten_seconds_and_at_the_end_of_every_epoch() -> None:
    progress, stream, clock = plain(span(1000, per_epoch=400))
    with progress:
        for step in range(1, 1001):
            clock.now += 0.125
            progress.update(step, FIRST)
    shown = [int(line.split("step")[1].split("/")[0]) for line in stream.getvalue().splitlines()]
    assert shown == [1, 81, 161, 241, 321, 400, 480, 560, 640, 720, 800, 880, 960, 1000]


def test_plain_lines_on_a_stream_of_another_encoding_do_not_fail() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with Progress(span(10, per_epoch=10), stream=stream) as progress:
        progress.update(1, FIRST)
        progress.print("größe é")
    assert raw.getvalue().decode("ascii").endswith("gr??e ?\n")


def test_a_plain_gan_has_no_supervised_fields() -> None:
    progress, stream, _ = plain(span(10))
    with progress:
        progress.update(1, Metrics({"d/real": 0.5, "d/fake": 0.6, "g/fool": 0.7}, {}))
    assert stream.getvalue().rstrip().endswith("left  d real 0.500  d fake 0.600  g 0.700")


def test_of_what_is_watched_only_the_labelled_accuracy_is_shown_whatever_its_name() -> None:
    watched = {"d/real_accuracy": 1.0, "d/fake_accuracy": 0.25, "d/accuracy": 0.5, "d/threshold": 0.75}
    fields = metric_fields(Metrics({"d/real": 0.5}, watched))
    assert fields == [("d real", "0.500"), ("batch accuracy", "50%")]


def test_terms_of_other_objectives_are_shown_by_player_and_name() -> None:
    fields = metric_fields(Metrics({"d/supervised": 1.0}, {"d/accuracy": 0.5}))
    assert fields == [("c", "1.000"), ("batch accuracy", "50%")]
    loss = {"g/match": 2.5e6, "d/unlabelled": 0.25, "d/supervised": 1}
    fields = metric_fields(Metrics(loss, {"d/accuracy": 0.987}))
    assert fields == [("c", "1.000"), ("g match", "2.5e+06"), ("d unlabelled", "0.250"), ("batch accuracy", "99%")]


# Epochs, resuming, when to update


@pytest.mark.parametrize(
    ("first", "step", "epoch"),
    [(0, 1, "1/3"), (0, 600, "1/3"), (0, 601, "2/3"), (600, 601, "2/3"), (1200, 1300, "3/3")],
)
def test_the_epoch_is_that_of_the_step(first: int, step: int, epoch: str) -> None:
    progress, stream, _ = plain(span(1300, first))
    with progress:
        progress.update(step, Metrics({}, {}))
    assert stream.getvalue().startswith(f"epoch {epoch}  step {step:>4}/1300")


def test_resuming_shows_the_epoch_to_come_before_its_first_step() -> None:
    progress, stream, _ = bar(span(12000, first=600))
    with progress:
        pass
    assert "epoch  2/20" in stream.getvalue() and "step   600/12000" in stream.getvalue()
    assert "waiting for the first step" in stream.getvalue()


def test_steps_before_a_resume_count_for_the_place_but_not_for_the_pace() -> None:
    progress, stream, clock = plain(span(12000, first=6000))
    with progress:
        clock.now += 60  # compiling
        progress.update(6001, FIRST)
        clock.now += 10
        progress.update(6021, FIRST)
    assert "step  6021/12000  2.00 steps/s  0:49:50 left" in stream.getvalue().splitlines()[-1]
    assert "- steps/s  -:--:-- left" in stream.getvalue().splitlines()[0]


@pytest.mark.parametrize("counts", [(0, 0, 600, 0), (10, -1, 600, 0), (10, 0, 0, 0), (10, 0, 600, -1)])
def test_counts_out_of_range_are_errors(counts: tuple[int, int, int, int]) -> None:
    *of_span, log_every = counts
    with pytest.raises(ValueError, match="counts out of range"):
        Progress(Span(*of_span, ""), log_every)


# Pace and time


def test_pace_is_of_the_recent_span_only() -> None:
    pace = Pace()
    assert pace.rate(20) is None
    pace.mark(0, 1)
    assert pace.rate(20) is None
    for second in range(1, 101):
        pace.mark(second, 1 + second)  # one step a second
    for second in range(1, 101):
        pace.mark(100 + second, 101 + 4 * second)  # then four
    assert pace.rate(20) == 4
    assert pace.rate(600) == 2.5


def test_pace_of_steps_slower_than_the_span_is_of_the_last_step() -> None:
    pace = Pace()
    for step in range(5):
        pace.mark(50.0 * step, step)
    assert pace.rate(20) == pytest.approx(1 / 50)


def test_pace_remembers_few_marks_however_many_are_made() -> None:
    pace = Pace()
    for step in range(100_000):
        pace.mark(step / 64, step)
    assert pace.rate(20) == pytest.approx(64, rel=0.02)
    assert len(pace._marks) < 3000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (360_000, "100:00:00"), (None, "-:--:--")],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


# What explains the output


def test_each_field_is_explained_once() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(span(12000), stream=stream, explains=True, clock=clock) as progress:
        for step in (1, 2):
            clock.now += LINE_EVERY
            progress.update(step, FIRST)
    lines = stream.getvalue().splitlines()
    explained = legend(FIRST)
    assert lines[: len(explained)] == explained and not set(explained) & set(lines[len(explained) :])
    names = [name for name, _ in metric_fields(FIRST)]
    assert [line[2:].partition("  ")[0] for line in explained] == names
    assert MEANINGS["d/real"] in explained[1]
    assert "not of other images" in explained[names.index("batch accuracy")], "which accuracy it is"


def test_a_term_without_a_sentence_is_listed_as_one() -> None:
    assert legend(Metrics({"g/new": 1.0}, {})) == ["  g new  a term of the loss"]
    assert legend(Metrics({}, {})) == []


def test_the_time_of_the_run_is_stated_once_and_from_what_it_is_derived() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(span(1000), stream=stream, explains=True, clock=clock) as progress:
        clock.now += 60  # compiling
        for step in range(1, 100):
            progress.update(step, FIRST)
            clock.now += 0.5
    expected = [line for line in stream.getvalue().splitlines() if line.startswith("expected")]
    assert expected == ["expected time: 0:08:10 for 979 more steps, by the pace of steps 2 to 21"]


def test_a_run_of_a_few_seconds_states_no_time() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(span(8), stream=stream, explains=True, clock=clock) as progress:
        for step in range(1, 9):
            clock.now += 20.0 if step == 8 else 0.1
            progress.update(step, FIRST)
    assert "expected" not in stream.getvalue()


# The bar


def test_the_bar_shows_every_field() -> None:
    progress, stream, clock = bar(span(12000))
    with progress:
        progress.update(5951, FIRST)
        clock.now += 20
        progress.update(6001, FIRST)
    frame = stream.getvalue().rsplit("epoch", 1)[1]
    for field in (" 11/20", 10 * "━", "step  6001/12000", "2.50 steps/s", "0:40:00 left", "c 2.305", "d real 0.096"):
        assert field in frame
    for field in ("d fake 2.399", "g 0.095", "batch accuracy 6%"):
        assert field in frame


def test_the_bar_leaves_the_cursor_shown_even_after_an_error() -> None:
    progress, stream, _ = bar(span(12000))

    def interrupted() -> None:
        with progress:
            progress.update(1, FIRST)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("c 2.305")


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
def test_no_field_is_cut_off_on_narrow_terminals(width: int) -> None:
    progress, stream, clock = bar(span(12000), width=width)
    with progress:
        progress.update(1, FIRST)
        clock.now += 20
        progress.update(51, FIRST)
    frame = stream.getvalue().rsplit("epoch", 1)[1].split("\x1b")[0]
    assert "…" not in frame and "batch accuracy 6%" in frame and "1:19:40 left" in frame
    assert all(len(line.rstrip("\r")) <= width for line in frame.splitlines())


def test_lines_above_the_bar_are_printed_as_they_are() -> None:
    progress, stream, _ = bar(span(12000), width=40, log_every=1)
    line = "step 600: [bold]not markup[/bold] :smile: " + 10 * "and longer than the terminal "
    with progress:
        progress.log(1, FIRST)
        progress.update(1, FIRST)
        progress.print(line)
    assert line in stream.getvalue()
    assert ">1, c[2.305,6], d[0.096,2.399], g[0.095]" in stream.getvalue()


def test_the_bar_is_drawn_at_most_ten_times_a_second() -> None:
    progress, stream, clock = bar(span(100_000))
    with progress:
        for step in range(1, 501):
            clock.now += 1 / 512
            progress.update(step, FIRST)
    assert 5 < stream.getvalue().count("epoch") <= 15


def test_a_terminal_gets_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with Progress(span(10, per_epoch=10), stream=stream) as progress:
        progress.update(1, FIRST)
    assert "\x1b[?25l" in stream.getvalue() and "━" in stream.getvalue()

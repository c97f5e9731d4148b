"""Facts about the charts of a run: which curves there are, and that their axes can be read."""

import re

import pytest
from matplotlib.figure import Figure

from sgan_jax.report.charts import _title, charts, losses_by_player, measures_by_unit, words
from sgan_jax.report.pictures.curves import curves_figure

LINES = [
    {"step": 100, "d/real": 0.5, "d/accuracy": 0.9, "g/fool": 0.7, "watched": ["d/accuracy"]},
    {"step": 200, "d/real": 0.25, "g/fool": None, "test_accuracy": 0.5, "distance": 80.0}
    | {"units": {"test_accuracy": "%", "distance": ""}, "watched": []},
]


def drawn(points: list[tuple[float, float]], log: bool = False) -> Figure:
    figure = curves_figure({"curve": points}, "title", "unit", log)
    figure.draw_without_rendering()
    return figure


def test_measures_are_gathered_by_unit_as_they_are_shown() -> None:
    assert measures_by_unit(LINES) == {"%": {"test_accuracy": [(200, 50.0)]}, "": {"distance": [(200, 80.0)]}}


def test_losses_are_gathered_by_player() -> None:
    assert losses_by_player(LINES) == {"d": {"d real": [(100, 0.5), (200, 0.25)]}, "g": {"g fool": [(100, 0.7)]}}


def test_there_is_a_chart_for_each_unit_and_each_player() -> None:
    later = {name: value for name, value in LINES[1].items() if name != "g/fool"} | {"step": 300, "g/fool": 0.5}
    made = charts([*LINES, later])
    assert len(made) == 4 and all(re.match("<svg", chart) for chart in made)
    assert charts([]) == []


def test_accuracies_have_a_chart_apart_from_other_percentages() -> None:
    names = ("test_accuracy", "generator_recall", "generator_coverage")
    lines = [{"step": step, "units": dict.fromkeys(names, "%"), **dict.fromkeys(names, 0.5)} for step in (1, 2)]
    assert len(charts(lines)) == 2
    assert [_title({name: [] for name in some}) for some in (names[:1], names[1:], names[1:2], names)] == [
        "Accuracy",
        "Generated images",
        "generator recall",
        "Measures",
    ]


def test_what_was_measured_at_one_step_only_has_no_chart() -> None:
    assert len(charts(LINES)) == 1, "d real has two steps, the others one"
    assert charts(LINES[:1]) == charts(LINES[1:]) == []


def test_the_word_accuracy_is_left_out_of_names() -> None:
    assert [words(name) for name in ("ema_test_accuracy", "frechet_distance")] == [
        "averaged weights test",
        "frechet distance",
    ]


@pytest.mark.parametrize("last", [1, 3, 30, 600, 12_000])
def test_steps_are_whole_and_begin_at_zero(last: int) -> None:
    [axes] = drawn([(last, 1.0), (last, 2.0)]).axes
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert low == 0 and len(ticks) >= 2 and all(tick == round(tick) for tick in ticks)
    labels = [text.get_text().replace(",", "") for text in axes.get_xticklabels()]
    assert set(map(float, labels)) >= set(ticks)


@pytest.mark.parametrize(("lowest", "highest"), [(0.3, 0.3), (0.09, 2.4), (3.0, 40.0), (1e-6, 10.0), (1e-30, 1.0)])
def test_a_logarithmic_axis_has_two_to_ten_ticks_with_plain_numbers(lowest: float, highest: float) -> None:
    [axes] = drawn([(1, lowest), (2, highest)], log=True).axes
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert low < lowest <= highest < high and 2 <= len(ticks) <= 10
    texts = {text.get_text() for text in axes.get_yticklabels()}
    assert {f"{tick:g}" for tick in ticks} <= texts and not any("$" in text for text in texts)


@pytest.mark.parametrize("value", [0.0, 0.097, 98.7, -2.0])
def test_a_run_of_one_epoch_is_a_mark_between_ticks(value: float) -> None:
    [axes] = drawn([(10, value)]).axes
    [line] = axes.lines
    assert line.get_marker() == "o" and line.get_markersize() > 4
    low, high = axes.get_ylim()
    assert low < value < high and axes.get_xlim()[0] <= 0 < 10 < axes.get_xlim()[1]
    assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 2

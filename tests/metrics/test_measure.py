"""Facts about figures with units, and which names of a line are measures, losses or watched terms."""

import math

import pytest

from sgan_jax.metrics.measure import Measure, label, losses, measures, number, percent


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(0.98765, "%"), "98.77 %"),
        (Measure(12.345, "bits"), "12.3 bits"),
        (Measure(1234.5), "1,230"),
        (Measure(0.00012345), "0.000123"),
        (Measure(-3.14159), "-3.14"),
        (Measure(0.0), "0"),
    ],
)
def test_accuracies_are_shown_in_percent_and_other_figures_with_three_digits(measure: Measure, text: str) -> None:
    assert str(measure) == text
    assert number(measure) == text.removesuffix(measure.unit).strip()


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (1, "33"),
        (3, "33"),
        (100, "33"),
        (101, "33.3"),
        (1000, "33.3"),
        (4000, "33.33"),
        (10000, "33.33"),
        (60000, "33.333"),
        (10**7, "33.333"),
        (0, "33"),
        (None, "33.33"),
    ],
)
def test_a_percentage_has_the_decimals_that_its_images_carry(images: int | None, text: str) -> None:
    assert percent(0.333333, images) == number(Measure(0.333333, "%", images)) == text


def test_a_line_gives_the_number_of_images_behind_a_measure() -> None:
    line = {"step": 4, "units": {"a_accuracy": "%", "b_accuracy": "%"}, "a_accuracy": 0.5, "b_accuracy": 0.25}
    of_a = Measure(0.5, "%", 10)
    assert measures(line | {"images": {"a_accuracy": 10}}) == {"a_accuracy": of_a, "b_accuracy": Measure(0.25, "%")}
    for wrong in (None, [], {"a_accuracy": "10"}, {"a_accuracy": True}, {"a_accuracy": 1.5}):
        assert measures(line | {"images": wrong})["a_accuracy"].images is None


def test_a_line_names_the_units_of_its_measures() -> None:
    line = {"step": 4, "units": {"test_accuracy": "%", "distance": ""}, "test_accuracy": 0.5, "distance": 3.0}
    line |= {"other_accuracy": 0.1, "d/real": 0.2}
    assert measures(line) == {"test_accuracy": Measure(0.5, "%"), "distance": Measure(3.0)}


def test_in_a_line_of_an_older_run_accuracies_without_a_player_are_measures() -> None:
    line = {"step": 4, "seconds": 1.0, "ema_test_accuracy": 0.5, "d/real_accuracy": 0.9, "d/real": 0.2}
    assert measures(line) == {"ema_test_accuracy": Measure(0.5, "%")}


@pytest.mark.parametrize("value", [None, True, "0.5", math.nan, math.inf, 10**400, [0.5]])
def test_what_is_not_a_finite_number_is_left_out(value: object) -> None:
    assert measures({"test_accuracy": value}) == measures({"units": {"x": ""}, "x": value}) == {}
    assert losses({"d/real": value}) == {}
    assert measures({"units": {"x": 3}, "x": 1.0}) == {}


def test_losses_are_the_terms_that_a_line_does_not_list_as_watched() -> None:
    line = {"step": 4, "test_accuracy": 0.5, "d/real": 1.0, "d/accuracy": 0.5, "c/extra": 2.0, "d/overlap": 3.0}
    assert losses(line | {"watched": ["d/accuracy", "d/overlap"]}) == {"d/real": 1.0, "c/extra": 2.0}
    assert losses(line | {"watched": []}) == {name: value for name, value in line.items() if "/" in name}


def test_in_a_line_of_an_older_run_watched_terms_are_recognized_by_name() -> None:
    line = {"d/supervised": 1.0, "d/accuracy": 0.5, "d/fake_accuracy": 0.5, "d/confident": 0.5, "g/features": 2.0}
    assert losses(line) == {"d/supervised": 1.0, "g/features": 2.0}


def test_the_losses_of_the_tutorial_are_losses_whatever_is_watched() -> None:
    line = {"d/supervised": 1.0, "d/real": 2.0, "d/fake": 3.0, "g/fool": 4.0}
    assert losses(line | {"watched": list(line)}) == line


def test_a_measure_whose_name_has_a_player_is_no_loss() -> None:
    assert losses({"units": {"g/distance": ""}, "g/distance": 1.0, "g/fool": 2.0}) == {"g/fool": 2.0}


def test_names_in_words() -> None:
    assert label("ema_test_accuracy") == "averaged weights test accuracy"
    assert label("frechet_distance") == "frechet distance"
    assert label("schema") == "schema"

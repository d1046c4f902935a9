"""How the benchmarks judge and print what they measured."""

import pytest

from tests.benchmarks import imports
from tests.benchmarks.rows import Row, machine, percentile, spread


@pytest.mark.parametrize(
    ("row", "passed"),
    [
        (Row("a", 7.9, bar=8), True),
        (Row("a", 8.1, bar=8), False),
        (Row("a", 9, "x", 8, more=True), True),
        (Row("a", 7, "x", 8, more=True), False),
        (Row("a", 1e9), True),
    ],
)
def test_a_bar_is_kept_or_missed(row: Row, passed: bool) -> None:
    assert row.passed is passed
    assert ("MISSED" in str(row)) is not passed


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([5, 1, 2, 3, 4], 50) == 3
    assert percentile(range(100), 95) == 95
    assert percentile([7], 95) == 7


def test_a_spread_is_a_median_and_a_95th_percentile() -> None:
    median, late = spread("x", [1.0, 2.0, 30.0], 33)
    assert (median.value, median.bar, late.value, late.bar) == (2.0, None, 30.0, 33)


def test_the_import_is_measured_in_a_new_process() -> None:
    rows = {row.name.strip(): row for row in imports.measure(1)}
    assert rows["import cnnviz, median"].value > 0
    assert rows["torch, plotly, matplotlib among them"].value == 0


def test_the_machine_is_named() -> None:
    assert "CPUs" in machine()
    assert "jupyterlab" in machine()


def test_a_row_of_seeds_shows_the_median_and_a_bar_holds_for_each():
    assert Row.of_seeds("right", [98.0, 97, 99], "%").value == 98
    assert Row.of_seeds("ratio", [5.0, 2, 9], "x", bar=2).passed
    missed = Row.of_seeds("ratio", [5.0, 2, 9], "x", bar=3)
    assert not missed.passed
    assert "seeds: 5, 2, 9" in str(missed)

"""The chart that follows a slider: where its points lie, what is cut off, and what a stored notebook shows."""

import math
import re

import numpy as np
import pytest

from cnnviz.widgets.chart import BLUE, RED, Chart, Curve, Panel, _cut, _power, _round_numbers


def lines_of(chart: Chart, colour: str) -> list[tuple[float, ...]]:
    """The drawn pieces of a curve, as (x0, y0, x1, y1)."""
    return [line[:4] for line in chart.still().lines if line[4] == colour]


def test_points_lie_where_the_axes_say() -> None:
    linear, log = Panel((0, 10), (-1, 1), "", ""), Panel((0, 10), (1e-2, 1e2), "", "", log=True)
    assert linear.place(2.5, 0.5) == (0.25, 0.75)
    assert log.place(5, 1) == (0.5, 0.5)
    assert log.place(5, 10) == pytest.approx((0.5, 0.75))
    assert log.place(0, 0) == (0, -math.inf)


def test_what_lies_outside_is_cut_at_the_frame_and_infinity_ends_a_line() -> None:
    assert _cut((0, 0), (1, 1)) == ((0, 0), (1, 1))
    assert _cut((0.5, -1), (0.5, 2)) == ((0.5, 0), (0.5, 1))
    assert _cut((-1, 0.5), (0.5, 0.5)) == ((0, 0.5), (0.5, 0.5))
    assert _cut((2, 0), (2, 1)) is None
    assert _cut((-1, 0.5), (0.5, 2)) is None  # passes the corner by
    assert _cut((0, 0), (0.5, -math.inf)) is None
    assert _cut((0, 0), (math.nan, 0.5)) is None


def test_every_piece_drawn_stays_inside_its_panel() -> None:
    x = np.linspace(-5, 5, 41)
    chart = Chart(Panel((-1, 1), (0, 1), "x", "y"), Panel((0, 1), (1e-3, 1e3), "x", "y", log=True))
    chart.draw("wild", [Curve(x, x**2, BLUE)], [Curve(x, 10.0**x, RED)])
    (left, first), (right, second) = ((box[0], box[0] + box[2]) for box in chart.still().frames)
    top, bottom = chart.still().frames[0][1], chart.still().frames[0][1] + chart.still().frames[0][3]
    for colour, low, high in ((BLUE, left, first), (RED, right, second)):
        pieces = np.array(lines_of(chart, colour))
        assert len(pieces) > 2
        corners = pieces.reshape(-1, 2)
        assert (corners >= np.array([low, top]) - 1e-9).all()
        assert (corners <= np.array([high, bottom]) + 1e-9).all()


@pytest.mark.parametrize("ends", [(0, 1), (-3, 3), (0, 9), (0, 4.5), (0, 30), (-0.002, 0.01), (100, 1e6)])
def test_three_to_six_round_numbers_stand_at_an_axis(ends: tuple[float, float]) -> None:
    numbers = _round_numbers(*ends)
    assert 3 <= len(numbers) <= 6
    assert all(ends[0] - 1e-9 <= n <= ends[1] + 1e-9 for n in numbers)
    assert np.allclose(np.diff(numbers), numbers[1] - numbers[0])


@pytest.mark.parametrize("powers", [(-3, 0), (-3, 3), (0, 8), (-12, 0)])
def test_four_to_eight_powers_of_ten_stand_at_a_logarithmic_axis(powers: tuple[int, int]) -> None:
    marks = Panel((0, 1), tuple(10.0**n for n in powers), "", "", log=True).marks()[1]
    exponents = np.log10(marks)
    assert 4 <= len(marks) <= 8
    assert (exponents[0], exponents[-1]) == powers
    assert set(np.diff(exponents)) in ({1}, {2}, {3})


def test_powers_of_ten_have_raised_exponents() -> None:
    assert [_power(n) for n in (1e-12, 0.1, 1, 10, 1e8)] == ["10⁻¹²", "10⁻¹", "1", "10¹", "10⁸"]


def test_a_stored_notebook_shows_the_same_picture_and_escapes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    chart = Chart(Panel((0, 1), (0, 1), "<b>x</b>", "y"))
    chart.draw("<script>alert(1)</script>", [Curve([0, 1], [0, 1], label="<i>", dots=True)])
    bundle = chart._repr_mimebundle_()
    assert bundle["text/plain"] == repr(chart) == "Chart: <script>alert(1)</script>"
    assert bundle["image/svg+xml"].startswith("<svg")
    assert not re.search("<script|<b>|<i>", chart.value + bundle["image/svg+xml"])
    assert "image/png" not in bundle
    monkeypatch.setenv("CNNVIZ_NOTEBOOK_PNG", "1")
    assert chart._repr_mimebundle_()["image/png"].startswith("iVBOR")


def test_a_curve_for_each_panel_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"1 panel\(s\), but 0 lists"):
        Chart(Panel((0, 1), (0, 1), "", "")).draw("")


def test_words_above_the_panels_have_room_in_the_live_view() -> None:
    chart = Chart(Panel((0, 1), (0, 1), "x", "a name of some length"), Panel((0, 1), (0, 1), "x", "y"))
    chart.draw("title", [Curve([], [], label="too long for one row"), Curve([], [], label="as this is")], [])
    baselines = [float(y) for y in re.findall(r'<text x="[^"]+" y="([^"]+)"', chart.value)]
    assert min(baselines) >= 14
    assert len({box[1] for box in chart.still().frames}) == 1  # panels begin at the same height

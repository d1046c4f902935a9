"""A chart that follows a slider: lines and dots on one or more panels, as SVG text.

A move of a slider costs the kernel about a millisecond and a few kilobytes, where matplotlib paints for 40 to 100 ms.
The chart in the browser and the still picture in a stored notebook are the same drawing; in a dark page the one in the
browser changes its colours, while the still one stays a white card, which can be read anywhere.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple

from ipywidgets import HTML

from cnnviz.widgets import _bundle
from cnnviz.widgets._drawing import PAPER, Drawing, Words, to_base64, to_svg

BLUE, ORANGE, GREEN, RED, PURPLE = COLOURS = ("#1f66b0", "#b35900", "#207a3c", "#b2182b", "#7b3fa0")
GREY = "#6b7280"
FAINT = "#c3c8cf"  # lines behind those that are to be looked at
NUMBERS, FRAME, RULE = "#444444", "#9aa1ab", "#e3e6ea"
IN_THE_DARK = {
    BLUE: "#5b9fe6",
    ORANGE: "#f0914a",
    GREEN: "#5cc07a",
    RED: "#ff8f94",
    PURPLE: "#d59be6",
    GREY: "#a9adb5",
    FAINT: "#565c66",
    Words.colour: "#ececec",
    NUMBERS: "#c9cdd4",
    FRAME: "#6b7280",
    RULE: "#34383f",
    PAPER: "none",  # the page shows through
}
NARROW, WIDE = 380, 600  # pixels across, of a panel beside another and of a single one
LEFT, RIGHT, TITLE, ROW, BOTTOM, EDGE = 62, 16, 34, 20, 48, 8  # room for the words around a panel
LETTER = 10  # pixels across: a bold letter of the widest usual font

Point = tuple[float, float]


def _dark_style() -> str:
    """Write a style sheet that changes the colours of charts in a dark page, as shared.css does for other widgets."""
    dark = ':is(body[data-jp-theme-light="false"],body.vscode-dark,body.cnnviz-dark)'
    rules = (f'[{part}="{old}"]{{{part}:{new}}}' for old, new in IN_THE_DARK.items() for part in ("fill", "stroke"))
    return f"<style>{_bundle.text(_bundle.SHARED / 'beside.css')}{dark} .cnnviz-chart{{{''.join(rules)}}}</style>"


STYLE = _dark_style()


class Curve(NamedTuple):
    """One line of a panel; a label is written above it in its colour, dots mark its points."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str = BLUE
    label: str = ""
    dots: bool = False
    width: float = 2


@dataclass(frozen=True)
class Panel:
    """The frame of a panel: its ranges, what its axes mean, and whether y counts in powers of ten."""

    x: Point
    y: Point
    xlabel: str
    ylabel: str
    log: bool = False

    def height_of(self, y: float) -> float:
        """Return y as it is drawn: for powers of ten, the exponent."""
        return (math.log10(y) if y > 0 else -math.inf) if self.log else float(y)

    def place(self, x: float, y: float) -> Point:
        """Return where a point lies, as parts of the panel's width and height, from its lower left corner."""
        low, high = map(self.height_of, self.y)
        return (x - self.x[0]) / (self.x[1] - self.x[0]), (self.height_of(y) - low) / (high - low)

    def marks(self) -> tuple[list[float], list[float]]:
        """Return the numbers written under the panel and beside it."""
        if not self.log:
            return _round_numbers(*self.x), _round_numbers(*self.y)
        low, high = (round(self.height_of(end)) for end in self.y)
        return _round_numbers(*self.x), [10.0**n for n in range(low, high + 1, max(1, (high - low) // 4))]


class Chart(HTML):
    """Panels side by side, or one below the other where the page is narrow; redrawn by `draw`.

    Examples
    --------
    >>> chart = Chart(Panel((0, 3), (0, 9), "w", "loss"))
    >>> chart.draw("a parabola", [Curve([0, 1, 2, 3], [0, 1, 4, 9])])
    >>> chart
    Chart: a parabola
    """

    def __init__(self, *panels: Panel, height: int = 300) -> None:
        super().__init__()
        self.panels, self.height = panels, height
        self.title, self.curves = "", tuple([] for _ in panels)

    def draw(self, title: str, *curves: Sequence[Curve]) -> None:
        """Draw anew: a title, then for each panel the list of its curves, the last one on top."""
        if len(curves) != len(self.panels):
            raise ValueError(f"the chart has {len(self.panels)} panel(s), but {len(curves)} lists of curves were given")
        self.title, self.curves = title, curves
        parts = [Drawing(self._width, self.height - TITLE + EDGE, title, title) for _ in self.panels]
        for part, panel, several in zip(parts, self.panels, curves, strict=True):
            self._add(part, panel, several, 0, EDGE)
        words = f'<div style="font-size:16px;font-weight:bold">{escape(title)}</div>'
        self.value = f'{STYLE}<div class="cnnviz-chart">{words}{"".join(map(to_svg, parts))}</div>'

    def still(self) -> Drawing:
        """Return the picture for a page without a kernel."""
        drawing = Drawing(self._width * len(self.panels), self.height, self.title, repr(self))
        drawing.words.append(Words(LEFT, 22, self.title, size=16, bold=True))
        for number, (panel, several) in enumerate(zip(self.panels, self.curves, strict=True)):
            self._add(drawing, panel, several, number * self._width, TITLE)
        return drawing

    @property
    def _width(self) -> int:
        return NARROW if len(self.panels) > 1 else WIDE

    def _add(self, drawing: Drawing, panel: Panel, curves: Sequence[Curve], left: float, top: float) -> None:
        """Add a panel with everything around it to a drawing; panels side by side have equal heights."""
        width = self._width - LEFT - RIGHT
        rows = 1 + max(_labels(*each, width)[1] for each in zip(self.panels, self.curves, strict=True))
        box = left + LEFT, top + ROW * rows, width, self.height - TITLE - ROW * rows - BOTTOM
        _frame(drawing, panel, *box)
        for curve, row, x in _labels(panel, curves, width)[0]:
            y = box[1] - 10 - ROW * row
            drawing.words.append(Words(box[0] + x, y, curve.label, colour=curve.colour, bold=True))
        _curves(drawing, panel, curves, *box)

    def __repr__(self) -> str:
        return f"Chart: {self.title}"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict | None:
        """Add a picture and a text to the live view: what GitHub shows and strict nbval compares."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        still = {"text/plain": repr(self), "image/svg+xml": to_svg(self.still())}
        if os.environ.get("CNNVIZ_NOTEBOOK_PNG") == "1":  # for notebooks as committed: an untrusted one shows no SVG
            still["image/png"] = to_base64(self.still())
        return {**bundle, **still}


def _labels(panel: Panel, curves: Sequence[Curve], width: float) -> tuple[list[tuple[Curve, int, float]], int]:
    """Place labels from the right, beside the name of the y axis, then above it: (curve, row, x), and the last row."""
    placed, row, x = [], 0, width
    for curve in reversed([curve for curve in curves if curve.label]):
        needed = LETTER * len(curve.label) + 14
        if x - needed < (0 if row else LETTER * len(panel.ylabel)):
            row, x = row + 1, width
        x -= needed
        placed.append((curve, row, x + 14))
    return placed, row


def _frame(drawing: Drawing, panel: Panel, left: float, top: float, width: float, height: float) -> None:
    """Add rules, numbers and words around a panel."""
    across, up = panel.marks()
    for x in across:
        at = left + width * panel.place(x, panel.y[0])[0]
        drawing.lines.append((at, top, at, top + height, RULE, 1))
        drawing.words.append(Words(at, top + height + 18, _text(x), colour=NUMBERS, anchor="middle"))
    for y in up:
        at = top + height * (1 - panel.place(panel.x[0], y)[1])
        drawing.lines.append((left, at, left + width, at, RULE, 1))
        text = _power(y) if panel.log else _text(y)
        drawing.words.append(Words(left - 28, at + 5, text, colour=NUMBERS, anchor="middle"))
    drawing.words.append(Words(left + width / 2, top + height + 40, panel.xlabel, anchor="middle"))
    drawing.words.append(Words(left, top - 10, panel.ylabel))
    drawing.frames.append((left, top, width, height, FRAME, 1))


def _curves(
    drawing: Drawing, panel: Panel, curves: Sequence[Curve], left: float, top: float, width: float, height: float
) -> None:
    """Add the curves of a panel, cut off at its frame."""

    def at(point: Point) -> Point:
        return left + width * point[0], top + height * (1 - point[1])

    for curve in curves:
        points = [panel.place(x, y) for x, y in zip(curve.x, curve.y, strict=True)]
        for start, stop in pairwise(points):
            if inside := _cut(start, stop):
                drawing.lines.append((*at(inside[0]), *at(inside[1]), curve.colour, curve.width))
        for x, y in (at(point) for point in points if curve.dots and _is_inside(point)):
            # A short thick line: dots lie over the lines of their own curve, and under the curves that come later.
            half = curve.width / 2 + 2
            drawing.lines.append((x - half, y, x + half, y, curve.colour, 2 * half))


def _is_inside(point: Point) -> bool:
    return all(0 <= part <= 1 for part in point)


def _cut(start: Point, stop: Point) -> tuple[Point, Point] | None:
    """Return the part of a line that lies inside the unit square, or None; a point at infinity ends a line."""
    if not all(map(math.isfinite, (*start, *stop))):
        return None
    first, last = 0.0, 1.0
    for begin, end in zip(start, stop, strict=True):
        if begin == end:
            if not 0 <= begin <= 1:
                return None
            continue
        enter, leave = sorted(((0 - begin) / (end - begin), (1 - begin) / (end - begin)))
        first, last = max(first, enter), min(last, leave)
    if first > last:
        return None
    return tuple(tuple(b + part * (e - b) for b, e in zip(start, stop, strict=True)) for part in (first, last))


def _round_numbers(low: float, high: float) -> list[float]:
    """Return three to six round numbers from low to high."""
    size = 10 ** math.floor(math.log10((high - low) / 2.5))
    step = next(size * n for n in (1, 2, 2.5, 5, 10) if (high - low) / (size * n) <= 5)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _text(number: float) -> str:
    return f"{round(number, 10):g}".replace("-", "−")


def _power(number: float) -> str:
    """Write a power of ten with a raised exponent."""
    raised: Iterator[str] = (
        dict(zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))[c] for c in f"{math.log10(number):.0f}"
    )
    return "1" if number == 1 else "10" + "".join(raised)

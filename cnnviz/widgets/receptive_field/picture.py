"""The grown field as a still picture, for pages that run no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from cnnviz._checks import Pair, _by
from cnnviz.widgets._drawing import INK, WINDOW, Drawing, Words
from cnnviz.widgets.receptive_field import stack
from cnnviz.widgets.receptive_field.effective import Effective
from cnnviz.widgets.sliding_kernel.shades import count_pixels, sampled

WIDTH, MARGIN, GAP, TEXT = 800, 16, 16, 22  # TEXT: a line of it
SMALLEST, LARGEST = 116, 170  # sides of a panel
FAINTEST = 0.12  # of what is seen at all


def draw(
    stacks: Sequence[stack.Stack], size: Pair, units: Sequence[Pair], found: Sequence[Effective | None], text: str
) -> Drawing:
    """Lay out the picture, each map and what was measured, a band of panels for each stack."""
    most = max(map(len, stacks)) + 1 + any(found)
    columns = min(most, (WIDTH - 2 * MARGIN + GAP) // (SMALLEST + GAP))
    side = min(LARGEST, (WIDTH - 2 * MARGIN + GAP) / columns - GAP)
    height = side + 2 * TEXT + 8
    drawing = Drawing(WIDTH, 0, f"ReceptiveField, picture {_by(size)}", text)
    y = MARGIN
    for layers, unit, measured in zip(stacks, units, found, strict=True):
        field = stack.boxes(layers, unit)[0][2:]
        drawing.words.append(Words(MARGIN, y + 14, f"sees {_by(field)}: {_short(layers)}", bold=True))
        y += TEXT + 4
        for at, panel in enumerate(_panels(layers, size, unit, measured)):
            row, column = divmod(at, columns)
            _draw(drawing, MARGIN + column * (side + GAP), y + row * height, side, panel)
        y += (row + 1) * height + 8
    drawing.height = round(y)
    return drawing


def _short(layers: stack.Stack) -> str:
    """The layers in one line, equal neighbours counted."""
    runs = [(len(list(run)), word) for word, run in groupby(map(stack.words, layers))]
    line = ", ".join(word if count == 1 else f"{count} × {word}" for count, word in runs)
    return line if len(line) < 90 else f"{len(layers)} layers"


class _Panel(NamedTuple):
    above: str
    below: str
    cell: float  # as a share of the panel's side
    shares: np.ndarray  # of colour, (h, w)
    frames: list[tuple[stack.Box, str, float]]  # colour, width


def _panels(layers: stack.Stack, size: Pair, unit: Pair, measured: Effective | None) -> Iterator[_Panel]:
    maps, cell = stack.maps(layers, size), 1 / max(size)
    above = ["picture", *map(stack.words, layers)]
    found = zip(maps, stack.ways(layers, maps, unit), stack.boxes(layers, unit), strict=True)
    for at, (shape, (rows, cols), box) in enumerate(found):
        seen = np.outer(rows / max(rows.max(), 1), cols / max(cols.max(), 1))
        shares = np.where(seen > 0, FAINTEST + (1 - FAINTEST) * seen, 0)
        cell *= max(stack.window(layers[at - 1]).stride) if at else 1
        yield _Panel(above[at], f"{_by(box[2:])} of {_by(shape)}", cell, shares, [(box, WINDOW, 2)])
    if measured:
        box = stack.boxes(layers, measured.position)[0]
        trim = (box[2] - measured.side[0]) // 2
        inner = box[0] + trim, box[1] + trim, *measured.side
        frames = [(box, WINDOW, 2), (inner, INK, 1)]
        yield _Panel("gradients", f"95 % in {_by(measured.side)}", 1 / max(size), measured.shares, frames)


def _draw(drawing: Drawing, x: float, y: float, side: float, panel: _Panel) -> None:
    height, width = panel.shares.shape
    cell = min(panel.cell * side, side / max(height, width))
    y += TEXT
    left, top = x + (side - cell * width) / 2, y + (side - cell * height) / 2
    picked = np.ix_(*sampled(panel.shares.shape, 64, 4096))
    drawing.framed(left, top, cell * width, cell * height, count_pixels(panel.shares[picked]))
    for (row, col, rows, cols), colour, line in panel.frames:  # cut off where they leave the map for the padding
        y0, y1 = max(row, 0) * cell, min(row + rows, height) * cell
        x0, x1 = max(col, 0) * cell, min(col + cols, width) * cell
        drawing.frames.append((left + x0, top + y0, x1 - x0, y1 - y0, colour, line))
    drawing.words.append(Words(x + side / 2, y - 7, panel.above, anchor="middle"))
    drawing.words.append(Words(x + side / 2, y + side + 16, panel.below, anchor="middle"))

"""The wires of a still picture: channels, maps and, with a second layer, the maps as dealt out and its outputs."""

from __future__ import annotations

import colorsys

from cnnviz.widgets._drawing import GRID, INK, MARK, Drawing, Words
from cnnviz.widgets.sliding_kernel.shades import hexadecimal
from cnnviz.widgets.sliding_kernel.wires import Wires

MOST = 16  # boxes in a row; the others are counted
SIDE, STEP, ROW, LEFT = 30, 40, 84, 96  # a box, from box to box, from row to row, the words before a row
HUES = (210, 35, 130, 265, 60, 180)  # of the groups, as in strip.js
LOOSE = "#8a8a8a"  # a wire of no group
NAMES = ("channels in", "maps", "shuffled", "outputs")


def add(drawing: Drawing, wires: Wires, groups: int, x: float, y: float) -> tuple[float, float]:
    """Add the wires below `y`, and return where they end to the right and at the bottom."""
    inky = bool(wires.inked[0])
    plain = wires.order == sorted(wires.order)
    for row, count in enumerate(wires.counts):
        top = y + row * ROW
        name = "as they are" if row == 2 and plain else NAMES[row]
        drawing.words.append(Words(x, top + SIDE / 2 + 5, name))
        for index in range(min(count, MOST)):
            source = wires.order[index] if row == 2 else index
            fill = MARK if index in wires.inked[row] else None
            if not inky and row < 3:
                fill = _colour(wires, groups, row, source, 0.8)
            _box(drawing, x + LEFT + index * STEP, top, str(source), fill)
        if count > MOST:
            drawing.words.append(Words(x + LEFT + MOST * STEP, top + SIDE / 2 + 5, f"+ {count - MOST}"))
    for row, joint in enumerate(wires.joints):
        for above, below in joint:
            if max(above, below) >= MOST:
                continue
            strong = above in wires.inked[row]
            source = wires.order[above] if row == 2 else above
            colour = (MARK if strong else LOOSE) if inky else _colour(wires, groups, row, source, 0.5) or LOOSE
            start, end = (x + LEFT + index * STEP + SIDE / 2 for index in (above, below))
            drawing.lines.append((start, y + row * ROW + SIDE, end, y + (row + 1) * ROW, colour, 2.5 if strong else 1))
    bottom = y + (len(wires.counts) - 1) * ROW + SIDE
    if inky:
        drawing.words.append(Words(x + LEFT, bottom + 24, wires.text))
        bottom += 24
    return x + LEFT + (min(max(wires.counts), MOST) + (max(wires.counts) > MOST)) * STEP, bottom


def _box(drawing: Drawing, x: float, y: float, text: str, fill: str | None) -> None:
    drawing.frames.append((x, y, SIDE, SIDE, GRID, 1))
    if fill:
        drawing.fills.append((x, y, SIDE, SIDE, fill))
    colour = "#ffffff" if fill == MARK else INK
    drawing.words.append(Words(x + SIDE / 2, y + SIDE / 2 + 5, text, 14, colour, "middle"))


def _colour(wires: Wires, groups: int, row: int, source: int, lightness: float) -> str | None:
    """Return the colour of the group that a box comes from; a single group has none."""
    if groups == 1:
        return None
    group = source // (wires.counts[min(row, 1)] // groups)
    parts = colorsys.hls_to_rgb(HUES[group % len(HUES)] / 360, lightness, 0.65)
    return hexadecimal(tuple(255 * part for part in parts))

"""The explorer as a still picture: the picture, the chosen map, and its neighbours, for pages that run no script."""

from __future__ import annotations

import numpy as np

from cnnviz.inside._pictures import Group, painted
from cnnviz.widgets._drawing import GRID, WINDOW, Drawing, Words

LEFT, TOP, LARGE, GAP, WIDTH = 16, 66, 150, 3, 800  # pixels
MOST = 64  # maps that are drawn
SHADES = 32  # the last bits of a value differ from machine to machine


def draw(words: str, picture: np.ndarray, maps: np.ndarray, channel: int) -> Drawing:
    """Lay out the picture (H, W, 3), the map of a channel, large, and the first maps (C, h, w)."""
    first, second = words.split("\n")
    largest = np.abs(maps).max() or 1.0
    maps = np.round(SHADES * maps / largest) / SHADES
    shown = list(dict.fromkeys([*range(min(MOST, len(maps))), channel]))
    group = Group(maps[shown], palette="signed" if (maps < 0).any() else "heat")
    tiles = dict(zip(shown, painted(group), strict=True))
    columns = min(len(maps), 6 if len(maps) <= 16 else 11)
    start = LEFT + 2 * (LARGE + LEFT)
    side = min(LARGE / 2, (WIDTH - LEFT - start) / columns - GAP)
    rows = -(-min(MOST, len(maps)) // columns)
    height = max(TOP + LARGE, TOP + rows * (side + GAP)) + LEFT
    drawing = Drawing(WIDTH, round(height), first, words)
    drawing.words += [Words(LEFT, 26, first, bold=True), Words(LEFT, 48, second)]
    for left, pixels in ((LEFT, picture), (LEFT + LARGE + LEFT, tiles[channel])):
        high, wide = (LARGE * n / max(pixels.shape[:2]) for n in pixels.shape[:2])
        drawing.framed(left, TOP, wide, high, pixels)
    for number in range(min(MOST, len(maps))):
        x, y = start + number % columns * (side + GAP), TOP + number // columns * (side + GAP)
        drawing.pictures.append((x, y, side, side, tiles[number]))
        drawing.frames.append((x, y, side, side, *((WINDOW, 2) if number == channel else (GRID, 1))))
    return drawing

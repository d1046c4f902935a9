"""The occluder as a still picture: the covered picture, the map if it is shown, and the bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.widgets._drawing import FAINT, WINDOW, Drawing, Words
from cnnviz.widgets.draw_pad.picture import BAR, percent
from cnnviz.widgets.sliding_kernel.shades import count_pixels

if TYPE_CHECKING:
    from cnnviz.widgets.occluder.occluder import Occluder

SIDE, TOP = 230, 44  # of the pictures
LEFT, MIDDLE, RIGHT, NUMBERS = 16, 262, 516, 742  # where they, the bars and their numbers begin


def draw(occluder: Occluder) -> Drawing:
    """Lay out picture, map and bars."""
    covered, box = _covered(occluder)
    text = repr(occluder)
    drawing = Drawing(800, TOP + SIDE + 36, text.partition("\n")[0], text)
    say = drawing.words.append
    say(Words(LEFT, 26, text.splitlines()[2], bold=True))
    cell = SIDE / max(covered.shape[:2])
    _picture(drawing, LEFT, covered, cell)
    drawing.frames.append((LEFT + cell * box[1], TOP + cell * box[0], cell * box[2], cell * box[2], WINDOW, 2))
    if occluder.revealed:
        _picture(drawing, MIDDLE, _map(occluder, covered.shape), cell)
        say(Words(MIDDLE, TOP + SIDE + 22, f"dark: here the square costs {occluder.target} most", colour=FAINT))
    now = occluder.probabilities
    bars = [(occluder._name(number)[:10], float(now[number])) for number in occluder._best(occluder.picture, now)]
    track = RIGHT + 10 + 9 * max(len(name) for name, _ in bars)
    for at, (name, share) in enumerate(bars):
        y = TOP + 23 * at
        drawing.fills.append((track, y, round((NUMBERS - 10 - track) * share, 1), 17, BAR))
        say(Words(RIGHT, y + 14, name, bold=share > 0.5))
        say(Words(NUMBERS, y + 14, percent(share)))
    return drawing


def lost(occluder: Occluder) -> np.ndarray:
    """Return for each place the share of the target's probability that the square takes away, 0 to 1."""
    return np.clip(1 - occluder.heat / occluder.uncovered.max(), 0, 1)


def _covered(occluder: Occluder) -> tuple[np.ndarray, tuple[int, int, int]]:
    (row, column), size, number = occluder.place, occluder.size, occluder.picture
    pixels = occluder._pixels(number).copy()
    shade = occluder._pixels(number, occluder._shades[number, :, None, None])
    pixels[row : row + size, column : column + size] = shade
    return pixels, (row, column, size)


def _map(occluder: Occluder, shape: tuple[int, ...]) -> np.ndarray:
    """Each place as a block of the step's size, in the middle of where the square is; around them paper."""
    step, size = occluder._step, occluder.size
    shares = np.kron(np.round(32 * lost(occluder)) / 32, np.ones((step, step)))
    pixels = np.full(shape, 255, np.uint8)
    top = (size - step + 1) // 2
    pixels[top : top + len(shares), top : top + shares.shape[1]] = count_pixels(shares)
    return pixels


def _picture(drawing: Drawing, left: float, pixels: np.ndarray, cell: float) -> None:
    high, wide = (cell * side for side in pixels.shape[:2])
    drawing.framed(left, TOP, wide, high, pixels)

"""The pad as a still picture: what the network got, its maps and its bars, for pages that run no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz._checks import _count
from cnnviz.widgets._drawing import FAINT, Drawing, Words
from cnnviz.widgets.draw_pad.answer import Answer

if TYPE_CHECKING:
    from cnnviz.widgets.draw_pad.draw_pad import DrawPad

BAR = "#b5dcd5"
NEGATIVE, POSITIVE = np.array([0x2B, 0x6C, 0xB0]), np.array([0xC2, 0x57, 0x0C])  # as in shared.css
PAPER, MIDDLE, RIGHT, TOP, ROOM = 200, 248, 600, 44, 300  # of the map rows' left and width, and the bars' left
CELLS = 40  # numbers in a row, of a layer that has no maps


def asked(pad: DrawPad) -> tuple[Answer, str]:
    """Ask in double precision, so that every machine says and draws the same; or nothing, and why not."""
    try:
        return pad._ask(precise=True), ""
    except Exception as error:  # a user's model may raise anything
        return Answer((), np.zeros(0)), " ".join(str(error).split())


def draw(pad: DrawPad) -> Drawing:
    """Lay out paper, maps and bars."""
    answer, problem = asked(pad)
    picture = pad.picture.double().numpy()[0]
    rows = [(layer, _tiled(layer.maps)) for layer in answer.layers]
    heights = [_height(tiles) for _, tiles in rows]
    height = max(TOP + PAPER + 50, TOP + sum(heights) + 26 * len(rows) + 10)
    said = problem[:100] or _said(pad, answer.probabilities)
    drawing = Drawing(800, round(height), f"DrawPad, {said}", describe(pad, answer, problem))
    say = drawing.words.append
    say(Words(16, 26, said, bold=True))
    drawing.framed(16, TOP, PAPER, PAPER, _grey(picture))
    say(Words(16, TOP + PAPER + 22, f"input, {picture.shape[0]}×{picture.shape[1]}", colour=FAINT))
    y = TOP
    for (layer, tiles), tall in zip(rows, heights, strict=True):
        say(Words(MIDDLE, y + 12, f"{layer.kinds}: {layer.size}", colour=FAINT))
        wide = tiles.shape[1] * tall / tiles.shape[0]
        drawing.pictures.append((MIDDLE, y + 18, wide, tall, _signed(tiles, blank=pad.empty)))
        y += tall + 26
    for at, (name, probability) in enumerate(pad._bars(answer.probabilities)):
        y = TOP + 24 * at
        share = 0.0 if pad.empty else probability
        drawing.fills.append((RIGHT + 30, y, round(100 * share, 1), 18, BAR))
        say(Words(RIGHT, y + 14, name[:4], bold=share > 0.5))
        say(Words(RIGHT + 136, y + 14, "" if pad.empty else percent(share)))
    return drawing


def describe(pad: DrawPad, answer: Answer, problem: str) -> str:
    """Say in plain text what is on the paper, of what shape the layers are and what the network says."""
    drawn = _count(len(pad.strokes), "stroke") if pad.example is None else f"the scan of a {pad.example}"
    moved = f", shifted by {pad.shift}".replace("-", "−") if pad.shift else ""
    lines = [f"DrawPad, {'clean paper' if pad.empty else drawn}{moved}, input {pad._size}×{pad._size}"]
    lines += [f"{layer.kinds}: {layer.size}" for layer in answer.layers]
    if problem:
        lines.append(problem)
    elif not pad.empty:
        each = (f"{name} {percent(p)}" for name, p in pad._bars(answer.probabilities))
        lines.append("probabilities: " + ", ".join(each))
    return "\n".join(lines)


def percent(share: float) -> str:
    """Write a probability, whole percents only.

    >>> percent(0.997), percent(1e-9)
    ('>99 %', '0 %')
    """
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _said(pad: DrawPad, probabilities: np.ndarray) -> str:
    if pad.empty:
        return "clean paper: draw a digit"
    name, share = max(pad._bars(probabilities), key=lambda bar: bar[1])
    return f"the network says {name} ({percent(share)})"


def _tiled(maps: np.ndarray) -> np.ndarray:
    """Put maps side by side with a column of NaN between them; numbers go into rows of 40."""
    if maps.shape[:2] == (1, 1):
        numbers = maps.ravel()
        rows = -(-len(numbers) // CELLS)
        filled = np.full(rows * min(CELLS, len(numbers)), np.nan)
        filled[: len(numbers)] = numbers
        return filled.reshape(rows, -1)
    return np.concatenate([np.pad(one, ((0, 0), (0, 1)), constant_values=np.nan) for one in maps], axis=1)[:, :-1]


def _height(tiles: np.ndarray) -> float:
    """Return how tall the tiles are drawn: as wide as there is room, 8 pixels a number at most."""
    return round(tiles.shape[0] * min(8, ROOM / tiles.shape[1]), 1)


def _grey(picture: np.ndarray) -> np.ndarray:
    """Ink on white paper."""
    return np.repeat(np.rint(255 * (1 - np.clip(picture, 0, 1)))[..., None], 3, axis=2).astype(np.uint8)


def _signed(tiles: np.ndarray, blank: bool) -> np.ndarray:
    """Blue below zero, orange above, white at zero and between the maps; 32 shades each are enough for the eye."""
    most = np.nanmax(np.abs(tiles)) or 1.0
    share = np.zeros_like(tiles) if blank else np.rint(32 * np.nan_to_num(tiles) / most) / 32
    colour = np.where(share[..., None] < 0, NEGATIVE, POSITIVE)
    return np.rint(255 + np.abs(share)[..., None] * (colour - 255.0)).astype(np.uint8)

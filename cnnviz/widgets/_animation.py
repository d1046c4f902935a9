"""Drawings as an animation: a GIF whose flat colours are exactly those of the drawings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from cnnviz.widgets._drawing import PAPER, Drawing, to_image

LAST_FRAME = 2000  # milliseconds
SHORTEST_FRAME = 20  # players show shorter ones slowly
COLOURS, EXACT_COLOURS = 255, 191  # one of 256 stays free: it marks what a frame leaves as it was


def write(drawings: list[Drawing], pace: float, accents: Iterable[str], target: Path) -> None:
    """Write a GIF, each drawing for `pace` milliseconds and the last for longer; `accents` keep their colour."""
    height = max(drawing.height for drawing in drawings)  # a longer text may need one more line
    for drawing in drawings:
        drawing.height = height
    colours = _colours(drawings, accents)
    table = np.full(2**24, 255, np.uint8)  # of every colour its number in the palette, 255 while unknown
    first, *others = [_in_colours(to_image(drawing, scale=1), colours, table) for drawing in drawings]
    pace = max(SHORTEST_FRAME, round(pace))
    durations = [pace] * len(others) + [max(pace, LAST_FRAME)]
    first.save(target, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def _colours(drawings: list[Drawing], accents: Iterable[str]) -> np.ndarray:
    """Choose the 255 colours of an animation: exactly those of the cells, and what else the last frame has."""
    fills = Counter(fill[4] for drawing in drawings for fill in drawing.fills)
    exact = [PAPER, "#000000", *accents, *(colour for colour, _ in fills.most_common())]
    exact = exact[: EXACT_COLOURS // 3 if drawings[-1].pictures else EXACT_COLOURS]
    rest = to_image(drawings[-1], scale=1).quantize(COLOURS - len(exact)).getpalette()
    return np.concatenate([[ImageColor.getrgb(colour) for colour in exact], np.reshape(rest, (-1, 3))]).astype(np.int32)


def _in_colours(image: Image.Image, colours: np.ndarray, table: np.ndarray) -> Image.Image:
    """Give every pixel the nearest colour (Pillow's own search takes near ones for equal: white would turn grey)."""
    pixels = np.asarray(image).astype(np.int32)
    code = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    new = np.unique(code[table[code] == 255])
    parts = np.stack([new >> 16, (new >> 8) & 255, new & 255], axis=1)
    for first in range(0, len(new), 4096):  # a few at a time: the distances of all would be large
        away = ((parts[first : first + 4096, None] - colours) ** 2).sum(axis=2)
        table[new[first : first + 4096]] = away.argmin(axis=1)
    indexed = Image.fromarray(table[code])
    indexed.putpalette(colours.astype(np.uint8).tobytes())
    return indexed

"""A moving kernel as an animation: one frame for each output cell."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from cnnviz.widgets._drawing import PAPER, Drawing, to_image
from cnnviz.widgets.sliding_kernel import picture
from cnnviz.widgets.sliding_kernel.scene import Scene

FRAMES = 100  # of an animation; larger outputs are walked in larger steps
LAST_FRAME = 2000  # milliseconds
COLOURS, EXACT_COLOURS = 255, 191  # one of 256 stays free: it marks what a frame leaves as it was


def write(scene: Scene, target: Path) -> None:
    """Write a GIF, `speed` frames a second."""
    first, *others = frames(scene)
    pace = max(20, round(1000 / scene.state["speed"]))
    durations = [pace] * len(others) + [max(pace, LAST_FRAME)]
    first.save(target, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def frames(scene: Scene) -> list[Image.Image]:
    """Paint one frame for each output cell, at most `FRAMES`; the output fills in as the kernel moves."""
    cells = scene.output.shape[1] * scene.output.shape[2]
    positions = np.unique(np.linspace(0, cells - 1, min(cells, FRAMES)).round().astype(int)).tolist()
    filling = scene.with_state(fill=True)
    drawings = [picture.draw(filling.with_state(position=position), described=False) for position in positions]
    height = max(drawing.height for drawing in drawings)  # a longer sum may need one more line
    for drawing in drawings:
        drawing.height = height
    colours = _colours(drawings)
    table = np.full(2**24, 255, np.uint8)  # of every colour its number in the palette, 255 while unknown
    return [_in_colours(to_image(drawing, scale=1), colours, table) for drawing in drawings]


def _colours(drawings: list[Drawing]) -> np.ndarray:
    """Choose the 255 colours of an animation: exactly those of the cells, and what else the last frame has."""
    fills = Counter(fill[4] for drawing in drawings for fill in drawing.fills)
    exact = [PAPER, "#000000", picture.WINDOW, *(colour for colour, _ in fills.most_common())]
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

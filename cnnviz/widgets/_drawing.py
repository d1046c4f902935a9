"""A drawing as a list of plain shapes, and its two painters: SVG text and Pillow.

Both paint the same list in the same order: fills, pictures, lines, words, frames.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT, GRID = "#ffffff", "#1a1a1a", "#5c5c5c", "#b9bdc4"
WINDOW, MARK = "#c2188f", "#00796b"
SANS = "system-ui,'Segoe UI','DejaVu Sans',sans-serif"


@dataclass(frozen=True)
class Words:
    """A text; `anchor` is "start" or "middle", y its baseline."""

    x: float
    y: float
    text: str
    size: float = 14
    colour: str = INK
    anchor: str = "start"
    bold: bool = False

    @property
    def style(self) -> tuple:
        """What neighbouring texts may have in common."""
        return (self.size, self.colour, self.anchor, self.bold)


@dataclass
class Drawing:
    """Shapes on a white card."""

    width: int
    height: int
    title: str
    description: str
    fills: list[tuple[float, float, float, float, str]] = field(default_factory=list)  # x, y, width, height, colour
    pictures: list[tuple[float, float, float, float, np.ndarray]] = field(default_factory=list)  # (h, w, 3) uint8
    lines: list[tuple[float, float, float, float, str, float]] = field(default_factory=list)  # from, to, colour, width
    words: list[Words] = field(default_factory=list)
    frames: list[tuple[float, float, float, float, str, float]] = field(default_factory=list)  # box, colour, width

    def framed(self, x: float, y: float, width: float, height: float, pixels: np.ndarray) -> None:
        """Add a picture with a thin frame."""
        self.pictures.append((x, y, width, height, pixels))
        self.frames.append((x, y, width, height, GRID, 1))


# ---- SVG -----------------------------------------------------------------------------------------------------------


def to_svg(drawing: Drawing) -> str:
    """Write the drawing as SVG: the same text on every machine, and a card that can be read on any page."""
    return "".join(_svg_parts(drawing))


def _svg_parts(drawing: Drawing) -> Iterator[str]:
    size = f'viewBox="0 0 {drawing.width} {drawing.height}" width="{drawing.width}" height="{drawing.height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="max-width:100%;height:auto" role="img"'
    yield f' font-family="{SANS}"><title>{escape(drawing.title)}</title><desc>{escape(drawing.description)}</desc>'
    yield f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>'
    for colour, boxes in _grouped(drawing.fills, 4):
        yield f'<path fill="{colour}" d="{"".join(_box_path(*box[:4]) for box in boxes)}"/>'
    for x, y, width, height, pixels in drawing.pictures:
        box = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" preserveAspectRatio="none"'
        yield f'<image {box} style="image-rendering:pixelated" href="data:image/bmp;base64,{_bmp(pixels)}"/>'
    for (colour, width), lines in _grouped(drawing.lines, slice(4, 6)):
        path = "".join(f"M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}" for x0, y0, x1, y1, *_ in lines)
        yield f'<path fill="none" stroke="{colour}" stroke-width="{_n(width)}" d="{path}"/>'
    for (size, colour, anchor, bold), words in _grouped(drawing.words, "style"):
        more = (' text-anchor="middle"' if anchor == "middle" else "") + (' font-weight="bold"' if bold else "")
        texts = "".join(f'<text x="{_n(word.x)}" y="{_n(word.y)}">{escape(word.text)}</text>' for word in words)
        yield f'<g font-size="{_n(size)}" fill="{colour}"{more}>{texts}</g>'
    for (colour, width), boxes in _grouped(drawing.frames, slice(4, 6)):
        path = "".join(_box_path(*box[:4]) for box in boxes)
        yield f'<path fill="none" stroke="{colour}" stroke-width="{_n(width)}" d="{path}"/>'
    yield "</svg>"


def _grouped(shapes: list, key: int | slice | str) -> Iterator[tuple]:
    """Gather shapes of one style, styles in the order of their first shape."""

    def style(shape: tuple | Words) -> object:
        return getattr(shape, key) if isinstance(key, str) else shape[key]

    first: dict = {}
    for shape in shapes:
        first.setdefault(style(shape), len(first))
    return groupby(sorted(shapes, key=lambda shape: first[style(shape)]), key=style)


def _box_path(x: float, y: float, width: float, height: float) -> str:
    return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"


def _n(value: float) -> str:
    """Write a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0").replace("-0.", "-.") if value else "0"


def _bmp(pixels: np.ndarray) -> str:
    """Pack pixels as a bitmap, which has no compression that could differ; in 256 colours where those are enough."""
    colours, index = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    if len(colours) <= 256:
        image = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8))
        image.putpalette(colours.astype(np.uint8).tobytes())
    else:
        image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    return base64.b64encode(buffer.getvalue()).decode()


# ---- Pillow --------------------------------------------------------------------------------------------------------


def to_image(drawing: Drawing, scale: float = 2) -> Image.Image:
    """Paint the drawing in pixels."""
    image = Image.new("RGB", (round(drawing.width * scale), round(drawing.height * scale)), PAPER)
    pen = ImageDraw.Draw(image)
    for x, y, width, height, colour in drawing.fills:
        pen.rectangle(_corners(x, y, width, height, scale), fill=colour)
    for x, y, width, height, pixels in drawing.pictures:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
        image.paste(enlarged, (round(x * scale), round(y * scale)))
    for x0, y0, x1, y1, colour, width in drawing.lines:
        pen.line((x0 * scale, y0 * scale, x1 * scale, y1 * scale), fill=colour, width=max(1, round(width * scale)))
    for word in drawing.words:
        anchor = "ms" if word.anchor == "middle" else "ls"
        pen.text((word.x * scale, word.y * scale), word.text, word.colour, _font(word.size * scale, word.bold), anchor)
    for x, y, width, height, colour, line in drawing.frames:
        half = line / 2
        box = _corners(x - half, y - half, width + line, height + line, scale)
        pen.rectangle(box, outline=colour, width=max(1, round(line * scale)))
    return image


def to_base64(drawing: Drawing) -> str:
    """Return the drawing as a PNG of its own size: ten of them have to fit into a notebook of 250 kB."""
    buffer = io.BytesIO()
    to_image(drawing, scale=1).quantize(64).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _corners(x: float, y: float, width: float, height: float, scale: float) -> tuple[int, int, int, int]:
    left, top = round(x * scale), round(y * scale)
    return left, top, max(left, round((x + width) * scale) - 1), max(top, round((y + height) * scale) - 1)


@cache
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along: it has every sign that the texts use, on every machine."""
    package = Path(find_spec("matplotlib").origin).parent  # found, not imported
    return ImageFont.truetype(str(package / "mpl-data/fonts/ttf" / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)

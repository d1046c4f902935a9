"""What `inside` returns: numbers that draw themselves, as a still picture that a notebook keeps. Private.

A result holds the numbers and one or more groups of tiles; a group has one palette and one scale, so that its tiles can
be compared.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz._checks import _by

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, EDGE, GAP, LINE = 800, 8, 4, 19  # pixels: of the widest figure, around it, between tiles, of a line of text
TEXT = 14 * 72 / 100  # points that are 14 pixels
LARGEST, TALLEST = 128, 480  # pixels: across a tile, from the first to the last row of a group
NEGATIVE, ZERO, POSITIVE = np.array([(43, 108, 176), (255, 255, 255), (194, 87, 12)])  # as in the widgets
SIGNS = "blue negative, orange positive"
STRONG = np.array((0, 58, 51))
NOTHING = (214, 217, 222)  # where there is no number: outside the picture


class Group(NamedTuple):
    """Tiles that are drawn together.

    Attributes
    ----------
    tiles
        Arrays ``(h, w)``, or ``(3, h, w)`` in colour; NaN is drawn as nothing.
    heading
        The line, or lines, above them.
    palette
        "signed": blue, white, orange, centred at zero; "heat": white at zero, dark at the largest; "picture": grey or
        colour, from the least to the largest value. Or one of these for each tile, which then are `alone`.
    titles
        One short text for each tile, of one line or more, or none.
    crossed
        Numbers of the tiles that get a cross: dead channels.
    columns
        Tiles in a row; by itself as many as look well.
    across
        Pixels from a tile to the one beside it, so that nothing moves when a title gets longer; by itself as few as
        the titles allow.
    alone
        Whether each tile has a scale of its own.
    """

    tiles: Sequence[np.ndarray]
    heading: str = ""
    palette: str | Sequence[str] = "signed"
    titles: Sequence[str] = ()
    crossed: Collection[int] = ()
    columns: int | None = None
    across: int = 0
    alone: bool = False


class Pictures:
    """Numbers, and how they look.

    Parameters
    ----------
    values
        The numbers: an array, or a mapping of layer names to arrays.
    about
        What they are, in one line without anything that differs from machine to machine.
    groups
        What is drawn, one group below the other.
    facts
        What else was found; each becomes an attribute.

    Examples
    --------
    >>> edge = np.array([[-1.0, 1.0]])
    >>> result = Pictures(edge, "an edge", Group([edge]), largest=1.0)
    >>> result, result.largest
    (an edge: 1 x 2, 1.0)
    """

    def __init__(self, values: Any, about: str, *groups: Group, **facts: Any) -> None:
        self.values, self.about, self.groups = values, about, groups
        self.__dict__.update(facts)

    def __repr__(self) -> str:
        if isinstance(self.values, Mapping):
            return f"{self.about}: " + ", ".join(f"{name} {_shape(array)}" for name, array in self.values.items())
        return f"{self.about}: {_shape(self.values)}"

    def plot(self) -> Figure:
        """Draw it with matplotlib, and return the figure."""
        from matplotlib import pyplot

        placed = list(_placed(self.groups))
        width = max((_wide(group, *place[1:]) for group, place in zip(self.groups, placed, strict=True)), default=WIDTH)
        height = placed[-1][0] if placed else 2 * EDGE
        figure = pyplot.figure(figsize=(width / 100, height / 100), dpi=100)
        pyplot.close(figure)  # the caller shows it: open, it would appear twice in a notebook
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        top = EDGE
        for (bottom, columns, factor), group in zip(placed, self.groups, strict=True):
            _draw(axes, group, top, columns, factor)
            top = bottom
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")  # imshow has ideas of its own
        return figure

    def _repr_png_(self) -> bytes:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        canvas, buffer = FigureCanvasAgg(self.plot()), io.BytesIO()
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        image.quantize(256).save(buffer, "PNG", optimize=True)  # half the bytes: a notebook stays under 250 kB
        return buffer.getvalue()


def paint(values: np.ndarray, palette: str, low: float, high: float) -> np.ndarray:
    """Return the colours of numbers, ``(..., 3)`` of 0 to 255; `low` and `high` are the ends of the scale."""
    if palette == "signed":
        largest = max(-low, high, 1e-30)
        share = np.clip(values / largest, -1, 1)[..., None]
        pixels = ZERO + np.where(share < 0, -share * (NEGATIVE - ZERO), share * (POSITIVE - ZERO))
    else:
        least = 0 if palette == "heat" else low
        share = np.clip((values - least) / max(high - least, 1e-30), 0, 1)[..., None]
        pixels = ZERO + share * (STRONG - ZERO) if palette == "heat" else np.repeat(255 * share, 3, -1)
    return np.where(np.isnan(values)[..., None], NOTHING, np.nan_to_num(pixels)).round().astype(np.uint8)


def painted(group: Group) -> list[np.ndarray]:
    """Return the tiles of a group as pixels, ``(h, w, 3)``."""
    tiles = [np.asarray(tile, dtype=np.float64) for tile in group.tiles]
    seen = [tile[np.isfinite(tile)] for tile in tiles]
    ends = [(one.min(initial=np.inf), one.max(initial=-np.inf)) for one in seen]
    one_palette = isinstance(group.palette, str)
    palettes = [group.palette] * len(tiles) if one_palette else group.palette
    if one_palette and not group.alone:
        ends = [(min(low for low, _ in ends), max(high for _, high in ends))] * len(tiles)
    return [_pixels(tile, palette, *end) for tile, palette, end in zip(tiles, palettes, ends, strict=True)]


def _pixels(tile: np.ndarray, palette: str, low: float, high: float) -> np.ndarray:
    if tile.ndim == 2:
        return paint(tile, palette, low, high)
    if palette == "signed":  # a colour filter: grey where it is zero
        largest = max(-low, high)
        low, high = -largest, largest
    return np.stack([paint(channel, "picture", low, high)[..., 0] for channel in tile], axis=-1)


def _placed(groups: Sequence[Group]) -> Iterator[tuple[int, int, float]]:
    """Yield for each group where it ends, its columns, and how often a tile is enlarged."""
    bottom = EDGE
    for group in groups:
        count = len(group.tiles)
        columns = group.columns or (count if count <= 12 else 8 if count <= 16 else 16 if count <= 128 else 32)
        if group.titles and not group.columns:  # no title may reach into the next one
            columns = max(1, min(columns, int((WIDTH - 2 * EDGE) / (_words(group) + 2 * GAP))))
        high, wide = np.shape(group.tiles[0])[-2:]
        rows = -(-count // columns)
        tallest = max(TALLEST / rows - GAP, 16)
        factor = min((WIDTH - 2 * EDGE + GAP) / columns - GAP, LARGEST, tallest) / max(high, wide)
        factor = int(factor) if factor >= 1 else factor  # whole: every number is a square of the same size
        lines = group.heading.count("\n") + bool(group.heading)
        bottom += round(LINE * lines + rows * (factor * high + GAP + LINE * _title_lines(group))) + EDGE
        yield bottom, columns, factor


def _words(group: Group) -> int:
    """Return how wide the longest title of a tile is, about."""
    return max((8 * len(line) for title in group.titles for line in title.splitlines()), default=0)


def _title_lines(group: Group) -> int:
    return max((title.count("\n") + 1 for title in group.titles), default=0)


def _across(group: Group, columns: int, factor: float) -> float:
    """Return the distance from a tile to the one beside it."""
    tile = factor * np.shape(group.tiles[0])[-1] + GAP
    return group.across or max(tile, min(_words(group) + 2 * GAP, (WIDTH - 2 * EDGE) / columns))


def _wide(group: Group, columns: int, factor: float) -> int:
    """Return the width that a group needs: a white rest would shine in a dark page."""
    steps = min(columns, len(group.tiles)) - 1
    last = group.across or max(factor * np.shape(group.tiles[0])[-1], _words(group))
    heading = max((8 * len(line) for line in group.heading.splitlines()), default=0)
    return min(WIDTH, 2 * EDGE + round(max(steps * _across(group, columns, factor) + last, heading)))


def _draw(axes: Axes, group: Group, top: float, columns: int, factor: float) -> None:
    for line in group.heading.splitlines():
        axes.text(EDGE, top + 14, line, fontsize=TEXT, parse_math=False)
        top += LINE
    high, wide = (factor * side for side in np.shape(group.tiles[0])[-2:])
    across = _across(group, columns, factor)
    down = high + GAP + LINE * _title_lines(group)
    for number, pixels in enumerate(painted(group)):
        x, y = EDGE + across * (number % columns), top + down * (number // columns)
        axes.imshow(
            pixels, extent=(x, x + wide, y + high, y), interpolation="nearest" if factor >= 1 else "antialiased"
        )
        axes.plot([x, x + wide, x + wide, x, x], [y, y, y + high, y + high, y], color="#c4c8cf", linewidth=0.5)
        if number in group.crossed:
            axes.plot([x, x + wide, None, x, x + wide], [y, y + high, None, y + high, y], color="#b2182b", linewidth=1)
        if group.titles:
            axes.text(x, y + high + 2, group.titles[number], fontsize=TEXT, va="top", parse_math=False)


def _shape(array: np.ndarray) -> str:
    return _by(np.shape(array), " x ") or "one number"

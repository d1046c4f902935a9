"""Where everything of a scene stands in a still picture: input, kernel, products, output, and the words under them.

Reading order is left to right, as in the live view. Up to sixteen cells a side are numbers, more are pixels. One
colour, the window's, marks what is being computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnviz._checks import _count
from cnnviz.widgets._drawing import FAINT, GRID, INK, MARK, WINDOW, Drawing, Words
from cnnviz.widgets.sliding_kernel import shades, strip
from cnnviz.widgets.sliding_kernel.code import format_code
from cnnviz.widgets.sliding_kernel.scene import Axis, Scene

HATCH = "#c4c8cf"

MARGIN, GAP, LABEL = 16, 44, 24
TOP = 66  # the line of code and the shapes stand above the panels
NUMBERS_TO = 16  # cells a side of the input; with its padding, and of the output, a few more
CELLS_TO = 22
CELLS, ROWS = 520, 40  # in numbers under each other; channels beyond that are counted, filters shown small
HEIGHT = 900  # of numbers under each other, if their cells can be small enough for it
PHOTO = 300  # side of a picture of pixels
SAMPLES, AREA, AREA_IN_COLOUR = 96, 6400, 4800  # pixels of it that are kept, so that the SVG stays under 60 kB
LETTER = 0.62  # width of a digit of the widest font that may be used


@dataclass(frozen=True)
class Panel:
    """A grid of cells: `x`, `y` its corner, `cell` their size."""

    x: float
    y: float
    rows: int
    cols: int
    cell: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.cols * self.cell

    @property
    def bottom(self) -> float:
        """Where it ends."""
        return self.y + self.rows * self.cell

    def box(self, row: float, col: float, rows: float = 1, cols: float = 1) -> tuple[float, float, float, float]:
        """Return x, y, width and height of some cells."""
        return self.x + col * self.cell, self.y + row * self.cell, cols * self.cell, rows * self.cell


def in_numbers(scene: Scene) -> bool:
    """Whether the cells are few enough to hold numbers."""
    drawn = max(len(scene.rows.source), len(scene.cols.source), *scene.layer.output_shape[1:])
    return max(scene.layer.input_size) <= NUMBERS_TO and drawn <= CELLS_TO


def draw(scene: Scene, described: bool = True) -> Drawing:
    """Lay out a scene; `described` adds the words for those who do not see it."""
    return _Picture(scene, scene.plain_text() if described else "").draw()


class _Picture:
    """Puts the shapes of one scene into a drawing, column by column."""

    def __init__(self, scene: Scene, description: str) -> None:
        self.scene = scene
        self.numbers = in_numbers(scene)
        self.twice = len(scene.wires.counts) > 2  # then the wires are the picture, and one channel of numbers is enough
        self.drawing = Drawing(0, 0, f"SlidingKernel {format_code(scene.state)}", description)
        self.limit = float(np.abs(scene.output).max(initial=0))
        self.range = float(scene.image.min()), float(scene.image.max())
        self.right, self.bottom = MARGIN, TOP
        self.numbers_in: dict[Panel, list[tuple[int, int, str, str]]] = {}
        self.kernel_size = scene.layer.window.kernel_size
        rows = max(self.kernel_size[0], len(scene.rows.source) if self.numbers else 0)
        fitting = min(4, ROWS // rows, CELLS // (rows * len(scene.cols.source)) if self.numbers else 4)
        self.shown = scene.channels[: 1 if self.twice else max(1, fitting)]
        self.cell = self.small_cell = self.cell_size(rows * len(self.shown))
        if not self.numbers:
            self.small_cell = max(14, min(36, 190 // max(self.kernel_size)))
        self.row_height = rows * self.small_cell + LABEL + 10

    def draw(self) -> Drawing:
        """Place the columns and the words."""
        self.input_column()
        if not self.scene.is_pool:
            self.sign("∗")
            self.small_column("kernel, flipped" if self.scene.flipped else "kernel")
        self.sign("→" if self.scene.is_pool else "=")
        self.small_column("window" if self.scene.is_pool else "products")
        self.sign({"max_pool": "max", "avg_pool": "mean"}.get(self.scene.layer.op, "Σ"))
        self.output_column()
        if self.twice or self.scene.wires.inked[0]:
            right, self.bottom = strip.add(
                self.drawing, self.scene.wires, self.scene.layer.groups, MARGIN, self.bottom + 24
            )
            self.right = max(self.right, right)
        self.words()
        self.set_numbers()
        return self.drawing

    def cell_size(self, rows: int) -> float:
        """Side of a cell that holds a number: as large as the page allows."""
        kernels = self.kernel_size[1] * (1 if self.scene.is_pool else 2)
        columns = len(self.scene.cols.source) + kernels + self.scene.layer.output_shape[2]
        return max(26, min(40, (960 - 4 * GAP) // columns, HEIGHT // rows))

    # ---- columns ---------------------------------------------------------------------------------------------------

    def input_column(self) -> None:
        rows, cols = self.scene.rows, self.scene.cols
        size, x = (len(rows.source), len(cols.source)), self.right
        colour = not self.numbers and self.in_colour()
        for at, channel in enumerate(self.shown if self.numbers else self.shown[:1]):
            panel = Panel(x, self.row_top(at), *size, self.cell if self.numbers else PHOTO / max(size))
            title = "times read" if self.scene.state["heatmap"] else "input"
            self.title(panel, title if colour else self.channel_title(title, channel))
            if self.numbers:
                self.input_cells(panel, channel)
            else:
                self.input_pixels(panel, channel, colour)
            self.unread(panel)
            i, j = self.scene.cell
            self.frame(panel.box(i * rows.step, j * cols.step, rows.span, cols.span))

    def small_column(self, kind: str) -> None:
        """Show what stands in a grid of the kernel's size: the kernel, the products, a pool's window."""
        x, is_kernel = self.right, kind.startswith("kernel")
        for at, channel in enumerate(self.shown):
            panel = Panel(x, self.row_top(at), *self.kernel_size, self.small_cell)
            self.title(panel, self.channel_title(kind, channel))
            if is_kernel:
                self.signed_cells(panel, self.scene.kernel(channel), float(np.abs(self.scene.weights).max()))
            elif self.scene.state["reveal"] >= 1:
                self.product_cells(panel, channel)
            self.grid(panel)
            if not is_kernel:
                self.frame(panel.box(0, 0, *self.kernel_size))
        more = len(self.scene.channels) - len(self.shown)
        if more and is_kernel and not self.twice:
            self.say(x, panel.bottom + LABEL, f"and {_count(more, 'more channel')}", colour=FAINT)
            self.bottom = max(self.bottom, panel.bottom + LABEL)

    def output_column(self) -> None:
        filters, *size = self.scene.layer.output_shape
        drawn = max(len(self.scene.rows.source), len(self.scene.cols.source))
        cell = self.cell if self.numbers else PHOTO / max(max(size), drawn / 2)
        stacked = self.numbers and not self.twice and filters * size[0] <= ROWS and filters * size[0] * size[1] <= CELLS
        x = self.right
        for at, index in enumerate(range(filters) if stacked else [self.scene.filter]):
            panel = Panel(x, TOP + LABEL + at * (size[0] * cell + LABEL + 10), *size, cell)
            self.title(panel, f"output, filter {index}" if filters > 1 else "output")
            if self.scene.state["predict"] == "shape":
                self.say(x + 6, panel.y + 24, "? × ?", 20)
                self.right += 120
                return
            if self.scene.state["reveal"] >= 3:
                (self.output_cells if self.numbers else self.output_pixels)(panel, index)
            if self.numbers:
                self.grid(panel)
            self.drawing.frames.append((*panel.box(0, 0, *size), GRID, 1))
            if index == self.scene.filter:
                self.frame(panel.box(*self.scene.cell))
        if filters > 1 and not (stacked or self.twice):
            self.thumbnails(x, panel.bottom + 12)

    def thumbnails(self, x: float, y: float) -> None:
        """Show the first sixteen filters small, eight in one picture."""
        scene, count = self.scene, min(16, self.scene.layer.filters)
        rows, cols = shades.sampled(scene.layer.output_shape[1:], 24, 24 * 24)
        per_row = min(count, 8)
        scale = PHOTO / per_row / (len(cols) + 2)
        for first in range(0, count, per_row) if scene.state["reveal"] >= 3 else []:
            maps = scene.output[first : min(first + per_row, count)][:, rows][:, :, cols]
            tiles = [shades.photo_pixels(one[None], *self.range) for one in maps] if scene.is_pool else []
            tiles = tiles or [shades.signed_pixels(one, self.limit) for one in maps]
            strip = np.concatenate(
                [np.pad(one, ((1, 1), (1, 1), (0, 0)), constant_values=255) for one in tiles], axis=1
            )
            height, width = strip.shape[0] * scale, strip.shape[1] * scale
            self.drawing.pictures.append((x, y, width, height, strip))
            y, self.right = y + height + 4, max(self.right, x + width)
        self.say(x, y + 16, f"filters 0 to {count - 1} of {scene.layer.filters}", colour=FAINT)
        self.bottom = max(self.bottom, y + 20)

    # ---- what a panel holds ----------------------------------------------------------------------------------------

    def input_cells(self, panel: Panel, channel: int) -> None:
        scene, heatmap = self.scene, self.scene.state["heatmap"]
        counts = np.outer(scene.rows.reads, scene.cols.reads)
        i, j = scene.cell
        read_rows, read_cols = _taps(scene.rows, i), _taps(scene.cols, j)
        for row, r in enumerate(scene.rows.source):
            for col, c in enumerate(scene.cols.source):
                inside = r >= 0 and c >= 0
                value = 0.0 if not inside else counts[r, c] if heatmap else scene.image[channel, r, c]
                colour = shades.ZERO
                if inside:
                    share = value / max(1, counts.max())
                    colour = shades.mix(shades.FEW, shades.MANY, share) if heatmap else shades.grey(value, *self.range)
                if row in read_rows and col in read_cols:
                    colour = shades.mix(colour, shades.TINT, 0.16)
                self.fill(panel, row, col, colour)
                if not inside:
                    self.hatch(panel, row, col)
                if inside or not (heatmap or scene.layer.op == "max_pool"):  # a maximum never takes padding
                    self.number(panel, row, col, value, shades.text_on(colour) if inside else FAINT)
        self.grid(panel)

    def input_pixels(self, panel: Panel, channel: int, colour: bool) -> None:
        scene, size = self.scene, (panel.rows, panel.cols)
        rows, cols = shades.sampled(size, SAMPLES, AREA_IN_COLOUR if colour else AREA)
        r, c = scene.rows.source[rows], scene.cols.source[cols]
        if scene.state["heatmap"]:
            counts = np.outer(scene.rows.reads, scene.cols.reads)
            pixels = shades.count_pixels(counts[np.ix_(r, c)] / max(1, counts.max()))
        else:
            planes = scene.image[:3] if colour else scene.image[[channel]]
            pixels = shades.photo_pixels(planes[:, r][:, :, c], *self.range)
        pixels = np.where(((r >= 0)[:, None] & (c >= 0))[..., None], pixels, np.uint8(shades.OUTSIDE))
        self.drawing.framed(*panel.box(0, 0, *size), pixels)

    def product_cells(self, panel: Panel, channel: int) -> None:
        products = self.scene.products(channel)
        outside = np.isnan(products)
        self.signed_cells(panel, products, float(np.nanmax(np.abs(products), initial=0)))
        for row, col in np.argwhere(outside):
            self.hatch(panel, row, col)
            if not self.scene.is_pool and panel.cell >= 26:
                self.number(panel, row, col, 0, FAINT)
        if self.scene.layer.op == "max_pool" and not outside.all():
            row, col = divmod(int(np.nanargmax(products)), panel.cols)
            x, y, width, height = panel.box(row, col)
            self.drawing.frames.append((x + 4, y + 4, width - 8, height - 8, WINDOW, 2))

    def output_cells(self, panel: Panel, index: int) -> None:
        state = self.scene.state
        last = state["position"] if state["fill"] else panel.rows * panel.cols
        for (row, col), value in np.ndenumerate(self.scene.output[index]):
            if row * panel.cols + col > last:
                return
            if state["predict"] == "cell" and (row, col) == self.scene.cell:
                self.number(panel, row, col, "?", INK)
            else:
                self.signed_cell(panel, row, col, value, self.limit)

    def output_pixels(self, panel: Panel, index: int) -> None:
        scene, colour = self.scene, self.scene.is_pool and self.in_colour()
        rows, cols = shades.sampled((panel.rows, panel.cols), SAMPLES, AREA_IN_COLOUR if colour else AREA)
        values = (scene.output[:3] if colour else scene.output[[index]])[:, rows][:, :, cols]
        if scene.is_pool:
            pixels = shades.photo_pixels(values, *self.range)
        else:
            pixels = shades.signed_pixels(values[0], self.limit)
        if scene.state["fill"]:
            filled = rows[:, None] * panel.cols + cols <= scene.state["position"]
            pixels = np.where(filled[..., None], pixels, np.uint8(255))
        self.drawing.pictures.append((*panel.box(0, 0, panel.rows, panel.cols), pixels))

    def signed_cells(self, panel: Panel, values: np.ndarray, limit: float) -> None:
        for (row, col), value in np.ndenumerate(values):
            if not np.isnan(value):
                self.signed_cell(panel, row, col, float(value), limit)

    def signed_cell(self, panel: Panel, row: int, col: int, value: float, limit: float) -> None:
        colour = shades.signed(value, limit)
        self.fill(panel, row, col, colour)
        if panel.cell >= 26:
            self.number(panel, row, col, value, shades.text_on(colour))

    # ---- strokes ---------------------------------------------------------------------------------------------------

    def fill(self, panel: Panel, row: int, col: int, colour: shades.Colour) -> None:
        self.drawing.fills.append((*panel.box(row, col), shades.hexadecimal(colour)))

    def hatch(self, panel: Panel, row: int, col: int) -> None:
        x, y, width, height = panel.box(row, col)
        self.drawing.lines.append((x, y + height, x + width, y, HATCH, 1))

    def unread(self, panel: Panel) -> None:
        """Cross out rows and columns that no window reads."""
        for index in self.scene.rows.unread:
            drawn = int(np.flatnonzero(self.scene.rows.source == index)[0])
            x, y, width, _ = panel.box(drawn + 0.5, 0, 0, panel.cols)
            self.drawing.frames.append((x, y, width, 0, MARK, 2))
        for index in self.scene.cols.unread:
            drawn = int(np.flatnonzero(self.scene.cols.source == index)[0])
            x, y, _, height = panel.box(0, drawn + 0.5, panel.rows, 0)
            self.drawing.frames.append((x, y, 0, height, MARK, 2))

    def grid(self, panel: Panel) -> None:
        for row in range(panel.rows + 1):
            y = panel.y + row * panel.cell
            self.drawing.lines.append((panel.x, y, panel.right, y, GRID, 1))
        for col in range(panel.cols + 1):
            x = panel.x + col * panel.cell
            self.drawing.lines.append((x, panel.y, x, panel.bottom, GRID, 1))

    def frame(self, box: tuple[float, float, float, float]) -> None:
        """Mark in the window's colour; a mark on pixels stays large enough to be seen."""
        x, y, width, height = box
        wide, high = max(width, 7), max(height, 7)
        box = (x - (wide - width) / 2, y - (high - height) / 2, wide, high)
        self.drawing.frames.append((*box, WINDOW, 3 if min(width, height) > 12 else 2))

    # ---- words -----------------------------------------------------------------------------------------------------

    def number(self, panel: Panel, row: int, col: int, value: float | str, colour: str) -> None:
        chars = int((panel.cell - 4) / (LETTER * 11))
        text = value if isinstance(value, str) else shades.fitting_text(float(value), chars)
        self.numbers_in.setdefault(panel, []).append((row, col, text, colour))

    def set_numbers(self) -> None:
        """Write the numbers of each panel in one size, which its longest number allows; only freaks are smaller."""
        for panel, cells in self.numbers_in.items():
            room = (panel.cell - 4) / LETTER
            common = max(10, min(16, 0.42 * panel.cell, room / max(len(text) for _, _, text, _ in cells)))
            for row, col, text, colour in cells:
                x, y, width, height = panel.box(row, col)
                size = round(min(common, room / len(text)), 1)
                middle = x + width / 2, y + height / 2 + 0.36 * size
                self.drawing.words.append(Words(*middle, text, size, colour, "middle"))

    def say(self, x: float, y: float, text: str, size: float = 14, colour: str = INK, bold: bool = False) -> None:
        self.drawing.words.append(Words(x, y, text, size, colour, "start", bold))

    def title(self, panel: Panel, text: str) -> None:
        self.say(panel.x, panel.y - 7, text)
        self.right = max(self.right, panel.right, panel.x + 7.8 * len(text))
        self.bottom = max(self.bottom, panel.bottom)

    def channel_title(self, title: str, channel: int) -> str:
        several = len(self.scene.channels) > 1 or self.scene.layer.in_channels > 1
        return f"{title}, channel {channel}" if several else title

    def row_top(self, at: int) -> float:
        """Top of the grids of the channel that is shown at this place."""
        return TOP + LABEL + at * self.row_height

    def sign(self, sign: str) -> None:
        """Put an operator between two columns."""
        y = TOP + LABEL + self.kernel_size[0] * self.small_cell / 2 + 7
        size = 20 if len(sign) == 1 else 14
        self.drawing.words.append(Words(self.right + GAP / 2, y, sign, size, FAINT, "middle"))
        self.right += GAP

    def in_colour(self) -> bool:
        """Whether the three channels are a colour picture."""
        return self.scene.layer.in_channels == 3 and self.range[0] >= 0 and self.range[1] <= 1

    def words(self) -> None:
        """Put the line of code above, the sum and the size formula under the panels."""
        scene, drawing = self.scene, self.drawing
        code = format_code(scene.state)
        drawing.width = round(max(self.right + MARGIN, 620, 9.8 * len(code) + 2 * MARGIN))
        self.say(MARGIN, 28, code, 16, bold=True)
        self.say(MARGIN, 50, scene.shape_text(), colour=FAINT)
        y = self.bottom + 14
        for text in [scene.sum_text()] + ([scene.formula_text()] if scene.state["level"] > 1 else []):
            for line in shades.wrapped(text, int((drawing.width - 2 * MARGIN) / 8)):
                y += 22
                self.say(MARGIN, y, line)
        drawing.height = round(y + MARGIN)


def _taps(axis: Axis, at: int) -> set[int]:
    return {at * axis.step + tap * axis.dilation for tap in range(axis.kernel)}

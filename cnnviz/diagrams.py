"""A network's bill drawn as a picture: boxes for layers, lines for what they read, colour for what they cost.

Pure text: the SVG needs neither a library nor a program, and is the same on every machine. A box is as high as its maps
(logarithm of their side) and as wide as it has channels. Skips and dense connections are arcs, branches stand above one
another. Layers that work value by value (batch norm, activations, dropout) belong to the box they follow; large
networks are drawn module by module, each to be unfolded under the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from math import log2
from pathlib import Path
from typing import Any

from cnnviz.cost import Cost, CostRow, CostTable

MOST_BOXES = 64  # before modules are folded
COLUMN = 96  # pixels from one box to the next
TEXT = 14  # height of a letter
LABEL = 11  # letters that fit over a box
PALE, DARK = (238, 243, 250), (11, 79, 158)  # cheapest and dearest: one hue, so that lightness alone tells
COSTS = {"params": "parameters", "macs": "MACs", "activations": "activations"}
HALO = 'paint-order="stroke" stroke="#fff" stroke-width="3"'  # letters stay readable where an arc crosses them
SIGNS = {"add": "+", "cat": "concat", "mul": "×", "stack": "stack"}


@dataclass
class Box:
    """Rows drawn as one: a layer with what follows it value by value, or a whole module."""

    name: str
    kind: str
    rows: list[CostRow] = field(default_factory=list)
    reads: dict[int, None] = field(default_factory=dict)  # indices of boxes, -1 for the input
    folded: bool = False
    column: int = 0
    lane: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what the last row wrote."""
        return next((row.output_shape for row in reversed(self.rows) if row.output_shape), ())

    @property
    def cost(self) -> Cost:
        """Sum of the rows."""
        return sum((row.cost for row in self.rows), Cost())

    @property
    def width(self) -> float:
        """Pixels."""
        channels = self.shape[0] if self.shape else 1
        return round(14 + 5.5 * log2(max(channels, 1)), 1)

    @property
    def height(self) -> float:
        """Pixels."""
        side = max(self.shape[1:], default=1)
        return round(16 + 11 * log2(max(side, 1)), 1)


@dataclass(frozen=True, repr=False)
class Diagram:
    """A drawn network: shown by Jupyter, ``.svg`` is its text, ``.save("net.svg")`` writes it."""

    title: str
    svg: str
    boxes: int
    connections: int
    parts: tuple[tuple[str, Diagram], ...] = ()  # heading and picture of each folded module

    def save(self, path: str | Path) -> Path:
        """Write the picture as an SVG file."""
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"{self.title}: {self.boxes} boxes, {self.connections} connections"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg, "text/html": self._page()}

    def _page(self) -> str:
        page = [f'<div style="overflow-x:auto">{self.svg}</div>']
        for heading, part in self.parts:
            summary = f'<summary style="cursor:pointer">{escape(heading)}</summary>'
            page.append(f'<details style="margin-left:1em">{summary}{part._page()}</details>')
        return "".join(page)


def draw(model: Any, color: str = "macs", depth: int | None = None, input_size: Any = None) -> Diagram:
    """Draw a network as boxes and connections.

    Parameters
    ----------
    model
        A :class:`~cnnviz.cost.CostTable`, a torch module, or a name of ``cnnviz.models.names()``.
    color
        What the colour shows: "params", "macs" or "activations".
    depth
        Draw each module at this depth of nesting as one box; by default as deep as 64 boxes allow.
    input_size
        As for :func:`cnnviz.cost_table`, where ``model`` is not a table.

    Raises
    ------
    ValueError
        For another colour, a depth below 1, or a table without rows.

    >>> from cnnviz.cost import CostRow, CostTable
    >>> rows = CostRow("conv", "Conv2d", (8, 9, 9), 80, 6480, 648, None, inputs=(-1,)), CostRow(
    ...     "add", "add", (8, 9, 9), 0, 0, 648, None, inputs=(0, -1)
    ... )
    >>> draw(CostTable("Skip", rows))
    Skip: 3 boxes, 3 connections
    """
    if color not in COSTS:
        raise ValueError(f"color {color!r} is not known: use one of {', '.join(COSTS)}")
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 1):
        raise ValueError(f"depth {depth!r} is not a whole number of at least 1")
    table = model
    if not isinstance(table, CostTable):
        from cnnviz.measure import cost_table

        table = cost_table(model, input_size)
    if not any(row.call for row in table):
        raise ValueError(f"{table.title} has no layer that ran: nothing to draw")
    if depth is not None:
        return _diagram(table, _grouped(table, depth), color)
    deepest = max(row.name.count(".") for row in table) + 1
    levels = (_grouped(table, level) for level in range(deepest, 0, -1))
    boxes = next((boxes for boxes in levels if len(boxes) <= MOST_BOXES), None) or _grouped(table, 1)
    return _diagram(table, boxes, color)


def _diagram(table: CostTable, boxes: list[Box], color: str) -> Diagram:
    """The picture of these boxes, and of what is in the folded ones; modules built alike are drawn once."""
    alike: dict[tuple, list[str]] = {}
    for box in boxes:
        if box.folded and len(box.rows) > 1:
            inner = tuple((row.name[len(box.name) :], row.kind) for row in box.rows)
            alike.setdefault((box.kind, inner), []).append(box.name)
    parts = []
    for (kind, _), (name, *others) in alike.items():
        part = table.part(name)
        inside = _diagram(part, _grouped(part, name.count(".") + 2), color)
        if inside.boxes > 2:
            more = f", ... {len(others) - 3} more" if len(others) > 3 else ""
            same = f", and alike {', '.join(others[:3])}{more}" if others else ""
            parts.append((f"{name}: {kind}{same}", inside))
    svg = _svg(table.title, _placed(boxes), color)
    return Diagram(table.title, svg, len(boxes), sum(len(box.reads) for box in boxes), tuple(parts))


# From rows to boxes


def _grouped(table: CostTable, depth: int) -> list[Box]:
    """Boxes in the order of their first row, the network's input in front."""
    boxes = [Box("input", "")]
    home = {-1: 0}  # row -> its box
    key = ""
    for index, row in enumerate(table.rows):
        if not row.call:
            continue
        before = home.get(row.inputs[0], 0) if len(row.inputs) == 1 else 0
        if before and _follows(row, boxes[before]):
            home[index] = before
            boxes[before].rows.append(row)
            continue
        path = ".".join(row.name.split(".")[:depth])
        if path != key or path == row.name:
            folded = path != row.name
            boxes.append(Box(path, table.kinds.get(path, "") if folded else row.kind, folded=folded))
        key = path
        home[index] = len(boxes) - 1
        boxes[-1].rows.append(row)
        boxes[-1].reads.update((n, None) for n in _sources(table, row, home, boxes) if n != home[index])
    return boxes


def _sources(table: CostTable, row: CostRow, home: dict[int, int], boxes: list[Box]) -> Iterator[int]:
    """Boxes that a row reads.

    A folded module that ends in a concatenation with its own input hands that input on: who reads the module also reads
    what it was given. So the layers of a dense block are connected to all before them.
    """
    for index in row.inputs:
        yield home[index]
        if index >= 0 and table.rows[index].kind == "cat" and boxes[home[index]].folded:
            passed = [n for n in table.rows[index].inputs if home[n] != home[index]]
            yield from _sources(table, row._replace(inputs=tuple(passed)), home, boxes)


def _follows(row: CostRow, box: Box) -> bool:
    """Whether a row works value by value on what the box wrote, or only looks at it differently."""
    same = row.output_shape == box.shape or row.activations == 0
    return same and row.macs == 0 and row.other.pooling == 0 and not box.folded


def _placed(boxes: list[Box]) -> list[Box]:
    """Give every box a column, behind all that it reads, and a lane: that of what it reads, or the nearest free one."""
    taken: set[tuple[int, int]] = set()
    for box in boxes:
        sources = [boxes[n] for n in box.reads]
        box.column = 1 + max((source.column for source in sources), default=-1)
        wanted = round(sum(source.lane for source in sources) / len(sources)) if sources else 0
        steps = (wanted + sign * far for far in range(len(boxes) + 1) for sign in (1, -1))
        box.lane = next(lane for lane in steps if (box.column, lane) not in taken)
        taken.add((box.column, box.lane))
    return boxes


# From boxes to SVG


def _svg(title: str, boxes: list[Box], color: str) -> str:
    cells = {(box.column, box.lane) for box in boxes}
    edges = [(boxes[n], box) for box in boxes for n in box.reads]
    arcs = [edge for edge in edges if _is_arc(*edge, cells)]
    room = max([_rise(*edge) for edge in arcs], default=0) + 8
    lanes = [box.lane for box in boxes]
    pitch = max(box.height for box in boxes) + 3.6 * TEXT
    centre = {lane: round(room + (lane - min(lanes) + 0.5) * pitch, 1) for lane in range(min(lanes), max(lanes) + 1)}
    width = (max(box.column for box in boxes) + 1) * COLUMN
    height = round(room + (max(lanes) - min(lanes) + 1) * pitch + 2 * TEXT, 1)
    most = max(getattr(box.cost, color) for box in boxes)
    legend = f"colour: {COSTS[color]}, at most {most:,} · height: side of the maps · width: channels"
    width = max(width, 7 * len(legend))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="{TEXT}" text-anchor="middle" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<g fill="none" stroke="#667085" stroke-width="1.2">',
        *(_line(source, box, centre, edge_is_arc=_is_arc(source, box, cells)) for source, box in edges),
        "</g>",
        *(_drawn(box, centre[box.lane], getattr(box.cost, color), most) for box in boxes),
        f'<text x="8" y="{height - 8}" text-anchor="start" fill="#344054">{escape(legend)}</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _is_arc(source: Box, box: Box, cells: set[tuple[int, int]]) -> bool:
    """Whether the straight way along the source's lane is blocked by another box."""
    return any((column, source.lane) in cells for column in range(source.column + 1, box.column))


def _rise(source: Box, box: Box) -> int:
    """How far an arc rises over its ends: longer ones higher, so that nested ones can be told apart."""
    return min(18 + 9 * (box.column - source.column), 190)


def _middle(box: Box) -> float:
    return (box.column + 0.5) * COLUMN


def _line(source: Box, box: Box, centre: dict[int, float], edge_is_arc: bool) -> str:
    x1, x2, y1, y2 = _middle(source), _middle(box), centre[source.lane], centre[box.lane]
    if edge_is_arc:
        top = min(y1 - source.height / 2, y2 - box.height / 2) - 1.4 * TEXT - _rise(source, box)
        return f'<path d="M{x1:g} {y1:g}C{x1:g} {top:g} {x2:g} {top:g} {x2:g} {y2:g}"/>'
    bend = x2 - COLUMN / 2  # along the source's lane, then over to the box's
    return f'<path d="M{x1:g} {y1:g}H{x2 - COLUMN:g}C{bend:g} {y1:g} {bend:g} {y2:g} {x2:g} {y2:g}"/>'


def _drawn(box: Box, y: float, value: int, most: int) -> str:
    x, w, h = _middle(box), box.width, box.height
    title = f"<title>{escape(_hover(box))}</title>"
    sign = SIGNS.get(box.kind) if not box.folded else None
    if not box.rows or sign:
        text = sign or "input"
        r = max(12, 4.5 * len(text))
        return (
            f'<g>{title}<rect x="{x - r:g}" y="{y - 12:g}" width="{2 * r:g}" height="24" rx="12" fill="#fff" '
            f'stroke="#344054"/><text x="{x:g}" y="{y + 5:g}" fill="#101828">{text}</text></g>'
        )
    fill = "#{:02x}{:02x}{:02x}".format(*_shade(value / most if most else 0))
    edge = ' stroke-width="2.5"' if box.folded else ""
    label = box.kind if not box.folded and len(box.name.split(".")[-1]) < 3 else box.name.split(".")[-1]
    if box.folded and label.isdigit():
        label = ".".join(box.name.split(".")[-2:])
    return (
        f'<g>{title}<rect x="{x - w / 2:g}" y="{y - h / 2:g}" width="{w:g}" height="{h:g}" rx="3" fill="{fill}" '
        f'stroke="#344054"{edge}/>'
        f'<text x="{x:g}" y="{y - h / 2 - 6:g}" fill="#101828" {HALO}>{escape(_short(label))}</text>'
        f'<text x="{x:g}" y="{y + h / 2 + TEXT + 1:g}" fill="#344054" font-size="13">{_by(box.shape)}</text></g>'
    )


def _hover(box: Box) -> str:
    if not box.rows:
        return "input"
    cost = box.cost
    numbers = f"{cost.params:,} parameters\n{cost.macs:,} MACs\n{cost.activations:,} activation values"
    layers = [row.kind for row in box.rows]
    inside = f"{len(layers)} layers" if box.folded else ", ".join(layers)
    return f"{box.name} ({box.kind})\n{inside}\noutput {_by(box.shape)}\n{numbers}"


def _shade(share: float) -> tuple[int, int, int]:
    share **= 0.5  # or everything but the dearest layer is pale
    return tuple(round(a + (b - a) * share) for a, b in zip(PALE, DARK, strict=True))


def _short(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 4]}…{text[-3:]}"  # layers differ in their last letters


def _by(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))

"""A network's bill drawn as a picture: boxes for layers, lines for what they read, colour for what they cost.

Pure text: the SVG needs neither a library nor a program, and is the same on every machine. A box is as high as its maps
(logarithm of their side) and as wide as it has channels. Skips and dense connections pass over the boxes, branches
stand above one another. Layers that work value by value (batch norm, activations, dropout) belong to the box they
follow; large networks are drawn module by module, as piles that a click unfolds in their place.

Hovering and unfolding work in a notebook once its cell has run (or the notebook is trusted), and in a saved file that a
browser shows. Where scripts are refused (a notebook that is not trusted, a slide), the picture is still.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cnnviz._boxes import Box, as_svg, placed
from cnnviz._checks import _one_of, _whole
from cnnviz.cost import CostRow, CostTable

MOST_BOXES = 64  # before modules are folded
COSTS = {"params": "parameters", "macs": "MACs", "activations": "activations"}
PLAIN = " <>'=/:;,.()!?*+-_~|^{}[]@$"  # what the address of an image may hold as it is, between double quotes


def _script() -> str:
    """The function that makes a drawn picture unfold, without its comments."""
    lines = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if not line.lstrip().startswith("//"))


@dataclass(frozen=True, repr=False)
class Diagram:
    """A drawn network: shown by Jupyter, ``.svg`` is its text, ``.save("net.svg")`` writes it."""

    title: str
    boxes: int
    connections: int
    still: str  # the picture that nothing moves in

    @property
    def svg(self) -> str:
        """The picture as a file of its own, which unfolds in a browser."""
        script = f"({_script()})(document.currentScript.closest('svg'))"
        return self.still.removesuffix("</svg>") + f"<script><![CDATA[{script}]]></script></svg>"

    def save(self, path: str | Path) -> Path:
        """Write the picture as an SVG file, which a browser unfolds and other programs show as it is."""
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
        return path

    def __repr__(self) -> str:
        return f"{self.title}: {self.boxes} boxes, {self.connections} connections"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._page()}

    def _page(self) -> str:
        """The picture as an image, which a script replaces by its drawing: Jupyter strips both from strangers' HTML."""
        address = f"data:image/svg+xml,{quote(self.still, safe=PLAIN)}"
        image = f'<img style="max-width:none" alt="{escape(repr(self))}" src="{address}">'
        script = f"""{{
const box = document.currentScript.parentNode;
box.innerHTML = decodeURIComponent(box.firstChild.getAttribute("src").slice(19));
({_script()})(box.firstChild);
}}"""
        return f'<div style="overflow-x:auto">{image}<script>{script}</script></div>'


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
    _one_of("color", color, COSTS)
    if depth is not None:
        _whole("depth", depth, 1)
    table = model
    if not isinstance(table, CostTable):
        from cnnviz.measure import cost_table

        table = cost_table(model, input_size)
    if not any(row.call for row in table):
        raise ValueError(f"{table.title} has no layer that ran: nothing to draw")
    deepest = max(row.name.count(".") for row in table) + 1
    levels = [depth] if depth else range(deepest, 0, -1)
    boxes = next((boxes for level in levels if len(boxes := _grouped(table, level)) <= MOST_BOXES), None)
    boxes = placed(boxes or _grouped(table, levels[-1]))
    for box in boxes:
        _fill(table, box, box.name.count(".") + 2, deepest)
    still = as_svg(table.title, boxes, color, COSTS[color])
    return Diagram(table.title, len(boxes), sum(len(box.reads) for box in boxes), still)


# From rows to boxes


def _grouped(table: CostTable, depth: int, chosen: Collection[int] | None = None) -> list[Box]:
    """Boxes in the order of their first row, the input in front; of all rows, or of those in one module."""
    boxes = [Box("input", "")]
    home: dict[int, int] = {}  # row -> its box; what comes from elsewhere comes through the input
    key = ""
    for index, row in enumerate(table.rows):
        if not row.call or (chosen is not None and index not in chosen):
            continue
        before = home.get(row.inputs[0], 0) if len(row.inputs) == 1 else 0
        if len(row.inputs) == 1 and _follows(row, boxes[before]):
            home[index] = before
            if before:
                boxes[before].rows[index] = row
            continue
        path = ".".join(row.name.split(".")[:depth])
        if path != key or path == row.name:
            folded = path != row.name
            boxes.append(Box(path, table.kinds.get(path, "") if folded else row.kind, folded=folded))
        key = path
        home[index] = len(boxes) - 1
        boxes[-1].rows[index] = row
        boxes[-1].reads.update((n, None) for n in _sources(table, row, home, boxes) if n != home[index])
    return boxes


def _sources(table: CostTable, row: CostRow, home: dict[int, int], boxes: list[Box]) -> Iterator[int]:
    """Boxes that a row reads.

    A folded module that ends in a concatenation with its own input hands that input on: who reads the module also reads
    what it was given. So the layers of a dense block are connected to all before them.
    """
    for index in row.inputs:
        yield home.get(index, 0)
        if index in home and table.rows[index].kind == "cat" and boxes[home[index]].folded:
            passed = [n for n in table.rows[index].inputs if home.get(n, 0) != home[index]]
            yield from _sources(table, row._replace(inputs=tuple(passed)), home, boxes)


def _follows(row: CostRow, box: Box) -> bool:
    """Whether a row works value by value on what the box wrote, or only looks at it differently (on the input too)."""
    same = (row.output_shape == box.shape and box.rows) or row.activations == 0
    return bool(same) and row.macs == 0 and row.other.pooling == 0 and not box.folded


def _fill(table: CostTable, box: Box, depth: int, deepest: int) -> None:
    """Put boxes into a folded one, between the two ends of its lines; none if it would hold a single one."""
    while box.folded and depth <= deepest:
        inside = _grouped(table, depth, box.rows)
        if len(inside) > 2:
            inside[0].name = ""
            read = {n for other in inside for n in other.reads}
            inside.append(Box("", "", reads=dict.fromkeys(n for n in range(1, len(inside)) if n not in read)))
            box.inside = placed(inside)
            for inner in inside:
                _fill(table, inner, depth + 1, deepest)
            return
        depth += 1

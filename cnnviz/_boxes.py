"""Boxes with lines between them: their places while all are folded, and their SVG. Private.

diagrams.js repeats the rules of `_laid_out` when a box unfolds; a browser test holds the two to each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from itertools import accumulate, pairwise
from math import log2

from cnnviz._checks import _by
from cnnviz.cost import Cost, CostRow

COLUMN, ENDS, GAP = 96, 28, 22  # pixels of a column at least, of one where lines enter or leave, beside a wide box
TEXT, WORDS = 14, 26  # height of a letter; of the words over and under a box
LABEL = 11  # letters that fit over a box
PALE, DARK = (238, 243, 250), (11, 79, 158)  # cheapest and dearest: one hue, so that lightness alone tells
SIGNS = {"add": "+", "cat": "concat", "mul": "×", "stack": "stack"}
# JupyterLab's colours, where there are any; letters stay readable where a line crosses them.
STYLE = """
.cnnviz-net{--ink:var(--jp-ui-font-color0,#101828);--page:var(--jp-layout-color0,#fff)}
.cnnviz-net text{fill:var(--ink);stroke:var(--page);stroke-width:3px;paint-order:stroke}
.cnnviz-net rect{stroke:var(--ink)}
.cnnviz-net .page{fill:var(--page);stroke:none}
.cnnviz-net .pill,.cnnviz-net .frame{fill:var(--page)}
.cnnviz-net .frame{stroke-dasharray:4 3}
.cnnviz-net .small{font-size:13px}
.cnnviz-net .name,.cnnviz-net .legend{text-anchor:start}
.cnnviz-net [role=button]{cursor:pointer}
"""


@dataclass
class Box:
    """Rows drawn as one: a layer with what follows it value by value, or a whole module."""

    name: str
    kind: str
    rows: dict[int, CostRow] = field(default_factory=dict)  # by their place in the table
    reads: dict[int, None] = field(default_factory=dict)  # indices of boxes
    folded: bool = False
    inside: list[Box] = field(default_factory=list)  # what unfolds
    column: int = 0
    lane: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what the last row wrote."""
        return next((row.output_shape for row in reversed(self.rows.values()) if row.output_shape), ())

    @property
    def cost(self) -> Cost:
        """Sum of the rows."""
        return sum((row.cost for row in self.rows.values()), Cost())

    @property
    def sign(self) -> str:
        """What stands in a box that is only a sign."""
        if not self.rows:
            return self.name
        return "" if self.folded else SIGNS.get(self.kind, "")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, even; nothing for the ends of what is inside a module."""
        if self.sign:
            return max(24, 10 * len(self.sign)), 24
        if not self.rows:
            return 0, 0
        channels, *sides = self.shape or (1,)
        return 14 + _even(5.5 * log2(max(channels, 1))), 16 + _even(11 * log2(max((*sides, 1))))


def _even(number: float) -> int:
    return 2 * round(number / 2)


def placed(boxes: list[Box]) -> list[Box]:
    """Give every box a column, behind all that it reads, and a lane: that of what it reads, or the nearest free one."""
    taken: set[tuple[int, int]] = set()
    for box in boxes:
        sources = [boxes[n] for n in box.reads]
        box.column = 1 + max((source.column for source in sources), default=-1)
        wanted = round(sum(source.lane for source in sources) / len(sources)) if sources and box.name else 0
        steps = (wanted + sign * far for far in range(len(boxes) + 1) for sign in (1, -1))
        box.lane = next(lane for lane in steps if (box.column, lane) not in taken)
        taken.add((box.column, box.lane))
    ranks = {lane: rank for rank, lane in enumerate(sorted({box.lane for box in boxes}))}
    for box in boxes:
        box.lane = ranks[box.lane]
    return boxes


def levels(boxes: list[Box]) -> dict[tuple[int, int], int]:
    """How high each connection passes over the boxes; -1: straight along the lane of its source, where that is free.

    All that passes over from one box has the same level, the longer the higher; where two would meet, they differ.
    """
    cells = {(box.column, box.lane) for box in boxes}
    edges = [(source, n) for n, box in enumerate(boxes) for source in box.reads]
    over = [(source, n) for source, n in edges if _blocked(boxes[source], boxes[n].column, cells)]
    reach = {source: max(boxes[n].column for other, n in over if other == source) for source, _ in over}
    level: dict[int, int] = {}
    for source in sorted(reach, key=lambda n: reach[n] - boxes[n].column):
        start, end = boxes[source].column, reach[source]
        beside = {level[n] for n in level if boxes[n].column < end and start < reach[n]}
        level[source] = next(height for height in range(len(boxes)) if height not in beside)
    return dict.fromkeys(edges, -1) | {edge: level[edge[0]] for edge in over}


def _blocked(source: Box, column: int, cells: set[tuple[int, int]]) -> bool:
    return any((between, source.lane) in cells for between in range(source.column + 1, column))


def _laid_out(
    boxes: list[Box], edges: dict[tuple[int, int], int]
) -> tuple[list[tuple[int, int]], list[str], tuple[int, int]]:
    """Centres of the boxes, paths of the lines, width and height of it all; columns and lanes as wide as they must."""
    wide = [max(box.size[0] for box in boxes if box.column == n) for n in range(1 + max(box.column for box in boxes))]
    high = [max(box.size[1] for box in boxes if box.lane == n) for n in range(1 + max(box.lane for box in boxes))]
    left = [*accumulate((max(COLUMN, width + GAP) if width else ENDS for width in wide), initial=0)]
    above = [*accumulate((height + 2 * WORDS for height in high), initial=0)]
    middle = [(a + b) // 2 for a, b in pairwise(left)]
    line = [(a + b) // 2 for a, b in pairwise(above)]
    peaks = [_peak(boxes, boxes[a], boxes[b], level, line) for (a, b), level in edges.items()]
    top = min(0, *(peak - 4 for peak in peaks)) if peaks else 0
    paths = []
    for (a, b), level, peak in zip(edges, edges.values(), peaks, strict=True):
        source, target = boxes[a], boxes[b]
        y1, y2 = line[source.lane] - top, line[target.lane] - top
        x1, x2 = middle[source.column] + source.size[0] // 2, middle[target.column] - target.size[0] // 2
        bend = max(x1, middle[target.column - 1] + wide[target.column - 1] // 2)
        there = min(x2, left[target.column] + ENDS)
        half = (bend + there) // 2
        up, down = left[source.column + 1] - 12, left[target.column] - 4
        paths.append(
            f"M{x1} {y1}H{bend}C{half} {y1} {half} {y2} {there} {y2}H{x2}"
            if level < 0
            else f"M{x1} {y1}H{up}q8 0 8 -8V{peak - top + 8}q0 -8 8 -8H{down}q8 0 8 8V{y2 - 8}q0 8 8 8H{x2}"
        )
    centres = [(middle[box.column], line[box.lane] - top) for box in boxes]
    return centres, paths, (left[-1], above[-1] - top)


def _peak(boxes: list[Box], source: Box, target: Box, level: int, line: list[int]) -> int:
    """Where a line passes over all boxes between its ends."""
    if level < 0:
        return 4
    lanes = sorted((source.lane, target.lane))
    under = (
        line[box.lane] - box.size[1] // 2
        for box in boxes
        if source.column <= box.column <= target.column and lanes[0] <= box.lane <= lanes[1]
    )
    return min(under) - WORDS + 4 - 8 * level


# SVG, with single quotes inside tags: it travels in an attribute that has the double ones


def as_svg(title: str, boxes: list[Box], color: str, unit: str) -> str:
    """The picture of placed boxes; what is inside them is there too, but not shown."""
    most = max(getattr(box.cost, color) for box in boxes)
    legend = f"colour: {unit}, at most {most:,} · height: side of the maps · width: channels"
    least = 8 * len(legend)
    net, (width, height) = _net(boxes, color, most)
    width, height = max(width, least), height + 2 * TEXT
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}' data-least='{least}'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' class='cnnviz-net' {size} fill='#101828' font-family='sans-serif' "
        f"font-size='{TEXT}' text-anchor='middle'"
        " role='img' style='max-width:none;height:auto' data-lm-suppress-shortcuts='true'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<rect class='page' width='100%' height='100%' fill='#fff'/>{net}\n"
        f"<text class='legend' x='8' y='{height - 8}'>{escape(legend)}</text></svg>"
    )


def _net(boxes: list[Box], color: str, most: int, shown: bool = True) -> tuple[str, tuple[int, int]]:
    """Lines, then boxes; without places if they are not shown, because diagrams.js gives them theirs."""
    edges = levels(boxes)
    centres, paths, size = _laid_out(boxes, edges)
    where = [f" transform='translate({x} {y})'" if shown else "" for x, y in centres]
    ways = [f" d='{path}'" if shown else "" for path in paths]
    lines = (
        f"<path data-e='{a} {b} {level}'{way}/>" for (a, b), level, way in zip(edges, edges.values(), ways, strict=True)
    )
    drawn = (_drawn(box, place, color, most) for box, place in zip(boxes, where, strict=True))
    stroke = "class='lines' fill='none' stroke='#7a869a' stroke-width='1.3'"
    return f"<g class='net'><g {stroke}>{''.join(lines)}</g>\n" + "\n".join(drawn) + "</g>", size


def _drawn(box: Box, place: str, color: str, most: int) -> str:
    w, h = box.size
    start = f"<g class='box{' pile' if box.inside else ''}'{place} data-p='{box.column} {box.lane} {w} {h}'>"
    if not w:
        return f"{start}</g>"
    start += f"<title>{escape(_hover(box))}</title>"
    rect = f"<rect x='{-w // 2}' y='{-h // 2}' width='{w}' height='{h}'"
    if box.sign:
        return f"{start}{rect} class='pill' rx='12' fill='#fff' stroke='#344054'/><text y='5'>{box.sign}</text></g>"
    share = getattr(box.cost, color) / most if most else 0
    rect += f" rx='3' fill='{_shade(share)}' stroke='#344054'"
    label = f"<text y='{-h // 2 - (11 if box.inside else 6)}'>{escape(_label(box))}</text>"
    label += f"<text class='small' y='{h // 2 + TEXT + 1}' font-size='13'>{_by(box.shape, '×')}</text>"
    if not box.inside:
        return f"{start}{rect}/>{label}</g>"
    cards = "".join(f"{rect} transform='translate({far} {-far})'/>" for far in (6, 3, 0))
    name = f"<text class='name'>{escape(f'{box.name} ({box.kind})' if box.kind else box.name)}</text>"
    net, _ = _net(box.inside, color, most, shown=False)
    inside = f"<rect class='frame' rx='6' fill='#fff' stroke='#344054'/>{name}{net}"
    return f"{start}<g class='face'>{cards}{label}</g><g class='inside' style='display:none'>{inside}</g></g>"


def _label(box: Box) -> str:
    *parents, last = box.name.split(".")
    if not box.folded and len(last) < 3:
        return _short(box.kind)
    return _short(".".join([*parents[-1:], last]) if last.isdigit() else last)


def _hover(box: Box) -> str:
    if not box.rows:
        return box.name
    cost = box.cost
    numbers = f"{cost.params:,} parameters\n{cost.macs:,} MACs\n{cost.activations:,} activation values"
    layers = f"{len(box.rows)} layers" if box.folded else ", ".join(row.kind for row in box.rows.values())
    return f"{box.name} ({box.kind})\n{layers}\noutput {_by(box.shape, '×')}\n{numbers}"


def _shade(share: float) -> str:
    share **= 0.5  # or everything but the dearest layer is pale
    return "#{:02x}{:02x}{:02x}".format(*(round(a + (b - a) * share) for a, b in zip(PALE, DARK, strict=True)))


def _short(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 4]}…{text[-3:]}"  # layers differ in their last letters

"""The stack as a still picture: the table with its bars, for pages that run no script."""

from __future__ import annotations

from textwrap import wrap

from cnnviz._checks import _by
from cnnviz.widgets._drawing import FAINT, GRID, Drawing, Words
from cnnviz.widgets.network_builder.stack import Bill

ERROR = "#a3121d"
ROW, TOP, BAR = 26, 62, 130
# count, x, colour of its bars
COLUMNS = (("params", 290, "#f0c9a8"), ("macs", 430, "#b7d0ee"), ("activations", 570, "#b5dcd5"))
HEADS = {"params": "parameters", "macs": "MACs", "activations": "activations"}


def draw(bill: Bill, input_size: tuple[int, ...], text: str) -> Drawing:
    """Lay out the table; the words for those who do not see it are `text`."""
    table = bill.table
    rows = len(table.rows)
    problem = wrap(bill.problem, 96)
    height = TOP + ROW * (rows + 1) + 20 * len(problem) + 14
    drawing = Drawing(800, height, f"NetworkBuilder {_by(input_size)}, {rows} layers", text)
    say = drawing.words.append
    total = table.total
    say(Words(16, 24, f"input {_by(input_size)}, {total.params:,} parameters, {total.macs:,} MACs", bold=True))
    for words, x in (("layer", 16), ("output", 180), ("receptive field", 684)):
        say(Words(x, 50, words, colour=FAINT))
    drawing.lines.append((16, 56, 784, 56, GRID, 1))
    for name, x, colour in COLUMNS:
        say(Words(x, 50, HEADS[name], colour=FAINT))
        most = max((getattr(row, name) for row in table.rows), default=0) or 1
        for at, row in enumerate(table.rows):
            value = getattr(row, name)
            if value:
                drawing.fills.append((x - 4, TOP + ROW * at + 2, round(BAR * value / most, 1), ROW - 4, colour))
            say(Words(x, TOP + ROW * at + 18, f"{value:,}" if value else ""))
        say(Words(x, TOP + ROW * rows + 24, f"{getattr(total, name):,}", bold=True))
    for at, row in enumerate(table.rows):
        y = TOP + ROW * at + 18
        say(Words(16, y, f"{at}  {row.kind}"))
        say(Words(180, y, _by(row.output_shape)))
        say(Words(702, y, _by(row.receptive_field)))
    drawing.lines.append((16, TOP + ROW * rows + 4, 784, TOP + ROW * rows + 4, GRID, 1))
    say(Words(16, TOP + ROW * rows + 24, "total", bold=True))
    for at, line in enumerate(problem):
        say(Words(16, TOP + ROW * (rows + 1) + 22 + 20 * at, line, colour=ERROR))
    return drawing

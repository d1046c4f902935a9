"""Tables with a tree in their first column: aligned plain text, and HTML that folds; tables as files. Private.

The HTML is the same aligned text inside nested <details>: it needs neither a style sheet nor a script, which notebooks
that are not trusted would lose, and folds with mouse and keyboard.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

OPEN_LINES = 30  # a tree with more lines than this starts folded


class Line(NamedTuple):
    """One line: how deep it is in the tree, its name, the other cells, and whether lines below belong to it."""

    level: int
    label: str
    cells: tuple[str, ...]
    parent: bool = False


def as_text(head: str, columns: Sequence[str], lines: Sequence[Line], total: bool = True) -> str:
    """Aligned plain text; columns of numbers are flush right, a last line of totals is set off by a rule."""
    top, *rows = _aligned(head, columns, lines)
    rule = "-" * max(map(len, (top, *rows)))
    if total:
        rows.insert(-1, rule)
    return "\n".join([top, rule, *rows])


def as_html(head: str, columns: Sequence[str], lines: Sequence[Line]) -> str:
    """The same text inside nested <details>, everything escaped."""
    top, *rows = map(escape, _aligned(head, columns, lines))
    state = " open" if len(lines) <= OPEN_LINES else ""
    parts = [f'<div style="font-family:monospace;white-space:pre;overflow-x:auto;line-height:1.35"><b>{top}</b>\n']
    level = 0
    for line, row, below in zip(lines, rows, [*lines[1:], None], strict=True):
        parts.append("</details>" * (level - line.level))
        level = line.level
        if below is not None and below.level > level:
            level += 1
            # The browser's own triangle, which turns, hangs in this margin; in the text a drawn one stands there.
            # (em: JupyterLab takes ch away where a notebook is not trusted.)
            margin = f"margin-left:{1.2 * level:.1f}em;margin-left:{2 * level}ch"
            style = f"cursor:pointer;list-style-position:outside;{margin}"
            parts.append(f'<details{state}><summary style="{style}">{row[2 * level :]}</summary>')
        else:
            parts.append(f"{row}\n")
    return "".join(parts) + "</details>" * level + "</div>"


def _aligned(head: str, columns: Sequence[str], lines: Sequence[Line]) -> list[str]:
    """The heading and every line, padded to common widths."""
    tree = any(line.parent for line in lines)
    names = ["  " * line.level + ("▸ " if line.parent else "  " if tree else "") + line.label for line in lines]
    table = list(zip([head, *names], *zip(columns, *(line.cells for line in lines), strict=True), strict=True))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [False, *(all(map(_is_number, column[1:])) for column in list(zip(*table, strict=True))[1:])]
    aligned = []
    for row in table:
        cells = [
            f"{cell:>{width}}" if flush else f"{cell:<{width}}"
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        aligned.append("  ".join(cells).rstrip())
    return aligned


def _is_number(cell: str) -> bool:
    return not cell.strip("0123456789.,% −+")


def write_csv(path: str | Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Path:
    """Write rows under a line of names, and return the path."""
    path = Path(path)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])
    return path

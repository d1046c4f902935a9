"""Joins a view's ES modules into the one text that anywidget loads.

anywidget evaluates a view from a blob address, where an import by relative path finds nothing. So the modules stay
ordinary files, which node and a browser import in tests, and are joined here: dependencies first, imports dropped,
``export`` taken away, the entry's ``export default`` kept. All of them then share one scope; a name defined twice is a
syntax error.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SHARED = Path(__file__).parent / "js"
_NAMES = r"\{\s*[\w$]+(?:\s*,\s*[\w$]+)*\s*,?\s*\}"
_IMPORT = re.compile(rf'^import\s*{_NAMES}\s*from\s*"(\.[^"]+)";[^\n]*\n?', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|let|class)\b)", re.MULTILINE)


def modules(*entries: Path) -> list[Path]:
    """List modules and all that they import, each after the modules it needs itself.

    Raises
    ------
    ValueError
        If two modules import each other: joined text has no order that serves both.
    """
    order: list[Path] = []
    for entry in entries:
        walk(entry.resolve(), order, [])
    return order


def walk(module: Path, order: list[Path], above: list[Path]) -> None:
    """Append a module to `order`, after what it imports; `above` are the modules that led here."""
    if module in above:
        raise ValueError("modules import each other: " + " -> ".join(path.name for path in [*above, module]))
    if module in order:
        return
    for target in _IMPORT.findall(module.read_text(encoding="utf-8")):
        walk((module.parent / target).resolve(), order, [*above, module])
    order.append(module)


@cache
def join(entry: Path, *more: Path) -> str:
    """Return the text of `entry` (and `more`) and of all that they import as one module.

    Only `entry` may export a default. Imports and exports of another form than ``import { a } from "./b.js";`` and
    ``export function`` (``const``, ``class``) would survive the joining, so they are refused here and not in a browser.
    """
    return "".join(f"// {path.name}\n{stripped(path, path == entry.resolve())}" for path in modules(entry, *more))


def stripped(module: Path, is_entry: bool) -> str:
    """Return a module's text without its imports and exports."""
    text = _EXPORT.sub("", _IMPORT.sub("", module.read_text(encoding="utf-8")))
    for line in text.splitlines():
        if re.match(r"(import|export)\b(?!\()", line) and not (is_entry and line.startswith("export default ")):
            raise ValueError(f"{module.name}: the joiner does not know this form: {line}")
    return text.rstrip() + "\n"


@cache
def text(path: Path) -> str:
    """Return a file's text, read once."""
    return path.read_text(encoding="utf-8")


def style(own: Path) -> str:
    """Return what every widget wears, and a widget's own style sheet after it."""
    return text(SHARED / "beside.css") + text(SHARED / "shared.css") + text(own)

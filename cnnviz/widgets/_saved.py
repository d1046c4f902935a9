"""Widgets as files: a page that works by itself, and a picture for slides."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from cnnviz._checks import _either, _short
from cnnviz.widgets import _bundle
from cnnviz.widgets._drawing import Drawing, to_svg

_HERE = Path(__file__).parent


def save(path: str | os.PathLike[str], writers: Mapping[str, Callable[[Path], Any]]) -> Path:
    """Let the writer for the path's ending write the file, and return its path; the widgets' `save` says more."""
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{path!r} is not a path: use a name such as 'widget.html'")
    target = Path(path).expanduser()
    write = writers.get(target.suffix.lower())
    if write is None:
        ending = f"ends in {_short(target.suffix)}" if target.suffix else "has no ending"
        raise ValueError(f"{_short(str(path))} {ending}: use {_either(writers)}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder {str(target.parent)!r} does not exist: make it first, or use another one")
    write(target)
    return target


def page(drawing: Drawing, css: str, state: Mapping[str, Any], view: Path) -> str:
    """Return a page with everything in it: code, style, state, and a still picture for readers without scripts."""
    text = json.dumps(state, separators=(",", ":"), default=lambda data: base64.b64encode(data).decode())
    parts = {
        "title": escape(drawing.title),
        "css": css,
        "picture": to_svg(drawing),
        "state": text.replace("<", "\\u003c"),  # no </script> and no <!-- can begin
        "code": _packed(view),
    }
    template = _bundle.text(_HERE / "page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


@cache
def _packed(view: Path) -> str:
    """Pack the view's code: readable it would be most of the page's weight."""
    code = _bundle.join(view, _HERE / "js" / "standalone.js")
    code = '"use strict";\n' + re.sub(r"^export default ", "const cnnvizWidget = ", code, flags=re.MULTILINE)
    return base64.b64encode(zlib.compress(f"{code}return openPage(cnnvizWidget, state, el);\n".encode())).decode()

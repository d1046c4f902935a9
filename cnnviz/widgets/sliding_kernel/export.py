"""Files to take away: a page that works by itself, an animation, pictures for slides."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from cnnviz._checks import _short
from cnnviz.widgets import _bundle
from cnnviz.widgets.sliding_kernel import arrays, picture
from cnnviz.widgets.sliding_kernel.drawing import PAPER, Drawing, to_image, to_svg
from cnnviz.widgets.sliding_kernel.scene import Scene
from cnnviz.widgets.sliding_kernel.settings import alternatives

_HERE = Path(__file__).parent
FRAMES = 100  # of an animation; larger outputs are walked in larger steps
LAST_FRAME = 2000  # milliseconds
COLOURS, EXACT_COLOURS = 255, 191  # one of 256 stays free: it marks what a frame leaves as it was


def save(scene: Scene, path: str | os.PathLike[str]) -> Path:
    """Write a scene to a file; the ending says which kind.

    Raises
    ------
    ValueError
        For another ending.
    FileNotFoundError
        When the folder does not exist.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"{path!r} is not a path: use a name such as 'kernel.html'")
    target = Path(path).expanduser()
    write = _WRITERS.get(target.suffix.lower())
    if write is None:
        ending = f"ends in {_short(target.suffix)}" if target.suffix else "has no ending"
        raise ValueError(f"{_short(str(path))} {ending}: use {alternatives(_WRITERS)}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"folder {str(target.parent)!r} does not exist: make it first, or use another one")
    write(scene, target)
    return target


def page(scene: Scene) -> str:
    """Return a page with everything in it: code, style, state, and a still picture for readers without scripts."""
    drawing = picture.draw(scene)
    parts = {
        "title": escape(drawing.title),
        "css": _bundle.style(_HERE / "sliding_kernel.css"),
        "picture": to_svg(drawing),
        "state": page_state(scene.state),
        "code": _packed_code(),
    }
    template = _bundle.text(_HERE.parent / "page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def page_state(state: Mapping[str, Any]) -> str:
    """Write a state as JSON that can stand inside a script element whatever texts it holds."""
    plain = {name: _plain(value) for name, value in state.items()}
    text = json.dumps({**plain, "playing": False}, separators=(",", ":"))
    return text.replace("<", "\\u003c")  # no </script> and no <!-- can begin


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    wire = arrays.to_wire(value)
    return {key: base64.b64encode(one).decode() if isinstance(one, bytes) else one for key, one in wire.items()}


@cache
def _packed_code() -> str:
    """Pack the view's code: readable it would be most of the page's weight."""
    code = _bundle.join(_HERE / "view.js", _HERE.parent / "js" / "standalone.js")
    code = '"use strict";\n' + re.sub(r"^export default ", "const cnnvizWidget = ", code, flags=re.MULTILINE)
    return base64.b64encode(zlib.compress(f"{code}return openPage(cnnvizWidget, state, el);\n".encode())).decode()


def animation(scene: Scene) -> list[Image.Image]:
    """Paint one frame for each output cell, at most `FRAMES`; the output fills in as the kernel moves."""
    cells = scene.output.shape[1] * scene.output.shape[2]
    positions = np.unique(np.linspace(0, cells - 1, min(cells, FRAMES)).round().astype(int)).tolist()
    filling = scene.with_state(fill=True)
    drawings = [picture.draw(filling.with_state(position=position), described=False) for position in positions]
    height = max(drawing.height for drawing in drawings)  # a longer sum may need one more line
    for drawing in drawings:
        drawing.height = height
    colours = _colours(drawings)
    table = np.full(2**24, 255, np.uint8)  # of every colour its number in the palette, 255 while unknown
    return [_in_colours(to_image(drawing, scale=1), colours, table) for drawing in drawings]


def _colours(drawings: list[Drawing]) -> np.ndarray:
    """Choose the 255 colours of an animation: exactly those of the cells, and what else the last frame has."""
    fills = Counter(fill[4] for drawing in drawings for fill in drawing.fills)
    exact = [PAPER, "#000000", picture.WINDOW, *(colour for colour, _ in fills.most_common())]
    exact = exact[: EXACT_COLOURS // 3 if drawings[-1].pictures else EXACT_COLOURS]
    rest = to_image(drawings[-1], scale=1).quantize(COLOURS - len(exact)).getpalette()
    return np.concatenate([[ImageColor.getrgb(colour) for colour in exact], np.reshape(rest, (-1, 3))]).astype(np.int32)


def _in_colours(image: Image.Image, colours: np.ndarray, table: np.ndarray) -> Image.Image:
    """Give every pixel the nearest colour (Pillow's own search takes near ones for equal: white would turn grey)."""
    pixels = np.asarray(image).astype(np.int32)
    code = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
    new = np.unique(code[table[code] == 255])
    parts = np.stack([new >> 16, (new >> 8) & 255, new & 255], axis=1)
    for first in range(0, len(new), 4096):  # a few at a time: the distances of all would be large
        away = ((parts[first : first + 4096, None] - colours) ** 2).sum(axis=2)
        table[new[first : first + 4096]] = away.argmin(axis=1)
    indexed = Image.fromarray(table[code])
    indexed.putpalette(colours.astype(np.uint8).tobytes())
    return indexed


def _write_html(scene: Scene, target: Path) -> None:
    target.write_text(page(scene), encoding="utf-8")


def _write_svg(scene: Scene, target: Path) -> None:
    target.write_text(to_svg(picture.draw(scene)), encoding="utf-8")


def _write_png(scene: Scene, target: Path) -> None:
    to_image(picture.draw(scene, described=False)).save(target)


def _write_gif(scene: Scene, target: Path) -> None:
    first, *others = animation(scene)
    pace = max(20, round(1000 / scene.state["speed"]))
    durations = [pace] * len(others) + [max(pace, LAST_FRAME)]
    first.save(target, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


_WRITERS = {".html": _write_html, ".gif": _write_gif, ".png": _write_png, ".svg": _write_svg}

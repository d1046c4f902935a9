"""The box: the browser sends one picture after the other, here they are read with care and kept by class."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from PIL import Image

from cnnviz import images
from cnnviz._checks import _whole
from cnnviz.data import Data, _folder, split
from cnnviz.widgets._errors import class_names
from cnnviz.widgets._shown import ShownWidget

MOST_BYTES, MOST_CLASSES = 200_000_000, 100  # in all
LONGEST_NAME = 40
THUMBS, THUMB = 10, 56  # pictures of a class that are shown, pixels across
LARGEST = 512  # pixels across a picture that `data` gives
NOTES = 5  # the last ones of what was refused


class PictureBox(ShownWidget):
    """Pictures of your own, dropped or chosen in the notebook, as data for `fit`.

    Large files are shrunk in the browser before they travel; each is then read by `images.open`, within its bounds.

    Parameters
    ----------
    classes
        Names to begin with; they can be changed in the box, and more can be added.

    Attributes
    ----------
    counts
        How many pictures each class has.

    Examples
    --------
    >>> from cnnviz import images
    >>> box = PictureBox(["cat", "dog"])
    >>> box.add("cat", b"P2 2 1 255 0 255")
    >>> box
    PictureBox: cat 1, dog 0
    """

    _folder = Path(__file__).parent
    _rows = traitlets.List().tag(sync=True)  # name, count, thumbs (data addresses) of each class
    _notes = traitlets.List().tag(sync=True)  # what was refused, and why

    def __init__(self, classes: Sequence[str] = ("", ""), **further: Any) -> None:
        self._classes = [_Class(_clean(name)) for name in class_names(classes, least=1, most=MOST_CLASSES)]
        super().__init__(**further)
        self.on_msg(self._told)
        self._show()

    @property
    def counts(self) -> dict[str, int]:
        """How many pictures each class has; classes of one name are one class."""
        counts: dict[str, int] = {}
        for name, row in self._named():
            counts[name] = counts.get(name, 0) + len(row.contents)
        return counts

    def add(self, name: str, picture: str | os.PathLike[str] | bytes) -> None:
        """Add a picture, a path or the bytes of a file, to the class of that name.

        Raises
        ------
        ValueError
            When it cannot be read (see `images.open`), or the box is full.
        """
        contents = picture if isinstance(picture, bytes) else Path(picture).expanduser().read_bytes()
        self._keep(self._row_called(_clean(name)), contents)
        self._show()

    def data(self, size: int = 32, seed: int = 0) -> Data:
        """Return all pictures, in squares of `size`; a fifth of each class, drawn by `seed`, is for the test.

        Raises
        ------
        ValueError
            Unless two classes or more have two pictures or more each.
        """
        _whole("size", size, 8, LARGEST)
        if sum(self.counts.values()) * 3 * size**2 > _folder.MAX_VALUES:
            raise ValueError(f"these are more than a gigabyte of pictures at size={size}: use a smaller size")
        pictures: dict[str, list[np.ndarray]] = {}
        for name, row in self._named():
            squares = [_folder.square(images.open(contents, size), size) for contents in row.contents]
            pictures.setdefault(name, []).extend(squares)
        x, y, classes, skipped = _folder.usable(pictures, [], "the box needs two classes or more")
        return split(x, y, classes, "own pictures", seed, skipped)

    def __repr__(self) -> str:
        return "PictureBox: " + ", ".join(f"{name} {count}" for name, count in self.counts.items())

    # ---- what the view says ----------------------------------------------------------------------------------------

    def _told(self, _: Any, message: Any, buffers: Sequence[Any]) -> None:
        kind, row = (message.get("kind"), message.get("row")) if isinstance(message, dict) else (None, None)
        try:
            if kind == "picture":
                name = _clean(message.get("class", ""))
                self._keep(self._row_called(name) if name else self._classes[row], bytes(buffers[0]))
            elif kind == "name":
                self._classes[row].name = _clean(message["name"])
            elif kind == "class":
                self._add_class("")
            elif kind == "empty":
                self._classes[row] = _Class(self._classes[row].name)
                self._notes = []
            elif kind == "unread":
                raise ValueError("the browser cannot open it: use a JPEG or PNG file")
        except ValueError as refusal:
            note = f"{str(message.get('file', ''))[:80]}: {refusal}".removeprefix(": ")
            self._notes = [*self._notes, note[:300]][-NOTES:]
        self._show()

    def _keep(self, row: _Class, contents: bytes) -> None:
        if sum(len(each) for one in self._classes for each in one.contents) + len(contents) > MOST_BYTES:
            raise ValueError(f"the box is full: it holds {MOST_BYTES // 10**6} MB")
        small = images.open(contents, THUMB)  # refuses what is no picture, or too large, from its header
        row.contents.append(contents)
        if len(row.thumbs) < THUMBS:
            row.thumbs.append(_address(small))

    def _row_called(self, name: str) -> _Class:
        called = [row for row in self._classes if row.name == name]
        unused = [row for row in self._classes if not row.name and not row.contents]
        if not called and unused:
            unused[0].name = name
        return (called or unused or [self._add_class(name)])[0]

    def _add_class(self, name: str) -> _Class:
        if len(self._classes) == MOST_CLASSES:
            raise ValueError(f"there are {MOST_CLASSES} classes already: that is as many as the box takes")
        self._classes.append(_Class(name))
        return self._classes[-1]

    def _named(self) -> list[tuple[str, _Class]]:
        return [(row.name or f"class {number}", row) for number, row in enumerate(self._classes, start=1)]

    def _show(self) -> None:
        self._rows = [
            {"name": row.name, "count": len(row.contents), "thumbs": list(row.thumbs)} for row in self._classes
        ]


class _Class:
    """A class's name, the files of its pictures, and the first of them small."""

    def __init__(self, name: str) -> None:
        self.name, self.contents, self.thumbs = name, [], []


def _clean(name: Any) -> str:
    return " ".join(str(name).split())[:LONGEST_NAME]


def _address(picture: np.ndarray) -> str:
    """A small picture as an address that an image element takes."""
    file = io.BytesIO()
    Image.fromarray((255 * picture).round().astype(np.uint8).transpose(1, 2, 0)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()

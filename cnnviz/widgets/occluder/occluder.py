"""A square to drag over a picture: what the network says for every place is computed here, once, beside the view."""

from __future__ import annotations

import base64
import copy
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from cnnviz._checks import Pair, _either, _flag, _is_whole, _short, _whole
from cnnviz.inside._layers import find_target, fitted, quiet
from cnnviz.widgets import _heartbeat
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import check_names, class_names, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.draw_pad.picture import percent
from cnnviz.widgets.occluder.picture import draw
from cnnviz.widgets.occluder.sweep import Rest, Sweeps

MOST_PICTURES, MOST_SIZES, MOST_PLACES = 12, 4, 40  # places: along one side
ARGUMENTS = ("model", "pictures", "classes", "sizes", "baseline", "picture", "size", "position", "revealed")
BARS = 10
SECONDS = 0.5  # between two reports of how much is computed


class Occluder(ShownWidget):
    """Drag a square over a picture and watch the probabilities of the network follow.

    The widget shows at once. They are computed for every place while it is looked at, coarse first, with the weights of
    this moment, so the hand is followed at once, in a saved page too. What Python asks for is waited for.

    Parameters
    ----------
    model
        Any torch module that takes (N, channels, height, width) and gives scores (N, classes).
    pictures
        One picture ``(C, H, W)`` or ``(H, W)``, or several ``(N, C, H, W)``; at most 12.
    classes
        Their names; by default "0", "1", ...
    sizes
        Sides of the square in pixels, at most 4. None: 2, 3 and 4 sixteenths of the picture.
    baseline
        What the square is filled with: a number, or one for each channel. None: the median of each channel, which in
        a picture with a background is the background.
    **look
        `picture` (number of the one that is shown), `size`, `position` (row and column of the square's upper left
        corner), `revealed` (whether the map of all places is shown, and not only of those visited). And `layout`.

    Raises
    ------
    ValueError
        For a network, pictures, sizes or a position that cannot be.

    Examples
    --------
    >>> from cnnviz import load
    >>> from cnnviz.models import bundled
    >>> o = Occluder(bundled.load("lenet5-digits"), load("digits").test_x[76], sizes=[6])
    >>> o.target, o.position
    ('9', (0, 0))
    >>> o.position = o.lowest
    >>> int(o.probabilities.argmax())  # without its upper right stroke a 9 is a 5
    5
    """

    _folder = Path(__file__).parent
    picture = traitlets.Any(0).tag(sync=True)
    size = traitlets.Any(None).tag(sync=True)
    position = traitlets.Any((0, 0)).tag(sync=True)  # (row, column)
    revealed = traitlets.Any(False).tag(sync=True)
    _fixed = traitlets.Dict().tag(sync=True)  # all that the view knows
    _share = traitlets.Float(0.0).tag(sync=True)  # how much of it is computed, from 0 to 1

    def __init__(
        self,
        model: nn.Module,
        pictures: Any,
        classes: Sequence[str] | None = None,
        sizes: Sequence[int] | None = None,
        baseline: Any = None,
        **look: Any,
    ) -> None:
        check_names("Occluder", look, ARGUMENTS)
        self._classes = class_names(() if classes is None else classes)
        net = copy.deepcopy(quiet(model))  # weights of its own: the network may learn while the square is looked at
        self._pictures = _batch(net, pictures)  # (N, C, H, W)
        self._sizes = _sides(sizes, min(self._pictures.shape[2:]))
        self._shades = _shades(baseline, self._pictures)  # (N, C)
        self._step = -(-max(self._pictures.shape[2:]) // MOST_PLACES)
        with torch.no_grad():
            scores = net(self._pictures)
        self._targets = [find_target(row[None]) for row in scores]
        self._uncovered = scores.float().softmax(1).cpu().numpy()  # (N, classes)
        self._sweeps = Sweeps(net, self._pictures, self._shades, self._sizes, self._step)
        self._thread: threading.Thread | None = None
        super().__init__(**{"size": self._sizes[len(self._sizes) // 2], "_fixed": self._knowledge()} | look)

    # ---- what is set -----------------------------------------------------------------------------------------------

    @traitlets.validate("picture")
    def _check_picture(self, proposal: Any) -> int:
        return refused(lambda number: _whole("picture", number, 0, len(self._pictures) - 1), proposal.value)

    @traitlets.validate("size")
    def _check_size(self, proposal: Any) -> int:
        return refused(self._read_size, proposal.value)

    def _read_size(self, size: Any) -> int:
        if size not in self._sizes:
            raise ValueError(f"size {_short(size)} is not among the sizes: use {_either(self._sizes)}")
        return int(size)

    @traitlets.validate("position")
    def _check_position(self, proposal: Any) -> Pair:
        return refused(self._read_position, proposal.value)

    def _read_position(self, place: Any) -> Pair:
        items = tuple(place) if isinstance(place, (list, tuple)) else ()
        high, wide = self._pictures.shape[2:]
        if len(items) == 2 and _is_whole(items[0], 0, high - 1) and _is_whole(items[1], 0, wide - 1):
            return int(items[0]), int(items[1])
        raise ValueError(f"position {_short(place)} is not (row, column) in a picture of {high} x {wide}")

    @traitlets.validate("revealed")
    def _check_revealed(self, proposal: Any) -> bool:
        return refused(lambda value: _flag("revealed", value), proposal.value)

    # ---- what the network says -------------------------------------------------------------------------------------

    @property
    def target(self) -> str:
        """The class that the network sees without the square."""
        return self._name(self._targets[self.picture])

    @property
    def uncovered(self) -> np.ndarray:
        """The probabilities ``(classes,)`` without the square."""
        return self._uncovered[self.picture]

    @property
    def place(self) -> Pair:
        """Row and column where the square really is: inside the picture, on one of the places that were computed."""
        rows, columns = self._sweeps.extent(self.size)
        row, column = ((at + self._step // 2) // self._step for at in self.position)
        return self._step * min(row, rows - 1), self._step * min(column, columns - 1)

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities ``(classes,)`` with the square where it is."""
        return self._sweeps.at(self.picture, self.size, self.place)

    @property
    def heat(self) -> np.ndarray:
        """What is left of the target's probability with the square at each place, ``(rows, columns)``."""
        return self._table[..., self._targets[self.picture]]

    @property
    def lowest(self) -> Pair:
        """Row and column at which the square lowers the target's probability most."""
        row, column = np.unravel_index(self.heat.argmin(), self.heat.shape)
        return int(row) * self._step, int(column) * self._step

    @property
    def _table(self) -> np.ndarray:
        while not self._sweeps.fine(self.picture) and self._sweeps.more(self.picture):
            pass
        return self._sweeps.found[self.picture][1][self.size]

    def _name(self, index: int) -> str:
        return self._classes[index] if index < len(self._classes) else str(index)

    def _bars(self, picture: int) -> list[int]:
        """Return the classes that a picture is shown with: of more than ten those most probable somewhere."""
        most = np.max([table.max((0, 1)) for table in self._sweeps.found[picture][1].values()], 0)
        return self._best(picture, most)

    def _best(self, picture: int, most: np.ndarray) -> list[int]:
        """Return the classes with the largest of such numbers, and the one that is seen without the square."""
        most = most.copy()
        most[self._targets[picture]] = 2  # among them whatever happens
        return sorted(np.argsort(-most, kind="stable")[:BARS].tolist())

    # ---- what the view knows, what a page shows ---------------------------------------------------------------------

    def _finish(self) -> None:
        """Compute what is missing, here and now."""
        while self._sweeps.more(self.picture):
            pass
        self._publish()

    def open(self) -> None:
        """Announce the widget to the browser, once somebody asks for it, and begin to compute."""
        super().open()
        if self.comm is None or self._share == 1 or (self._thread is not None and self._thread.is_alive()):
            return
        if _heartbeat.running_kernel() is None:  # for a page that nobody will send more to
            self._finish()
            return
        self._thread = threading.Thread(target=self._work, name="cnnviz occluder", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """The thread: it ends when all is computed, and when the widget is shown no more."""
        told = time.monotonic()

        def tell() -> None:
            nonlocal told
            if self.comm is None:
                raise Rest
            if time.monotonic() - told > SECONDS:
                told, self._share = time.monotonic(), self._sweeps.share

        try:
            while self._sweeps.more(self.picture, tell):
                self._publish()
            self._publish()  # the last tables may be somebody else's
        except Rest:
            pass
        except Exception as error:  # it would show nowhere
            self.refuse(f"{type(error).__name__}: {error}")

    def _publish(self) -> None:
        self._fixed, self._share = self._knowledge(), self._sweeps.share

    def _page_state(self) -> dict[str, Any]:
        self._finish()
        return super()._page_state()

    def _knowledge(self) -> dict[str, Any]:
        known = [self._known(picture) for picture in range(len(self._pictures))]
        return {"shape": list(self._pictures.shape[2:]), "sizes": self._sizes, "pictures": known}

    def _known(self, picture: int) -> dict[str, Any]:
        """Return all that the view has to know of one picture; probabilities as 16 bits each."""
        shown, (step, tables) = self._bars(picture), self._sweeps.found[picture]
        return {
            "step": step,
            "extents": [list(table.shape[:2]) for table in tables.values()],
            "rgb": _text(self._pixels(picture)),
            "shade": self._pixels(picture, self._shades[picture, :, None, None])[0, 0].tolist(),
            "names": [self._name(number) for number in shown],
            "target": shown.index(self._targets[picture]),
            "uncovered": [round(float(p), 5) for p in self._uncovered[picture, shown]],
            "tables": [_text(np.rint(65535 * table[..., shown]).astype("<u2")) for table in tables.values()],
        }

    def _pixels(self, picture: int, values: Any = None) -> np.ndarray:
        """Return a picture, or other values on its scale, as pixels (h, w, 3): 0 is black and 1 is white."""
        own = self._pictures[picture]
        values = own if values is None else values
        low, high = float(own.min().clamp(max=0)), float(own.max().clamp(min=1))
        colours = values[:3] if len(values) >= 3 else values[:1].expand(3, -1, -1)
        return ((colours - low) / (high - low) * 255).round().byte().permute(1, 2, 0).cpu().numpy()

    def _still(self) -> Drawing:
        return draw(self)

    def __repr__(self) -> str:
        high, wide = self._pictures.shape[2:]
        (row, column), now = self.place, self.probabilities
        says = f"{self._name(int(now.argmax()))} {percent(now.max())}"
        return (
            f"Occluder, picture {self.picture + 1} of {len(self._pictures)}, {high}×{wide} pixels\n"
            f"without the square: {self.target} {percent(self.uncovered.max())}\n"
            f"{self.size}×{self.size} at row {row}, column {column}: {says}"
        )


def _batch(net: nn.Module, pictures: Any) -> Tensor:
    """Return the pictures as (N, C, H, W) that the network takes; what was changed is said by a warning."""
    several = list(pictures) if getattr(pictures, "ndim", 0) == 4 or isinstance(pictures, list) else [pictures]
    if not 1 <= len(several) <= MOST_PICTURES:
        raise ValueError(f"{len(several)} pictures: use 1 to {MOST_PICTURES}")
    fits = [fitted(one, net) for one in several]
    for said in dict.fromkeys(said for _, said in fits if said):
        warnings.warn(said, stacklevel=3)
    if len({one.shape for one, _ in fits}) > 1:
        raise ValueError("the pictures differ in size: use pictures of one size")
    return torch.cat([one for one, _ in fits])


def _sides(sizes: Any, length: int) -> list[int]:
    """Return the sides of the square, ascending."""
    if sizes is None:
        return sorted({max(1, length * part // 16) for part in (2, 3, 4)})
    if not isinstance(sizes, (list, tuple, range)) or not 1 <= len(sizes) <= MOST_SIZES:
        raise ValueError(f"sizes {_short(sizes)} is not a list of 1 to {MOST_SIZES} sides: use [4, 6, 8]")
    return sorted({_whole("size", side, 1, length) for side in sizes})


def _shades(baseline: Any, pictures: Tensor) -> Tensor:
    """Return what the square is filled with, (N, C)."""
    if baseline is None:
        return pictures.flatten(2).median(2).values
    try:
        shade = torch.as_tensor(baseline).to(pictures)
        shade = shade.expand(len(pictures), pictures.shape[1])
    except (TypeError, ValueError, RuntimeError):
        shade = torch.full((1,), torch.nan)
    if not shade.isfinite().all():
        each = f"one for each of the {pictures.shape[1]} channels"
        raise ValueError(
            f"baseline {_short(baseline)} is not a finite number, or {each}: use 0, or None for the median"
        )
    return shade


def _text(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers)).decode()

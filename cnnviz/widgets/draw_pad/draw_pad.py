"""The pad: strokes come from the browser, a torch model answers from here, with its maps layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.data import enlarge
from cnnviz.inside._layers import check_network
from cnnviz.models import bundled
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import check_names, class_names, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.draw_pad.answer import Answer, ask
from cnnviz.widgets.draw_pad.examples import EXAMPLES
from cnnviz.widgets.draw_pad.picture import asked, describe, draw
from cnnviz.widgets.draw_pad.strokes import read_strokes, scan


class DrawPad(ShownWidget):
    """A sheet of paper for a digit, and what a network makes of it while it is drawn.

    Strokes are scaled, centred, inked and enlarged as the scans of ``load("digits")`` were.

    Parameters
    ----------
    model
        Any torch module that takes (N, channels, size, size) and gives (N, classes), also one that is training at this
        moment: each answer is that of its weights as they are then. None: the LeNet-5 that comes with the package.
    size
        Side of the square picture that the network gets.
    classes
        Names of the classes; by default "0", "1", ...
    shift
        Pixels by which the picture is moved to the right, with a slider for it. None: no slider.
    **drawn
        `strokes` or `example` (0 to 9, a scan of that digit): what is on the paper. And `layout`.

    Raises
    ------
    ValueError
        For a model, classes, strokes, a size or an example that are none. What the model itself refuses is said beside
        the paper.

    Notes
    -----
    A network that learned the scans alone reads about four drawings in five: their writers cross the 7, close the 4 and
    put no foot under the 1. The bundled one has seen drawings too, and reads 97 of 100 in ways that were kept from it.

    Examples
    --------
    >>> pad = DrawPad(strokes=[[(0.2, 0.1), (0.8, 0.1), (0.4, 0.9)], [(0.35, 0.5), (0.7, 0.5)]])
    >>> pad.answer
    '7'
    >>> bool(pad.probabilities[7] > 0.9)
    True
    """

    _folder = Path(__file__).parent
    strokes = traitlets.Any(()).tag(sync=True)  # ((x, y), ...), ...; 0 to 1 from the upper left corner
    example = traitlets.Any(None, allow_none=True).tag(sync=True)  # one of ten scans instead of strokes, 0 to 9
    shift = traitlets.Any(0).tag(sync=True)  # pixels to the right
    _asked = traitlets.Int(0).tag(sync=True)  # counts the view's questions; the answer repeats the number
    _answer = traitlets.Dict().tag(sync=True)
    _fixed = traitlets.Dict().tag(sync=True)  # what the view has to know once

    def __init__(
        self,
        model: nn.Module | None = None,
        size: int = 32,
        classes: Sequence[str] | None = None,
        shift: int | None = None,
        **drawn: Any,
    ) -> None:
        self._size = _whole("size", size, 8, 256)
        self._slides = shift is not None
        self._classes = class_names(() if classes is None else classes)
        self._model = _network(model)
        self._answered: Any = None
        check_names("DrawPad", drawn, ("model", "size", "classes", "shift", "strokes", "example"))
        super().__init__(shift=shift or 0, **drawn)
        self.on_msg(self._told)

    @property
    def model(self) -> nn.Module:
        """The network that answers; another one may be put in its place."""
        if self._model is None:
            self._model = bundled.load("lenet5-digits")
        return self._model

    @model.setter
    def model(self, model: nn.Module) -> None:
        self._model = _network(model)
        self.refresh()

    # ---- what is drawn ---------------------------------------------------------------------------------------------

    @traitlets.validate("strokes")
    def _check_strokes(self, proposal: Any) -> Any:
        return refused(read_strokes, proposal["value"])

    @traitlets.validate("example")
    def _check_example(self, proposal: Any) -> Any:
        value = proposal["value"]
        return value if value is None else refused(lambda digit: _whole("example", digit, 0, 9), value)

    @traitlets.validate("shift")
    def _check_shift(self, proposal: Any) -> Any:
        return refused(lambda shift: _whole("shift", shift, -self._room, self._room), proposal["value"])

    @property
    def _room(self) -> int:
        """How far the digit may be moved: about to the border of the picture."""
        return self._size // 5

    def draw(self, strokes: Any) -> None:
        """Put strokes on clean paper: lists of points (x, y) from 0 to 1, from the upper left corner."""
        with self.hold_sync(), self.hold_trait_notifications():
            self.strokes, self.example = strokes, None

    def clear(self) -> None:
        """Take everything off the paper."""
        self.draw(())

    @property
    def scan(self) -> np.ndarray:
        """What is on the paper as 8 x 8 counts of ink, 0 to 16, like scikit-learn's scans."""
        return scan(self.strokes) if self.example is None else EXAMPLES[self.example].astype(float)

    @property
    def picture(self) -> Tensor:
        """What the network gets, (1, size, size): 0 is paper, 1 is ink."""
        scans = torch.from_numpy(self.scan / 16).float()[None, None]  # 1, 1, 8, 8
        shift = int(self.shift)
        return torch.nn.functional.pad(enlarge(scans, self._size)[0], (shift, -shift))

    # ---- what the network says -------------------------------------------------------------------------------------

    def _ask(self, precise: bool = False) -> Answer:
        return ask(self.model, self.picture, precise)

    @property
    def empty(self) -> bool:
        """Whether nothing is on the paper."""
        return self.example is None and not self.strokes

    @property
    def probabilities(self) -> np.ndarray:
        """One number a class for what is on the paper, from the weights as they are now.

        Raises
        ------
        ValueError
            When the model cannot take the picture.
        """
        return self._ask().probabilities

    @property
    def answer(self) -> str:
        """The most probable class; "" for clean paper."""
        return "" if self.empty else self._name(int(self.probabilities.argmax()))

    @property
    def maps(self) -> dict[str, np.ndarray]:
        """The maps that are shown, a layer each: "1 Conv2d, Tanh" -> (maps, height, width)."""
        return {f"{i} {layer.kinds}": layer.maps for i, layer in enumerate(self._ask().layers, 1)}

    def refresh(self) -> None:
        """Ask again, since the weights may have changed."""
        self._answer = self._fresh()

    def _bars(self, probabilities: np.ndarray) -> list[tuple[str, float]]:
        """Return names and probabilities; of more than ten classes the ten most probable."""
        shown = range(len(probabilities)) if len(probabilities) <= 10 else np.argsort(-probabilities)[:10]
        return [(self._name(int(i)), float(probabilities[i])) for i in shown]

    def _name(self, index: int) -> str:
        return self._classes[index] if index < len(self._classes) else str(index)

    def open(self) -> None:
        """Announce the widget to the browser, with an answer to what is on the paper by then."""
        if self._wanted and self.comm is None:
            self.refresh()
        super().open()

    def _fresh(self) -> dict[str, Any]:
        """Ask the model, and put what it says into the form that travels: one byte a value of a map."""
        said: dict[str, Any] = {"asked": self._asked, "empty": self.empty, "error": ""}
        try:
            answer = self._ask()
        except Exception as error:  # whatever a user's model raises is said beside the paper
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            return {**said, "error": f"{kind}{error}"[:400]}
        layers = [{"kinds": one.kinds, "size": one.size, "shape": list(one.maps.shape)} for one in answer.layers]
        said["learning"] = bool(self.model.training)
        said["probabilities"] = self._bars(answer.probabilities)
        ink = np.rint(255 * self.picture.numpy()).astype(np.uint8)
        shades = [ink, *(_shades(one.maps) for one in answer.layers)]
        return {**said, "layers": layers, "shades": b"".join(part.tobytes() for part in shades)}

    @traitlets.default("_fixed")
    def _default_fixed(self) -> dict[str, Any]:
        return {"size": self._size, "room": self._room * self._slides, "examples": EXAMPLES.tobytes()}

    @traitlets.observe("strokes", "example", "shift", "_asked")
    def _changed(self, _: Any) -> None:
        drawn = self.strokes, self.example, self.shift, self._asked
        if self.comm is not None and drawn != self._answered:  # several change at once, and are asked about once
            self._answered = drawn
            self.refresh()

    def _told(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and content.get("kind") == "again":
            self.refresh()

    # ---- what a page shows -----------------------------------------------------------------------------------------

    def _still(self) -> Drawing:
        return draw(self)

    def _writers(self) -> dict[str, Any]:
        return {ending: write for ending, write in super()._writers().items() if ending != ".html"}  # needs its kernel

    def __repr__(self) -> str:
        return describe(self, *asked(self))


def _shades(maps: np.ndarray) -> np.ndarray:
    """Return one byte a value: 0 and 255 are minus and plus the largest of the layer, zero is in the middle."""
    most = float(np.abs(maps).max()) or 1.0
    return np.rint(127.5 + 127.5 * maps / most).astype(np.uint8)


def _network(model: Any) -> nn.Module | None:
    if model is not None:
        check_network(model)
    return model

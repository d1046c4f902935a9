"""What one output unit sees: drawn in the browser, measured by gradients here."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from cnnviz import geometry
from cnnviz._checks import Pair, _by, _short, _whole
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import check_names, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.receptive_field import picture, stack
from cnnviz.widgets.receptive_field.effective import Effective, measure, middle

if TYPE_CHECKING:
    from torch import nn

_LARGEST = 256  # rows and columns of a picture
_SAMPLES = 1000


class ReceptiveField(ShownWidget):
    """Pick an output unit of a stack of layers and see what it sees, layer by layer back to the picture.

    Parameters
    ----------
    layers
        One of `presets`; a list of layers, each a `Window` or a mapping such as ``{"kind": "max_pool"}`` (kinds conv,
        max_pool, avg_pool); an ``nn.Sequential``; or the name of a network whose `features` are one, such as "vgg16".
    against
        A second stack, to compare.
    input_size
        (height, width) of the picture, or one number for both. None: with room for some units, a network's own.
    model
        Any torch module that takes (1, channels, height, width) and whose output has a unit wherever `layers` have one:
        `measure` takes its gradients, with its own weights. An ``nn.Sequential`` given as `layers` is such a model.
    **look
        `position`: (row, column) of the unit, None for the middle; `back`: through how many layers the field has grown
        back, None for all; `layout`.

    Raises
    ------
    IllegalLayer
        A `ValueError`: for a layer that cannot be, or cannot take what arrives; nothing is changed.

    Examples
    --------
    >>> from cnnviz import Window
    >>> w = ReceptiveField([Window(3)] * 5, against=[Window(11)])
    >>> [field.size for field in w.fields]
    [(11, 11), (11, 11)]
    >>> [found.side for found in w.measure()]  # 95 % of the squared gradient lies in so many pixels
    [(9, 9), (11, 11)]
    """

    _folder = Path(__file__).parent
    _presets = traitlets.Dict().tag(sync=True)
    _measured = traitlets.List().tag(sync=True)  # for each stack what was found, and of which stack and picture
    stacks = traitlets.TraitType(()).tag(sync=True, to_json=lambda stacks, _: _plain(stacks))
    input_size = traitlets.TraitType((14, 14)).tag(sync=True)
    position = traitlets.Any(None).tag(sync=True)
    back = traitlets.Int(None, min=0, allow_none=True).tag(sync=True)

    @traitlets.default("_presets")
    def _default_presets(self) -> dict[str, Any]:
        read = {name: (size, map(stack.read_stack, stacks)) for name, (size, stacks) in stack.PRESETS.items()}
        return {name: {"stacks": _plain(stacks), "input_size": [size, size]} for name, (size, stacks) in read.items()}

    def __init__(
        self,
        layers: Any = "two 3x3 against one 5x5",
        against: Any = None,
        input_size: Any = None,
        model: nn.Module | None = None,
        **look: Any,
    ) -> None:
        check_names("ReceptiveField", look, ("layers", "against", "input_size", "model", "position", "back"))
        read = refused(stack.read_any, layers)
        read = (read + refused(stack.read_any, against))[:2] if against is not None else read
        if model is not None:
            read[0] = read[0]._replace(module=model)
        self._modules = [*((one.layers, one.module) for one in read), ((), None)]  # a second stack may come later
        self._found: list[tuple[str, Effective]] = []
        self._pressed = 0
        if input_size is None:
            input_size = max(one.size or _room(one.layers) for one in read)
        super().__init__(stacks=tuple(one.layers for one in read), input_size=input_size, **look)
        self.on_msg(self._told)

    @traitlets.validate("stacks", "input_size")
    def _fits(self, proposal: Any) -> Any:
        new = {"stacks": self.stacks, "input_size": self.input_size, proposal.trait.name: proposal.value}
        return refused(lambda name: _read_all(**new)[name], proposal.trait.name)

    @traitlets.validate("position")
    def _is_place(self, proposal: Any) -> Pair | None:
        return None if proposal.value is None else refused(lambda at: _two("position", at, 0, 1023), proposal.value)

    # ---- what is seen ----------------------------------------------------------------------------------------------

    @staticmethod
    def presets() -> tuple[str, ...]:
        """Names of the comparisons to start from."""
        return tuple(stack.PRESETS)

    @property
    def fields(self) -> tuple[geometry.ReceptiveField, ...]:
        """The theoretical receptive field of each stack, by `cnnviz.receptive_field`."""
        return tuple(geometry.receptive_field(map(stack.window, layers)) for layers in self.stacks)

    @property
    def units(self) -> tuple[Pair, ...]:
        """The output unit that is shown of each stack: `position`, or the nearest there is."""
        ends = [stack.maps(layers, self.input_size)[-1] for layers in self.stacks]
        wanted = [self.position or tuple((n - 1) // 2 for n in end) for end in ends]
        return tuple(tuple(map(min, place, (h - 1, w - 1))) for place, (h, w) in zip(wanted, ends, strict=True))

    @property
    def effective(self) -> tuple[Effective | None, ...]:
        """What `measure` found for each stack as it is now; None where nothing was measured since it changed."""
        known = [*self._found, ("", None), ("", None)]
        return tuple(
            found if of == self._key(layers) else None for layers, (of, found) in zip(self.stacks, known, strict=False)
        )

    def measure(self, samples: int = 20, seed: int = 0) -> tuple[Effective, ...]:
        """Measure how strongly each unit hangs on each pixel: its squared gradient, the mean over random pictures.

        A stack of layers gets new random weights with each picture (3 input channels, 8 a layer, a ReLU behind each
        convolution). A torch module keeps its own, and is left as it was.
        """
        samples = refused(lambda n: _whole("samples", n, 1, _SAMPLES), samples)
        self._found = []
        for layers, unit, (known, module) in zip(self.stacks, self.units, self._modules, strict=False):
            own = module if known == layers else None
            values = measure(layers, self.input_size, unit, samples, seed, own)
            side = middle(values, stack.boxes(layers, unit)[0])
            self._found.append((self._key(layers), Effective(values, unit, samples, side)))
        self._measured = [{"of": key, **_wire(one)} for key, one in self._found]
        return self.effective

    def _key(self, layers: stack.Stack) -> str:
        """The stack and its picture as JSON, which the view writes likewise: what a measurement is of."""
        return json.dumps([*_plain([layers]), self.input_size], separators=(",", ":"))

    # ---- what the view says, what a page shows ----------------------------------------------------------------------

    def _told(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and content.get("kind") == "measure":
            try:
                self.measure(seed=self._pressed)
                self._pressed += 20  # other pictures and networks the next time
                self.send({"kind": "measured"})
            except Exception as error:  # a user's model may raise anything, and here nobody would see it
                self.refuse(f"not measured: {error}")

    def __repr__(self) -> str:
        lines = [f"ReceptiveField, picture {_by(self.input_size)}"]
        for layers, unit, field, found in zip(self.stacks, self.units, self.fields, self.effective, strict=True):
            *_, end = stack.maps(layers, self.input_size)
            corner = tuple(s + i * j for s, i, j in zip(field.start, unit, field.jump, strict=True))
            lines.append(f"{', '.join(map(stack.words, layers))}: {_by(end)} units, {_by(field.jump)} pixels apart")
            lines.append(f"  unit {unit} sees {_by(field.size)} pixels, the first is {corner}")
            if found:
                share = f"95 % of the squared gradient in the middle {_by(found.side)}"
                lines.append(f"  measured at {found.position} with {found.samples} pictures: {share}")
        return "\n".join(lines)

    def _still(self) -> Drawing:
        return picture.draw(self.stacks, self.input_size, self.units, self.effective, repr(self))


def _plain(stacks: Any) -> list[list[dict[str, Any]]]:
    return [[dict(layer) for layer in layers] for layers in stacks]


def _two(name: str, value: Any, lowest: int, highest: int) -> Pair:
    items = tuple(value) if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    return tuple(_whole(name, item, lowest, highest) for item in items)


def _read_all(stacks: Any, input_size: Any) -> dict[str, Any]:
    """Check stacks and picture together."""
    if not isinstance(stacks, (list, tuple)) or not 1 <= len(stacks) <= 2:
        raise ValueError(f"stacks {_short(stacks)} is not a list of one or two lists of layers")
    read, size = tuple(map(stack.read_stack, stacks)), _two("input_size", input_size, 1, _LARGEST)
    for layers in read:
        stack.maps(layers, size)
    return {"stacks": read, "input_size": size}


def _room(layers: stack.Stack) -> Pair:
    """Return a picture with room for the field and some neighbours."""
    size, jump, _ = geometry.receptive_field(map(stack.window, layers))
    return tuple(min(n + 8 * j, _LARGEST) for n, j in zip(size, jump, strict=True))


def _wire(found: Effective) -> dict[str, Any]:
    shades = np.round(255 * found.shares).astype(np.uint8)
    place = {"position": list(found.position), "samples": found.samples, "side": list(found.side)}
    return {**place, "shape": list(shades.shape), "u8": base64.b64encode(shades).decode()}

"""A stack of layers under sliders: numbers ripple in the browser, the truth for `.model` is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from cnnviz._checks import _by, _either, _is_whole, _short
from cnnviz.cost import Cost, CostRow, CostTable
from cnnviz.widgets._drawing import Drawing
from cnnviz.widgets._errors import IllegalLayer, check_names, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.network_builder import picture, stack
from cnnviz.widgets.network_builder.code import call_of, format_code, parse_code
from cnnviz.widgets.network_builder.forms import FORMS, input_size

if TYPE_CHECKING:
    from torch import nn


class _Checked(traitlets.TraitType):
    """A trait that takes what a function takes, and travels to the view in a plain form."""

    def __init__(self, read: Callable[[Any], Any], value: Any, plain: Callable[[Any], Any]) -> None:
        super().__init__(default_value=read(value))
        self.read = read
        self.tag(sync=True, to_json=lambda value, _: plain(value))

    def validate(self, obj: traitlets.HasTraits, value: Any) -> Any:
        return refused(self.read, value)


class NetworkBuilder(ShownWidget):
    """A stack of layers with a slider for each setting; the bill of all of them follows at once.

    Parameters
    ----------
    layers
        A list whose items are mappings such as ``{"kind": "conv", "out_channels": 6, "kernel_size": (3, 5)}`` or kinds
        alone ("relu"); what is left out stands at its default. Kinds: conv, max_pool, avg_pool, relu, tanh, sigmoid,
        batch_norm, dropout, flatten, linear, global_avg_pool. Or one of `forms`: the small form (32x32, ten classes) of
        a network of `cnnviz.models` that is a plain stack. Or an ``nn.Sequential``, or its text. None: lenet5.
    input_size
        (channels, height, width) of one picture. None: what a form was made for, else (1, 32, 32).
    **look
        `layout`, and `selected`: the layer whose sliders are open.

    Raises
    ------
    IllegalLayer
        A `ValueError`: for a layer that is none by itself. Layers that do not go together are no error: the first is
        marked, `problem` says why, and the bill is of what stands before it.

    Examples
    --------
    >>> w = NetworkBuilder([{"kind": "conv", "out_channels": 6, "kernel_size": 5}, "relu", "max_pool"], (1, 28, 28))
    >>> w.total
    Cost(params=156, macs=86400, activations=7776)
    >>> w.change(0, padding=2, dilation=(1, 2))
    >>> w.rows[-1].output_shape
    (6, 14, 12)
    """

    _folder = Path(__file__).parent
    _known = traitlets.Dict().tag(sync=True)  # kinds with their settings, ranges, forms to start from
    layers = _Checked(stack.read_stack, [], lambda layers: [dict(layer) for layer in layers])
    input_size = _Checked(stack.read_size, (1, 32, 32), list)
    selected = traitlets.Int(0).tag(sync=True)

    @traitlets.default("_known")
    def _default_known(self) -> dict[str, Any]:
        return {"kinds": stack.KINDS, "ranges": stack.RANGES, "forms": {name: _plain_form(name) for name in FORMS}}

    def __init__(self, layers: Any = None, input_size: Any = None, **look: Any) -> None:
        check_names("NetworkBuilder", look, ("layers", "input_size", "selected"))
        size = refused(stack.read_size, (1, 32, 32) if input_size is None else input_size)
        if layers is None or (isinstance(layers, str) and "(" not in layers):
            form = refused(_plain_form, "lenet5" if layers is None else layers)
            layers = form["layers"]
            size = size if input_size is not None else tuple(form["input_size"])
        elif isinstance(layers, str) or hasattr(layers, "named_modules"):
            layers, size = refused(lambda given: parse_code(given, size), layers)
        super().__init__(layers=layers, input_size=size, **look)
        self._opened_on = self.layers, self.input_size
        self.on_msg(self._told)

    # ---- the bill --------------------------------------------------------------------------------------------------

    @property
    def _bill(self) -> stack.Bill:
        return stack.bill(self.layers, self.input_size)

    @property
    def table(self) -> CostTable:
        """The bill up to the first layer that does not work, as `cnnviz.cost_table` counts it (without `other`)."""
        return self._bill.table

    @property
    def rows(self) -> tuple[CostRow, ...]:
        """One row a layer: shape, parameters, MACs, activations, receptive field."""
        return self.table.rows

    @property
    def total(self) -> Cost:
        """Sum of the rows."""
        return self.table.total

    @property
    def problem(self) -> str:
        """Which layer cannot take what arrives, and why; "" when all can."""
        return self._bill.problem

    @property
    def code(self) -> str:
        """The runnable ``nn.Sequential``; setting it reads such a text, without ever evaluating it."""
        return format_code(self.layers, self.input_size)

    @code.setter
    def code(self, text: str) -> None:
        layers, size = refused(lambda text: parse_code(text, self.input_size), text)
        self._take(layers, size)

    @property
    def model(self) -> nn.Sequential:
        """The torch module, with new weights each time.

        Raises
        ------
        IllegalLayer
            If a layer cannot take what arrives; `code` has what stands before it.
        """
        if self.problem:
            raise IllegalLayer(f"{self.problem} (code has the layers before it)")
        from torch import nn

        shapes = [self.input_size, *(row.output_shape for row in self.rows)]
        calls = [call_of(layer, shape) for layer, shape in zip(self.layers, shapes, strict=False)]
        return nn.Sequential(*(getattr(nn, name)(*values, **named) for name, values, named in calls))

    # ---- changes ---------------------------------------------------------------------------------------------------

    def change(self, index: int, **settings: Any) -> None:
        """Change settings of one layer."""
        at = self._place(index)
        self.layers = [*self.layers[:at], {**self.layers[at], **settings}, *self.layers[at + 1 :]]

    def add(self, kind: str, index: int | None = None, **settings: Any) -> None:
        """Put a layer before the one at `index`, or at the end."""
        at = len(self.layers) if index is None else self._place(index)
        self.layers = [*self.layers[:at], {"kind": kind, **settings}, *self.layers[at:]]

    def remove(self, index: int) -> None:
        """Take a layer out."""
        at = self._place(index)
        self.layers = [*self.layers[:at], *self.layers[at + 1 :]]

    def move(self, index: int, to: int) -> None:
        """Put a layer in another's place."""
        at, to = self._place(index), self._place(to)
        rest = [*self.layers[:at], *self.layers[at + 1 :]]
        self.layers = [*rest[:to], self.layers[at], *rest[to:]]

    def reset(self) -> None:
        """Go back to what the widget was opened on."""
        self._take(*self._opened_on)

    @staticmethod
    def forms() -> tuple[str, ...]:
        """Names of networks to start from: those of `cnnviz.models` whose small form is a plain stack."""
        return tuple(FORMS)

    def _place(self, index: Any) -> int:
        if _is_whole(index, -len(self.layers), len(self.layers) - 1):
            return int(index) % len(self.layers)
        raise IllegalLayer(f"there is no layer {_short(index)}: use 0 to {len(self.layers) - 1}")

    def _take(self, layers: Iterable[Mapping[str, Any]], size: stack.Shape) -> None:
        with self.hold_sync(), self.hold_trait_notifications():
            self.layers, self.input_size = tuple(layers), size

    # ---- what the view says, what a page shows ----------------------------------------------------------------------

    def _told(self, _: Any, content: Any, __: Any) -> None:
        if isinstance(content, dict) and content.get("kind") == "code":
            try:
                self.code = content.get("text")
            except IllegalLayer as refusal:
                self.refuse(refusal)

    def __repr__(self) -> str:
        return f"NetworkBuilder, input {_by(self.input_size)}\n{self.table.text()}\n{self.code}"

    def _still(self) -> Drawing:
        return picture.draw(self._bill, self.input_size, repr(self))


def _plain_form(name: str) -> dict[str, Any]:
    if name not in FORMS:
        raise ValueError(f"{_short(name)} is not known as a plain stack of layers: use {_either(FORMS)}")
    return {"layers": [dict(one) for one in stack.read_stack(FORMS[name])], "input_size": list(input_size(name))}

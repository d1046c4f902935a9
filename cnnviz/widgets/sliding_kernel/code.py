"""The line of PyTorch that makes the layer shown, and the way back: parsed, never evaluated (twin: js/code.js)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cnnviz._checks import _flag, _short
from cnnviz.geometry import DEFAULTS
from cnnviz.widgets._torch_code import SIGNATURES, arguments, bare, call_in, called, squeezed, value_text

OPS = {"Conv2d": "conv", "ConvTranspose2d": "transposed", "MaxPool2d": "max_pool", "AvgPool2d": "avg_pool"}
_LAYERS = {"convolve": "Conv2d", **{op: layer for layer, op in OPS.items()}}
_NEEDED = ("in_channels", "out_channels", "kernel_size")
LONGEST = 1000  # characters
FLIPPED = "# weight flipped in both axes"
EXAMPLE = "use a line such as nn.Conv2d(1, 1, kernel_size=3, stride=2)"


def format_code(state: Mapping[str, Any]) -> str:
    """Write the layer as a line of PyTorch, without the arguments that stand at their defaults.

    A pool always says its stride (torch's default is the kernel's size); bias is left out, for it changes no shape.

    >>> format_code({"op": "conv", "in_channels": 1, "filters": 1, "kernel_size": 3, "stride": 2, "padding": (1, 0)})
    'nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=(1, 0))'
    """
    op = state["op"]
    layer = _LAYERS[op]
    pool = op.endswith("pool")
    words = [] if pool else [str(state["in_channels"]), str(state["filters"])]
    for name in SIGNATURES[layer]:
        if name not in DEFAULTS or name == "in_channels":
            continue
        value = squeezed(state.get(name, DEFAULTS[name]))
        if name == "kernel_size" or (pool and name == "stride") or value != DEFAULTS[name]:
            words.append(f"{name}={value_text(value)}")
    return f"nn.{layer}({', '.join(words)})" + (f"  {FLIPPED}" if op == "convolve" else "")


def parse_code(text: str) -> dict[str, Any]:
    """Read a line such as ``self.conv1 = nn.Conv2d(1, 6, 5)  # first layer`` into settings.

    Whatever the line leaves out is set to torch's default. Whether the settings make a layer is not checked here.

    Raises
    ------
    ValueError
        For anything that is not one layer with plain numbers; the text repeats it and says what works.

    >>> parse_code("nn.MaxPool2d(2)")["stride"]
    2
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"{_short(text)} is not a line of code: {EXAMPLE}")
    call = call_in(re.sub(r"^\s*(\(\w+\)\s*:)?", "", text))  # torch prints (conv1): Conv2d(...)
    name = called(call)
    if not name:
        raise ValueError(f"{_short(text)} is not one layer: {EXAMPLE}")
    layer = bare(name)
    if layer not in OPS:
        raise ValueError(f"{_short(name)} is not known: use {', '.join(OPS)}")
    pool = layer.endswith("Pool2d")
    defaults = {name: DEFAULTS[name] for name in SIGNATURES[layer] if name in DEFAULTS and name not in _NEEDED}
    defaults |= {"stride": None} if pool else {}
    values = defaults | arguments(layer, call, _NEEDED, EXAMPLE)
    mode = values.pop("padding_mode", "zeros")
    if mode != "zeros":
        given = f' "{mode}"' if isinstance(mode, str) else ""
        raise ValueError(f'padding_mode{given} cannot be shown, only "zeros" can: leave padding_mode out')
    _flag("return_indices", values.pop("return_indices", False))  # it changes what torch returns, not what it computes
    if not _flag("bias", values.pop("bias", True)):
        values["bias"] = 0
    if "out_channels" in values:
        values["filters"] = values.pop("out_channels")
    if pool and values["stride"] is None:
        values["stride"] = values["kernel_size"]
    if layer == "AvgPool2d":
        values |= {"dilation": 1, "divisor_override": values["divisor_override"] or 0}
    flipped = layer == "Conv2d" and FLIPPED in text
    return {"op": "convolve" if flipped else OPS[layer], **values}

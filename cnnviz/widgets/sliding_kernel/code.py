"""The line of PyTorch that makes the layer shown, and the way back: parsed, never evaluated (twin: js/code.js)."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any

from cnnviz._checks import _flag, _short
from cnnviz.widgets.sliding_kernel.settings import squeezed

_SIGNATURES = {  # torch's own order, in which arguments without a name arrive
    "Conv2d": (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"),
        *("groups", "bias", "padding_mode"),
    ),
    "ConvTranspose2d": (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding"),
        *("groups", "bias", "dilation", "padding_mode"),
    ),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
}
_LAYERS = {
    "conv": "Conv2d",
    "convolve": "Conv2d",
    "transposed": "ConvTranspose2d",
    "max_pool": "MaxPool2d",
    "avg_pool": "AvgPool2d",
}
_DEFAULTS = {
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "output_padding": 0,
    "groups": 1,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": 0,
}
_OPS = {layer: op for op, layer in reversed(_LAYERS.items())}
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
    arguments = [] if pool else [str(state["in_channels"]), str(state["filters"])]
    for name in _SIGNATURES[layer]:
        if name != "kernel_size" and name not in _DEFAULTS:
            continue
        always = name == "kernel_size" or (pool and name == "stride")
        if always or squeezed(state.get(name, _DEFAULTS[name])) != _DEFAULTS[name]:
            arguments.append(f"{name}={_value_text(squeezed(state[name]))}")
    return f"nn.{layer}({', '.join(arguments)})" + (f"  {FLIPPED}" if op == "convolve" else "")


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"({value[0]}, {value[1]})"
    return str(value)


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
    layer, call = _find_call(text)
    pool = layer.endswith("Pool2d")
    defaults = _DEFAULTS | ({"stride": None} if pool else {})
    values = {name: defaults[name] for name in _SIGNATURES[layer] if name in defaults} | _arguments(layer, call)
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
    return {"op": "convolve" if flipped else _OPS[layer], **values}


def _find_call(text: str) -> tuple[str, ast.Call]:
    """Find the one layer in a line: alone, assigned to a name, or as torch prints it, ``(conv1): Conv2d(...)``."""
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"{_short(text)} is not a line of code: {EXAMPLE}")
    line = re.sub(r"^\s*(\(\w+\)\s*:)?", "", text).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd text are nobody's business here
            statements = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        statements = []
    call = statements[0].value if len(statements) == 1 and isinstance(statements[0], ast.Expr | ast.Assign) else None
    name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
        raise ValueError(f"{_short(text)} is not one layer: {EXAMPLE}")
    layer = re.sub(r"^(torch\.)?nn\.", "", name)
    if layer not in _SIGNATURES:
        raise ValueError(f"{_short(name)} is not known: use {', '.join(_SIGNATURES)}")
    return layer, call


def _arguments(layer: str, call: ast.Call) -> dict[str, Any]:
    names = _SIGNATURES[layer]
    if len(call.args) > len(names):
        raise ValueError(f"{layer} takes at most {len(names)} arguments, not {len(call.args)}: {', '.join(names)}")
    values: dict[str, Any] = {}
    for name, node in [*zip(names, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]:
        if name not in names:
            raise ValueError(f"{layer} has no argument {_short(name or '**')}: use {', '.join(names)}")
        if name in values:
            raise ValueError(f"{layer} is given {name} twice: give it once")
        values[name] = _literal(name, node)
    missing = [name for name in names if name not in values and name in ("in_channels", "out_channels", "kernel_size")]
    if missing:
        raise ValueError(f"{layer} needs {' and '.join(missing)}: {EXAMPLE}")
    return values


def _literal(name: str, node: ast.expr) -> Any:
    """Return a whole number, a pair of them, a text, True, False or None; nothing is ever evaluated."""
    if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (int, bool, str)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(name, node.operand)
        if type(value) is int:
            return -value
    if isinstance(node, ast.Tuple | ast.List):
        return squeezed(tuple(_literal(name, item) for item in node.elts))
    works = "use a whole number, a pair, a text, True, False or None"
    raise ValueError(f"{name}={ast.unparse(node)[:40]} is not understood: {works}")

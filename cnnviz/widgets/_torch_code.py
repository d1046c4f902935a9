"""Lines of PyTorch as users paste them: parsed, never evaluated."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from cnnviz._checks import _short

_POOL = ("kernel_size", "stride", "padding")
_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype", "bias")
SIGNATURES = {  # torch's own order, in which arguments without a name arrive
    "Conv2d": (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"),
        *("groups", "bias", "padding_mode"),
    ),
    "ConvTranspose2d": (
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding"),
        *("groups", "bias", "dilation", "padding_mode"),
    ),
    "MaxPool2d": (*_POOL, "dilation", "return_indices", "ceil_mode"),
    "AvgPool2d": (*_POOL, "ceil_mode", "count_include_pad", "divisor_override"),
    "ReLU": ("inplace",),
    "Tanh": (),
    "Sigmoid": (),
    "BatchNorm2d": _NORM,
    "BatchNorm1d": _NORM,
    "Dropout": ("p", "inplace"),
    "Flatten": ("start_dim", "end_dim"),
    "Linear": ("in_features", "out_features", "bias"),
    "AdaptiveAvgPool2d": ("output_size",),
}


def call_in(text: str) -> ast.Call | None:
    """Return the one call that a text is, alone or assigned to a name; None for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd text are nobody's business here
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    value = statements[0].value if len(statements) == 1 and isinstance(statements[0], ast.Expr | ast.Assign) else None
    return value if isinstance(value, ast.Call) else None


def called(call: ast.expr | None) -> str:
    """Return the dotted name of what is called; "" where that is no name."""
    name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return name if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII) else ""


def bare(name: str) -> str:
    """Return a class's name without ``nn.`` or ``torch.nn.``."""
    return re.sub(r"^(torch\.)?nn\.", "", name)


def literal(name: str, node: ast.expr) -> Any:
    """Return a whole number, a pair of them, a text, True, False or None; nothing is ever evaluated."""
    if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (int, bool, str)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = literal(name, node.operand)
        if type(value) is int:
            return -value
    if isinstance(node, ast.Tuple | ast.List):
        return squeezed(tuple(literal(name, item) for item in node.elts))
    works = "use a whole number, a pair, a text, True, False or None"
    raise ValueError(f"{name}={ast.unparse(node)[:40]} is not understood: {works}")


def arguments(
    layer: str, call: ast.Call, needed: Iterable[str], example: str, read: Callable[[str, ast.expr], Any] = literal
) -> dict[str, Any]:
    """Return a call's arguments by name, each once, as torch names them."""
    names = SIGNATURES[layer]
    if len(call.args) > len(names):
        raise ValueError(f"{layer} takes at most {len(names)} arguments, not {len(call.args)}: {', '.join(names)}")
    values: dict[str, Any] = {}
    for name, node in [*zip(names, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]:
        if name not in names:
            raise ValueError(f"{layer} has no argument {_short(name or '**')}: use {', '.join(names) or 'none'}")
        if name in values:
            raise ValueError(f"{layer} is given {name} twice: give it once")
        values[name] = read(name, node)
    missing = [name for name in names if name in needed and name not in values]
    if missing:
        raise ValueError(f"{layer} needs {' and '.join(missing)}: {example}")
    return values


def squeezed(pair: Any) -> Any:
    """Turn a pair of equal numbers into the number."""
    return pair[0] if isinstance(pair, tuple | list) and len(pair) == 2 and pair[0] == pair[1] else pair


def value_text(value: Any) -> str:
    """Write a setting as it stands in a line of code."""
    if isinstance(value, str):
        return f'"{value}"'
    return f"({value[0]}, {value[1]})" if isinstance(value, list | tuple) else str(value)

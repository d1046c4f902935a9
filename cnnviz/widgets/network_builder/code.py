"""A stack as the text of an ``nn.Sequential``, and the way back: parsed, never evaluated."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any

from cnnviz._checks import _short
from cnnviz.widgets.network_builder.stack import Shape, _Field, by, read_size, read_stack, step

LONGEST = 20_000  # characters
EXAMPLE = "use a text such as nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())"
_POOL = ("kernel_size", "stride", "padding")
_CALLS: dict[str, tuple[str, tuple[str, ...]]] = {  # torch's class -> kind, torch's arguments in their order
    "Conv2d": (
        "conv",
        ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"),
    ),
    "MaxPool2d": ("max_pool", (*_POOL, "dilation", "return_indices", "ceil_mode")),
    "AvgPool2d": ("avg_pool", (*_POOL, "ceil_mode")),
    "ReLU": ("relu", ("inplace",)),
    "BatchNorm2d": ("batch_norm", ("num_features",)),
    "BatchNorm1d": ("batch_norm", ("num_features",)),
    "Dropout": ("dropout", ("p", "inplace")),
    "Flatten": ("flatten", ("start_dim", "end_dim")),
    "Linear": ("linear", ("in_features", "out_features", "bias")),
    "AdaptiveAvgPool2d": ("global_avg_pool", ("output_size",)),
}
_TORCHS = {"stride": 1, "padding": 0, "groups": 1, "bias": True, "p": 0.5}  # torch's defaults, left out of the text
_FIXED = {  # arguments that a builder has no slider for: only what leaves the layer plain
    "dilation": (1,), "ceil_mode": (False,), "return_indices": (False,), "inplace": (True, False), "start_dim": (1,),
    "end_dim": (-1,), "output_size": (1,),
}  # fmt: skip
_READS = ("in_channels", "num_features", "in_features")


def format_code(layers: Any, input_size: Shape) -> str:
    """Write the layers as a runnable text; from the first illegal one on they are comments."""
    shape, field, lines, legal = input_size, _Field(), [], True
    for at, layer in enumerate(layers):
        try:
            after, _, field = step(layer, shape, field) if legal else (shape, None, field)
        except ValueError as error:
            legal = False
            lines.append(f"    # layer {at} ({layer['kind']}): {error}")
        else:
            if legal:
                lines.append(f"    {_call(layer, shape)},  # {by(after)}")
                shape = after
    return "\n".join(["nn.Sequential(", *lines, ")"]) if lines else "nn.Sequential()"


def _call(layer: Mapping[str, Any], shape: Shape) -> str:
    kind = layer["kind"]
    if kind == "batch_norm":
        return f"nn.BatchNorm{'2d' if len(shape) == 3 else '1d'}({shape[0]})"
    if kind == "global_avg_pool":
        return "nn.AdaptiveAvgPool2d(1)"
    name = next(name for name, (known, _) in _CALLS.items() if known == kind)
    first = {"conv": ("out_channels",), "linear": ("out_features",)}.get(kind, ())
    words = [str(shape[0])] * len(first) + [str(layer[key]) for key in first]
    pool = kind.endswith("_pool")
    for key, value in layer.items():
        if key not in ("kind", *first) and (value != _TORCHS.get(key) or (pool and key == "stride")):
            words.append(f"{key}={value}")
    return f"nn.{name}({', '.join(words)})"


def parse_code(text: str, input_size: Shape) -> tuple[tuple[Mapping[str, Any], ...], Shape]:
    """Read an ``nn.Sequential`` into layers and the input size (its channels from the first layer that tells them).

    Raises
    ------
    ValueError
        For anything but known layers with plain numbers, and for a layer that reads another number of channels or
        features than arrive.
    """
    calls = [_layer(at, call) for at, call in enumerate(_arguments_of_sequential(text))]
    layers = read_stack([layer for layer, _ in calls])
    first = next(((layer["kind"], reads) for layer, reads in calls if reads), None)
    if first and first[0] != "linear":
        input_size = (first[1], *input_size[1:])
    shape, field = read_size(input_size), _Field()
    for at, (layer, (_, reads)) in enumerate(zip(layers, calls, strict=True)):
        if reads and reads != shape[0] and (len(shape) == 1 or layer["kind"] != "linear"):
            where = f"layer {at} ({layer['kind']}) reads {reads}, but {shape[0]} arrive"
            raise ValueError(f"{where} from an input of {by(input_size)}: write {shape[0]}, or set input_size first")
        try:
            shape, _, field = step(layer, shape, field)
        except ValueError:
            break  # such a stack can be shown, with its first illegal layer marked
    return layers, input_size


def _arguments_of_sequential(text: Any) -> list[ast.expr]:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"{_short(text)} is not a text of code: {EXAMPLE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd text are nobody's business here
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        statements = []
    statements = [one for one in statements if not isinstance(one, (ast.Import, ast.ImportFrom))]
    call = statements[0].value if len(statements) == 1 and isinstance(statements[0], (ast.Expr, ast.Assign)) else None
    if _name(call) != "Sequential" or call.keywords:
        raise ValueError(f"{_short(text.strip())} is not one nn.Sequential: {EXAMPLE}")
    return call.args


def _name(call: Any) -> str:
    """Return a called class without ``nn.`` or ``torch.nn.``; "" when it is not a plain name."""
    name = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    match = re.fullmatch(r"(?:(?:torch\.)?nn\.)?([A-Za-z_]\w*)", name, re.ASCII)
    return match[1] if match else ""


def _layer(at: int, call: ast.expr) -> tuple[dict[str, Any], int]:
    """Read one call into a layer, and how many channels or features it says it reads (0: it does not)."""
    name = _name(call)
    if name not in _CALLS:
        raise ValueError(f"layer {at}: {_short(ast.unparse(call))} is not known: use {', '.join(_CALLS)}")
    kind, names = _CALLS[name]
    if len(call.args) > len(names):
        raise ValueError(f"layer {at}: {name} takes at most {len(names)} arguments here: {', '.join(names)}")
    values: dict[str, Any] = {}
    pairs = [*zip(names, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]
    for key, node in pairs:
        if key not in names or key in values:
            raise ValueError(f"layer {at}: {name}({key}=...) is not understood: use {', '.join(names)}, each once")
        values[key] = _plain(at, key, node)
    for key, works in _FIXED.items():
        if values.pop(key, works[0]) not in works:
            raise ValueError(f"layer {at}: {key} has no slider here: use {key}={works[0]}")
    reads = next((values.pop(key) for key in _READS if key in values), 0)
    needed = [key for key in ("out_channels", "out_features", "kernel_size") if key in names and key not in values]
    if needed or (names[0] in _READS and not (type(reads) is int and reads > 0)):
        raise ValueError(f"layer {at}: {name} needs {' and '.join(needed or [names[0]])} as whole numbers: {EXAMPLE}")
    defaults = {key: value for key, value in _TORCHS.items() if key in names and (key, kind[-4:]) != ("stride", "pool")}
    if values.get("stride", 0) is None:
        del values["stride"]
    return {"kind": kind, **defaults, **values}, reads


def _plain(at: int, key: str, node: ast.expr) -> Any:
    """Return a number, True, False, None, an equal pair or a product such as 16 * 5 * 5; nothing else is worked out."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = (_plain(at, key, side) for side in (node.left, node.right))
        if type(left) is int and type(right) is int and abs(left * right) < 10**9:
            return left * right
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = node
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if value is None or type(value) in (int, float, bool):
        return value
    raise ValueError(f"layer {at}: {key}={ast.unparse(node)[:40]} is not understood: use a whole number")

"""A stack as the text of an ``nn.Sequential``, and the way back: parsed, never evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import takewhile
from typing import Any

from cnnviz._checks import _by, _either, _is_whole, _short
from cnnviz.geometry import DEFAULTS, POOLS
from cnnviz.widgets._torch_code import SIGNATURES, arguments, bare, call_in, called, literal, squeezed, value_text
from cnnviz.widgets.network_builder.stack import (
    CLASSES,
    KINDS,
    Field,
    Shape,
    read_size,
    read_stack,
    step,
    torch_class,
)

LONGEST = 20_000  # characters
EXAMPLE = "use a text such as nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())"
_KINDS = {**{name: kind for kind, name in CLASSES.items()}, "BatchNorm1d": "batch_norm"}
_TORCHS = {**DEFAULTS, "bias": True, "p": 0.5}  # torch's defaults, left out of the text
_FIXED = {  # arguments that a builder has no slider for: only what leaves the layer plain
    "return_indices": (False,), "inplace": (True, False), "start_dim": (1,), "end_dim": (-1,), "output_size": (1,),
    "padding_mode": ("zeros",), "count_include_pad": (True,), "divisor_override": (None,), "eps": (1e-5,),
    "momentum": (0.1,), "affine": (True,), "track_running_stats": (True,), "bias": (True,), "device": (None,),
    "dtype": (None,),
}  # fmt: skip
_READS = ("in_channels", "num_features", "in_features")
_NEEDED = (*_READS, "out_channels", "out_features", "kernel_size", "output_size")


def call_of(layer: Mapping[str, Any], shape: Shape) -> tuple[str, list[int], dict[str, Any]]:
    """Return torch's class for a layer that reads this shape, and its arguments without and with names."""
    kind, name = layer["kind"], torch_class(layer, shape)
    if kind == "global_avg_pool":
        return name, [1], {}
    first = {"conv": ["out_channels"], "linear": ["out_features"]}.get(kind, [])
    reads = [shape[0]] if first or kind == "batch_norm" else []
    named = {key: value for key, value in layer.items() if key not in ("kind", *first)}
    always = ("kernel_size", "stride") if kind in POOLS else ("kernel_size",)
    said = {key: value for key, value in named.items() if key in always or value != _TORCHS[key]}
    return name, [*reads, *(layer[key] for key in first)], said


def format_code(layers: Any, input_size: Shape) -> str:
    """Write the layers as a runnable text; from the first illegal one on they are comments."""
    shape, field, lines = input_size, Field(), []
    for at, layer in enumerate(layers):
        try:
            after, _, field = step(layer, shape, field)
        except ValueError as error:
            lines.append(f"    # layer {at} ({layer['kind']}): {error}")
            break
        name, values, named = call_of(layer, shape)
        words = [*map(str, values), *(f"{key}={value_text(value)}" for key, value in named.items())]
        lines.append(f"    nn.{name}({', '.join(words)}),  # {_by(after)}")
        shape = after
    return "\n".join(["nn.Sequential(", *lines, ")"]) if lines else "nn.Sequential()"


def parse_code(given: Any, input_size: Shape) -> tuple[tuple[Mapping[str, Any], ...], Shape]:
    """Read an ``nn.Sequential``, or its text as it is written or printed, into layers and the input size.

    The input's channels are those that the first layer reads, where it says so.

    Raises
    ------
    ValueError
        For anything but known layers with plain numbers, and for a layer that reads another number of channels or
        features than arrive.
    """
    calls = _modules(given) if hasattr(given, "named_modules") else _calls(_sequential(given))
    read = [_layer(at, *call) for at, call in enumerate(calls)]
    layers = read_stack([layer for layer, _ in read])
    maps = takewhile(lambda one: one[0]["kind"] not in ("flatten", "linear"), read)
    input_size = (next((reads for _, reads in maps if reads), input_size[0]), *input_size[1:])
    shape, field = read_size(input_size), Field()
    for at, (layer, (_, reads)) in enumerate(zip(layers, read, strict=True)):
        if reads and reads != shape[0] and (len(shape) == 1 or layer["kind"] != "linear"):
            where = f"layer {at} ({layer['kind']}) reads {reads}, but {shape[0]} arrive"
            raise ValueError(f"{where} from an input of {_by(input_size)}: write {shape[0]}, or set input_size first")
        try:
            shape, _, field = step(layer, shape, field)
        except ValueError:
            break  # such a stack can be shown, with its first illegal layer marked
    return layers, input_size


def _sequential(text: Any) -> ast.Call:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise ValueError(f"{_short(text)} is not a text of code: {EXAMPLE}")
    if re.match(r"\s*Sequential\(\s*\(\w+\):", text):  # as torch prints it: (0): Conv2d(1, 6, kernel_size=(5, 5))
        text = re.sub(r"\)[ \t]*$", "),", re.sub(r"^\s*\(\w+\):", "", text, flags=re.M), flags=re.M).rstrip(", \n")
    call = call_in(re.sub(r"^\s*(import|from) .*$", "", text, flags=re.M))
    if bare(called(call)) != "Sequential" or call.keywords:
        raise ValueError(f"{_short(text.strip())} is not one nn.Sequential: {EXAMPLE}")
    return call


Call = tuple[str, Callable[[], dict[str, Any]], str]  # torch's class, its arguments, what stands there


def _calls(sequential: ast.Call) -> Iterator[Call]:
    """Walk through the layers; a Sequential inside another is its layers."""
    for node in sequential.args:
        name = bare(called(node))
        if name == "Sequential" and not node.keywords:
            yield from _calls(node)
        else:
            yield name, partial(arguments, name, node, _NEEDED, EXAMPLE, _value), ast.unparse(node)


def _modules(sequential: Any) -> Iterator[Call]:
    """Walk through the modules, whose print does not tell everything (an AvgPool2d's ceil_mode)."""
    for module in sequential.children() if type(sequential).__name__ == "Sequential" else [sequential]:
        name = type(module).__name__
        if name == "Sequential":
            yield from _modules(module)
        else:
            has = {key: getattr(module, key) for key in SIGNATURES.get(name, ()) if hasattr(module, key)}
            has |= {"bias": has["bias"] is not None} if "bias" in has else {}
            yield name, partial(dict, {key: squeezed(value) for key, value in has.items()}), name


def _layer(at: int, name: str, tell: Callable[[], dict[str, Any]], text: str) -> tuple[dict[str, Any], int]:
    """Read one layer, and how many channels or features it says it reads (0: it does not)."""
    if name not in _KINDS:
        raise ValueError(f"layer {at}: {_short(text)} is not known: use {_either(_KINDS)}")
    kind = _KINDS[name]
    try:
        values = tell()
    except ValueError as error:
        raise ValueError(f"layer {at}: {error}") from None
    reads = next((values.pop(key) for key in _READS if key in values), None)
    if reads is not None and not _is_whole(reads, 1, 10**9):
        raise ValueError(f"layer {at}: {name} reads {_short(reads)}: use a whole number of at least 1")
    for key in sorted(values.keys() - KINDS[kind].keys()):
        if values.pop(key) not in _FIXED[key]:
            raise ValueError(f"layer {at}: {key} has no slider here: use {key}={value_text(_FIXED[key][0])}")
    if kind in POOLS and values.get("stride", 0) is None:
        del values["stride"]
    torchs = {key: _TORCHS[key] for key in KINDS[kind] if key in _TORCHS and not (key == "stride" and kind in POOLS)}
    return {"kind": kind, **torchs, **values}, reads or 0


def _value(name: str, node: ast.expr) -> Any:
    """Return what `literal` reads, a number with a point, a product such as 16 * 5 * 5, or same without its quotes."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = (_value(name, side) for side in (node.left, node.right))
        if type(left) is int and type(right) is int and abs(left * right) < 10**9:
            return left * right
    if isinstance(node, ast.Constant) and type(node.value) is float:
        return node.value
    if isinstance(node, ast.Name) and node.id in ("same", "valid"):  # torch prints padding=same
        return node.id
    return literal(name, node)

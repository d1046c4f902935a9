"""A stack of layers as plain data, and what each of its layers costs. Without torch; the twin of stack.js."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from cnnviz._checks import Pair, _by, _either, _flag, _is_whole, _short
from cnnviz.cost import Cost, CostRow, CostTable, Sizes, conv_cost, linear_cost
from cnnviz.geometry import DEFAULTS, POOLS, read_layer

Shape = tuple[int, ...]
LAYERS, SIDE, CHANNELS, FEATURES = 100, 256, 4096, 65536  # more of them than a screen, or geometry, can hold
_POOL = {"kernel_size": 2, "stride": 2, "padding": 0}
KINDS: dict[str, dict[str, Any]] = {  # what each kind can be set to, with what it is when nobody says
    "conv": {
        "out_channels": 16,
        **{name: DEFAULTS[name] for name in ("kernel_size", "stride", "padding", "dilation", "groups")},
        "bias": True,
    },
    "max_pool": {**_POOL, "dilation": 1, "ceil_mode": False},
    "avg_pool": {**_POOL, "ceil_mode": False},
    "relu": {},
    "tanh": {},
    "sigmoid": {},
    "batch_norm": {},
    "dropout": {"p": 0.5},
    "flatten": {},
    "linear": {"out_features": 10, "bias": True},
    "global_avg_pool": {},
}
PAIRS = {"kernel_size": (1, 31), "stride": (1, 16), "padding": (0, 15), "dilation": (1, 8)}
RANGES = {**PAIRS, "out_channels": (1, CHANNELS), "groups": (1, CHANNELS), "out_features": (1, FEATURES), "p": (0, 1)}
CLASSES = {
    "conv": "Conv2d", "max_pool": "MaxPool2d", "avg_pool": "AvgPool2d", "relu": "ReLU", "tanh": "Tanh",
    "sigmoid": "Sigmoid", "batch_norm": "BatchNorm2d", "dropout": "Dropout", "flatten": "Flatten", "linear": "Linear",
    "global_avg_pool": "AdaptiveAvgPool2d",
}  # fmt: skip


def read_stack(layers: Any) -> tuple[Mapping[str, Any], ...]:
    """Check the layers one by one and fill in what they leave out; whether they fit together is not asked.

    Each is a mapping with a kind, or the kind alone: ``{"kind": "conv", "out_channels": 6}`` or ``"relu"``.
    """
    if not isinstance(layers, (list, tuple)) or len(layers) > LAYERS:
        text = f"layers {_short(layers)} is not a list of at most {LAYERS} layers"
        raise ValueError(f"{text}: use a list such as ['relu']")
    return tuple(_read(at, layer) for at, layer in enumerate(layers))


def _read(at: int, layer: Any) -> Mapping[str, Any]:
    given = {"kind": layer} if isinstance(layer, str) else layer
    kind = given.get("kind") if isinstance(given, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"layer {at}: {_short(kind or layer)} is not known: use {_either(KINDS)}")
    defaults = KINDS[kind]
    for name in given:
        if name != "kind" and name not in defaults:
            raise ValueError(f"layer {at}: {kind} has no {_short(name)}: use {', '.join(defaults) or 'no settings'}")
    if kind in POOLS and "kernel_size" in given:  # torch's rule: a pool steps by its kernel's size
        defaults = {**defaults, "stride": given["kernel_size"]}
    try:
        settings = {name: _setting(kind, name, given.get(name, value)) for name, value in defaults.items()}
    except ValueError as error:
        raise ValueError(f"layer {at}: {error}") from None
    return MappingProxyType({"kind": kind, **settings})


def _setting(kind: str, name: str, value: Any) -> Any:
    if name not in RANGES:
        return _flag(name, value)
    lowest, highest = RANGES[name]
    if name == "p" and type(value) in (int, float) and 0 <= value <= 1:
        return value
    if name == "padding" and kind == "conv" and isinstance(value, str) and value in ("same", "valid"):
        return value
    pair = tuple(value) if name in PAIRS and isinstance(value, (tuple, list)) else (value, value)
    if name != "p" and len(pair) == 2 and all(_is_whole(n, lowest, highest) for n in pair):
        return int(pair[0]) if pair[0] == pair[1] else (int(pair[0]), int(pair[1]))
    number = "number" if name == "p" else "whole number"
    also = " or a pair of them" if name in PAIRS else ""
    raise ValueError(f"{name} {_short(value)} is not a {number} from {lowest} to {highest}{also}")


def read_size(size: Any) -> Shape:
    """Check an input size (C, H, W)."""
    highest = (CHANNELS, SIDE, SIDE)
    if isinstance(size, (tuple, list)) and len(size) == 3 and all(map(_is_whole, size, (1, 1, 1), highest)):
        return tuple(int(n) for n in size)
    text = f"input_size {_short(size)} is not (channels, height, width)"
    raise ValueError(f"{text}: use whole numbers up to {CHANNELS}, {SIDE} and {SIDE}, such as (1, 32, 32)")


class Bill(NamedTuple):
    """The costs of the layers that work; ``problem`` says why the next one does not ("" if all do)."""

    table: CostTable
    problem: str = ""


class Field(NamedTuple):
    """What one value sees of the input, and how far apart neighbours look; no size behind a flatten."""

    size: Pair | None = (1, 1)
    jump: Pair = (1, 1)

    def seen(self, spans: Iterable[int], stride: Pair) -> Field:
        """Return the field behind a window."""
        size = tuple(n + (span - 1) * jump for n, span, jump in zip(self.size, spans, self.jump, strict=True))
        return Field(size, tuple(jump * s for jump, s in zip(self.jump, stride, strict=True)))


def bill(layers: Iterable[Mapping[str, Any]], input_size: Shape) -> Bill:
    """Follow an input through the stack, until the end or the first layer that cannot take what arrives."""
    shape, field, problem = input_size, Field(), ""
    rows: list[CostRow] = []
    held, extra, peak = 0, 0, prod(shape)  # values: the layer's input unless it is the network's; of buffers; at most
    for at, layer in enumerate(layers):
        try:
            shape, cost, field = step(layer, shape, field)
        except ValueError as error:
            problem = f"layer {at} ({layer['kind']}): {error}"
            break
        counts = cost.params, cost.macs, cost.activations
        rows.append(CostRow(str(at), torch_class(layer, shape), shape, *counts, field.size, inputs=(at - 1,)))
        if layer["kind"] == "batch_norm":
            extra += 8 * shape[0] + 8  # two averages a channel, and a counter
        if cost.activations:
            beside = {"max_pool": 2 * cost.activations, "batch_norm": 2 * shape[0]}  # indices of 8 bytes; averages
            peak = max(peak, prod(input_size) + held + cost.activations + beside.get(layer["kind"], 0))
            held = cost.activations
    params = sum(row.params for row in rows)
    sizes = Sizes(4, 4 * params, extra, 4 * prod(input_size), 4 * peak)
    return Bill(CostTable("Sequential", tuple(rows), sizes=sizes), problem)


def step(layer: Mapping[str, Any], shape: Shape, field: Field) -> tuple[Shape, Cost, Field]:
    """Shape, cost and receptive field behind a layer; a `ValueError` says why it cannot take this shape."""
    kind = layer["kind"]
    if kind == "conv" or kind in POOLS:
        return _window(layer, _maps(shape), field)
    if kind == "global_avg_pool":
        channels, *size = _maps(shape)
        return (channels, 1, 1), Cost(0, 0, channels), field.seen(size, (1, 1))
    if kind == "flatten":
        return (prod(shape),), Cost(), Field(None)
    if kind == "linear":
        if len(shape) > 1:
            raise ValueError(f"it reads features, but maps {_by(shape)} arrive: put a flatten before it")
        return (layer["out_features"],), linear_cost(shape[0], layer["out_features"], layer["bias"]), field
    written = 0 if kind == "dropout" else prod(shape)  # dropout passes on what it gets, once trained
    return shape, Cost(2 * shape[0] if kind == "batch_norm" else 0, 0, written), field


def _maps(shape: Shape) -> Shape:
    if len(shape) == 3:
        return shape
    text = f"it reads maps (channels, height, width), but {shape[0]} features arrive"
    raise ValueError(f"{text}: put it before the flatten")


def _window(layer: Mapping[str, Any], shape: Shape, field: Field) -> tuple[Shape, Cost, Field]:
    channels, height, width = shape
    settings = {name: layer[name] for name in (*PAIRS, "ceil_mode") if name in layer}
    read = read_layer({"op": layer["kind"], "height": height, "width": width, **settings})
    size, window = read.output_shape[1:], read.window
    field = field.seen(window.span, window.stride)
    if layer["kind"] != "conv":
        return (channels, *size), Cost(0, 0, channels * prod(size)), field
    out = layer["out_channels"]
    return (out, *size), conv_cost(channels, out, layer["kernel_size"], size, layer["groups"], layer["bias"]), field


def torch_class(layer: Mapping[str, Any], shape: Shape) -> str:
    """Name of the torch class."""
    return "BatchNorm1d" if layer["kind"] == "batch_norm" and len(shape) == 1 else CLASSES[layer["kind"]]

"""A stack of layers as plain data, and what each of its layers costs. Without torch; the twin of stack.js."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import gcd, prod
from types import MappingProxyType
from typing import Any, NamedTuple

from cnnviz._checks import _flag, _is_whole, _short
from cnnviz.cost import Cost, CostRow, CostTable, Sizes, conv_cost, linear_cost
from cnnviz.geometry import read_layer

Shape = tuple[int, ...]
LAYERS, SIDE, CHANNELS, FEATURES = 100, 256, 4096, 65536  # more of them than a screen, or geometry, can hold
_WINDOW = {"kernel_size": (3, 1, 31), "stride": (1, 1, 16), "padding": (0, 0, 15)}
_POOL = {"kernel_size": (2, 1, 31), "stride": (2, 1, 16), "padding": (0, 0, 15)}
KINDS: dict[str, dict[str, Any]] = {  # setting -> (default, lowest, highest), or a default that is true or false
    "conv": {"out_channels": (16, 1, CHANNELS), **_WINDOW, "groups": (1, 1, CHANNELS), "bias": True},
    "max_pool": _POOL,
    "avg_pool": _POOL,
    "relu": {},
    "batch_norm": {},
    "dropout": {"p": (0.5, 0, 1)},
    "flatten": {},
    "linear": {"out_features": (10, 1, FEATURES), "bias": True},
    "global_avg_pool": {},
}


def default(rule: Any) -> Any:
    """Return what a setting is when nobody says."""
    return rule if isinstance(rule, bool) else rule[0]


def read_stack(layers: Any) -> tuple[Mapping[str, Any], ...]:
    """Check the layers one by one and fill in what they leave out; whether they fit together is not asked.

    Each is a mapping with a kind, or the kind alone: ``{"kind": "conv", "out_channels": 6}`` or ``"relu"``.
    """
    if not isinstance(layers, (list, tuple)) or len(layers) > LAYERS:
        raise ValueError(
            f"layers {_short(layers)} is not a list of at most {LAYERS} layers: use a list such as ['relu']"
        )
    return tuple(_read(at, layer) for at, layer in enumerate(layers))


def _read(at: int, layer: Any) -> Mapping[str, Any]:
    given = {"kind": layer} if isinstance(layer, str) else layer
    kind = given.get("kind") if isinstance(given, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"layer {at}: {_short(kind or layer)} is not known: use {', '.join(KINDS)}")
    rules = KINDS[kind]
    for name in given:
        if name != "kind" and name not in rules:
            raise ValueError(f"layer {at}: {kind} has no {_short(name)}: use {', '.join(rules) or 'no settings'}")
    stride = {"stride": given["kernel_size"]} if kind.endswith("_pool") and "kernel_size" in given else {}
    given = {**stride, **given}  # torch's rule: a pool whose stride is not given steps by its kernel's size
    values = {name: _setting(at, name, given.get(name, default(rule)), rule) for name, rule in rules.items()}
    return MappingProxyType({"kind": kind, **values})


def _setting(at: int, name: str, value: Any, rule: Any) -> Any:
    try:
        if isinstance(rule, bool):
            return _flag(name, value)
        _, lowest, highest = rule
        if name == "p" and type(value) in (int, float) and 0 <= value <= 1:
            return value
        if name != "p" and _is_whole(value, lowest, highest):
            return int(value)
        number = "number" if name == "p" else "whole number"
        raise ValueError(f"{name} {_short(value)} is not a {number} from {lowest} to {highest}")
    except ValueError as error:
        raise ValueError(f"layer {at}: {error}") from None


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


class _Field(NamedTuple):
    size: tuple[int, int] | None = (1, 1)
    jump: int = 1  # windows are square, so both axes step alike

    def seen(self, spans: Iterable[int], stride: int) -> _Field:
        size = tuple(n + (span - 1) * self.jump for n, span in zip(self.size, spans, strict=True))
        return _Field(size, self.jump * stride)


def bill(layers: Iterable[Mapping[str, Any]], input_size: Shape) -> Bill:
    """Follow an input through the stack, until the end or the first layer that cannot take what arrives."""
    shape, field, problem = input_size, _Field(), ""
    rows: list[CostRow] = []
    held, extra, peak = 0, 0, prod(shape)  # values: the layer's input unless it is the network's; of buffers; at most
    for at, layer in enumerate(layers):
        try:
            shape, cost, field = step(layer, shape, field)
        except ValueError as error:
            problem = f"layer {at} ({layer['kind']}): {error}"
            break
        rows.append(CostRow(str(at), _class(layer, shape), shape, *_parts(cost), field.size, inputs=(at - 1,)))
        if layer["kind"] == "batch_norm":
            extra += 8 * shape[0] + 8  # two averages a channel, and a counter
        if cost.activations:
            beside = {"max_pool": 2 * cost.activations, "batch_norm": 2 * shape[0]}  # indices of 8 bytes; averages
            peak = max(peak, prod(input_size) + held + cost.activations + beside.get(layer["kind"], 0))
            held = cost.activations
    params = sum(row.params for row in rows)
    sizes = Sizes(4, 4 * params, extra, 4 * prod(input_size), 4 * peak)
    return Bill(CostTable("Sequential", tuple(rows), sizes=sizes), problem)


def _parts(cost: Cost) -> tuple[int, int, int]:
    return cost.params, cost.macs, cost.activations


def step(layer: Mapping[str, Any], shape: Shape, field: _Field) -> tuple[Shape, Cost, _Field]:
    """Shape, cost and receptive field behind a layer; a `ValueError` says why it cannot take this shape."""
    kind = layer["kind"]
    if kind in ("conv", "max_pool", "avg_pool"):
        return _window(layer, _maps(shape), field)
    if kind == "global_avg_pool":
        channels, *size = _maps(shape)
        return (channels, 1, 1), Cost(0, 0, channels), field.seen(size, 1)
    if kind == "flatten":
        return (prod(shape),), Cost(), _Field(None)
    if kind == "linear":
        if len(shape) > 1:
            raise ValueError(f"it reads features, but maps {by(shape)} arrive: put a flatten before it")
        return (layer["out_features"],), linear_cost(shape[0], layer["out_features"], layer["bias"]), field
    written = 0 if kind == "dropout" else prod(shape)  # dropout passes on what it gets, once trained
    return shape, Cost(2 * shape[0] if kind == "batch_norm" else 0, 0, written), field


def _maps(shape: Shape) -> Shape:
    if len(shape) == 3:
        return shape
    raise ValueError(
        f"it reads maps (channels, height, width), but {shape[0]} features arrive: put it before the flatten"
    )


def _window(layer: Mapping[str, Any], shape: Shape, field: _Field) -> tuple[Shape, Cost, _Field]:
    channels, height, width = shape
    names = ("kernel_size", "stride", "padding")
    state = {"op": layer["kind"], "height": height, "width": width, **{name: layer[name] for name in names}}
    size = read_layer(state).output_shape[1:]
    field = field.seen((layer["kernel_size"],) * 2, layer["stride"])
    if layer["kind"] != "conv":
        return (channels, *size), Cost(0, 0, channels * prod(size)), field
    out, groups = layer["out_channels"], layer["groups"]
    common = gcd(channels, out)
    if common % groups:
        works = ", ".join(str(g) for g in range(1, common + 1) if common % g == 0)
        raise ValueError(f"groups {groups} does not divide {channels} in_channels and {out} out_channels: use {works}")
    return (out, *size), conv_cost(channels, out, layer["kernel_size"], size, groups, layer["bias"]), field


_CLASSES = {
    "conv": "Conv2d", "max_pool": "MaxPool2d", "avg_pool": "AvgPool2d", "relu": "ReLU", "batch_norm": "BatchNorm2d",
    "dropout": "Dropout", "flatten": "Flatten", "linear": "Linear", "global_avg_pool": "AdaptiveAvgPool2d",
}  # fmt: skip


def _class(layer: Mapping[str, Any], shape: Shape) -> str:
    """Name of the torch class."""
    return "BatchNorm1d" if layer["kind"] == "batch_norm" and len(shape) == 1 else _CLASSES[layer["kind"]]


def by(shape: Iterable[int]) -> str:
    """Write a shape as 16x5x5."""
    return "x".join(map(str, shape))

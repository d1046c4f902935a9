"""What a moving kernel can be set to: every setting with its default, how each is read, and which go together.

The rules of the layer itself (sizes, groups, padding of pools) and their texts are geometry's. Plain dictionaries in,
plain dictionaries out: the widget, presets, share strings and torch layers all pass through here.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from cnnviz import geometry, images, kernels
from cnnviz._checks import _by, _either, _flag, _pair, _short, _whole
from cnnviz.geometry import POOLS, Layer, read_layer
from cnnviz.widgets._errors import IllegalLayer, refused
from cnnviz.widgets._torch_code import squeezed
from cnnviz.widgets.sliding_kernel import arrays

State = dict[str, Any]

A1_KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
DEFAULTS: State = {
    "image": arrays.read_picture(images.grid("arithmetic")), "kernel": arrays.read_kernel(A1_KERNEL),
    **geometry.DEFAULTS,
    "kernel_name": "", "angle": 0, "bias": 0, "relu": False,
    "position": 0, "filter": 0, "fill": False, "playing": False, "speed": 2,
    "level": 2, "reveal": 3, "heatmap": False, "predict": "", "guess": "", "square": True, "states": {},
    "shuffle": "", "ink": -1,
}  # fmt: skip
LARGEST_ARRAY = 2**24  # weights or output values: 134 MB as float64, and no picture shows as many
PAIRS = ("kernel_size", "stride", "padding", "dilation", "output_padding")


def read(name: str, value: Any) -> Any:
    """Return `value` as the setting `name` holds it, or refuse it.

    >>> read("kernel_size", [3, 3]), read("stride", (1, 2))
    (3, (1, 2))
    """
    return refused(lambda value: _READERS[name](name, value), value)


def layer_of(state: Mapping[str, Any]) -> Layer:
    """Check that the settings go together, and return the layer that they make."""
    layer = refused(read_layer, state)
    if state["kernel_name"] and layer.weight_shape:
        refused(partial(kernels.named, state["kernel_name"]), layer.weight_shape[2:])
    for what, shape in (("weights", layer.weight_shape), ("output values", layer.output_shape)):
        if math.prod(shape) > LARGEST_ARRAY:
            count = f"{_by(shape, ' x ')} are {math.prod(shape):,} {what}"
            raise IllegalLayer(f"{count}, more than {LARGEST_ARRAY:,}: use fewer filters or a smaller picture")
    return layer


def opening(given: Mapping[str, Any]) -> State:
    """Return the settings of a new widget: the defaults, what is `given`, and the level that shows all of it."""
    state = changed(DEFAULTS, given)
    if "level" not in given:
        state["level"] = (
            3 if max(state["in_channels"], state["filters"], state["groups"]) > 1 or state["shuffle"] else 2
        )
    return settled(state)


def changed(state: Mapping[str, Any], changes: Mapping[str, Any]) -> State:
    """Return the settings after a user's `changes`, with what follows from them; `settled` checks them together.

    A new picture brings its own height, width and channels, a new kernel its own size, filters and channels, unless
    they are given too. A kernel of two axes is used for every filter and channel.
    """
    unknown = [name for name in changes if name not in DEFAULTS]
    if unknown:
        raise TypeError(f"SlidingKernel has no setting {unknown[0]!r}: use {_either(DEFAULTS)}")
    given = {name: read(name, value) for name, value in _spelled_out(changes).items()}
    new = {**state, **given}
    new |= {name: value for name, value in _brought(given, new).items() if name not in given}
    if changes.get("op") == "depthwise":
        new["groups"] = new["in_channels"]
        if new["filters"] % new["in_channels"] or "filters" not in given:
            new["filters"] = new["in_channels"]
    if changes.get("stride", 1) is None:  # torch's default: pools step from window to window
        new["stride"] = new["kernel_size"] if new["op"] in POOLS else 1
    if "square" not in given and any(isinstance(new[name], tuple) for name in PAIRS):
        new["square"] = False
    if "kernel" in given:
        new["kernel"] = _fitting_kernel(given["kernel"], new)
    if given.get("ink", -1) >= new["in_channels"]:
        raise IllegalLayer(f"ink {given['ink']} is not a channel: use 0 to {new['in_channels'] - 1}, or None")
    if isinstance(given.get("bias"), list) and len(given["bias"]) not in (1, new["filters"]):
        count = f"bias has {len(given['bias'])} numbers for {new['filters']} filters"
        raise IllegalLayer(f"{count}: use one each, or one number")
    return new


def settled(state: Mapping[str, Any]) -> State:
    """Return the settings with what follows from the layer (a pool's filters, a real position), or refuse them."""
    layer = layer_of(state)
    filters, height, width = layer.output_shape
    new = {**state, "filters": filters, "groups": layer.groups}
    new["position"] = min(max(state["position"], 0), height * width - 1)
    new["filter"] = min(max(state["filter"], 0), filters - 1)
    new["ink"] = min(state["ink"], layer.in_channels - 1)
    return new


def _spelled_out(changes: Mapping[str, Any]) -> State:
    """Replace what only the constructor and `set` understand."""
    plain = {name: value for name, value in changes.items() if not (name == "stride" and value is None)}
    if plain.get("op") == "depthwise":
        plain["op"] = "conv"
    if isinstance(plain.get("kernel"), str):
        plain["kernel_name"] = plain.pop("kernel")
    if plain.get("divisor_override", 0) is None:
        plain["divisor_override"] = 0
    return plain


def _brought(given: Mapping[str, Any], new: Mapping[str, Any]) -> State:
    """List what a new picture or kernel brings with it."""
    brought: State = {}
    if "kernel" in given:
        first, second, *size = given["kernel"].shape
        brought = {"kernel_size": squeezed(tuple(size)), "kernel_name": "", "angle": 0}
        if (first, second) != (1, 1) and new["op"] == "transposed":
            brought |= {"in_channels": first, "filters": second * new["groups"]}
        elif (first, second) != (1, 1) and new["op"] not in POOLS:
            brought |= {"filters": first, "in_channels": second * new["groups"]}
    if "image" in given:
        channels, height, width = given["image"].shape
        brought |= {"in_channels": channels, "height": height, "width": width}
    return brought


def _fitting_kernel(kernel: np.ndarray, new: Mapping[str, Any]) -> np.ndarray:
    """Repeat a kernel of two axes for every filter and channel; refuse one with other counts than the layer has."""
    channels, filters, groups = new["in_channels"], new["filters"], new["groups"]
    counts = (channels, filters // groups) if new["op"] == "transposed" else (filters, channels // groups)
    too_large = math.prod(counts) * math.prod(kernel.shape[2:]) > LARGEST_ARRAY
    if new["op"] in POOLS or min(counts) == 0 or too_large:  # the last two are refused with the layer
        return kernel
    if kernel.shape[:2] == (1, 1):
        return arrays.frozen(np.broadcast_to(kernel, (*counts, *kernel.shape[2:])))
    if kernel.shape[:2] != counts:
        layer = f"{channels} channels, {filters} filters and groups {groups}"
        works = f"use the shape {(*counts, *kernel.shape[2:])}"
        raise IllegalLayer(f"kernel of shape {kernel.shape} does not fit {layer}: {works}")
    return kernel


def _read_pair(lowest: int) -> Callable[[str, Any], Any]:
    return lambda name, value: squeezed(_pair(name, value, lowest))


def _read_padding(name: str, value: Any) -> Any:
    texts = isinstance(value, str) and value in ("same", "valid")
    return value if texts else squeezed(_pair(name, value, 0, ', "same" or "valid"'))


def _read_whole(lowest: int, highest: int) -> Callable[[str, Any], int]:
    return lambda name, value: _whole(name, value, lowest, highest)


def _read_choice(*choices: str) -> Callable[[str, Any], str]:
    def read_choice(name: str, value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise IllegalLayer(f"{name} {_short(value)} is not known: use {_either(c or chr(34) * 2 for c in choices)}")

    return read_choice


def _read_number(lowest: float, highest: float) -> Callable[[str, Any], float]:
    def read_number(name: str, value: Any) -> float:
        if isinstance(value, numbers.Real) and not isinstance(value, bool) and lowest <= value <= highest:
            return int(value) if isinstance(value, numbers.Integral) else float(value)
        raise IllegalLayer(f"{name} {_short(value)} is not a number from {lowest:g} to {highest:g}")

    return read_number


def _read_bias(name: str, value: Any) -> float | list[float]:
    value = value.detach().cpu().tolist() if hasattr(value, "detach") else getattr(value, "tolist", lambda: value)()
    number = _read_number(-1e30, 1e30)
    if not isinstance(value, list | tuple):
        return number(name, value)
    if not 1 <= len(value) <= arrays.MAX_CHANNELS:
        raise IllegalLayer(f"bias has {len(value)} numbers: use one number, or one for each filter")
    return [number(name, item) for item in value]


def _read_shuffle(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "", False: "off", True: "on"}[value]
    if isinstance(value, str) and value in ("on", "off", ""):
        return value
    raise IllegalLayer(f"{name} {_short(value)} is not known: use True, False, or None for a single layer")


def _read_text(name: str, value: Any) -> str:
    if isinstance(value, str) and len(value) <= 1000:
        return value
    raise IllegalLayer(f"{name} {_short(value)} is not a text of at most 1000 characters")


def _read_states(name: str, value: Any) -> dict[str, str]:
    keys = tuple("123456789")
    if isinstance(value, Mapping) and all(key in keys and isinstance(text, str) for key, text in value.items()):
        return dict(sorted(value.items()))
    raise IllegalLayer(f"{name} {_short(value)} is not understood: use share strings under the keys '1' to '9'")


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "op": _read_choice("conv", "convolve", "transposed", "max_pool", "avg_pool", "depthwise"),
    "image": lambda _, value: arrays.read_picture(value),
    "kernel": lambda _, value: arrays.read_kernel(value),
    "kernel_name": _read_choice(*kernels.names(), ""),
    "angle": _read_number(-36000, 36000),
    "bias": _read_bias,
    "height": _read_whole(1, arrays.MAX_SIDE),
    "width": _read_whole(1, arrays.MAX_SIDE),
    "kernel_size": _read_pair(1),
    "stride": _read_pair(1),
    "padding": _read_padding,
    "dilation": _read_pair(1),
    "output_padding": _read_pair(0),
    "divisor_override": _read_whole(-9999, 9999),
    "position": _read_whole(-(2**31), 2**31),
    "filter": _read_whole(-(2**31), 2**31),
    "speed": _read_number(0.01, 1000),
    "level": _read_whole(1, 3),
    "reveal": _read_whole(0, 3),
    "predict": _read_choice("shape", "cell", ""),
    "guess": _read_text,
    "states": _read_states,
    "shuffle": _read_shuffle,
    "ink": lambda name, value: -1 if value is None else _whole(name, value, -1, arrays.MAX_CHANNELS - 1),
    **dict.fromkeys(("in_channels", "filters", "groups"), _read_whole(1, arrays.MAX_CHANNELS)),
    **dict.fromkeys(("relu", "ceil_mode", "count_include_pad", "fill", "playing", "heatmap", "square"), _flag),
}

"""A torch layer of a user's own model as settings; torch itself is not imported."""

from __future__ import annotations

from typing import Any

from cnnviz._checks import _short
from cnnviz.geometry import POOLS, Window
from cnnviz.widgets._errors import IllegalLayer
from cnnviz.widgets.sliding_kernel import arrays
from cnnviz.widgets.sliding_kernel.code import OPS

_KNOWN = "use an nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d or nn.AvgPool2d"
_SHARED = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "count_include_pad", "divisor_override")


def settings_of(layer: Any, image: Any = None) -> dict[str, Any]:
    """Return the settings that make a widget compute what the layer computes on the image.

    Raises
    ------
    IllegalLayer
        For another kind of layer, a lazy one that has no weights yet, or a padding other than with zeros.
    """
    op = _op_of(layer)
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        raise IllegalLayer(f'padding_mode {_short(layer.padding_mode)} is not shown: only "zeros" is')
    given = {name: getattr(layer, name) for name in _SHARED if hasattr(layer, name)}
    given = {"op": op, **given, "ceil_mode": given.get("ceil_mode", False)}
    if op not in POOLS:
        given |= _weights_of(layer, op)
    if image is None:
        span = max(Window(given["kernel_size"], dilation=given.get("dilation", 1)).span)
        return given | {"height": max(5, span + 2), "width": max(5, span + 2)}
    picture = arrays.read_picture(image)
    if op not in POOLS and len(picture) != layer.in_channels:
        has = f"the image of shape {picture.shape} has {len(picture)}"
        works = f"use an image ({layer.in_channels}, height, width)"
        raise IllegalLayer(f"the layer reads {layer.in_channels} channels, but {has}: {works}")
    given.pop("in_channels", None)
    return given | {"image": picture}


def _op_of(layer: Any) -> str:
    names = [base.__name__ for base in type(layer).__mro__ if base.__module__.partition(".")[0] == "torch"]
    if any(name.startswith("Lazy") for name in names):
        raise IllegalLayer(f"{names[0]} has no weights yet: call it once on a picture, then it becomes {names[0][4:]}")
    for name in names:
        if name in OPS:
            return OPS[name]
    kind = type(layer).__name__
    if kind[-2:] in ("1d", "3d"):
        raise IllegalLayer(f"{kind} does not slide over a picture of rows and columns: {_KNOWN}")
    raise IllegalLayer(f"{kind} is not a layer that slides a window: {_KNOWN}, one layer of your model at a time")


def _weights_of(layer: Any, op: str) -> dict[str, Any]:
    if layer.weight.is_meta:
        raise IllegalLayer(f"{type(layer).__name__} on the meta device has no weights: use a layer on the CPU or GPU")
    given = {"kernel": layer.weight, "in_channels": layer.in_channels, "filters": layer.out_channels}
    given |= {"groups": layer.groups, "bias": 0 if layer.bias is None else layer.bias}
    return given | ({"output_padding": layer.output_padding} if op == "transposed" else {})

"""A stack of sliding layers as plain data: read from what the user has, and walked back from one output unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz._checks import Pair, _by, _either, _short
from cnnviz.geometry import POOLS, Window, read_layer, receptive_field

if TYPE_CHECKING:
    from torch import nn

Layer = Mapping[str, Any]
Stack = tuple[Layer, ...]
Box = tuple[int, int, int, int]  # top, left, rows, columns; beyond the map it is padding
KINDS = ("conv", *POOLS)
LAYERS = 64  # more of them are not drawn
_SETTINGS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_PLACE_BY_PLACE = ("activation", "batchnorm", "dropout")  # modules of torch.nn that look at no neighbour
_END_OF_MAPS = ("Flatten", "Linear", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d")


class Read(NamedTuple):
    """A stack, and what came with it."""

    layers: Stack
    size: Pair | None = None  # of the picture
    module: nn.Module | None = None  # whose gradients are to be measured


def read_any(given: Any) -> list[Read]:
    """Read a preset (one or two stacks), the name of a network, an ``nn.Sequential`` or a list of layers."""
    if hasattr(given, "named_modules"):
        layers, module = from_module(given)
        return [Read(layers, None, module)]
    if not isinstance(given, str):
        return [Read(read_stack(given))]
    if given in PRESETS:
        size, stacks = PRESETS[given]
        return [Read(read_stack(layers), (size, size)) for layers in stacks]
    try:
        return [_network(given)]
    except ValueError as error:
        raise ValueError(f"{error}; or use {', '.join(PRESETS)}") from None


def _network(name: str) -> Read:
    import torch

    from cnnviz import measure, models

    with torch.device("meta"):  # shapes alone: no memory, no random numbers
        layers, _ = from_module(models.create(name))
    return Read(layers, measure.native_size(name)[1:])


def read_stack(layers: Any) -> Stack:
    """Check the layers one by one; each is a Window (a convolution) or a mapping such as ``{"kind": "max_pool"}``."""
    if isinstance(layers, (list, tuple)) and 1 <= len(layers) <= LAYERS:
        return tuple(_read(at, layer) for at, layer in enumerate(layers))
    what = f"{len(layers)} layers" if isinstance(layers, (list, tuple)) else _short(layers)
    raise ValueError(f"{what}: use a list of 1 to {LAYERS} layers, such as [Window(3), Window(3)]")


def _read(at: int, layer: Any) -> Layer:
    given = layer
    if isinstance(layer, Window):
        kind = "max_pool" if layer.ceil_mode else "conv"  # only pools have a ceil_mode
        given = {"kind": kind, **{name: getattr(layer, name) for name in _SETTINGS}}
    kind = given.get("kind") if isinstance(given, Mapping) else given
    if kind not in KINDS or not isinstance(given, Mapping):
        raise ValueError(
            f"layer {at}: {_short(kind)} is not known: use a Window, or a mapping of kind {_either(KINDS)}"
        )
    unknown = given.keys() - {"kind", *_SETTINGS}
    if unknown:
        raise ValueError(f"layer {at}: {kind} has no {_short(min(unknown))}: use {', '.join(_SETTINGS)}")
    size = given.get("kernel_size", 2 if kind in POOLS else 3)
    stride = {"stride": size} if kind in POOLS else {}  # torch's rule: a pool steps by its own size
    try:
        window = Window(**{"kernel_size": size, **stride, **{name: given[name] for name in given if name != "kind"}})
    except ValueError as error:
        raise ValueError(f"layer {at}: {error}") from None
    return MappingProxyType({"kind": kind, **{name: _plain(getattr(window, name)) for name in _SETTINGS}})


def _plain(value: Any) -> Any:
    """A pair of equal numbers as one; the JSON that travels to the view."""
    if isinstance(value, tuple):
        return value[0] if value[0] == value[1] else list(value)
    return value


def window(layer: Layer) -> Window:
    """Return the layer's geometry."""
    pairs = {n: tuple(v) if isinstance(v, list) else v for n, v in layer.items() if n != "kind"}
    return Window(**pairs)


def words(layer: Layer) -> str:
    """Write a layer in a few signs: conv 3x3 /2 p1 d2."""
    marks = (("stride", "/", 1), ("padding", "p", 0), ("dilation", "d", 1))
    more = [mark + _by(layer[name]) for name, mark, plain in marks if layer[name] != plain]
    more += ["ceil"] if layer["ceil_mode"] else []
    return " ".join([layer["kind"].replace("_", " "), _by(window(layer).kernel_size), *more])


def maps(stack: Stack, input_size: Pair) -> list[Pair]:
    """Sizes of the picture and of the map behind each layer; a ValueError names the layer that cannot take it."""
    sizes = [tuple(input_size)]
    for at, layer in enumerate(stack):
        height, width = sizes[-1]
        try:
            state = {**layer, "op": layer["kind"], "height": height, "width": width}
            sizes.append(read_layer(state).output_shape[1:])
        except ValueError as error:
            raise ValueError(f"layer {at}: {error}") from None
    return sizes


def boxes(stack: Stack, unit: Pair) -> list[Box]:
    """On the picture and on each map, the rows and columns between which lies all that the unit depends on."""
    windows = [window(layer) for layer in stack]
    fields = [receptive_field(windows[at:]) for at in range(len(windows) + 1)]
    return [(*(s + i * j for s, i, j in zip(f.start, unit, f.jump, strict=True)), *f.size) for f in fields]


def ways(stack: Stack, sizes: Sequence[Pair], unit: Pair) -> list[tuple[np.ndarray, np.ndarray]]:
    """On the picture and on each map, over how many ways each row, and each column, reaches the unit.

    The geometry separates, so a pixel has (ways of its row) times (ways of its column); 0: the unit does not see it.
    """
    found = [tuple(np.eye(n)[at] for n, at in zip(sizes[-1], unit, strict=True))]
    for layer, (height, width) in zip(reversed(stack), reversed(sizes[:-1]), strict=True):
        tables = window(layer).rows(height), window(layer).cols(width)
        found.append(tuple(_back(*axis) for axis in zip(tables, (height, width), found[-1], strict=True)))
    return found[::-1]


def _back(table: np.ndarray, size: int, reached: np.ndarray) -> np.ndarray:
    inside = (table >= 0) & (table < size)
    return np.bincount(table[inside], np.repeat(reached, table.shape[1])[inside.ravel()], size)


# ---- torch modules -------------------------------------------------------------------------------------------------


def from_module(module: nn.Module) -> tuple[Stack, nn.Module]:
    """Read the layers of an ``nn.Sequential``, or of a network's `features`, up to where the maps end.

    Also returns the part of the module that was read.
    """
    from torch import nn

    start = module if isinstance(module, nn.Sequential) else getattr(module, "features", None)
    if not isinstance(start, nn.Sequential):
        name = type(module).__name__
        raise ValueError(f"{name} is no nn.Sequential and has none called features: give its layers, and model={name}")
    layers, kept = [], []
    for part in _leaves(start):
        kind = type(part).__name__
        if kind in _END_OF_MAPS:
            break
        kept.append(part)
        if kind in ("Conv2d", "MaxPool2d", "AvgPool2d"):
            layers.append(_plain_layer(part, kind))
        elif (
            kind not in ("Identity", "LocalResponseNorm")
            and type(part).__module__.split(".")[-1] not in _PLACE_BY_PLACE
        ):
            raise ValueError(
                f"{kind} is no layer that slides alone (a branch, a skip?): give the layers, and model=..."
            )
    return read_stack(layers), nn.Sequential(*kept)


def _leaves(module: nn.Module) -> list[nn.Module]:
    parts = module.children() if type(module).__name__ == "Sequential" else None
    return [module] if parts is None else [leaf for part in parts for leaf in _leaves(part)]


def _plain_layer(part: nn.Module, kind: str) -> dict[str, Any]:
    if getattr(part, "padding_mode", "zeros") != "zeros":
        raise ValueError(
            f'padding_mode "{part.padding_mode}" repeats pixels of the picture: only zeros are followed here'
        )
    settings = {name: getattr(part, name) for name in _SETTINGS if hasattr(part, name)}
    return {"kind": {"Conv2d": "conv", "MaxPool2d": "max_pool", "AvgPool2d": "avg_pool"}[kind], **settings}


# ---- to start from -------------------------------------------------------------------------------------------------

_CONV, _PADDED, _POOL = {"kind": "conv"}, {"kind": "conv", "padding": 1}, {"kind": "max_pool"}
_LARGE = {size: {"kind": "conv", "kernel_size": size} for size in (5, 7, 11)}
PRESETS: dict[str, tuple[int, list[list[dict[str, Any]]]]] = {  # picture, stacks
    "two 3x3 against one 5x5": (14, [[_CONV] * 2, [_LARGE[5]]]),
    "three 3x3 against one 7x7": (16, [[_CONV] * 3, [_LARGE[7]]]),
    "five 3x3 against one 11x11": (20, [[_CONV] * 5, [_LARGE[11]]]),
    "a pool, then the same": (20, [[_CONV, _POOL, _CONV, _CONV], [_CONV, _CONV, _CONV]]),
    "dilation 1, 2, 4": (24, [[{"kind": "conv", "dilation": d} for d in (1, 2, 4)], [_CONV] * 3]),
    # Simonyan and Zisserman, arXiv 1409.1556, table 1, column D, up to conv5_3
    "VGG-16": (224, [[layer for n in (2, 2, 3, 3, 3) for layer in [*[_PADDED] * n, _POOL]][:-1]]),
}

"""What each layer makes of a picture: its feature maps. Private; `cnnviz.inside` is the public face."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import _by, _short
from cnnviz.inside._layers import as_batch, called, convolutions, find_layer, fitted, looking, quiet
from cnnviz.inside._pictures import SIGNS, Group, Pictures

MOST_LAYERS = 24  # that a walk draws whole
MOST_MAPS = 16  # of each layer of a walk
NUMBERS = 48  # in a row, of a layer with one number a channel
DULL = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Sequential)  # by themselves they change nothing


def feature_maps(
    model: nn.Module, picture: Any, layer: str | nn.Module | None = None, among: Iterable[Any] | None = None
) -> Pictures:
    """Show the maps that a layer, or each layer in turn, makes of a picture.

    A channel gets a cross when it is dead: its map is the same number everywhere, as behind a ReLU that never opens.
    On a single picture a channel may be silent only because what it looks for is not there: `among` tells these apart.

    Parameters
    ----------
    model
        Any torch network of pictures; it is left as it was.
    picture
        ``(C, H, W)`` or ``(H, W)``, values as the network was trained on. What does not fit is converted, with a
        warning that says so.
    layer
        A layer, by name or itself; None: a walk through all layers that make maps. A layer that runs more than once is
        shown as it ran last.
    among
        Further pictures: a channel is dead only if it is silent for these as well.

    Returns
    -------
    Pictures
        `values` (C, h, w), or for a walk a dict of them by layer; `dead`, the numbers of the dead channels, likewise.
        One scale a layer: white is zero where no map is negative.

    Raises
    ------
    ValueError
        For a picture that cannot be made to fit, and for a layer that is not there or makes no maps.

    Examples
    --------
    >>> import torch
    >>> from cnnviz import inside, models
    >>> net = models.create("lenet5")
    >>> inside.feature_maps(net, torch.zeros(1, 32, 32), "features.3").values.shape
    (16, 10, 10)
    >>> list(inside.feature_maps(net, torch.zeros(1, 32, 32)).values)[:3]
    ['features.0', 'features.1', 'features.2']
    """
    convolutions(model)  # refuses a network without
    batch, net = as_batch(picture, model), quiet(model)
    found = walk(net, batch, find_layer(model, layer, nn.Module)[0] if layer is not None else None)
    dead = {name: constant(maps[0]) for name, maps in found.items()}
    others = [] if among is None else list(among)
    for other in others:
        again = walk(net, fitted(other, model)[0], None if layer is None else next(iter(found)))
        dead = {name: numbers & constant(again[name][0]) for name, numbers in dead.items()}
    values = {name: maps[0].cpu().numpy() for name, maps in found.items()}
    marked = {name: sorted(numbers) for name, numbers in dead.items()}
    given, where = as_group(batch[0].float().cpu().numpy()), "" if others else " here"
    if layer is not None:
        (name,) = values
        group = drawn(name, values[name], marked[name], len(values[name]), where)
        return Pictures(values[name], f"maps of {name}", given, group, dead=marked[name])
    groups = [drawn(name, values[name], marked[name], MOST_MAPS, where) for name in _shown(net, list(values))]
    return Pictures(values, f"maps of {called(model)}", given, *groups, dead=marked)


def as_group(picture: np.ndarray) -> Group:
    """Return a picture ``(C, H, W)`` as it is given: in colour, in grey, or channel by channel."""
    tiles = [picture] if len(picture) == 3 else picture
    return Group(tiles, f"the picture: {_by(picture.shape, ' x ')}", "picture", columns=max(8, len(tiles)))


def walk(net: nn.Module, batch: Tensor, layer: str | None = None) -> dict[str, Tensor]:
    """Return the maps ``(N, C, h, w)`` of each layer of a `quiet` network in the order of the pass, or of one layer."""
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4:
            found[name] = output.detach().float().clone()  # the next layer may work in place

    parts = (name for name, part in net.named_modules() if not list(part.children()) and not isinstance(part, DULL))
    with looking(net, parts if layer is None else [layer], keep), torch.no_grad():
        net(batch)
    if layer is not None and not found:
        raise ValueError(f"layer {_short(layer)} of {called(net)} makes no maps (N, C, H, W): use a layer before it")
    if not found:
        raise ValueError(f"no layer of {called(net)} makes maps (N, C, H, W)")
    return found


def constant(maps: Tensor) -> set[int]:
    """Return the numbers of the maps that are the same everywhere; a map of one number is dead when that is zero."""
    flat = maps.flatten(1)
    still = flat.amin(1) == flat.amax(1) if flat.shape[1] > 1 else flat[:, 0] == 0
    return set(still.nonzero()[:, 0].tolist())


def drawn(name: str, maps: np.ndarray, dead: list[int], most: int, where: str = "") -> Group:
    """Return a layer's first maps as a group, with what there is to say of them."""
    signed = bool((maps < 0).any())
    channels, *size = maps.shape
    numbers = size == [1, 1]  # one number a channel: small squares do
    most = NUMBERS * 10 if numbers else most
    parts = [
        f"{name}: {channels} " + ("numbers" if numbers else f"map{'s' * (channels != 1)} of {_by(size, ' x ')}"),
        f"the first {most} shown" * (channels > most),
        f"{len(dead)} dead{where}" * bool(dead),
        SIGNS if signed else f"white zero, dark {maps.max():.3g}",
    ]
    columns = (
        NUMBERS if numbers else 12 if channels <= 12 else MOST_MAPS if min(channels, most) <= 8 * MOST_MAPS else None
    )
    palette = "signed" if signed else "heat"
    crossed = [n for n in dead if n < most]
    return Group(maps[:most], ", ".join(filter(None, parts)), palette, crossed=crossed, columns=columns)


def _shown(net: nn.Module, names: list[str]) -> list[str]:
    """Of a long walk only layers without weights, which stand behind those with them; evenly spread if still many."""
    if len(names) <= MOST_LAYERS:
        return names
    plain = [name for name in names if next(net.get_submodule(name).parameters(), None) is None] or names
    return [plain[n] for n in np.unique(np.linspace(0, len(plain) - 1, MOST_LAYERS).round().astype(int))]

"""What a convolution looks for: its kernels as pictures. Private; `cnnviz.inside` is the public face."""

from __future__ import annotations

import numpy as np
from torch import nn

from cnnviz._checks import _short
from cnnviz.inside._layers import convolutions, find_layer, listed
from cnnviz.inside._pictures import SIGNS, Group, Pictures

MOST = 16  # of a deep layer: its strongest filters, and as many of the channels that they read
TITLED = 32  # more filters than this get no words: they are too small


def filters(of: nn.Module, layer: str | nn.Module | None = None) -> Pictures:
    """Show the kernels of a convolution, the strongest filter first.

    A layer that reads one channel or three is shown whole, three in colour (grey is zero). Of a deeper layer each
    column is a filter and each row a channel that it reads; of a wide one the strongest 16 of both are drawn.

    Parameters
    ----------
    of
        The convolution, or a network.
    layer
        The network's layer, by name or itself; None: its first convolution.

    Returns
    -------
    Pictures
        `values` (filters, channels, h, w), strongest first; `order`, which filters these are; `norms`, their Euclidean
        norms. One scale for all kernels, its middle (white, or grey in colour) at zero.

    Raises
    ------
    ValueError
        When the layer is no convolution over pictures, or the network has none.

    Examples
    --------
    >>> from cnnviz import inside, models
    >>> inside.filters(models.create("lenet5"))
    filters of features.0, strongest first: 6 x 1 x 5 x 5
    """
    name, convolution = _convolution(of, layer)
    weights = convolution.weight.detach().float().cpu().numpy()
    if isinstance(convolution, nn.ConvTranspose2d):  # torch keeps (in, out / groups, h, w)
        groups, (inputs, outputs, *size) = convolution.groups, weights.shape
        parts = weights.reshape(groups, inputs // groups, outputs, *size)
        weights = parts.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, *size)
    norms = np.sqrt(np.square(weights).sum((1, 2, 3)))
    order = np.argsort(-norms, kind="stable")
    weights, norms = weights[order], norms[order]
    group = _whole(weights, order, norms) if weights.shape[1] in (1, 3) else _by_channel(weights, order)
    about = f"filters of {name}, strongest first" if name else "filters, strongest first"
    return Pictures(weights, about, group, order=order.tolist(), norms=norms)


def _convolution(of: nn.Module, layer: str | nn.Module | None) -> tuple[str, nn.Module]:
    """Return the name and the layer; a convolution may be given alone."""
    kinds = nn.Conv2d, nn.ConvTranspose2d
    if isinstance(of, kinds):
        name = ""
    elif layer is not None:
        name, of = find_layer(of, layer, kinds if isinstance(layer, nn.ConvTranspose2d) else nn.Conv2d)
    elif isinstance(of, nn.Module) and not list(of.children()):
        raise ValueError(f"{_short(of)} is not a convolution: use an nn.Conv2d, or a network and a layer's name")
    else:
        name, of = find_layer(of, convolutions(of)[0])
    if nn.parameter.is_lazy(of.weight):
        raise ValueError(f"{_short(of)} has no weights yet: run a picture through the network first")
    return name, of


def _whole(weights: np.ndarray, order: np.ndarray, norms: np.ndarray) -> Group:
    few = len(order) <= TITLED
    titles = [f"{n}: {norm:.2f}" for n, norm in zip(order, norms, strict=True)] if few else ()
    heading = f"{len(order)} filters" + (", number and norm below each" if few else f" of norm {_range(norms)}")
    heading += ", grey is zero" if weights.shape[1] == 3 else f", {SIGNS}"
    return Group([one if len(one) == 3 else one[0] for one in weights], heading, titles=titles)


def _by_channel(weights: np.ndarray, order: np.ndarray) -> Group:
    """A column for each of the strongest filters, a row for each of the channels that matter most to the layer."""
    count, channels = weights.shape[:2]
    strongest = np.argsort(-np.square(weights).sum((0, 2, 3)), kind="stable")[:MOST]
    kept = np.sort(strongest)
    tiles = [weights[column, row] for row in kept for column in range(min(count, MOST))]
    columns = f"columns: filters {listed(order[:MOST])}{f' of {count}' if count > MOST else ''}"
    rows = f"rows: channels {listed(kept)}{f' of {channels}' if channels > MOST else ''}"
    return Group(tiles, f"{columns}\n{rows}, {SIGNS}", columns=min(count, MOST))


def _range(norms: np.ndarray) -> str:
    return f"{norms[0]:.2f} to {norms[-1]:.2f}"

"""The pieces of the data that excite a channel most. Private; `cnnviz.inside` is the public face.

As in Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4: each picture
gives its one strongest place, and is cut at what the unit there sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import _by, _short, _whole
from cnnviz.inside._layers import as_batch, find_channel, find_layer, fitted, looking, quiet
from cnnviz.inside._maps import walk
from cnnviz.inside._pictures import Group, Pictures
from cnnviz.measure._fields import Field
from cnnviz.measure._recorder import Recorder, _key

AT_ONCE = 64  # pictures
FLOATS = (torch.float32, torch.float64, np.dtype("float32"), np.dtype("float64"))


def top_patches(model: nn.Module, pictures: Any, layer: str | nn.Module, channel: int, k: int = 9) -> Pictures:
    """Show the pieces of the pictures at which a channel is strongest, at most one of each picture.

    Parameters
    ----------
    model
        Any torch network of pictures; it is left as it was.
    pictures
        ``(N, C, H, W)``, a list of pictures, or what `load` returned: its training pictures.
    layer
        A layer that makes maps, by name or itself.
    channel
        Which of its maps.
    k
        How many pieces.

    Returns
    -------
    Pictures
        `values` (k, C, h, w), strongest first, each as large as the unit's receptive field and NaN outside the picture
        (where a unit sees more than the picture, the whole picture);
        `places`, for each (number of the picture, row and column of the unit in the map); `boxes`, (top, left, height,
        width) in the picture; `strengths`, what the channel says there.

    Raises
    ------
    ValueError
        For a layer that is not there or makes no maps, a channel that it does not have, or no pictures.

    Examples
    --------
    >>> from cnnviz import inside, load, models
    >>> digits = load("digits")
    >>> patches = inside.top_patches(models.create("lenet5"), digits, "features.3", channel=5)
    >>> patches, patches.boxes[0][2:]
    (what excites channel 5 of features.3 most: 9 x 1 x 14 x 14, (14, 14))
    """
    name, _ = find_layer(model, layer, nn.Module)
    pictures = getattr(pictures, "train_x", pictures)
    if isinstance(pictures, (str, nn.Module)) or not hasattr(pictures, "__len__") or not len(pictures):
        raise ValueError(f"pictures {_short(pictures)} are none: use a tensor (N, C, H, W), or what load returned")
    first = as_batch(pictures[0], model)  # says what it had to change
    net = quiet(model)
    channel = find_channel(name, channel, walk(net, first, name)[name].shape[1])
    k = min(_whole("k", k, 1, 100), len(pictures))
    strengths, units = zip(*strongest(net, _batches(pictures, model, first), name, channel), strict=True)
    order = torch.stack(strengths).argsort(descending=True, stable=True)[:k].tolist()
    field = fields_of(net, first, [name])[name]
    boxes = [box_of(field, units[n], first.shape[2:]) for n in order]
    shown = [fitted(pictures[n], model)[0][0].float().cpu().numpy() for n in order]
    tiles = np.stack([cut(picture, box) for picture, box in zip(shown, boxes, strict=True)])
    values = [float(strengths[n]) for n in order]
    sees = f"it sees {_by(field.size, ' x ')}" if field else "it sees all"
    heading = f"channel {channel} of {name} in {len(pictures)} pictures; {sees}; picture and strength below each"
    titles = [f"{n}: {value:.3g}" for value, n in zip(values, order, strict=True)]
    group = Group([tile if len(tile) == 3 else tile[0] for tile in tiles], heading, "picture", titles, columns=9)
    facts = {"places": [(n, *units[n]) for n in order], "boxes": boxes, "strengths": values}
    return Pictures(tiles, f"what excites channel {channel} of {name} most", group, **facts)


def strongest(net: nn.Module, batches: Iterator[Tensor], name: str, channel: int) -> Iterator[tuple[Tensor, tuple]]:
    """Yield for each picture how strong the channel is at most, and the unit where."""
    for batch in batches:
        maps = walk(net, batch, name)[name][:, channel]
        for values, at in zip(*maps.flatten(1).max(1), strict=True):
            yield values.cpu(), divmod(int(at), maps.shape[2])


def fields_of(net: nn.Module, batch: Tensor, names: list[str]) -> dict[str, Field | None]:
    """Return what units of layers see of the picture; None where that is no box that moves along with the unit."""
    recorder, found = Recorder(net, "", 1, {}), dict.fromkeys(names)
    recorder.take_inputs((batch,))

    def look(name: str, output: Any) -> None:
        found[name] = recorder._traced.get(_key(output), (0, None))[1]

    with looking(net, names, look), torch.no_grad(), recorder, recorder.watching():
        net(batch)
    return found


def box_of(field: Field | None, unit: tuple[int, int], size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of what a unit sees, at most a whole side; it may reach over an edge."""
    corner, sides = [0, 0], list(size)
    for axis in (0, 1) if field else ():
        if field.size[axis] < size[axis]:
            corner[axis] = field.start[axis] + unit[axis] * field.jump[axis]
            sides[axis] = field.size[axis]
    return *corner, *sides


def cut(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Cut a box out of a picture ``(C, H, W)``; NaN where there is no picture.

    >>> cut(np.ones((1, 2, 2)), (-1, 0, 2, 2))
    array([[[nan, nan],
            [ 1.,  1.]]])
    """
    top, left, height, width = box
    piece = np.full((len(picture), height, width), np.nan, picture.dtype)
    inside = picture[:, max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    down, across = max(-top, 0), max(-left, 0)
    piece[:, down : down + inside.shape[1], across : across + inside.shape[2]] = inside
    return piece


def _batches(pictures: Any, model: nn.Module, first: Tensor) -> Iterator[Tensor]:
    for at in range(0, len(pictures), AT_ONCE):
        yield torch.cat([fit(pictures[n], model, first) for n in range(at, min(at + AT_ONCE, len(pictures)))])


def fit(picture: Any, model: nn.Module, first: Tensor) -> Tensor:
    """Return a picture as a batch of one that the network takes; of numbers and size of the first it needs no look."""
    if getattr(picture, "dtype", None) in FLOATS and picture.shape == first.shape[1:]:
        return torch.as_tensor(picture).to(first)[None]
    return fitted(picture, model)[0]

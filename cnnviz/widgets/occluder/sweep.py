"""The probabilities for every place of a square over a picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import Pair

AT_ONCE = 256  # pictures in a batch


def places(length: int, size: int, step: int) -> int:
    """Return how many places a square has along one side; it never leaves the picture.

    >>> places(32, size=8, step=1), places(64, size=8, step=2)
    (25, 29)
    """
    return (length - size) // step + 1


def sweep(net: nn.Module, picture: Tensor, shade: Tensor, size: Pair, step: int) -> np.ndarray:
    """Return the probabilities ``(rows, columns, classes)`` with the square at each place.

    Parameters
    ----------
    net
        In evaluation mode.
    picture
        ``(C, H, W)``.
    shade
        What the square is filled with, ``(C,)``.
    size
        Of the square, height and width.
    step
        Pixels from one place to the next.

    Examples
    --------
    >>> ink = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> sweep(ink, torch.ones(1, 4, 4), torch.zeros(1), (2, 2), step=1).shape
    (3, 3, 2)
    """
    rows, columns = (places(length, side, step) for length, side in zip(picture.shape[1:], size, strict=True))
    corners = [(step * row, step * column) for row in range(rows) for column in range(columns)]
    found = []
    with torch.no_grad():
        for first in range(0, len(corners), AT_ONCE):
            some = corners[first : first + AT_ONCE]
            batch = picture.repeat(len(some), 1, 1, 1)
            for covered, (top, left) in zip(batch, some, strict=True):
                covered[:, top : top + size[0], left : left + size[1]] = shade[:, None, None]
            found.append(net(batch).float().softmax(1))
    return torch.cat(found).cpu().numpy().reshape(rows, columns, -1)

"""The probabilities for every place of a square over some pictures: coarse first, then at every place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from cnnviz._checks import Pair

VALUES = 256 * 32 * 32  # pixels in a batch: more would need the memory of a small machine for the maps
COARSE = 4  # the first pass goes to one place in so many, along each side


def corners(shape: Iterable[int], size: int, step: int) -> list[list[Pair]]:
    """Return a square's places row by row, each its upper left corner; it never leaves the picture.

    >>> corners((5, 4), size=2, step=2)
    [[(0, 0), (0, 2)], [(2, 0), (2, 2)]]
    """
    down, across = (range(0, length - size + 1, step) for length in shape)
    return [[(row, column) for column in across] for row in down]


def look(
    net: nn.Module,
    picture: Tensor,
    shade: Tensor,
    size: int,
    places: list[list[Pair]],
    told: Callable[[int], object] = lambda places: None,
) -> np.ndarray:
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
        Side of the square.
    places
        As `corners` lists them.
    told
        Is called with the number of places after each batch.

    Examples
    --------
    >>> ink = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> look(ink, torch.ones(1, 4, 4), torch.zeros(1), 2, corners((4, 4), 2, step=1)).shape
    (3, 3, 2)
    """
    listed = [place for row in places for place in row]
    at_once = max(1, VALUES // picture[0].numel())
    found = []
    for first in range(0, len(listed), at_once):
        some = listed[first : first + at_once]
        batch = picture.repeat(len(some), 1, 1, 1)
        for covered, (top, left) in zip(batch, some, strict=True):
            covered[:, top : top + size, left : left + size] = shade[:, None, None]
        with torch.no_grad():
            found.append(net(batch).float().softmax(1))
        told(len(some))
    return torch.cat(found).cpu().numpy().reshape(len(places), len(places[0]), -1)


class Rest(Exception):
    """Nobody waits for the rest any more."""


class Sweeps:
    """The tables of some pictures, computed piece by piece by whoever asks: a thread, or somebody who needs them now.

    Attributes
    ----------
    found
        For each picture the step between its places so far, and a table ``(rows, columns, classes)`` for each size.
    """

    def __init__(self, net: nn.Module, pictures: Tensor, shades: Tensor, sizes: list[int], step: int) -> None:
        self.net: nn.Module | None = net
        self.pictures, self.shades, self.sizes, self.step = pictures, shades, sizes, step
        self._lock = threading.Lock()
        steps, numbers = (COARSE * step, step), range(len(pictures))
        self.left = tuple((number, wide) for wide in steps for number in numbers)
        self._total = len(numbers) * sum(self._places(wide) for wide in steps)
        self._looked = 0
        corner = [{side: self.at(number, side, (0, 0))[None, None] for side in sizes} for number in numbers]
        self.found = [(steps[0], tables) for tables in corner]

    def at(self, number: int, side: int, place: Pair) -> np.ndarray:
        """Return the probabilities ``(classes,)`` at a place, at once also where the tables are not there yet."""
        net = self.net  # read first: it goes when nothing is left
        if self.fine(number):
            return self.found[number][1][side][place[0] // self.step, place[1] // self.step]
        return look(net, self.pictures[number], self.shades[number], side, [[place]])[0, 0]

    def extent(self, side: int) -> Pair:
        """Return how many rows and columns of places there are in the end."""
        places = corners(self.pictures.shape[2:], side, self.step)
        return len(places), len(places[0])

    def fine(self, number: int) -> bool:
        """Whether all places of a picture are there."""
        return all(one != number for one, _ in self.left)

    @property
    def share(self) -> float:
        """How much of all is done, from 0 to 1."""
        return self._looked / self._total

    def more(self, first: int, told: Callable[[], object] = lambda: None) -> bool:
        """Compute the next tables, coarse before fine and of the picture `first` before others; False: all are there.

        `told` is called after each batch, and may raise `Rest`.
        """
        with self._lock:
            if not self.left:
                return False
            number, step = unit = min(self.left, key=lambda unit: (-unit[1], unit[0] != first))
            before = self._looked

            def count(places: int) -> None:
                self._looked += places
                told()

            shape, shade = self.pictures.shape[2:], self.shades[number]
            try:
                tables = {
                    side: look(self.net, self.pictures[number], shade, side, corners(shape, side, step), count)
                    for side in self.sizes
                }
            except BaseException:
                self._looked = before
                raise
            self.found[number] = (step, tables)
            self.left = tuple(one for one in self.left if one != unit)
            if not self.left:
                self.net = None  # a notebook's Out holds the widget, and need not hold a network
            return True

    def _places(self, step: int) -> int:
        places = (corners(self.pictures.shape[2:], side, step) for side in self.sizes)
        return sum(len(rows) * len(rows[0]) for rows in places)

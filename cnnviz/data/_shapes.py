"""Ten coloured shapes at random places, drawn from a seed. Private."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, from_numpy

from cnnviz._checks import _number, _short, _whole

Field = np.ndarray  # (H, W)


def _plus(u: Field, v: Field) -> Field:
    return np.minimum(np.maximum(u - 1, v - 0.3), np.maximum(u - 0.3, v - 1))


def _cross(u: Field, v: Field) -> Field:
    return _plus(np.abs(u + v) / np.sqrt(2), np.abs(u - v) / np.sqrt(2))


# name -> signed distance from the outline, below 0 inside, at |u| across and |v| down from the middle, in radii
_MIRRORED: dict[str, Callable[[Field, Field], Field]] = {
    "disc": lambda u, v: np.hypot(u, v) - 1,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.75) - 0.25,
    "square": lambda u, v: np.maximum(u, v) - 0.85,
    "frame": lambda u, v: np.abs(np.maximum(u, v) - 0.65) - 0.2,
    "diamond": lambda u, v: (u + v - 1.1) / np.sqrt(2),
    "plus": _plus,
    "cross": _cross,
    "bar": lambda u, v: np.maximum(u - 1, v - 0.3),
    "post": lambda u, v: np.maximum(u - 0.3, v - 1),
}
NAMES = (*_MIRRORED, "triangle")


def _distance(name: str, u: Field, v: Field) -> Field:
    if name == "triangle":  # on its base: the only one that is not its own mirror image
        return np.maximum(v - 0.8, (2 * np.abs(u) - v - 1) / np.sqrt(5))
    return _MIRRORED[name](np.abs(u), np.abs(v))


def shapes(
    number: int, size: int = 64, across: float | tuple[float, float] = (7, 60), seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one coloured shape a picture, of any size, and say how large each is.

    Parameters
    ----------
    number
        How many pictures; as many of each of the ten shapes as of any other.
    size
        Pixels a side.
    across
        Pixels across the smallest and the largest disc, with as many shapes in each octave between; the other shapes
        are about as large. One number for one size: the same seed then draws the same shapes, larger or smaller.
    seed
        Of everything drawn at random.

    Returns
    -------
    pictures, labels, across
        ``(number, 3, size, size)`` from 0 to 1; the places of the shapes in ``load("shapes").classes``; and pixels.

    Raises
    ------
    ValueError
        When a number is out of range or a shape would not fit.

    Examples
    --------
    >>> pictures, labels, across = shapes(20, size=32, across=(8, 30))
    >>> pictures.shape, bool(across.min() >= 8), bool(across.max() <= 30)
    (torch.Size([20, 3, 32, 32]), True, True)
    """
    _whole("size", size, 8, 512)
    _whole("number", number, 1, 10**9 // (12 * size * size))
    least, most = _ends(across, size)
    generator = np.random.default_rng(_whole("seed", seed, 0, 2**32 - 1))
    diameter = np.exp(generator.uniform(math.log(least), math.log(most), (number, 1, 1)))
    pictures, labels = draw(number, size, generator, diameter / 2)
    return from_numpy(pictures), from_numpy(labels), from_numpy(diameter[:, 0, 0])


def _ends(across: Any, size: int) -> tuple[float, float]:
    pair = tuple(across) if isinstance(across, (tuple, list)) else (across, across)
    if len(pair) != 2:
        raise ValueError(f"across {_short(across)}: use a number of pixels, or two, the least and the most")
    least, most = (_number("across", value, least=2) for value in pair)
    if not least <= most <= size:
        raise ValueError(f"across {_short(across)}: use two numbers from 2 to the picture's {size}, the smaller first")
    return least, most


def draw(
    number: int, size: int, generator: np.random.Generator, radius: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (number, 3, size, size) from 0 to 1 and their labels, as many of each shape as of any other."""
    labels = generator.permutation(np.arange(number) % len(NAMES))
    if radius is None:
        radius = generator.uniform(0.13, 0.22, (number, 1, 1)) * size
    down, across = generator.uniform(radius, size - radius, (2, number, 1, 1))
    dark, light = generator.uniform((0, 0.55), (0.45, 1), (number, 3, 2)).transpose(2, 0, 1)
    swapped = generator.random((number, 1)) < 0.5
    paper, colour = (side[..., None, None] for side in (np.where(swapped, light, dark), np.where(swapped, dark, light)))
    x, middle = np.empty((number, 3, size, size), np.float32), np.arange(size) + 0.5
    for i in range(number):  # one at a time: whole arrays of doubles would take ten times the room of the result
        u, v = np.meshgrid((middle - across[i, 0, 0]) / radius[i, 0, 0], (middle - down[i, 0, 0]) / radius[i, 0, 0])
        ink = np.clip(0.5 - _distance(NAMES[labels[i]], u, v) * radius[i], 0, 1)  # smooth over one pixel
        noise = generator.normal(0, 0.03, x.shape[1:])
        x[i] = np.clip(paper[i] + (colour[i] - paper[i]) * ink + noise, 0, 1)
    return x, labels

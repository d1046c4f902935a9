"""Ten coloured shapes at random places, drawn from a seed. Private."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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


def draw(number: int, size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (number, 3, size, size) from 0 to 1 and their labels, as many of each shape as of any other."""
    labels = generator.permutation(np.arange(number) % len(NAMES))
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

"""Ten coloured shapes at random places, drawn from a seed. Private."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Field = np.ndarray  # (N, H, W)


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
    middle = np.arange(size) + 0.5
    u, v = np.broadcast_arrays((middle[None, None, :] - across) / radius, (middle[None, :, None] - down) / radius)
    ink = np.empty((number, size, size))
    for label, name in enumerate(NAMES):
        these = labels == label
        ink[these] = np.clip(0.5 - _distance(name, u[these], v[these]) * radius[these], 0, 1)  # smooth over one pixel
    dark, light = generator.uniform((0, 0.55), (0.45, 1), (number, 3, 2)).transpose(2, 0, 1)
    swapped = generator.random((number, 1)) < 0.5
    paper, colour = np.where(swapped, light, dark), np.where(swapped, dark, light)
    x = paper[..., None, None] + (colour - paper)[..., None, None] * ink[:, None]
    return np.clip(x + generator.normal(0, 0.03, x.shape), 0, 1).astype(np.float32), labels
